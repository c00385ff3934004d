/** What runs, and when: each workload as a service. */
import type { SpecProblem } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import type { JobPolicy, RestartPolicy, Schedule, ServiceSpec, UpdatePolicy } from '../../core/spec.ts';
import { KeyTable } from '../check.ts';
import { scheduleFault } from '../cron.ts';
import type { Raw } from '../extend.ts';
import type { Path } from '../source.ts';
import { kubernetesKeys } from './keys.ts';
import type { KubeObject, PodContext, Report } from './objects.ts';
import { labelsOf, list, raw, templateOf } from './objects.ts';
import { podOf } from './pod.ts';

export const table = new KeyTable(kubernetesKeys, 'is no key that is known here', (key) =>
  ['containers', 'initContainers', 'volumes', 'template'].includes(key)
    ? 'it stands under spec:, further in than that'
    : /^[\w.-]+\.[a-z]+\//.test(key)
      ? 'such resources are not counted: label the cells that have them, and use nodeSelector'
      : 'take it out',
);

export function serviceOf(
  object: KubeObject,
  { app, contents, kept }: Pick<PodContext, 'app' | 'contents' | 'kept'>,
  problems: SpecProblem[],
): ServiceSpec {
  const { kind, name, value, source, path } = object;
  const report: Report = (at, message, hint) => void problems.push(source.problem([...path, ...at], message, hint));
  const spec = raw(value.spec);
  const { holder, pod, metadata, at } = templateOf(object);
  const found = [
    ...table.check(source, pod, 'pod', [...path, ...at]).problems,
    ...['initContainers', 'containers'].flatMap((key) =>
      list(pod[key]).flatMap((one, i) => table.check(source, one, 'container', [...path, ...at, key, i]).problems),
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
  const context = { app, service: name, contents, kept, claims: scoped, isNumbered: kind !== 'DaemonSet', report };
  const { restartPolicy, ...part } = podOf(
    found.length > 0 ? { containers: [{ image: '-' }] } : pod,
    metadata,
    at,
    context,
  );
  const unmatched = Object.entries(raw(raw(spec.selector).matchLabels)).find(
    ([key, one]) => labelsOf(metadata)[key] !== String(one),
  );
  if (unmatched !== undefined && !['Job', 'CronJob'].includes(kind))
    report(
      ['spec', 'selector', 'matchLabels', unmatched[0]],
      `is ${String(unmatched[1])}, and the template has ${labelsOf(metadata)[unmatched[0]] ?? 'none'}`,
      'write the same label in both: a selector is of its own template',
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
