/** The log of a plain process: one file and the one before it, read from the end of the first, followed as it grows. */
import {
  appendFileSync,
  copyFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  watch as watchFolder,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { limits } from '../../core/limits.ts';
import type { LogLine, LogQuery } from '../../core/ports.ts';

/** A log this large is moved to `log.1`, in place of the one there. */
const maxLogBytes = 8_388_608;
const noteEveryMs = 2_000;
/** Notes of some hours; of a longer time every second one is left out, again and again. */
const maxTimesBytes = 262_144;

export function openLog(handle: string): number {
  mkdirSync(handle, { recursive: true, mode: 0o700 });
  return openSync(join(handle, 'log'), 'a', 0o600);
}

/** Looks at a log while its process runs: begins it anew where it is too large, and notes how long it was when, for a line has no time of its own. */
export class LogKeeper {
  readonly #path: string;
  #notedBytes = -1;
  #notedMs = -Infinity;

  constructor(handle: string) {
    this.#path = join(handle, 'log');
  }

  /** `isLast`: the process has ended. */
  look(isLast = false): void {
    try {
      const { size, mtimeMs } = statSync(this.#path);
      if (size > maxLogBytes) this.#beginAnew();
      else if (size > 0 && size !== this.#notedBytes && (isLast || performance.now() - this.#notedMs >= noteEveryMs))
        this.#note(size, mtimeMs);
    } catch {
      // No log yet, or no space: the next look tries again.
    }
  }

  /** The time is that of the last write: also of what was written while nobody looked. */
  #note(size: number, mtimeMs: number): void {
    const file = `${this.#path}.times`;
    appendFileSync(file, `${size} ${Math.round(mtimeMs)}\n`, { mode: 0o600 });
    [this.#notedBytes, this.#notedMs] = [size, performance.now()];
    if (statSync(file).size <= maxTimesBytes) return;
    const thinned = notesIn(file).flatMap((note, i) => (i % 2 === 0 ? [] : [`${note.join(' ')}\n`]));
    writeFileSync(`${file}.new`, thinned.join(''), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  /** The process appends to the same file, so its content is copied away and the file emptied; times without a log would be wrong ones. */
  #beginAnew(): void {
    const [log, times] = [this.#path, `${this.#path}.times`];
    copyFileSync(log, `${log}.1`);
    if (existsSync(times)) renameSync(times, `${times}.1`);
    truncateSync(log);
    this.#notedBytes = 0;
  }
}

/** `runs`: whether more may come. A line's time is that of the last write in the two seconds after it; in an old log, of the minutes after it. */
export async function* readLog(handle: string, query: LogQuery, runs: () => boolean): AsyncGenerator<LogLine> {
  const path = join(handle, 'log');
  if (!existsSync(path)) return;
  const { size } = statSync(path);
  const before = linesIn(path, '.1', Infinity);
  if (query.follow && query.untilExit === true) {
    yield* before;
    yield* follow(handle, 0, query.signal, runs);
    return;
  }
  const lines: LogLine[] = [];
  for (const file of [before, linesIn(path, '', size)]) {
    for await (const line of file) {
      if (line.atMs < (query.sinceMs ?? 0)) continue;
      lines.push(line);
      if (lines.length > (query.tail ?? limits.logLines)) lines.shift();
    }
  }
  yield* lines;
  if (query.follow) yield* follow(handle, size, query.signal, () => true);
}

/** Of the file, or (`which`) of the one before it, up to a byte. */
async function* linesIn(path: string, which: '' | '.1', endByte: number): AsyncGenerator<LogLine> {
  const file = `${path}${which}`;
  if (!existsSync(file) || endByte === 0) return;
  const timeAt = timesIn(`${path}.times${which}`, statSync(file).mtimeMs);
  let rest = Buffer.alloc(0);
  // Of the byte where `rest` begins.
  let at = 0;
  for await (const chunk of createReadStream(file, { end: endByte - 1 })) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    let from = 0;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, from)) {
      yield lineAt(timeAt(at + end), rest.toString('utf8', from, end));
      from = end + 1;
    }
    at += from;
    rest = rest.subarray(from);
  }
  if (rest.length > 0) yield lineAt(timeAt(at + rest.length - 1), rest.toString());
}

type Note = readonly [bytes: number, ms: number];

function notesIn(file: string): Note[] {
  const lines = existsSync(file) ? readFileSync(file, 'latin1').split('\n') : [];
  return lines
    .map((line) => line.split(' ').map(Number) as [number, number])
    .filter(([size, ms]) => size > 0 && ms > 0);
}

/** When the byte at an offset was there first; asked with growing offsets. */
function timesIn(file: string, lastMs: number): (offset: number) => number {
  const notes = notesIn(file);
  let next = 0;
  return (offset) => {
    while (next < notes.length && notes[next]![0] <= offset) next++;
    return notes[next]?.[1] ?? lastMs;
  };
}

const lineAt = (atMs: number, text: string): LogLine => ({
  ...{ atMs: Math.round(atMs), stream: 'stdout' },
  text: text.endsWith('\r') ? text.slice(0, -1) : text,
});

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
