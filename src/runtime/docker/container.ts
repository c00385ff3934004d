/** A unit in the words of the Engine API (v1.41), which Docker and Podman both speak. */
import type { ContainerCreateOptions, MountSettings } from 'dockerode';
import type { UnitSpec } from '../../core/events.ts';
import type { Blkio, DiskRate, EngineOptions, Mount, PartSpec, Port, ServiceSpec } from '../../core/spec.ts';
import type { PlacedFile } from '../files/files.ts';
import { nameOf } from '../files/files.ts';

export const labelKeys = {
  cell: 'io.osca.cell',
  appliance: 'io.osca.appliance',
  replica: 'io.osca.replica',
  hash: 'io.osca.hash',
  app: 'io.osca.app',
  service: 'io.osca.service',
  /** What to run in it before it is stopped, also by a daemon that does not know its spec any more. */
  preStop: 'io.osca.pre-stop',
  /** Where a replica has several containers: which it is ('' the first), of what kind, and the names of all. */
  part: 'io.osca.part',
  kind: 'io.osca.part-kind',
  parts: 'io.osca.parts',
  /** Is it brought back when it ends? */
  restart: 'io.osca.restart',
} as const;

export interface Owner {
  cell: string;
  appliance: string;
}

/** Short enough for a host name, different for every form of a replica and for every cell that shares an engine. */
export function containerName(unit: UnitSpec, owner: Owner): string {
  return `osca-${unit.replica.replaceAll('/', '-')}-${unit.hash.slice(0, 6)}-${owner.cell.slice(-6)}`;
}

/** What another container of a replica is made from, beside the first of this id; `init` stands before it. */
export interface PartOf {
  part: PartSpec;
  first?: string;
  sharedProcesses?: boolean;
}

/** The container of a part as if it were a service's own. */
export function partUnit(unit: UnitSpec, { kind: _k, ...part }: PartSpec): UnitSpec {
  const { driver, labels, restart, stopGraceMs, mode, replicas, constraints, ordinals } = unit.service;
  const base = { driver, labels, restart, stopGraceMs, mode, replicas, constraints, ports: [], ...given({ ordinals }) };
  return { ...unit, service: { ...base, ...part, name: unit.service.name } };
}

/** `files`: what of it lies on the cell already. */
export function createOptions(
  unit: UnitSpec,
  owner: Owner,
  files: readonly PlacedFile[],
  of?: PartOf,
): ContainerCreateOptions {
  const { service } = unit;
  const parts = service.parts?.filter(({ kind }) => kind !== 'init').map(({ name }) => name) ?? [];
  const standing = of === undefined && service.parts === undefined;
  const labels = {
    ...service.labels,
    [labelKeys.cell]: owner.cell,
    [labelKeys.appliance]: owner.appliance,
    [labelKeys.replica]: unit.replica,
    [labelKeys.hash]: unit.hash,
    [labelKeys.app]: unit.app,
    [labelKeys.service]: service.name,
    ...(service.preStop === undefined ? {} : { [labelKeys.preStop]: JSON.stringify(service.preStop) }),
    ...(standing
      ? {}
      : {
          [labelKeys.part]: of?.part.name ?? '',
          [labelKeys.kind]: of?.part.kind ?? 'first',
          [labelKeys.restart]: service.restart.condition,
        }),
    ...(of === undefined && parts.length > 0 ? { [labelKeys.parts]: parts.join() } : {}),
  };
  const name = containerName(unit, owner);
  return {
    name: of === undefined ? name : `${name}-${of.part.name}`,
    Image: service.image ?? '',
    ...(service.command === undefined ? {} : { Cmd: service.command }),
    ...(service.entrypoint === undefined ? {} : { Entrypoint: service.entrypoint }),
    Env: Object.entries({ OSCA_REPLICA: unit.replica, ...service.environment }).map(
      ([key, value]) => `${key}=${value}`,
    ),
    ...(service.workingDir === undefined ? {} : { WorkingDir: service.workingDir }),
    ...(service.user === undefined ? {} : { User: service.user }),
    ...(service.stopSignal === undefined ? {} : { StopSignal: service.stopSignal }),
    // Health is felt by the supervisor, the same for every engine.
    ...(service.healthcheck === undefined ? {} : { Healthcheck: { Test: ['NONE'] } }),
    ...given({ Hostname: hostnameOf(unit, of), Domainname: service.engine?.domainname }),
    Labels: labels,
    ExposedPorts: Object.fromEntries(service.ports.map((port) => [portKey(port), {}])),
    HostConfig: {
      ...hostConfig(service, files, name),
      ...(of?.first === undefined ? {} : { NetworkMode: `container:${of.first}` }),
      ...(of?.first !== undefined && of.sharedProcesses ? { PidMode: `container:${of.first}` } : {}),
      // The engine itself brings back what the replica does not wait for.
      ...(of?.part.kind === 'sidecar' ? { RestartPolicy: { Name: 'always' } } : {}),
    },
  };
}

