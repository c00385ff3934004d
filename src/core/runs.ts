/**
 * Jobs: which runs of them there are, how each stands, and what is left to run. All of it follows from the document, so every cell
 * finds the same without asking. A run is a service of its own, called 'SERVICE.ID', and strict: it never runs on two cells at once.
 * A replica of it whose result is written down is never placed again.
 *
 * ID is what makes a run that run: the moment of a schedule (so two masters that see to it begin the same one), what a job or a
 * hook is made from (so a deploy that does not change it does not run it again), or the name of a request.
 */
import { compare, contentHash } from './hash.ts';
import type { CellId, Revision, Run, RunResult } from './model.ts';
import { serviceHash } from './service.ts';
import type { JobPolicy, Mount, ServiceSpec } from './spec.ts';

/** A run that was begun by a time or a person, as the document has it. */
export interface RunRecord {
  service: string;
  /** Id of the revision it is of. */
  revision: string;
  cause: 'schedule' | 'request';
  atMs: number;
  by: string;
  /** Instead of the service's. */
  command?: string[];
  environment?: Record<string, string>;
  /** Where it must run: where the data of the service is. */
  cell?: CellId;
  /** It was not to begin: the one before still ran. */
  skipped?: true;
}

export const runName = (service: string, id: string): string => `${service}.${id}`;
export const isRun = (service: string): boolean => service.includes('.');
/** Of a run, the service that it is of. */
export const servicePart = (service: string): string => service.split('.')[0]!;

/** '20261121T030000Z' of ms since 1970. */
export function momentId(atMs: number): string {
  const [days, left] = [Math.floor(atMs / 86_400_000), ((atMs % 86_400_000) + 86_400_000) % 86_400_000];
  // Hinnant, chrono-Compatible Low-Level Date Algorithms: civil_from_days.
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const doe = z - era * 146_097;
  const yoe = Math.floor((doe - Math.floor(doe / 1_460) + Math.floor(doe / 36_524) - Math.floor(doe / 146_096)) / 365);
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const month = mp < 10 ? mp + 3 : mp - 9;
  const year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  const two = (value: number): string => String(value).padStart(2, '0');
  const seconds = Math.floor(left / 1_000);
  const time = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60].map(two).join('');
  return `${String(year).padStart(4, '0')}${two(month)}${two(doy - Math.floor((153 * mp + 2) / 5) + 1)}T${time}Z`;
}

const specs = new WeakMap<ServiceSpec, Map<string, ServiceSpec>>();

/** The service as a run of it has it: it ends, and is not begun again but to be tried again. The same object each time. */
function specOf(base: ServiceSpec, name: string, over: Partial<ServiceSpec>): ServiceSpec {
  const known = specs.get(base) ?? new Map<string, ServiceSpec>();
  specs.set(base, known);
  const before = known.get(name);
  if (before !== undefined) return before;
  const all = { ...base, ...over };
  // Its health is its end.
  const {
    schedule: _s,
    preDeploy: _p,
    update: _u,
    rollback: _b,
    strict: _t,
    healthcheck: _h,
    probes: _q,
    ...rest
  } = all;
  const job = rest.job ?? once;
  const strict = job.loose === true || rest.mode === 'global' ? {} : { strict: true as const };
  const { delayMs } = base.restart;
  const again = {
    maxAttempts: job.retries,
    windowMs: Number.MAX_SAFE_INTEGER,
    ...(delayMs === undefined ? {} : { delayMs }),
  };
  const restart: ServiceSpec['restart'] =
    job.retries === 0 ? { condition: 'none' } : { condition: 'on-failure', ...again };
  // An entrypoint that stands alone is the command itself.
  if (over.command !== undefined && base.command === undefined) delete rest.entrypoint;
  const spec: ServiceSpec = { ...rest, ...strict, name, job, restart };
  known.set(name, spec);
  // Far more than are open at once, or kept.
  if (known.size > 100) known.delete(known.keys().next().value!);
  return spec;
}

const once: JobPolicy = { parallelism: 1, retries: 0 };

const asides = new WeakMap<ServiceSpec, ServiceSpec>();

/** One container beside the service: nobody reaches it, and what is done with a replica as it comes and goes is not for it. The same object each time. */
function asideOf(base: ServiceSpec): ServiceSpec {
  let known = asides.get(base);
  if (known === undefined) {
    const own = ({ target, inMemory }: Mount): Mount =>
      inMemory === true ? { kind: 'tmpfs', target } : { kind: 'volume', target, options: ['nocopy'] };
    const mounts = base.mounts.map((mount) => (mount.kind === 'scratch' ? own(mount) : mount));
    known = { ...base, mounts, mode: 'replicated', replicas: 1, ports: [] };
    delete known.parts;
    delete known.postStart;
    delete known.preStop;
    asides.set(base, known);
  }
  return known;
}

type Restarts = Readonly<Record<string, number>>;
type Results = Readonly<Record<string, RunResult>>;
const noResults: Results = {};

