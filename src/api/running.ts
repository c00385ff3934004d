/** Runs of jobs: what people read of them, and one that somebody asked for, as it goes. */
import { OscaError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { ClusterView, Run } from '../core/model.ts';
import { mountsOf } from '../core/service.ts';
import { Bell } from './bell.ts';
import type { ApiDeps } from './context.ts';
import { targetOf } from './context.ts';
import { replicaLogs } from './follow.ts';
import type { ReplicaRow } from './rows.ts';
import { allRows } from './rows.ts';

export interface RunRow {
  /** APP/SERVICE.ID */
  run: string;
  app: string;
  service: string;
  cause: Run['cause'];
  state: Run['state'] | 'running';
  atMs: number;
  by: string;
  /** Names of the cells on which its replicas are or were. */
  cells: string[];
  done: number;
  /** How many replicas it has; 0 where that is gone, or one on each cell. */
  of: number;
  startMs?: number;
  endMs?: number;
  reason: string;
}

export interface ScheduleRow {
  app: string;
  service: string;
  cron: string;
  timezone: string;
  nextMs?: number;
}

/** Newest first. */
export function runRows(view: ClusterView, app?: string, service?: string): RunRow[] {
  const names = new Map(view.members.map(({ id, name }) => [id, name]));
  return view.apps
    .filter(({ name }) => app === undefined || name === app)
    .flatMap(({ name, runs }) =>
      runs
        .filter((run) => service === undefined || run.service === service || run.name === service)
        .map((run) => runRow(view, name, run, names)),
    )
    .sort((a, b) => b.atMs - a.atMs);
}

function runRow(view: ClusterView, app: string, run: Run, names: ReadonlyMap<string, string>): RunRow {
  const { name, service, cause, atMs, by, work, results } = run;
  const all = Object.values(results);
  const here = run.state === 'open' ? allRows(view, app, name).filter(({ index }) => !(index in results)) : [];
  const isRunning = here.some(({ state }) => state === 'ready' || state === 'running');
  const failed = all.find(({ ok }) => !ok);
  const waiting = here.find(({ reason }) => reason !== '');
  const ended = run.state === 'open' ? [] : all.map(({ endMs }) => endMs);
  const cells = [...all.map(({ cell }) => names.get(cell) ?? cell.slice(-8)), ...here.map(({ cell }) => cell)];
  return {
    ...{ run: `${app}/${name}`, app, service, cause, state: isRunning ? 'running' : run.state, atMs, by },
    cells: [...new Set(cells.filter((cell) => cell !== ''))],
    ...{ done: all.filter(({ ok }) => ok).length, of: work?.spec.mode === 'replicated' ? work.spec.replicas : 0 },
    ...(all.length === 0 ? {} : { startMs: Math.min(...all.map(({ startMs }) => startMs)) }),
    ...(ended.length === 0 ? {} : { endMs: Math.max(...ended) }),
    reason: failed?.reason ?? (run.state === 'skipped' ? 'the one before still ran' : (waiting?.reason ?? '')),
  };
}

export function scheduleRows({ host, nextTime }: ApiDeps, app?: string, service?: string): ScheduleRow[] {
  return host.view().apps.flatMap(({ name, revision, stopped, stoppedServices }) =>
    app !== undefined && name !== app
      ? []
      : revision.spec.services.flatMap(({ name: own, schedule }): ScheduleRow[] => {
          if (schedule === undefined || (service !== undefined && service !== own)) return [];
          const nextMs = stopped || stoppedServices.includes(own) ? undefined : nextTime(schedule, Date.now());
          const row = { app: name, service: own, cron: schedule.cron, timezone: schedule.zone };
          return [nextMs === undefined ? row : { ...row, nextMs }];
        }),
  );
}

export type RunStep =
  | { type: 'accepted'; run: string }
  | { type: 'replica'; row: ReplicaRow }
  | { type: 'log'; stream: 'stdout' | 'stderr'; text: string }
  | { type: 'ended'; run: string; ok: boolean; reason: string; exitCode: number; cell: string };

export interface RunRequest {
  app: string;
  service: string;
  command?: string[];
  environment?: Record<string, string>;
  by: string;
}

/** After the end of a run, what it wrote may still be on its way: until nothing came for that time. */
const lastWordsMs = 3_000;

/** A run that was just asked for is in the view by then. */
const unseenMs = 5_000;

/** Asks for a run, and tells what it writes until it has ended. */
export async function* runSteps(
  deps: ApiDeps,
  request: RunRequest,
  options: { detach: boolean; signal: AbortSignal },
): AsyncGenerator<RunStep> {
  const { app, service } = targetOf(deps.host.view(), `${request.app}/${request.service}`);
  const cell = dataCellOf(deps.host.view(), app, service!);
  const id = deps.randomId();
  const asked = { op: 'run' as const, ...request, id, ...(cell === undefined ? {} : { cell }) };
  const { value } = await deps.host.ask(asked);
  const name = String(value.run);
  yield { type: 'accepted', run: `${app}/${name}` };
  if (!options.detach) yield* untilEnded(deps, app, name, options.signal);
}

/** What works on data of a service must run where that is. */
function dataCellOf({ apps, assignments }: ClusterView, app: string, service: string): string | undefined {
  const spec = apps.find(({ name }) => name === app)?.revision.spec.services.find(({ name }) => name === service);
  if (spec === undefined || !mountsOf(spec).some(({ kind }) => kind === 'volume')) return undefined;
  return assignments.find((one) => one.app === app && one.service === service)?.cell;
}

async function* untilEnded(deps: ApiDeps, app: string, name: string, signal: AbortSignal): AsyncGenerator<RunStep> {
  const bell = new Bell();
  const off = deps.host.onChange(bell.ring);
  const ending = new AbortController();
  const end = (): void => {
    ending.abort();
    bell.ring();
  };
  signal.addEventListener('abort', end);
  const query = { follow: true, untilExit: true, signal: ending.signal };
  const waiting: RunStep[] = [];
  const room = new Bell();
  let told = '';
  let isKnown = false;
  const askedMs = performance.now();
  let reading: { key: string; done: boolean } | undefined;
  let quietMs: number | undefined;
  const read = async (row: ReplicaRow, mark: { done: boolean }): Promise<void> => {
    try {
      for await (const { stream, text } of replicaLogs(deps, row, query)) {
        waiting.push({ type: 'log', stream, text });
        bell.ring();
        while (waiting.length >= limits.logLines && !ending.signal.aborted) await room.wait(1_000);
      }
    } catch {
      // Its cell went away; whoever runs it next is read.
    }
    mark.done = true;
    bell.ring();
  };
  try {
    while (!signal.aborted) {
      const view = deps.host.view();
      const run = view.apps.find((one) => one.name === app)?.runs.find((one) => one.name === name);
      if (run === undefined) {
        if (isKnown || performance.now() - askedMs > unseenMs)
          throw new OscaError('conflict', `${app}/${name} is gone`, 'was its app removed, or deployed many times?');
        // The view is a moment older than the document.
        await bell.wait(100);
        continue;
      }
      isKnown = true;
      const row = allRows(view, app, name)[0];
      const text = row === undefined ? '' : `${row.cell} ${row.state} ${row.reason}`;
      if (row !== undefined && text !== told && run.state === 'open') yield { type: 'replica', row };
      told = text;
      const key = row === undefined ? '' : `${row.cellId} ${row.replica}`;
      const hasBegun = row !== undefined && ['running', 'ready', 'exited', 'backoff'].includes(row.state);
      if (hasBegun && reading?.key !== key) {
        reading = { key, done: false };
        void read(row, reading);
      }
      if (waiting.length > 0) quietMs = undefined;
      yield* waiting.splice(0);
      room.ring();
      // More came while that was sent.
      if (waiting.length > 0) continue;
      if (run.state !== 'open') {
        quietMs ??= performance.now();
        const isTold = reading === undefined ? !hasRun(run) : reading.done;
        if (isTold || performance.now() - quietMs >= lastWordsMs) return yield endOf(view, app, run);
      }
      await bell.wait(quietMs === undefined ? 1_000 : 100);
    }
  } finally {
    off();
    end();
    signal.removeEventListener('abort', end);
  }
}

/** A container, or a process, of it came to its end by itself. */
const hasRun = ({ results }: Run): boolean =>
  Object.values(results).some(({ ok, reason }) => ok || /exit code \d/.test(reason));

function endOf(view: ClusterView, app: string, { name, results }: Run): RunStep {
  const all = Object.values(results);
  const result = all.find((one) => !one.ok) ?? all[0];
  if (result === undefined)
    throw new OscaError('conflict', `${app}/${name} is gone`, 'the revision that it was of is no longer kept');
  const { ok, reason, cell } = result;
  const code = /exit code (\d+)/.exec(reason)?.[1];
  const exitCode = code === undefined ? (ok ? 0 : 1) : Number(code);
  const where = view.members.find(({ id }) => id === cell)?.name ?? cell;
  return { type: 'ended', run: `${app}/${name}`, ok, reason, exitCode, cell: where };
}