function hostConfig(
  service: ServiceSpec,
  files: readonly PlacedFile[],
  unitName: string,
): NonNullable<ContainerCreateOptions['HostConfig']> {
  const { resources } = service;
  const bindings: Record<string, { HostIp?: string; HostPort: string }[]> = {};
  for (const port of service.ports) {
    const hostPort = port.published === undefined ? '' : String(port.published);
    // Podman's netavark takes 0.0.0.0 as an address to match: left out where it means any.
    const ip = port.hostIp === undefined || port.hostIp === '0.0.0.0' ? {} : { HostIp: port.hostIp };
    bindings[portKey(port)] = [...(bindings[portKey(port)] ?? []), { ...ip, HostPort: hostPort }];
  }
  return {
    RestartPolicy: { Name: 'no' },
    PortBindings: bindings,
    Binds: service.mounts
      .filter(isLoose)
      .map(({ source, target, readOnly, options = [] }) =>
        [source, target, [...(readOnly ? ['ro'] : []), ...options].join()].filter((one) => one !== '').join(':'),
      ),
    Tmpfs: Object.fromEntries(
      service.mounts.filter(isTmpfs).map(({ target, options = [] }) => [target, options.join()]),
    ),
    Mounts: [
      ...service.mounts
        .filter((mount) => !isLoose(mount) && !isTmpfs(mount) && mount.inMemory !== true)
        .map((mount) => mountSettings(mount, unitName)),
      ...files.map(({ source, target, writable }) => ({
        ...{ Type: 'bind' as const, Source: source, Target: target, ReadOnly: writable !== true },
      })),
    ],
    ...(service.init === undefined ? {} : { Init: service.init }),
    ...(service.capAdd === undefined ? {} : { CapAdd: service.capAdd }),
    ...(service.capDrop === undefined ? {} : { CapDrop: service.capDrop }),
    ...(service.readOnly === undefined ? {} : { ReadonlyRootfs: service.readOnly }),
    Ulimits: Object.entries(service.ulimits ?? {}).map(([Name, { soft, hard }]) => ({ Name, Soft: soft, Hard: hard })),
    ...(resources.limitCpuMilli === undefined ? {} : { NanoCpus: resources.limitCpuMilli * 1_000_000 }),
    ...(resources.limitMemoryBytes === undefined ? {} : { Memory: resources.limitMemoryBytes }),
    ...(resources.reserveMemoryBytes === undefined ? {} : { MemoryReservation: resources.reserveMemoryBytes }),
    ...(resources.limitPids === undefined ? {} : { PidsLimit: resources.limitPids }),
    ...(resources.gpus === undefined
      ? {}
      : { DeviceRequests: [{ Driver: 'nvidia', Count: resources.gpus, Capabilities: [['gpu']] }] }),
    ...engineConfig(service.engine ?? {}),
  };
}

const given = <T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;

