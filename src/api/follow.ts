/** Streams: logs of many replicas as one, events as they happen. */
import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { OscaError, reasonOf } from '../core/errors.ts';
import { unitKey } from '../core/events.ts';
import { limits } from '../core/limits.ts';
import type { LogLine, LogQuery } from '../core/ports.ts';
import { Bell } from './bell.ts';
import type { ApiDeps, Target } from './context.ts';
import type { ReplicaRow } from './rows.ts';
import { allRows } from './rows.ts';

export interface MergedLine extends LogLine {
  replica: string;
  cell: string;
}

/** Lines of one replica, wherever it runs. */
export async function* replicaLogs(deps: ApiDeps, row: ReplicaRow, query: LogQuery): AsyncGenerator<LogLine> {
  const key = unitKey(row.replica, row.hash);
  if (row.cellId === deps.host.cell.id) {
    yield* localLogs(deps, key, query);
    return;
  }
  const search = new URLSearchParams({ key, follow: String(query.follow) });
  if (query.tail !== undefined) search.set('tail', String(query.tail));
  if (query.sinceMs !== undefined) search.set('sinceMs', String(query.sinceMs));
  if (query.part !== undefined) search.set('container', query.part);
  if (query.untilExit !== undefined) search.set('untilExit', String(query.untilExit));
  const answer = await deps.peers.request(row.cellId, { path: `/v1/units/logs?${search}` });
  if (answer.statusCode !== 200) {
    throw await refusalOf(answer, `${row.cell} has no log of ${row.replica} any more`);
  }
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
    allRows(deps.host.view(), target.app, target.service).filter(
      ({ index, cellId, state }) =>
        (target.index === undefined || index === target.index) && cellId !== '' && state !== 'pending',
    );
  if (!query.follow) {
    const lines = await linesOf(deps, rows(), query);
    yield* query.tail === undefined ? lines : lines.slice(-query.tail);
    return;
  }
  // None has such a container: said at once.
  if (query.part !== undefined) await linesOf(deps, rows(), { ...query, follow: false, tail: 1 });
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

/** Throws where a container was named that none of them has. */
async function linesOf(deps: ApiDeps, rows: readonly ReplicaRow[], query: LogQuery): Promise<MergedLine[]> {
  const all = await Promise.all(rows.map((row) => collect(deps, row, query)));
  const lines = all.flatMap((one) => (one instanceof OscaError ? [] : one));
  const missing = all.find((one) => one instanceof OscaError);
  if (query.part !== undefined && missing !== undefined && lines.length === 0) throw missing;
  return lines.sort((a, b) => a.atMs - b.atMs);
}

/** What another cell said instead of an answer. */
async function refusalOf(answer: IncomingMessage, otherwise: string): Promise<OscaError> {
  const hint = 'osca ps shows what runs';
  try {
    const said = JSON.parse(await text(answer)) as { message?: string; hint?: string };
    return new OscaError('not-found', said.message ?? otherwise, said.hint ?? hint);
  } catch {
    return new OscaError('not-found', otherwise, hint);
  }
}

async function collect(deps: ApiDeps, row: ReplicaRow, query: LogQuery): Promise<MergedLine[] | OscaError> {
  const lines: MergedLine[] = [];
  try {
    for await (const line of replicaLogs(deps, row, query)) {
      lines.push({ ...line, replica: row.replica, cell: row.cell });
      if (lines.length > limits.logLines) lines.shift();
    }
  } catch (error) {
    if (error instanceof OscaError && error.code === 'not-found') return lines.length > 0 ? lines : error;
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
