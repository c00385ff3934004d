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

/** Lines have no times of their own: `sinceMs` holds for the file as a whole. */
export async function* readLog(handle: string, query: LogQuery): AsyncGenerator<LogLine> {
  const path = join(handle, 'log');
  if (!existsSync(path)) return;
  const { mtimeMs, size } = statSync(path);
  const lines: LogLine[] = [];
  const read = async (file: string, end: number): Promise<void> => {
    if (end < 0) return;
    for await (const text of createInterface({ input: createReadStream(file, { end }), crlfDelay: Infinity })) {
      lines.push({ atMs: mtimeMs, stream: 'stdout', text });
      if (lines.length > (query.tail ?? limits.logLines)) lines.shift();
    }
  };
  if (existsSync(`${path}.1`)) await read(`${path}.1`, statSync(`${path}.1`).size - 1);
  await read(path, size - 1);
  if (query.sinceMs === undefined || mtimeMs >= query.sinceMs) yield* lines;
  if (query.follow) yield* follow(path, size, query.signal);
}

async function* follow(path: string, from: number, signal: AbortSignal): AsyncGenerator<LogLine> {
  let position = from;
  let rest = '';
  while (!signal.aborted) {
    const size = existsSync(path) ? statSync(path).size : position;
    if (size < position) position = 0;
    if (size > position) {
      for await (const chunk of createReadStream(path, { start: position, end: size - 1, encoding: 'utf8' }))
        rest += chunk;
      position = size;
      const lines = rest.split('\n');
      rest = lines.pop()!;
      for (const text of lines) yield { atMs: Date.now(), stream: 'stdout', text };
    } else {
      await changed(path, signal);
      if (!existsSync(path)) return;
    }
  }
}

/** Waits until the file changes, a second at most. */
async function changed(path: string, signal: AbortSignal): Promise<void> {
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
      watcher = watchFolder(path, done);
    } catch {
      // The file is gone; the timer ends the wait.
    }
    signal.addEventListener('abort', done);
  });
}