function run(
  base: ServiceSpec,
  name: string,
  over: Partial<ServiceSpec>,
  made: Pick<Run, 'cause' | 'atMs' | 'by'>,
  results: Results = noResults,
): Run {
  const spec = specOf(base, name, over);
  const all = Object.values(results);
  const isDone = spec.mode !== 'global' && all.length >= spec.replicas;
  const state = all.some(({ ok }) => !ok) ? 'failed' : isDone ? 'done' : 'open';
  return { name, service: servicePart(name), ...made, work: { spec, hash: serviceHash(spec, 0) }, results, state };
}

/** Where to read of one app: what was written down of its runs, by name. */
export interface RunNotes {
  records: ReadonlyMap<string, RunRecord>;
  results: ReadonlyMap<string, Results>;
}

/** What is to run before a change to this revision begins, hook by hook. */
export function hooksOf({ spec, atMs, by }: Revision, restarts: Restarts, { results }: RunNotes): Run[] {
  return spec.services.flatMap((service): Run[] => {
    if (service.preDeploy === undefined) return [];
    const { command, deadlineMs } = service.preDeploy;
    const first = runName(service.name, `pre-${contentHash([serviceHash(service, 0), command], 8)}`);
    const tries = restarts[hookKey(service.name)] ?? 0;
    // Once is enough, in whichever try it was.
    const isTry = (name: string): boolean => name === first || name.startsWith(`${first}-`);
    const done = [...results].find(([name, of]) => isTry(name) && Object.values(of).some(({ ok }) => ok))?.[0];
    const name = done ?? (tries === 0 ? first : `${first}-${tries}`);
    const job: JobPolicy = { ...once, ...(deadlineMs === undefined ? {} : { deadlineMs }) };
    return [run(asideOf(service), name, { command, job }, { cause: 'pre_deploy', atMs, by }, results.get(name))];
  });
}

/** Under which it is counted how often the hook of a service was to run again. */
export const hookKey = (service: string): string => `${service}.pre`;

/** All other runs of an app whose revision `now` is what should run. */
export function runsOf(
  now: Revision,
  history: readonly Revision[],
  restarts: Restarts,
  { records, results }: RunNotes,
): Run[] {
  const runs: Run[] = [];
  const { atMs, by } = now;
  for (const service of now.spec.services) {
    if (service.job === undefined || service.schedule !== undefined) continue;
    const name = runName(service.name, serviceHash(service, restarts[service.name] ?? 0).slice(0, 8));
    runs.push(run(service, name, {}, { cause: 'deploy', atMs, by }, results.get(name)));
  }
  for (const [name, record] of records) {
    const { service, revision, cause, atMs, by, skipped } = record;
    const base = history.find(({ id }) => id === revision)?.spec.services.find((one) => one.name === service);
    if (base === undefined || skipped === true) {
      const state = skipped === true ? 'skipped' : stateOf(results.get(name) ?? {});
      runs.push({ name, service, revision, cause, atMs, by, results: results.get(name) ?? {}, state });
      continue;
    }
    runs.push({ ...run(...workOf(base, name, record), { cause, atMs, by }, results.get(name)), revision });
  }
  return runs;
}

function workOf(base: ServiceSpec, name: string, record: RunRecord): [ServiceSpec, string, Partial<ServiceSpec>] {
  if (record.cause === 'schedule') return [base, name, {}];
  const { command, environment, cell } = record;
  const whole = base.job !== undefined && base.mode !== 'global' && command === undefined;
  return [
    whole ? base : asideOf(base),
    name,
    {
      ...(whole ? {} : { job: base.job !== undefined && command === undefined ? base.job : once }),
      ...(command === undefined ? {} : { command }),
      ...(environment === undefined ? {} : { environment: { ...base.environment, ...environment } }),
      ...(cell === undefined
        ? {}
        : { constraints: [...base.constraints, { key: 'node.id', op: '==' as const, value: cell }] }),
    },
  ];
}

/** Runs of which only the results are left: what they were made from is gone. */
export function formerRuns(known: readonly Run[], { results }: RunNotes): Run[] {
  const names = new Set(known.map(({ name }) => name));
  return [...results].flatMap(([name, of]): Run[] => {
    if (names.has(name)) return [];
    const cause = name.includes('.pre-') ? 'pre_deploy' : 'deploy';
    const atMs = Math.min(...Object.values(of).map(({ startMs }) => startMs));
    return [{ name, service: servicePart(name), cause, atMs, by: '', results: of, state: stateOf(of) }];
  });
}

const stateOf = (results: Results): Run['state'] => (Object.values(results).some(({ ok }) => !ok) ? 'failed' : 'done');

export const newestFirst = (a: Run, b: Run): number => b.atMs - a.atMs || compare(a.name, b.name);

/** Why a hook failed: 'pre_deploy of web: exit code 1'. */
export const hookFailure = ({ service, results }: Run): string =>
  `pre_deploy of ${service}: ${Object.values(results).find(({ ok }) => !ok)?.reason ?? 'it failed'}`;
