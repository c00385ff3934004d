/** One container of a pod. */
import type {
  Check,
  ContainerHook,
  ContainerSpec,
  EngineOptions,
  Probe,
  Probes,
  Resources,
  ServiceSpec,
} from '../../core/spec.ts';
import type { Raw } from '../extend.ts';
import type { Path } from '../source.ts';
import { parseCpus } from '../values.ts';
import type { PodAround, PodContext, Report } from './objects.ts';
import { filled, given, list, quantity, raw, seconds, texts } from './objects.ts';
import { environmentOf, expanded } from './variables.ts';
import { volumesOf } from './volumes.ts';

export function containerOf(value: unknown, path: Path, pod: PodAround, context: PodContext): ContainerSpec {
  const { report } = context;
  const container = raw(value);
  if (typeof container.image !== 'string' || container.image === '')
    report([...path, 'image'], 'has no image', 'name one');
  const env = environmentOf(container, pod.metadata, path, context, pod.spec.hostNetwork === true);
  const { environment, sealedEnvironment = {}, ownVariables = {} } = env;
  const isLate = (name: string): boolean => Object.hasOwn(sealedEnvironment, name) || Object.hasOwn(ownVariables, name);
  const expand = (text: unknown): string => expanded(String(text), environment, isLate);
  const { mounts, files } = volumesOf(container, path, pod, context);
  const security = { ...raw(pod.spec.securityContext), ...raw(container.securityContext) };
  const user =
    security.runAsUser === undefined
      ? undefined
      : [security.runAsUser, security.runAsGroup].filter((id) => id !== undefined).join(':');
  if (security.runAsGroup !== undefined && security.runAsUser === undefined) {
    const where = raw(container.securityContext).runAsGroup === undefined ? pod.at : path;
    report([...where, 'securityContext', 'runAsGroup'], 'says not which user', 'set runAsUser too');
  }
  const seccomp = raw(security.seccompProfile).type;
  if (seccomp !== undefined && seccomp !== 'RuntimeDefault' && seccomp !== 'Unconfined') {
    const where = raw(container.securityContext).seccompProfile === undefined ? pod.at : path;
    const what = seccomp === 'Localhost' ? 'is a file of the machine' : `'${String(seccomp)}' is not known`;
    report([...where, 'securityContext', 'seccompProfile', 'type'], what, 'use RuntimeDefault or Unconfined');
  }
  const capabilities = raw(security.capabilities);
  const { stopSignal: signal } = raw(container.lifecycle);
  return {
    image: String(container.image ?? ''),
    ...env,
    mounts,
    ...given<ContainerSpec>({
      files: files.length === 0 ? undefined : files,
      entrypoint: container.command === undefined ? undefined : list(container.command).map(expand),
      command: container.args === undefined ? undefined : list(container.args).map(expand),
      workingDir: container.workingDir === undefined ? undefined : String(container.workingDir),
      user,
      capAdd: capabilities.add === undefined ? undefined : texts(capabilities.add),
      capDrop: capabilities.drop === undefined ? undefined : texts(capabilities.drop),
      readOnly: security.readOnlyRootFilesystem === true ? true : undefined,
      pull: pullOf(container),
      engine: filled(engineOf(pod.spec, security)),
      probes: filled(probesOf(container, path, report)),
      postStart: hooksOf(container, 'postStart', path, report),
      preStop: hooksOf(container, 'preStop', path, report),
      stopSignal: signal === undefined ? undefined : String(signal),
    }),
    resources: resourcesOf(container, path, report),
  };
}

