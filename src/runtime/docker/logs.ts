/** Log lines of a container: the engine's multiplexed stream cut into lines with their times. */
import type Docker from 'dockerode';
import { limits } from '../../core/limits.ts';
import type { LogLine, LogQuery } from '../../core/ports.ts';
import { Multiplex } from './multiplex.ts';

export async function* readLogs(container: Docker.Container, query: LogQuery): AsyncGenerator<LogLine> {
  const options = {
    ...{ stdout: true, stderr: true, timestamps: true },
    ...(query.tail === undefined ? {} : { tail: query.tail }),
    ...(query.sinceMs === undefined ? {} : { since: query.sinceMs / 1_000 }),
  };
  if (!query.follow) {
    yield* cut([await container.logs({ ...options, follow: false })]);
    return;
  }
  const stream = await container.logs({ ...options, follow: true, abortSignal: query.signal });
  try {
    yield* cut(stream as AsyncIterable<Buffer>);
  } catch (error) {
    if (!query.signal.aborted) throw error;
  }
}

async function* cut(chunks: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<LogLine> {
  const multiplex = new Multiplex();
  const partial = { stdout: '', stderr: '' };
  for await (const chunk of chunks) {
    for (const { isError, bytes } of multiplex.push(chunk)) {
      const stream = isError ? 'stderr' : 'stdout';
      partial[stream] += bytes.toString();
      const lines = partial[stream].split('\n');
      partial[stream] = lines.pop()!.slice(0, limits.logLineBytes);
      for (const line of lines) yield stamped(line, stream);
    }
  }
  for (const stream of ['stdout', 'stderr'] as const)
    if (partial[stream] !== '') yield stamped(partial[stream], stream);
}

function stamped(line: string, stream: LogLine['stream']): LogLine {
  const space = line.indexOf(' ');
  const atMs = Date.parse(line.slice(0, space));
  const timed = !Number.isNaN(atMs);
  return {
    atMs: timed ? atMs : 0,
    stream,
    text: (timed ? line.slice(space + 1) : line).slice(0, limits.logLineBytes).replace(/\r$/, ''),
  };
}
