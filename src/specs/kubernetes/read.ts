/**
 * Kubernetes manifests as an app: each workload becomes a service, Services publish its ports, ConfigMaps, Secrets and claims become its
 * files and volumes. What can't be had is refused by line, as in a Compose file.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { SpecProblem } from '../../core/errors.ts';
import { OscaError, SpecError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { mountsOf } from '../../core/service.ts';
import type { JobPolicy, Port, RestartPolicy, Schedule, ServiceSpec, UpdatePolicy } from '../../core/spec.ts';
import { KeyTable } from '../check.ts';
import type { ComposeRequest, ComposeResult } from '../compose.ts';
import { scheduleFault } from '../cron.ts';
import type { Raw } from '../extend.ts';
import { isRaw } from '../extend.ts';
import type { Path } from '../source.ts';
import { Source } from '../source.ts';
import { nearest } from '../values.ts';
import { kubernetesKeys, refusedKinds } from './keys.ts';
import type { KubeObject, Report } from './objects.ts';
import { Contents, list, raw } from './objects.ts';
import { podOf } from './pod.ts';

const table = new KeyTable(kubernetesKeys, 'is no key that is known here');
const workloads = ['Pod', 'Deployment', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob'];
const kinds = kubernetesKeys.map(({ path }) => path).filter((path) => /^[A-Z]\w*$/.test(path));
const namePattern = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const dottedPattern = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;
/** Whose names become names of services. */
const named = [...workloads, 'Service'];
/** For a cluster: nothing here is the worse for being without. */
const ignored = ['ServiceAccount', 'PodDisruptionBudget', 'StorageClass', 'PriorityClass'];

/** Has some document of it a kind, as Kubernetes' objects have? */
export function isKubernetes(text: string): boolean {
  if (/^kind:\s*\S/m.test(text) && /^apiVersion:\s*\S/m.test(text)) return true;
  if (!text.includes('apiVersion') || !text.includes('kind')) return false;
  try {
    return Source.all('', text).some(
      ({ value }) => isRaw(value) && value.kind !== undefined && value.apiVersion !== undefined,
    );
  } catch {
    return false;
  }
}

/** Throws SpecError with every problem. */
export function readKubernetes(request: ComposeRequest): ComposeResult {
  const problems: SpecProblem[] = [];
  const files = [request.file, ...(request.over ?? [])];
  const objects = files.flatMap((file) => objectsOf(file, problems));
  const name = request.name ?? request.fallbackName ?? appName(request.file);
  if (!/^[a-z0-9][a-z0-9_-]*$/.test(name) || name.length > limits.nameLength)
    throw new OscaError('bad-spec', `'${name}' is no name for an app`, 'give one: osca deploy --name APP FILE');
  for (const { kind, name: own, value, source, path } of objects) {
    problems.push(...table.check(source, value, kind, path));
    const pattern = named.includes(kind) ? namePattern : dottedPattern;
    if (!pattern.test(own))
      problems.push(
        source.problem(
          [...path, 'metadata', 'name'],
          `'${own}' is no name`,
          own.includes('{{') ? 'this is a template of Helm: render it first, with helm template' : 'use a-z, 0-9 and -',
        ),
      );
  }
  if (problems.length > 0) throw new SpecError(problems);
  const contents = new Contents(objects, problems);
  const warnings: string[] = [];
  const made = objects
    .filter(({ kind }) => workloads.includes(kind))
    .map((object) => ({ object, spec: serviceOf(object, name, contents, problems) }));
  refuseTwice(objects, problems);
  for (const object of objects.filter(({ kind }) => kind === 'Service')) publish(object, made, warnings, problems);
  for (const { kind, name: own } of objects) {
    if (ignored.includes(kind)) warnings.push(`${kind} ${own} is for a Kubernetes cluster; it is ignored`);
  }
  problems.push(...tooLarge(contents.files, objects));
  if (made.length === 0 && problems.length === 0)
    throw new OscaError('bad-spec', `${request.file} has nothing that runs`, `it needs one of ${workloads.join(', ')}`);
  if (problems.length > 0) throw new SpecError(problems);
  const services = made.map(({ spec }) =>
    hasData(spec) && spec.replicas === 1 && spec.job === undefined ? { ...spec, strict: true as const } : spec,
  );
  return { app: { name, services }, builds: {}, files: contents.files, warnings };
}

