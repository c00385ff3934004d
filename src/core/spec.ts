/** What an app is, as a spec file describes it, normalised: what every reader of files makes, and everything else works on. */
import type { CellId } from './model.ts';

export interface Port {
  target: number;
  /** Absent: the runtime picks a free one. */
  published?: number;
  protocol: 'tcp' | 'udp';
  hostIp?: string;
}

export interface Mount {
  /** `scratch`: made anew for each replica, shared by its containers, gone with it. `remote`: an engine's volume whose data is on another machine, one for all cells. */
  kind: 'volume' | 'bind' | 'tmpfs' | 'scratch' | 'remote';
  /** Volume name, absolute host path, or name of what is shared; absent for tmpfs and anonymous volumes. */
  source?: string;
  target: string;
  readOnly?: boolean;
  sizeBytes?: number;
  /** Of a tmpfs; 1777 in octal where it is not given. */
  mode?: number;
  /** Bind only: make the folder where it is missing (the short form of Compose does). */
  createPath?: boolean;
  /** Scratch only: never on the cell's disk. */
  inMemory?: boolean;
  /** As the engine has it: z, rslave, noexec, … */
  options?: string[];
  /** Remote only, of the engine's local driver: type, o, device. */
  driverOptions?: Record<string, string>;
}

/** A small file in a container: a config, or a secret. */
export interface FileMount {
  target: string;
  /** The folder that it and others are all of: what the image has there is not seen. */
  folder?: string;
  /** Id of what it holds; in an app on its way into the document, its name. */
  blob: string;
  uid?: number;
  gid?: number;
  mode?: number;
}

/** What a file holds, on its way into the document: base64. */
export interface FileSource {
  data: string;
  secret?: true;
}

export interface Healthcheck {
  /** ['CMD', ...argv] or ['CMD-SHELL', line]. */
  test: string[];
  intervalMs: number;
  timeoutMs: number;
  retries: number;
  startPeriodMs: number;
  startIntervalMs: number;
}

/** How a replica is asked how it is: a command in it, or by its network. */
export type Check =
  | { kind: 'exec'; command: string[] }
  | { kind: 'http'; port: number; path: string; scheme: 'http' | 'https'; headers: Record<string, string> }
  | { kind: 'tcp'; port: number }
  | { kind: 'grpc'; port: number; service: string };

export interface Probe {
  check: Check;
  initialDelayMs: number;
  intervalMs: number;
  timeoutMs: number;
  /** In a row, until it counts. */
  failures: number;
  successes: number;
}

/**
 * Three questions, as Kubernetes asks them. `startup`: until it is answered once, the others wait, and where it fails, the replica is
 * replaced. `ready`: may it be counted on now? `live`: where it fails, the replica is replaced.
 */
export interface Probes {
  startup?: Probe;
  ready?: Probe;
  live?: Probe;
}

export interface RestartPolicy {
  condition: 'none' | 'on-failure' | 'any';
  maxAttempts?: number;
  delayMs?: number;
  windowMs?: number;
}

export interface Resources {
  reserveCpuMilli?: number;
  reserveMemoryBytes?: number;
  limitCpuMilli?: number;
  limitMemoryBytes?: number;
  limitPids?: number;
  /** -1: all that the cell has, and one at least. */
  gpus?: number;
}

/** `node.labels.zone == attic`, parsed. */
export interface Constraint {
  key: string;
  op: '==' | '!=';
  value: string;
  /** Of ==: one of these will do too. */
  or?: string[];
}

export type DriverKind = 'docker' | 'process';

/** How a change goes through a service (Compose: deploy.update_config and deploy.rollback_config). */
export interface UpdatePolicy {
  /** Replicas that change at once; 0: all. */
  parallelism: number;
  /** From one that came to the next that goes. */
  delayMs: number;
  order: 'start-first' | 'stop-first';
  /** A replica that falls this soon after it came has failed. */
  monitorMs: number;
  /** Of all replicas, how many may fail. */
  maxFailureRatio: number;
  onFailure: 'rollback' | 'pause' | 'continue';
}

export const updateDefaults: UpdatePolicy = {
  ...{ parallelism: 1, delayMs: 0, order: 'start-first', monitorMs: 5_000, maxFailureRatio: 0, onFailure: 'rollback' },
};

/** How a container uses disks: its weight beside others, and limits by device in bytes or operations a second. */
export interface Blkio {
  weight?: number;
  weightDevice?: { path: string; weight: number }[];
  readBps?: DiskRate[];
  writeBps?: DiskRate[];
  readIops?: DiskRate[];
  writeIops?: DiskRate[];
}

export interface DiskRate {
  path: string;
  rate: number;
}

/** What a container engine is asked for beyond what OSCA itself looks at. */
export interface EngineOptions {
  hostname?: string;
  domainname?: string;
  /** 'NAME:IP' */
  extraHosts?: string[];
  dns?: string[];
  dnsSearch?: string[];
  dnsOptions?: string[];
  groupAdd?: string[];
  privileged?: boolean;
  shmBytes?: number;
  sysctls?: Record<string, string>;
  securityOpt?: string[];
  devices?: { host: string; inside: string; permissions: string }[];
  deviceCgroupRules?: string[];
  oomScoreAdj?: number;
  oomKillDisable?: boolean;
  /** -1: no limit. */
  memorySwapBytes?: number;
  memorySwappiness?: number;
  /** µs */
  cpuPeriod?: number;
  cpuQuota?: number;
  cpuShares?: number;
  cpuset?: string;
  cgroupParent?: string;
  cgroup?: string;
  runtime?: string;
  storageOptions?: Record<string, string>;
  userns?: string;
  uts?: string;
  pid?: string;
  ipc?: string;
  network?: string;
  logging?: { driver: string; options: Record<string, string> };
  blkio?: Blkio;
}

