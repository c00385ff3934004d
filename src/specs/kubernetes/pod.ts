/** A pod of one container as a service. */
import type {
  Check,
  Constraint,
  ContainerHook,
  EngineOptions,
  Port,
  Probe,
  Probes,
  Resources,
  ServiceSpec,
} from '../../core/spec.ts';
import type { Raw } from '../extend.ts';
import type { Path } from '../source.ts';
import { parseCpus } from '../values.ts';
import type { PodContext, Report } from './objects.ts';
import { labelsOf, list, quantity, raw } from './objects.ts';
import { environmentOf, expanded } from './variables.ts';
import { volumesOf } from './volumes.ts';

type PodPart = Omit<ServiceSpec, 'name' | 'mode' | 'replicas' | 'restart'> & { restartPolicy: string };

const seconds = (value: unknown, otherwise: number): number =>
  (value === undefined ? otherwise : Number(value)) * 1_000;
const texts = (value: unknown): string[] => list(value).map(String);
const given = <T extends object>(values: { [K in keyof T]?: T[K] | undefined }): Partial<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
const filled = <T extends object>(value: T): T | undefined => (Object.keys(value).length === 0 ? undefined : value);

/** `at`: path of the pod's spec in what `context.report` is told of. */
export function podOf(spec: Raw, metadata: unknown, at: Path, context: PodContext): PodPart {
  const { report } = context;
  const all = list(spec.containers);
  if (all.length !== 1)
    report(
      [...at, 'containers'],
      all.length === 0 ? 'has no container' : `has ${all.length} containers`,
      'a pod has one container for now: make each a Deployment, or put both programs into one image',
    );
  const container = raw(all[0]);
  const path: Path = [...at, 'containers', 0];
  if (typeof container.image !== 'string' || container.image === '')
    report([...path, 'image'], 'has no image', 'name one');
  const env = environmentOf(container, metadata, path, context);
  const expand = (text: unknown): string => expanded(String(text), env.environment);
  const { mounts, files } = volumesOf(spec, container, at, context);
  const security = { ...raw(spec.securityContext), ...raw(container.securityContext) };
  const user =
    security.runAsUser === undefined
      ? undefined
      : [security.runAsUser, security.runAsGroup].filter((id) => id !== undefined).join(':');
  if (security.runAsGroup !== undefined && security.runAsUser === undefined) {
    const where = raw(container.securityContext).runAsGroup === undefined ? at : path;
    report([...where, 'securityContext', 'runAsGroup'], 'says not which user', 'set runAsUser too');
  }
  const capabilities = raw(security.capabilities);
  return {
    driver: 'docker',
    image: String(container.image ?? ''),
    ...env,
    ports: portsOf(container, path, report),
    mounts,
    ...given<PodPart>({
      files: files.length === 0 ? undefined : files,
      entrypoint: container.command === undefined ? undefined : list(container.command).map(expand),
      command: container.args === undefined ? undefined : list(container.args).map(expand),
      workingDir: container.workingDir === undefined ? undefined : String(container.workingDir),
      user,
      capAdd: capabilities.add === undefined ? undefined : texts(capabilities.add),
      capDrop: capabilities.drop === undefined ? undefined : texts(capabilities.drop),
      readOnly: security.readOnlyRootFilesystem === true ? true : undefined,
      pull: pullOf(container),
      engine: filled(engineOf(spec, security)),
      probes: filled(probesOf(container, path, report)),
      postStart: hooksOf(container, 'postStart', path, report),
      preStop: hooksOf(container, 'preStop', path, report),
    }),
    labels: labelsOf(metadata),
    stopGraceMs: seconds(spec.terminationGracePeriodSeconds, 30),
    resources: resourcesOf(container, path, report),
    constraints: constraintsOf(spec, at, report),
    restartPolicy: String(spec.restartPolicy ?? 'Always'),
  };
}

