/** Streams: a deploy until all runs, logs of many replicas as one, events as they happen. */
import { createInterface } from 'node:readline';
import type { ErrorCode } from '../core/errors.ts';
import { OscaError, reasonOf } from '../core/errors.ts';
import { unitKey } from '../core/events.ts';
import { limits } from '../core/limits.ts';
import type { Revision } from '../core/model.ts';
import type { LogLine, LogQuery } from '../core/ports.ts';
import type { Deployment, DeployRequest } from '../node/deployer.ts';
import type { ApiDeps, Target } from './context.ts';
import type { ReplicaRow } from './rows.ts';
import { isFine, replicaRows } from './rows.ts';

export type DeployStep =
  | { type: 'progress' | 'warning'; text: string }
  | { type: 'accepted'; app: string; revision: string }
  | { type: 'replica'; row: ReplicaRow }
  | { type: 'done'; app: string; replicas: number; ms: number }
  | { type: 'failed'; code: ErrorCode; message: string; hint: string; replica?: string; cell?: string; log: string[] };

/** Wakes a loop when something happened. */
class Bell {
  #wake: (() => void) | undefined;
  #rang = false;

  ring = (): void => {
    this.#rang = true;
    this.#wake?.();
  };

  async wait(withinMs: number): Promise<void> {
    if (!this.#rang) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, Math.max(0, withinMs));
      });
      clearTimeout(timer);
    }
    this.#rang = false;
    this.#wake = undefined;
  }
}

/** A pending replica is given this long: a veto or a member may still be on its way. */
const pendingGraceMs = 2_500;

/** Deploys, then tells of each replica until all run, one fails for good, or time is up. */
export async function* deploySteps(
  deps: ApiDeps,
  request: DeployRequest,
  options: { detach: boolean; timeoutMs: number },
): AsyncGenerator<DeployStep> {
  const startMs = performance.now();
  const texts: string[] = [];
  const bell = new Bell();
  let result: Awaited<ReturnType<ApiDeps['deployer']['deploy']>> | undefined;
  let failure: unknown;
  const deploying = deps.deployer.deploy(request, (text) => {
    texts.push(text);
    bell.ring();
  });
  deploying
    .then(
      (value) => (result = value),
      (error: unknown) => (failure = error),
    )
    .finally(bell.ring);
  const off = deps.host.onChange(bell.ring);
  try {
    while (result === undefined) {
      for (const text of texts.splice(0)) yield { type: 'progress', text };
      if (failure !== undefined) throw failure;
      await bell.wait(1_000);
    }
    for (const text of result.warnings) yield { type: 'warning', text };
    yield { type: 'accepted', app: result.app.name, revision: result.revision };
    if (!options.detach) yield* untilRunning(deps, result, bell, startMs, options.timeoutMs);
  } catch (error) {
    const known = error instanceof OscaError;
    yield {
      type: 'failed',
      code: known ? error.code : 'internal',
      message: reasonOf(error),
      hint: known ? error.hint : '',
      log: [],
    };
  } finally {
    off();
  }
}

async function* untilRunning(
  deps: ApiDeps,
  { app: { name: app }, revision, seq, atMs }: Deployment,
  bell: Bell,
  startMs: number,
  timeoutMs: number,
): AsyncGenerator<DeployStep> {
  const told = new Map<string, string>();
  let pendingMs: number | undefined;
  let placed = false;
  for (;;) {
    const view = deps.host.view();
    const state = view.apps.find(({ name }) => name === app);
    if (placed && state === undefined)
      throw new OscaError(
        'conflict',
        `${app} was removed while it was being deployed`,
        'deploy it again if it should run',
      );
    // The view shows it once placement has seen it; an earlier deploy of the same spec had another number and time.
    const isMine = (one: Revision): boolean => one.id === revision && one.seq === seq && one.atMs === atMs;
    placed ||=
      state !== undefined && (isMine(state.revision) || state.history.some(isMine) || state.revision.seq > seq);
    const rows = replicaRows(view, app).filter(({ current }) => current && placed);
    for (const row of rows) {
      const text = `${row.cell} ${row.state} ${row.reason}`;
      if (told.get(row.replica) === text) continue;
      told.set(row.replica, text);
      yield { type: 'replica', row };
    }
    const now = performance.now();
    if (placed && rows.every(isFine))
      return yield { type: 'done', app, replicas: rows.length, ms: Math.round(now - startMs) };
    const pending = rows.find(({ state }) => state === 'pending');
    pendingMs = pending === undefined ? undefined : (pendingMs ?? now);
    const late = now - startMs >= timeoutMs;
    if (late && !placed)
      throw new OscaError(
        'timeout',
        `${app} was accepted, but this cell has not placed it in time`,
        'osca ps shows how it is',
      );
    const failed =
      rows.find(isHopeless) ??
      (pendingMs !== undefined && now - pendingMs >= pendingGraceMs ? pending : undefined) ??
      (late ? rows.find((row) => !isFine(row)) : undefined);
    if (failed !== undefined) return yield await failureOf(deps, failed, late);
    await bell.wait(Math.min(500, timeoutMs - (now - startMs)));
  }
}

/** Falls again and again, gave up, or was found unhealthy. */
const isHopeless = ({ state, restarts, reason }: ReplicaRow): boolean =>
  // Told while it is being stopped: its log is still there.
  ((state === 'backoff' || state === 'stopping') && reason.startsWith('unhealthy')) ||
  (state === 'backoff' && restarts >= 2) ||
  (state === 'exited' && reason !== 'exit code 0');