/** A command in a container of a service. */
export interface CommandHook {
  command: string[];
  user?: string;
  workingDir?: string;
  environment?: Record<string, string>;
  privileged?: boolean;
}

/** A request to a container of a service. */
export interface RequestHook {
  check: Check & { kind: 'http' };
}

export type ContainerHook = CommandHook | RequestHook;

/** `started`: a replica of it runs; `healthy`: one is ready; `completed`: all have ended with exit code 0. */
export interface Dependency {
  service: string;
  condition: 'started' | 'healthy' | 'completed';
}

/** A service that runs to its end, `replicas` times, instead of for ever. */
export interface JobPolicy {
  /** Of its replicas, at once. */
  parallelism: number;
  /** So often one that failed is tried again. */
  retries: number;
  /** It is ended where it takes longer. */
  deadlineMs?: number;
  /** It may run where most of the cells are not seen, and so twice at once. */
  loose?: true;
}

/** When a job runs by itself (specs/cron.ts). */
export interface Schedule {
  /** Five fields, or six with seconds in front. */
  cron: string;
  /** IANA name. */
  zone: string;
  /** A time at which nobody was there to see to it: the last of those runs late, or none does. */
  missed: 'run' | 'skip';
  /** A time at which the one before still runs: nothing then, or both. */
  overlap: 'skip' | 'allow';
}

/** What one container is made of. */
export interface ContainerSpec {
  image?: string;
  /** Set where the image was built by OSCA: the cell that has it for certain. */
  builtOn?: CellId;
  command?: string[];
  entrypoint?: string[];
  environment: Record<string, string>;
  workingDir?: string;
  user?: string;
  mounts: Mount[];
  /** In memory only, never on the cell's disk. */
  files?: FileMount[];
  /** Variables whose values are secrets: NAME -> blob. */
  sealedEnvironment?: Record<string, string>;
  healthcheck?: Healthcheck;
  probes?: Probes;
  /** Variables known only where it runs: the name of the replica, APP-SERVICE-N, or of the cell, its address; a job's number from 0. */
  ownVariables?: Record<string, 'replica' | 'cell' | 'address' | 'completion'>;
  init?: boolean;
  capAdd?: string[];
  capDrop?: string[];
  readOnly?: boolean;
  ulimits?: Record<string, { soft: number; hard: number }>;
  stopSignal?: string;
  resources: Resources;
  /** Its image is pulled before each new container, or never; where it is missing else. */
  pull?: 'always' | 'never';
  /** After each start, one by one; the replica does not start where one fails. */
  postStart?: ContainerHook[];
  /** Before it is stopped, within the time that it has for that. */
  preStop?: ContainerHook[];
  engine?: EngineOptions;
}

/**
 * Another container of each replica of a service, in the network of its first. `init`: runs to its end before the others start.
 * `peer`: as the first one, it ends and is brought back with the replica. `sidecar`: the replica's end does not wait for it.
 */
export interface PartSpec extends ContainerSpec {
  name: string;
  kind: 'init' | 'peer' | 'sidecar';
}

/** One service of an app, normalised: every default filled in, every path absolute, every duration in ms. */
export interface ServiceSpec extends ContainerSpec {
  name: string;
  driver: DriverKind;
  ports: Port[];
  labels: Record<string, string>;
  restart: RestartPolicy;
  stopGraceMs: number;
  mode: 'replicated' | 'global';
  replicas: number;
  /** The other containers of a pod; a part of the service, in what it is and where it runs. */
  parts?: PartSpec[];
  /** They see each other's processes. */
  sharedProcesses?: true;
  /** Its replicas are called SERVICE-0, SERVICE-1, …, and so is their host. */
  ordinals?: true;
  /** Never on two cells at once: it runs only where a majority of the cells leases it. */
  strict?: boolean;
  constraints: Constraint[];
  /** On one cell at most. */
  maxPerCell?: number;
  /** A replica is started where these are met; what runs goes on without them. */
  dependsOn?: Dependency[];
  job?: JobPolicy;
  schedule?: Schedule;
  /** Runs once in a container of its own before a change of it begins. */
  preDeploy?: { command: string[]; deadlineMs?: number };
  /** What the file says of it; the rest as in updateDefaults. */
  update?: Partial<UpdatePolicy>;
  rollback?: Partial<UpdatePolicy>;
}

export interface AppSpec {
  name: string;
  services: ServiceSpec[];
}

/** An image that is built before a deploy. */
export interface BuildSpec {
  context: string;
  dockerfile?: string;
  /** The Dockerfile itself. */
  inline?: string;
  target?: string;
  args: Record<string, string>;
  labels?: Record<string, string>;
  network?: string;
  /** NAME:IP */
  extraHosts?: string[];
  shmBytes?: number;
  noCache?: boolean;
  pull?: boolean;
}
