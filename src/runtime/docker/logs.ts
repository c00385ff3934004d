/** Log lines of a container: the engine's multiplexed stream cut into lines with their times. */
import { StringDecoder } from 'node:string_decoder';
import type Docker from 'dockerode';
import { limits } from '../../core/limits.ts';
import type { LogLine, LogQuery } from '../../core/ports.ts';
import { Multiplex } from './multiplex.ts';

/** As many lines at most are looked through for those that a follow has missed. */
const missedLines = 1_000;

export async function* readLogs(container: Docker.Container, query: LogQuery): AsyncGenerator<LogLine> {
  const options = {
    ...{ stdout: true, stderr: true, timestamps: true },
    ...(query.tail === undefined ? {} : { tail: query.tail }),
    ...(query.sinceMs === undefined ? {} : { since: query.sinceMs / 1_000 }),
  };
  // Podman knows whole seconds alone.
  const isLate = ({ atMs }: LogLine): boolean => atMs >= (query.sinceMs ?? 0);
  if (!query.follow) {
    for await (const line of cut([await container.logs({ ...options, follow: false })])) if (isLate(line)) yield line;
    return;
  }
  const stream = await container.logs({ ...options, follow: true, abortSignal: query.signal });
  let last: LogLine | undefined;
  try {
    for await (const line of cut(stream as AsyncIterable<Buffer>)) {
      last = line;
      if (isLate(line)) yield line;
    }
  } catch (error) {
    if (!query.signal.aborted) throw error;
  }
  if (query.untilExit === true && !query.signal.aborted) yield* missed(container, last);
}

/** Docker ends what it follows with the container, at times before the last line, where that has no end. */
async function* missed(container: Docker.Container, last: LogLine | undefined): AsyncGenerator<LogLine> {
  const tail = await container.logs({ stdout: true, stderr: true, timestamps: true, follow: false, tail: missedLines });
  const lines: LogLine[] = [];
  for await (const line of cut([tail])) lines.push(line);
  const told = lines.findLastIndex(({ atMs, text }) => atMs === last?.atMs && text === last.text);
  if (told >= 0 || last === undefined) yield* lines.slice(told + 1);
}

/** Each piece begins with its time; what is long, or written in parts, comes in several up to the end of the line. */
async function* cut(chunks: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<LogLine> {
  const multiplex = new Multiplex();
  const open = { stdout: new Open('stdout'), stderr: new Open('stderr') };
  for await (const chunk of chunks)
    for (const { isError, bytes } of multiplex.push(chunk)) yield* open[isError ? 'stderr' : 'stdout'].push(bytes);
  for (const stream of [open.stdout, open.stderr]) yield* stream.end();
}

/** The line of one stream that has not ended yet. */
class Open {
  readonly #stream: LogLine['stream'];
  readonly #decoder = new StringDecoder();
  #text = '';
  #atMs: number | undefined;

  constructor(stream: LogLine['stream']) {
    this.#stream = stream;
  }

  *push(bytes: Buffer): Generator<LogLine> {
    const space = bytes.indexOf(' ');
    const atMs = Date.parse(bytes.toString('latin1', 0, Math.max(0, space)));
    this.#atMs ??= Number.isNaN(atMs) ? 0 : atMs;
    const said = this.#text + this.#decoder.write(Number.isNaN(atMs) ? bytes : bytes.subarray(space + 1));
    const lines = said.split('\n');
    const rest = lines.pop()!;
    for (const text of lines) yield this.#line(text);
    this.#text = rest.slice(0, limits.logLineBytes);
    if (rest === '') this.#atMs = undefined;
  }

  *end(): Generator<LogLine> {
    if (this.#text !== '') yield this.#line(this.#text);
  }

  #line(text: string): LogLine {
    const cut = text.slice(0, limits.logLineBytes).replace(/\r$/, '');
    return { atMs: this.#atMs ?? 0, stream: this.#stream, text: cut };
  }
}