async function failureOf(deps: ApiDeps, row: ReplicaRow, late: boolean): Promise<DeployStep> {
  const log: string[] = [];
  if (row.state !== 'pending') {
    const query = { follow: false, tail: 10, signal: AbortSignal.timeout(3_000) };
    try {
      for await (const line of replicaLogs(deps, row, query)) log.push(line.text);
    } catch {
      // The lines are a help, not a must.
    }
  }
  const what = row.reason === '' ? row.state : row.reason;
  const where = row.cell === '' ? '' : ` on ${row.cell}`;
  const message = late ? `${row.replica}${where} is not ready in time: ${what}` : `${row.replica}${where}: ${what}`;
  const hint =
    row.state === 'pending'
      ? `osca why ${row.app}/${row.service} tells more`
      : `osca logs ${row.app}/${row.service} shows all it wrote; what ran before keeps running`;
  return {
    type: 'failed',
    code: late ? 'timeout' : 'start-failed',
    message,
    hint,
    replica: row.replica,
    cell: row.cell,
    log: log.slice(-10),
  };
}

export interface MergedLine extends LogLine {
  replica: string;
  cell: string;
}

/** Lines of one replica, wherever it runs. */
async function* replicaLogs(deps: ApiDeps, row: ReplicaRow, query: LogQuery): AsyncGenerator<LogLine> {
  const key = unitKey(row.replica, row.hash);
  if (row.cellId === deps.host.cell.id) {
    yield* localLogs(deps, key, query);
    return;
  }
  const search = new URLSearchParams({ key, follow: String(query.follow) });
  if (query.tail !== undefined) search.set('tail', String(query.tail));
  if (query.sinceMs !== undefined) search.set('sinceMs', String(query.sinceMs));
  const answer = await deps.peers.request(row.cellId, { path: `/v1/units/logs?${search}` });
  const end = (): void => void answer.destroy();
  query.signal.addEventListener('abort', end);
  try {
    for await (const line of createInterface({ input: answer })) if (line !== '') yield JSON.parse(line) as LogLine;
  } catch (error) {
    if (!query.signal.aborted) throw error;
  } finally {
    query.signal.removeEventListener('abort', end);
  }
}

export async function* localLogs(deps: ApiDeps, key: string, query: LogQuery): AsyncGenerator<LogLine> {
  const unit = deps.host.cell.handleOf(key);
  const driver = unit === undefined ? undefined : deps.drivers.get(unit.driver);
  if (unit === undefined || driver === undefined)
    throw new OscaError('not-found', `${key} has no logs here`, 'osca ps shows what runs');
  yield* driver.logs(unit.handle, query);
}

/** Logs of all replicas of a target: by time where they end, as they come where they are followed. New replicas join in. */
export async function* mergedLogs(deps: ApiDeps, target: Target, query: LogQuery): AsyncGenerator<MergedLine> {
  const rows = (): ReplicaRow[] =>
    replicaRows(deps.host.view(), target.app, target.service).filter(
      ({ index, cellId, state }) =>
        (target.index === undefined || index === target.index) && cellId !== '' && state !== 'pending',
    );
  if (!query.follow) {
    const all = await Promise.all(rows().map((row) => collect(deps, row, query)));
    const lines = all.flat().sort((a, b) => a.atMs - b.atMs);
    yield* query.tail === undefined ? lines : lines.slice(-query.tail);
    return;
  }
  const waiting: MergedLine[] = [];
  const bell = new Bell();
  const followed = new Set<string>();
  const off = deps.host.onChange(bell.ring);
  query.signal.addEventListener('abort', bell.ring);
  const pump = async (row: ReplicaRow, key: string, one: LogQuery): Promise<void> => {
    try {
      for await (const line of replicaLogs(deps, row, one)) {
        waiting.push({ ...line, replica: row.replica, cell: row.cell });
        if (waiting.length > limits.logLines) waiting.shift();
        bell.ring();
      }
    } catch {
      // Its cell went away; whoever runs the replica next is followed.
    }
    followed.delete(key);
  };
  let first = true;
  try {
    while (!query.signal.aborted) {
      for (const row of rows()) {
        const key = `${row.cellId} ${row.replica}@${row.hash}`;
        const runs = row.state === 'ready' || row.state === 'running';
        if (followed.has(key) || (!first && !runs)) continue;
        followed.add(key);
        void pump(row, key, first ? query : { ...query, sinceMs: Date.now() - 2_000 });
      }
      first = false;
      yield* waiting.splice(0);
      await bell.wait(5_000);
    }
  } finally {
    off();
  }
}

async function collect(deps: ApiDeps, row: ReplicaRow, query: LogQuery): Promise<MergedLine[]> {
  const lines: MergedLine[] = [];
  try {
    for await (const line of replicaLogs(deps, row, query)) {
      lines.push({ ...line, replica: row.replica, cell: row.cell });
      if (lines.length > limits.logLines) lines.shift();
    }
  } catch (error) {
    if (error instanceof OscaError && error.code === 'not-found') return lines;
    lines.push({
      atMs: Date.now(),
      stream: 'stderr',
      text: `[${reasonOf(error)}]`,
      replica: row.replica,
      cell: row.cell,
    });
  }
  return lines;
}

/** Server-sent events: one `data:` line per value, a comment every 15 s to keep the line open. */
export async function* serverSent<T>(
  subscribe: (push: (value: T) => void) => () => void,
  first: readonly T[],
): AsyncGenerator<string> {
  const waiting: T[] = [...first];
  const bell = new Bell();
  const off = subscribe((value) => {
    waiting.push(value);
    if (waiting.length > limits.events) waiting.shift();
    bell.ring();
  });
  try {
    for (;;) {
      for (const value of waiting.splice(0)) yield `data: ${JSON.stringify(value)}\n\n`;
      await bell.wait(15_000);
      if (waiting.length === 0) yield ': still here\n\n';
    }
  } finally {
    off();
  }
}