/** As in a Compose file: a change of the document travels in one frame. */
function tooLarge(files: ComposeResult['files'], [first]: readonly KubeObject[]): SpecProblem[] {
  const sizes = Object.entries(files).map(([name, { data }]) => ({
    name: name.slice(1),
    bytes: (data.length * 3) / 4,
  }));
  const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  const large = sizes.filter(({ bytes }) => bytes > limits.fileBytes);
  const hint = 'put it into the image, or into a volume';
  const of = (what: string): SpecProblem => first!.source.problem(first!.path, what, hint);
  return [
    ...large.map(({ name }) => of(`${name} is larger than ${limits.fileBytes / 1_024} KiB`)),
    ...(total > limits.filesBytes
      ? [of(`what is used of ConfigMaps and Secrets is more than ${limits.filesBytes / 1_024} KiB`)]
      : []),
  ];
}

const hasData = (spec: ServiceSpec): boolean =>
  spec.mode === 'replicated' && mountsOf(spec).some(({ kind, source }) => kind === 'volume' && source !== undefined);

/** The file's name, or its folder's where that says nothing. */
function appName(file: string): string {
  const own = basename(file).replace(/\.(ya?ml|json)$/, '');
  const said = ['deployment', 'deploy', 'manifest', 'manifests', 'all', 'kubernetes', 'k8s', 'service', 'app', 'index'];
  const name = said.includes(own) ? (file.split('/').at(-2) ?? own) : own;
  const clean = name
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '-')
    .replace(/^[_-]+/, '');
  return clean === '' ? 'app' : clean;
}

/** The objects of a file, those of Lists too. */
function objectsOf(file: string, problems: SpecProblem[]): KubeObject[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new OscaError(
      'not-found',
      `${file} can't be read: ${(error as Error).message}`,
      'check the path and its permissions',
    );
  }
  const found: KubeObject[] = [];
  const take = (source: Source, value: unknown, path: Path): void => {
    if (!isRaw(value)) {
      problems.push(source.problem(path, 'is no object', 'it needs apiVersion, kind and metadata'));
      return;
    }
    const kind = String(value.kind ?? '');
    if (kind === 'List' || (kind.endsWith('List') && Array.isArray(value.items))) {
      for (const [i, item] of list(value.items).entries()) take(source, item, [...path, 'items', i]);
      return;
    }
    const why = refusedKinds[kind];
    if (why !== undefined) problems.push(source.problem([...path, 'kind'], `${kind} is not supported`, why));
    else if (!kinds.includes(kind)) {
      const meant = nearest(kind, kinds);
      const hint = meant === undefined ? `these are known: ${kinds.join(', ')}` : `did you mean '${meant}'?`;
      problems.push(source.problem([...path, 'kind'], kind === '' ? 'is missing' : `'${kind}' is not known`, hint));
    } else found.push({ kind, name: String(raw(value.metadata).name ?? ''), value: withoutNulls(value), source, path });
  };
  for (const source of Source.all(file, text)) take(source, source.value, []);
  return found;
}

/** null says that a key is not set; generators write it. */
function withoutNulls(object: Raw): Raw {
  const clean = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(clean);
    if (!isRaw(value)) return value;
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, one]) => (one === null && key !== 'emptyDir' ? [] : [[key, clean(one)]])),
    );
  };
  return { ...object, ...(object.spec === undefined ? {} : { spec: clean(object.spec) }) };
}

/** Workloads become services, so their names must differ; of all else two of a kind must. */
function refuseTwice(objects: readonly KubeObject[], problems: SpecProblem[]): void {
  const seen = new Map<string, KubeObject>();
  for (const object of objects) {
    const { kind, name, value, source, path } = object;
    const key = workloads.includes(kind) ? name : `${kind}/${name}`;
    const other = seen.get(key);
    seen.set(key, object);
    if (other === undefined || kind === 'Namespace') continue;
    const spaces = [other.value, value].map((one) => String(raw(one.metadata).namespace ?? 'default'));
    const hint =
      spaces[0] === spaces[1]
        ? 'rename one of them'
        : `namespaces ${spaces.join(' and ')} can not be kept apart in one app: put each into a file of its own`;
    problems.push(source.problem([...path, 'metadata', 'name'], `${other.kind} ${other.name} has the same name`, hint));
  }
}

/** The pod that an object makes: where it stands, and what says how often. */
function templateOf({ kind, value }: KubeObject): { holder: Raw; pod: Raw; metadata: unknown; at: Path } {
  const spec = raw(value.spec);
  if (kind === 'Pod') return { holder: spec, pod: spec, metadata: value.metadata, at: ['spec'] };
  const isCron = kind === 'CronJob';
  const holder = isCron ? raw(raw(spec.jobTemplate).spec) : spec;
  const { spec: pod, metadata } = raw(holder.template);
  const at: Path = [...(isCron ? ['spec', 'jobTemplate', 'spec'] : ['spec']), 'template', 'spec'];
  return { holder, pod: raw(pod), metadata, at };
}