function portsOf(container: Raw, path: Path, report: Report): Port[] {
  return list(container.ports).map((item, i) => {
    const { containerPort, hostPort, hostIP, protocol = 'TCP' } = raw(item);
    if (protocol !== 'TCP' && protocol !== 'UDP')
      report([...path, 'ports', i, 'protocol'], `'${String(protocol)}' is not supported`, 'use TCP or UDP');
    return {
      target: Number(containerPort),
      protocol: protocol === 'UDP' ? 'udp' : 'tcp',
      ...given<Port>({
        published: hostPort === undefined ? undefined : Number(hostPort),
        hostIp: hostIP === undefined ? undefined : String(hostIP),
      }),
    } as Port;
  });
}

function resourcesOf(container: Raw, path: Path, report: Report): Resources {
  const read = (kind: string, key: string): number | undefined => {
    const value = raw(raw(container.resources)[kind])[key];
    if (value === undefined) return undefined;
    const number = quantity(value);
    if (number === undefined)
      report([...path, 'resources', kind, key], `'${String(value)}' is no quantity`, 'write 500m, 2, 64Mi or 1Gi');
    return number;
  };
  const cores = (kind: string): number | undefined => {
    const value = read(kind, 'cpu');
    return value === undefined ? undefined : parseCpus(value);
  };
  const bytes = (kind: string): number | undefined => {
    const value = read(kind, 'memory');
    return value === undefined ? undefined : Math.ceil(value);
  };
  return given<Resources>({
    ...{ limitCpuMilli: cores('limits'), limitMemoryBytes: bytes('limits') },
    ...{ reserveCpuMilli: cores('requests'), reserveMemoryBytes: bytes('requests') },
    gpus: read('limits', 'nvidia.com/gpu') ?? read('requests', 'nvidia.com/gpu'),
  });
}

function pullOf({ imagePullPolicy: policy }: Raw): ServiceSpec['pull'] {
  return policy === 'Always' ? 'always' : policy === 'Never' ? 'never' : undefined;
}

function engineOf(spec: Raw, security: Raw): EngineOptions {
  const groups = [...list(security.supplementalGroups), ...(security.fsGroup === undefined ? [] : [security.fsGroup])];
  const aliases = list(spec.hostAliases).flatMap((item) =>
    texts(raw(item).hostnames).map((name) => `${name}:${String(raw(item).ip)}`),
  );
  const { nameservers, searches } = raw(spec.dnsConfig);
  const sysctls = list(security.sysctls).map((item) => [String(raw(item).name), String(raw(item).value)]);
  return given<EngineOptions>({
    hostname: spec.hostname === undefined ? undefined : String(spec.hostname),
    extraHosts: aliases.length === 0 ? undefined : aliases,
    dns: nameservers === undefined ? undefined : texts(nameservers),
    dnsSearch: searches === undefined ? undefined : texts(searches),
    groupAdd: groups.length === 0 ? undefined : groups.map(String),
    privileged: security.privileged === true ? true : undefined,
    securityOpt: security.allowPrivilegeEscalation === false ? ['no-new-privileges:true'] : undefined,
    sysctls: sysctls.length === 0 ? undefined : (Object.fromEntries(sysctls) as Record<string, string>),
    runtime: spec.runtimeClassName === undefined ? undefined : String(spec.runtimeClassName),
    network: spec.hostNetwork === true ? 'host' : undefined,
    pid: spec.hostPID === true ? 'host' : undefined,
    ipc: spec.hostIPC === true ? 'host' : undefined,
  });
}

function probesOf(container: Raw, path: Path, report: Report): Probes {
  const probe = (key: string): Probe | undefined => {
    if (container[key] === undefined) return undefined;
    const given = raw(container[key]);
    return {
      check: checkOf(given, container, [...path, key], report),
      initialDelayMs: seconds(given.initialDelaySeconds, 0),
      intervalMs: Math.max(1_000, seconds(given.periodSeconds, 10)),
      timeoutMs: Math.max(1_000, seconds(given.timeoutSeconds, 1)),
      failures: Math.max(1, Number(given.failureThreshold ?? 3)),
      successes: Math.max(1, Number(given.successThreshold ?? 1)),
    };
  };
  return given<Probes>({
    startup: probe('startupProbe'),
    ready: probe('readinessProbe'),
    live: probe('livenessProbe'),
  });
}

