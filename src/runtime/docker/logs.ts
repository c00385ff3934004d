/** Log lines of a container: the engine's multiplexed stream (8-byte heads) cut into lines with their times. */
import type Docker from 'dockerode';
import { limits } from '../../core/limits.ts';
import type { LogLine, LogQuery } from '../../core/ports.ts';

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
  let bytes: Buffer = Buffer.alloc(0);
  const partial = { stdout: '', stderr: '' };
  for await (const chunk of chunks) {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    while (bytes.length >= 8) {
      const length = bytes.readUInt32BE(4);
      if (bytes.length < 8 + length) break;
      const stream = bytes[0] === 2 ? 'stderr' : 'stdout';
      partial[stream] += bytes.toString('utf8', 8, 8 + length);
      bytes = bytes.subarray(8 + length);
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