function serviceOf(object: KubeObject, app: string, contents: Contents, problems: SpecProblem[]): ServiceSpec {
  const { kind, name, value, source, path } = object;
  const report: Report = (at, message, hint) => void problems.push(source.problem([...path, ...at], message, hint));
  const spec = raw(value.spec);
  const { holder, pod, metadata, at } = templateOf(object);
  const found = [
    ...table.check(source, pod, 'pod', [...path, ...at]),
    ...['initContainers', 'containers'].flatMap((key) =>
      list(pod[key]).flatMap((one, i) => table.check(source, one, 'container', [...path, ...at, key, i])),
    ),
  ];
  problems.push(...found);
  const claims = new Map(
    list(spec.volumeClaimTemplates).map((claim) => [
      String(raw(raw(claim).metadata).name),
      String(raw(raw(claim).metadata).name),
    ]),
  );
  const scoped =
    kind === 'StatefulSet' ? new Map([...claims].map(([volume, claim]) => [volume, `${claim}-${name}`])) : claims;
  const context = { app, service: name, contents, claims: scoped, report };
  const { restartPolicy, ...part } = podOf(
    found.length > 0 ? { containers: [{ image: '-' }] } : pod,
    metadata,
    at,
    context,
  );
  const isJob = kind === 'Job' || kind === 'CronJob';
  // Without completions a job is a queue of work that so many take from.
  const times = holder.completions ?? holder.parallelism;
  const replicas = Number((isJob ? times : kind === 'Pod' ? 1 : spec.replicas) ?? 1);
  const isIndexed = isJob && holder.completionMode === 'Indexed';
  if (replicas < 0 || replicas > limits.replicas) report(['spec', 'replicas'], `must be 0 to ${limits.replicas}`, '');
  const update = updateOf(kind, spec, replicas);
  return {
    name,
    ...(isIndexed ? withIndex(part) : part),
    ...(kind === 'StatefulSet' ? { ordinals: true as const } : {}),
    restart: isJob ? { condition: 'none' } : restartOf(restartPolicy),
    mode: kind === 'DaemonSet' ? 'global' : 'replicated',
    replicas,
    ...(isJob ? { job: jobOf(kind, holder, pod, report) } : {}),
    ...(kind === 'CronJob' ? { schedule: scheduleOf(spec, report) } : {}),
    ...(kind === 'StatefulSet' && claims.size > 0 ? { maxPerCell: 1 } : {}),
    ...(Object.keys(update).length === 0 ? {} : { update }),
  };
}

/** Each completion knows its number. */
function withIndex<T extends Pick<ServiceSpec, 'ownVariables' | 'parts'>>(part: T): T {
  const ownVariables = { JOB_COMPLETION_INDEX: 'completion' as const, ...part.ownVariables };
  return {
    ...part,
    ownVariables,
    ...(part.parts === undefined ? {} : { parts: part.parts.map((one) => withIndex(one)) }),
  };
}

function restartOf(policy: string): RestartPolicy {
  return { condition: policy === 'Never' ? 'none' : policy === 'OnFailure' ? 'on-failure' : 'any' };
}

function jobOf(kind: string, job: Raw, pod: Raw, report: Report): JobPolicy {
  const at: Path = kind === 'CronJob' ? ['spec', 'jobTemplate', 'spec'] : ['spec'];
  if (job.suspend === true)
    report([...at, 'suspend'], 'a job that is held back is not deployed', 'remove the key; osca stop holds it back');
  const deadline = job.activeDeadlineSeconds ?? pod.activeDeadlineSeconds;
  return {
    parallelism: Math.max(1, Number(job.parallelism ?? 1)),
    retries: Number(job.backoffLimit ?? 6),
    ...(deadline === undefined ? {} : { deadlineMs: Number(deadline) * 1_000 }),
  };
}

