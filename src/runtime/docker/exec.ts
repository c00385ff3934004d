/** Commands in a container: the engine's multiplexed stream as two. */
import type { Duplex } from 'node:stream';
import { PassThrough } from 'node:stream';
import type Docker from 'dockerode';
import { holdBack } from '../../core/exec-frames.ts';
import type { ExecQuery, ExecSession } from '../../core/ports.ts';
import { wrap } from './errors.ts';
import { Multiplex } from './multiplex.ts';

export async function execIn(container: Docker.Container, query: ExecQuery): Promise<ExecSession> {
  const { argv, tty, stdin } = query;
  const exec = await wrap(() =>
    container.exec({
      ...{ Cmd: argv, Tty: tty, AttachStdin: stdin, AttachStdout: true, AttachStderr: true },
      ...(query.user === undefined ? {} : { User: query.user }),
      ...(query.workingDir === undefined ? {} : { WorkingDir: query.workingDir }),
      ...(query.privileged === true ? { Privileged: true } : {}),
      Env: Object.entries(query.environment ?? {}).map(([name, value]) => `${name}=${value}`),
    }),
  );
  const stream = await wrap(() => exec.start({ hijack: true, stdin, Tty: tty }));
  const resize = async (w: number, h: number): Promise<void> => void (await exec.resize({ w, h }).catch(() => {}));
  if (tty && query.columns !== undefined) await resize(query.columns, query.rows ?? 24);
  const exitCode = new Promise<number>((resolve) => {
    const done = (): void =>
      void exec.inspect().then(
        ({ ExitCode }) => resolve(ExitCode ?? 137),
        () => resolve(137),
      );
    stream.once('end', done);
    stream.once('close', done);
  });
  const kill = (): void => void stream.destroy();
  if (tty) return { input: stream, output: stream, resize, kill, exitCode };
  const [output, errors] = [new PassThrough(), new PassThrough()];
  split(stream, output, errors);
  return { input: stream, output, errors, resize, kill, exitCode };
}

/** The engine's stream as two, no faster than both are read. */
function split(stream: Duplex, output: PassThrough, errors: PassThrough): void {
  const multiplex = new Multiplex();
  stream.on('data', (chunk: Buffer) => {
    for (const { isError, bytes } of multiplex.push(chunk)) {
      const to = isError ? errors : output;
      if (!to.write(bytes)) holdBack(stream, to);
    }
  });
  const end = (): void => {
    output.end();
    errors.end();
  };
  stream.once('end', end).once('close', end);
}