function engineConfig(engine: EngineOptions): NonNullable<ContainerCreateOptions['HostConfig']> {
  const { devices, logging } = engine;
  return given({
    ExtraHosts: engine.extraHosts,
    Dns: engine.dns,
    DnsSearch: engine.dnsSearch,
    DnsOptions: engine.dnsOptions,
    GroupAdd: engine.groupAdd,
    Privileged: engine.privileged,
    ShmSize: engine.shmBytes,
    Sysctls: engine.sysctls,
    SecurityOpt: engine.securityOpt,
    Devices: devices?.map(({ host, inside, permissions }) => ({
      ...{ PathOnHost: host, PathInContainer: inside, CgroupPermissions: permissions },
    })),
    DeviceCgroupRules: engine.deviceCgroupRules,
    OomScoreAdj: engine.oomScoreAdj,
    OomKillDisable: engine.oomKillDisable,
    MemorySwap: engine.memorySwapBytes,
    MemorySwappiness: engine.memorySwappiness,
    CpuPeriod: engine.cpuPeriod,
    CpuQuota: engine.cpuQuota,
    CpuShares: engine.cpuShares,
    CpusetCpus: engine.cpuset,
    CgroupParent: engine.cgroupParent,
    CgroupnsMode: engine.cgroup as 'host' | 'private' | undefined,
    Runtime: engine.runtime,
    StorageOpt: engine.storageOptions,
    UsernsMode: engine.userns,
    UTSMode: engine.uts,
    PidMode: engine.pid,
    IpcMode: engine.ipc,
    NetworkMode: engine.network,
    LogConfig: logging === undefined ? undefined : { Type: logging.driver, Config: logging.options },
    ...diskConfig(engine.blkio ?? {}),
  });
}

function diskConfig(blkio: Blkio): object {
  const rates = (list: readonly DiskRate[] | undefined): object[] | undefined =>
    list?.map(({ path, rate }) => ({ Path: path, Rate: rate }));
  return given({
    BlkioWeight: blkio.weight,
    BlkioWeightDevice: blkio.weightDevice?.map(({ path, weight }) => ({ Path: path, Weight: weight })),
    BlkioDeviceReadBps: rates(blkio.readBps),
    BlkioDeviceWriteBps: rates(blkio.writeBps),
    BlkioDeviceReadIOps: rates(blkio.readIops),
    BlkioDeviceWriteIOps: rates(blkio.writeIops),
  });
}

export const portKey = ({ target, protocol }: Port): string => `${target}/${protocol}`;

/** The short form of a bind makes a missing folder, and may be labelled; only Binds does that. */
const isLoose = ({ kind, createPath, options }: Mount): boolean =>
  kind === 'bind' && (createPath === true || options !== undefined);

/** With options that only its own map takes. */
const isTmpfs = ({ kind, options }: Mount): boolean => kind === 'tmpfs' && options !== undefined;

/** Who is in another's network has its name. */
function hostnameOf(unit: UnitSpec, of: PartOf | undefined): string | undefined {
  const { engine, ordinals } = unit.service;
  if (of?.first !== undefined || engine?.network === 'host') return engine?.hostname;
  return engine?.hostname ?? (ordinals === true ? nameOf(unit) : undefined);
}

/** What a replica's containers share is a volume by its name, found again by that when it goes (pods.ts). */
export const scratchName = (unitName: string, volume: string): string => `${unitName}-scratch-${volume}`;

function mountSettings(mount: Mount, unitName: string): MountSettings {
  const { kind, source, target, readOnly, sizeBytes, mode } = mount;
  if (kind === 'scratch') {
    const name = scratchName(unitName, source ?? '');
    // It begins empty, whatever the image has there.
    const empty = { VolumeOptions: { NoCopy: true } };
    return { Type: 'volume', Source: name, Target: target, ReadOnly: readOnly === true, ...empty } as MountSettings;
  }
  const settings = {
    Type: kind === 'remote' ? 'volume' : kind,
    Target: target,
    ...(readOnly === undefined ? {} : { ReadOnly: readOnly }),
  };
  if (kind === 'tmpfs') {
    const options = { ...(sizeBytes === undefined ? {} : { SizeBytes: sizeBytes }), Mode: mode ?? 0o1777 };
    return {
      ...settings,
      ...(sizeBytes === undefined && mode === undefined ? {} : { TmpfsOptions: options }),
    } as MountSettings;
  }
  // What the image has there is not copied into it.
  const empty = mount.options?.includes('nocopy') ? { VolumeOptions: { NoCopy: true } } : {};
  return { ...settings, Source: source ?? '', ...empty } as MountSettings;
}