function scheduleOf(spec: Raw, report: Report): Schedule {
  const { schedule: given, timeZone: zone, concurrencyPolicy = 'Allow', startingDeadlineSeconds, suspend } = spec;
  if (suspend === true)
    report(
      ['spec', 'suspend'],
      'a schedule that is held back is not deployed',
      'remove the key; osca stop holds it back',
    );
  if (concurrencyPolicy !== 'Allow' && concurrencyPolicy !== 'Forbid')
    report(['spec', 'concurrencyPolicy'], `'${String(concurrencyPolicy)}' can not be had`, 'use Allow or Forbid');
  const [, said, cron] = /^(?:(?:CRON_)?TZ=(\S+)\s+)?(.*)$/.exec(String(given ?? '')) ?? [];
  const schedule: Schedule = {
    ...{ cron: cron ?? '', zone: String(zone ?? said ?? 'UTC') },
    missed: startingDeadlineSeconds !== undefined && Number(startingDeadlineSeconds) <= 60 ? 'skip' : 'run',
    overlap: concurrencyPolicy === 'Allow' ? 'allow' : 'skip',
  };
  const fault = scheduleFault(schedule);
  if (fault !== undefined)
    report(['spec', 'schedule'], fault, "minute, hour, day, month, weekday, as in '30 3 * * mon-fri'");
  return schedule;
}

function updateOf(kind: string, spec: Raw, replicas: number): Partial<UpdatePolicy> {
  const { type, rollingUpdate } = raw(spec.strategy);
  const monitor = spec.minReadySeconds === undefined ? {} : { monitorMs: Number(spec.minReadySeconds) * 1_000 };
  if (kind !== 'Deployment') return monitor;
  if (type === 'Recreate') return { ...monitor, order: 'stop-first', parallelism: 0 };
  const { maxSurge = '25%', maxUnavailable = '25%' } = raw(rollingUpdate);
  const count = (value: unknown): number =>
    String(value).endsWith('%') ? Math.ceil((Number.parseFloat(String(value)) * replicas) / 100) : Number(value);
  const parallelism = Math.max(1, count(maxSurge) > 0 ? count(maxSurge) : count(maxUnavailable));
  const order = count(maxSurge) === 0 ? { order: 'stop-first' as const } : {};
  return { ...monitor, ...order, ...(parallelism === 1 ? {} : { parallelism }) };
}

interface Made {
  object: KubeObject;
  spec: ServiceSpec;
}

/** A Service puts the ports of what it selects where they are reached. */
function publish(
  { name, value, source, path }: KubeObject,
  made: readonly Made[],
  warnings: string[],
  problems: SpecProblem[],
): void {
  const { type = 'ClusterIP', selector, ports } = raw(value.spec);
  const report: Report = (at, message, hint) =>
    void problems.push(source.problem([...path, 'spec', ...at], message, hint));
  if (!['ClusterIP', 'NodePort', 'LoadBalancer'].includes(String(type)))
    return report(['type'], `'${String(type)}' is not supported`, 'use ClusterIP, NodePort or LoadBalancer');
  const wanted = Object.entries(raw(selector));
  const chosen = made.filter(
    ({ spec }) => wanted.length > 0 && wanted.every(([key, one]) => spec.labels[key] === String(one)),
  );
  if (chosen.length === 0 && wanted.length > 0)
    return report(
      ['selector'],
      'selects nothing of the file',
      `the file has labels: ${[...new Set(made.flatMap(({ spec }) => Object.entries(spec.labels).map(([key, one]) => `${key}=${one}`)))].join(', ') || 'none'}`,
    );
  if (type === 'ClusterIP') {
    warnings.push(
      `Service ${name}: services do not reach each other by name yet; a Service of type NodePort publishes a port`,
    );
    return;
  }
  if (wanted.length === 0) warnings.push(`Service ${name} has no selector: it publishes nothing`);
  for (const { object, spec } of chosen) {
    for (const [i, item] of list(ports).entries()) {
      const { port, targetPort = port, nodePort, protocol = 'TCP' } = raw(item);
      const named = containerPorts(object).find((one) => one.name === targetPort);
      const target = Number(named?.containerPort ?? targetPort);
      if (!Number.isSafeInteger(target)) {
        report(
          ['ports', i, 'targetPort'],
          `'${String(targetPort)}' is no port of ${object.kind} ${object.name}`,
          'write a number, or the name of one of its ports',
        );
        continue;
      }
      const published = type === 'LoadBalancer' ? Number(port) : nodePort === undefined ? undefined : Number(nodePort);
      const kind = String(protocol).toLowerCase() === 'udp' ? 'udp' : 'tcp';
      const whole: Port = { target, protocol: kind, ...(published === undefined ? {} : { published }) };
      const others = spec.ports.filter(
        (one) => one.target !== target || one.protocol !== kind || one.published !== undefined,
      );
      spec.ports = [...others, whole];
    }
  }
}

const containerPorts = (object: KubeObject): Raw[] =>
  ['containers', 'initContainers'].flatMap((key) =>
    list(templateOf(object).pod[key]).flatMap((one) => list(raw(one).ports).map(raw)),
  );
