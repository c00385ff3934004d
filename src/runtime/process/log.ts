/** The log of a plain process: one file and the one before it, read from the end of the first, followed as it grows. */
import {
  copyFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  openSync,
  statSync,
  truncateSync,
  watch as watchFolder,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { StringDecoder } from 'node:string_decoder';
import { limits } from '../../core/limits.ts';
import type { LogLine, LogQuery } from '../../core/ports.ts';

/** A log this large is moved to `log.1`, in place of the one there. */
const maxLogBytes = 8_388_608;

export function openLog(handle: string): number {
  mkdirSync(handle, { recursive: true, mode: 0o700 });
  return openSync(join(handle, 'log'), 'a', 0o600);
}

/** The process appends to the same file, so its content is copied away and the file emptied. */
export function rotate(handle: string): void {
  const path = join(handle, 'log');
  try {
    if (statSync(path).size <= maxLogBytes) return;
    copyFileSync(path, `${path}.1`);
    truncateSync(path);
  } catch {
    // No log yet, or no space: the next look tries again.
  }
}

/** Lines have no times of their own: `sinceMs` holds for the file as a whole. `runs`: whether more may come. */
export async function* readLog(handle: string, query: LogQuery, runs: () => boolean): AsyncGenerator<LogLine> {
  const path = join(handle, 'log');
  if (!existsSync(path)) return;
  const { mtimeMs, size } = statSync(path);
  if (query.follow && query.untilExit === true) {
    if (existsSync(`${path}.1`)) for await (const text of linesIn(`${path}.1`)) yield lineAt(mtimeMs, text);
    yield* follow(handle, 0, query.signal, runs);
    return;
  }
  const lines: LogLine[] = [];
  const read = async (file: string, end: number): Promise<void> => {
    if (end < 0) return;
    for await (const text of linesIn(file, end)) {
      lines.push(lineAt(mtimeMs, text));
      if (lines.length > (query.tail ?? limits.logLines)) lines.shift();
    }
  };
  if (existsSync(`${path}.1`)) await read(`${path}.1`, statSync(`${path}.1`).size - 1);
  await read(path, size - 1);
  if (query.sinceMs === undefined || mtimeMs >= query.sinceMs) yield* lines;
  if (query.follow) yield* follow(handle, size, query.signal, () => true);
}

const linesIn = (file: string, end = Infinity): AsyncIterable<string> =>
  createInterface({ input: createReadStream(file, { end }), crlfDelay: Infinity });

const lineAt = (atMs: number, text: string): LogLine => ({ atMs: Math.round(atMs), stream: 'stdout', text });

async function* follow(
  handle: string,
  from: number,
  signal: AbortSignal,
  runs: () => boolean,
): AsyncGenerator<LogLine> {
  const path = join(handle, 'log');
  const decoder = new StringDecoder();
  let position = from;
  let rest = '';
  while (!signal.aborted) {
    // Asked before the file is looked at: all that it wrote is there then.
    const isLast = !runs();
    const size = existsSync(path) ? statSync(path).size : position;
    if (size < position) position = 0;
    if (size > position) {
      for await (const chunk of createReadStream(path, { start: position, end: size - 1 }))
        rest += decoder.write(chunk as Buffer);
      position = size;
      const lines = rest.split('\n');
      rest = lines.pop()!;
      for (const text of lines) yield lineAt(Date.now(), text);
    } else {
      if (isLast && rest !== '') yield lineAt(Date.now(), rest);
      if (isLast) return;
      await changed(handle, signal);
      if (!existsSync(path)) return;
    }
  }
}

/** Waits until something in the folder changes, a second at most. */
async function changed(handle: string, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      watcher?.close();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, 1_000);
    let watcher: ReturnType<typeof watchFolder> | undefined;
    try {
      watcher = watchFolder(handle, done);
    } catch {
      // The folder is gone; the timer ends the wait.
    }
    signal.addEventListener('abort', done);
  });
}