/** What each container has of its own, or of the pod in the same words. */
function engineOf(spec: Raw, security: Raw): EngineOptions {
  const groups = [...list(security.supplementalGroups), ...(security.fsGroup === undefined ? [] : [security.fsGroup])];
  const options = [
    ...(security.allowPrivilegeEscalation === false ? ['no-new-privileges:true'] : []),
    ...(raw(security.seccompProfile).type === 'Unconfined' ? ['seccomp=unconfined'] : []),
  ];
  return given<EngineOptions>({
    groupAdd: groups.length === 0 ? undefined : groups.map(String),
    privileged: security.privileged === true ? true : undefined,
    securityOpt: options.length === 0 ? undefined : options,
    runtime: spec.runtimeClassName === undefined ? undefined : String(spec.runtimeClassName),
    pid: spec.hostPID === true ? 'host' : undefined,
    ipc: spec.hostIPC === true ? 'host' : undefined,
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
    // Nothing is asked for; a limit of nothing is none.
    if (value === 0) return kind === 'requests' ? 0 : undefined;
    return value === undefined ? undefined : parseCpus(value);
  };
  const bytes = (kind: string): number | undefined => {
    const value = read(kind, 'memory');
    return value === undefined ? undefined : Math.ceil(value);
  };
  const [limitCpuMilli, limitMemoryBytes] = [cores('limits'), bytes('limits')];
  return given<Resources>({
    ...{ limitCpuMilli, limitMemoryBytes },
    // What only has limits asks for as much.
    reserveCpuMilli: cores('requests') ?? limitCpuMilli,
    reserveMemoryBytes: bytes('requests') ?? limitMemoryBytes,
    gpus: read('limits', 'nvidia.com/gpu') ?? read('requests', 'nvidia.com/gpu'),
  });
}

function pullOf({ imagePullPolicy: policy }: Raw): ServiceSpec['pull'] {
  return policy === 'Always' ? 'always' : policy === 'Never' ? 'never' : undefined;
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

/** Number of a port, or of one that the container names. */
function portOf(value: unknown, container: Raw, path: Path, report: Report): number {
  const named = list(container.ports)
    .map(raw)
    .find((one) => one.name === value);
  const number = Number(named?.containerPort ?? value);
  if (!(number >= 1 && number <= 65_535))
    report(
      [...path, 'port'],
      `'${String(value)}' is no port of the container`,
      'write a number, or the name of one of its ports',
    );
  return number;
}

function checkOf(probe: Raw, container: Raw, path: Path, report: Report): Check {
  const port = (of: unknown, key: string): number => portOf(raw(of).port, container, [...path, key], report);
  const { exec, httpGet, tcpSocket, grpc } = probe;
  if (exec !== undefined) return { kind: 'exec', command: texts(raw(exec).command) };
  if (tcpSocket !== undefined) return { kind: 'tcp', port: port(tcpSocket, 'tcpSocket') };
  if (grpc !== undefined) return { kind: 'grpc', port: port(grpc, 'grpc'), service: String(raw(grpc).service ?? '') };
  if (httpGet !== undefined) return requestOf(raw(httpGet), container, path, report);
  report(path, 'says not what to ask', 'write httpGet, tcpSocket, exec or grpc');
  return { kind: 'exec', command: [] };
}

function requestOf(httpGet: Raw, container: Raw, path: Path, report: Report): Check & { kind: 'http' } {
  const { path: where = '/', scheme = 'HTTP', httpHeaders } = httpGet;
  const headers = list(httpHeaders).map((item) => [String(raw(item).name), String(raw(item).value)]);
  return {
    kind: 'http',
    port: portOf(httpGet.port, container, [...path, 'httpGet'], report),
    path: String(where),
    scheme: String(scheme).toUpperCase() === 'HTTPS' ? 'https' : 'http',
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
  const { exec, sleep, httpGet } = raw(hook);
  if (httpGet !== undefined)
    return [{ check: requestOf(raw(httpGet), container, [...path, 'lifecycle', key], report) }];
  const command = sleep === undefined ? texts(raw(exec).command) : ['sleep', String(raw(sleep).seconds)];
  if (command.length === 0) report([...path, 'lifecycle', key], 'has no command', 'write exec: {command: […]}');
  return [{ command }];
}