function checkOf(probe: Raw, container: Raw, path: Path, report: Report): Check {
  const port = (value: unknown, key: string): number => {
    const named = list(container.ports)
      .map(raw)
      .find((one) => one.name === value);
    const number = Number(named?.containerPort ?? value);
    if (!(number >= 1 && number <= 65_535))
      report(
        [...path, key, 'port'],
        `'${String(value)}' is no port of the container`,
        'write a number, or the name of one of its ports',
      );
    return number;
  };
  const { exec, httpGet, tcpSocket, grpc } = probe;
  if (exec !== undefined) return { kind: 'exec', command: texts(raw(exec).command) };
  if (tcpSocket !== undefined) return { kind: 'tcp', port: port(raw(tcpSocket).port, 'tcpSocket') };
  if (grpc !== undefined)
    return { kind: 'grpc', port: port(raw(grpc).port, 'grpc'), service: String(raw(grpc).service ?? '') };
  if (httpGet === undefined) report(path, 'says not what to ask', 'write httpGet, tcpSocket, exec or grpc');
  const { path: where = '/', scheme = 'HTTP', httpHeaders } = raw(httpGet);
  const headers = list(httpHeaders).map((item) => [String(raw(item).name), String(raw(item).value)]);
  const safe = String(scheme).toUpperCase() === 'HTTPS' ? ('https' as const) : ('http' as const);
  return {
    kind: 'http',
    port: httpGet === undefined ? 1 : port(raw(httpGet).port, 'httpGet'),
    path: String(where),
    scheme: safe,
    headers: Object.fromEntries(headers) as Record<string, string>,
  };
}

function hooksOf(
  container: Raw,
  key: 'postStart' | 'preStop',
  path: Path,
  report: Report,
): ContainerHook[] | undefined {
  const hook = raw(container.lifecycle)[key];
  if (hook === undefined) return undefined;
  const { exec, sleep } = raw(hook);
  const command = sleep === undefined ? texts(raw(exec).command) : ['sleep', String(raw(sleep).seconds)];
  if (command.length === 0) report([...path, 'lifecycle', key], 'has no command', 'write exec: {command: […]}');
  return [{ command }];
}

const wellKnown: Record<string, string> = {
  'kubernetes.io/hostname': 'node.hostname',
  'kubernetes.io/arch': 'node.platform.arch',
  'kubernetes.io/os': 'node.platform.os',
  'topology.kubernetes.io/zone': 'node.labels.zone',
};
const keyFor = (label: string): string => wellKnown[label] ?? `node.labels.${label}`;

function constraintsOf(spec: Raw, at: Path, report: Report): Constraint[] {
  const named =
    spec.nodeName === undefined ? [] : [{ key: 'node.hostname', op: '==' as const, value: String(spec.nodeName) }];
  const selected = Object.entries(raw(spec.nodeSelector)).map(
    ([label, value]): Constraint => ({ key: keyFor(label), op: '==', value: String(value) }),
  );
  return [...named, ...selected, ...affinityOf(spec, at, report)];
}

function affinityOf(spec: Raw, at: Path, report: Report): Constraint[] {
  const key = 'requiredDuringSchedulingIgnoredDuringExecution';
  const required = raw(raw(raw(spec.affinity).nodeAffinity)[key]);
  const terms = list(required.nodeSelectorTerms);
  const path: Path = [...at, 'affinity', 'nodeAffinity', key, 'nodeSelectorTerms'];
  if (terms.length > 1) report(path, 'has several terms', 'one can be had: write what is common to them');
  return list(raw(terms[0]).matchExpressions).flatMap((item, i): Constraint[] => {
    const { key: label, operator, values } = raw(item);
    const all = texts(values);
    if (operator === 'In' && all.length === 1) return [{ key: keyFor(String(label)), op: '==', value: all[0]! }];
    if (operator === 'NotIn') return all.map((value) => ({ key: keyFor(String(label)), op: '!=' as const, value }));
    report(
      [...path, 0, 'matchExpressions', i],
      `'${String(operator)}' of ${all.length} values can not be had`,
      'use In with one value, or NotIn',
    );
    return [];
  });
}
