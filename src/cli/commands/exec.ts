/** `osca exec`: a command in a replica, wherever it runs, with a terminal where there is one. */
import type { Command } from 'commander';
import { OscaError } from '../../core/errors.ts';
import { ExecUnpacker, execKind, holdBack, packExec } from '../../core/exec-frames.ts';
import { warn } from '../render.ts';
import { clientOf } from '../shared.ts';

export function addExec(osca: Command): void {
  osca
    .command('exec <target> [command...]')
    .description('run a command in a replica: APP/SERVICE[/N] -- CMD')
    .option('-c, --container <name>', 'of a pod: in which of its containers; the first has the name of the service')
    .option('-T, --no-tty', 'no terminal, even if there is one')
    .passThroughOptions()
    .addHelpText('after', '\nExample:\n  osca exec shop/web/2 -- sh')
    .action(
      async (target: string, words: string[], options: { tty: boolean; container?: string }, command: Command) => {
        const argv = words[0] === '--' ? words.slice(1) : words;
        if (argv.length === 0)
          throw new OscaError('bad-request', 'no command was given', 'osca exec APP/SERVICE -- COMMAND');
        const tty = options.tty && process.stdin.isTTY === true && process.stdout.isTTY === true;
        const search = new URLSearchParams({ target, argv: JSON.stringify(argv), tty: String(tty), stdin: 'true' });
        if (options.container !== undefined) search.set('container', options.container);
        search.set('columns', String(process.stdout.columns ?? 80));
        search.set('rows', String(process.stdout.rows ?? 24));
        const { socket, head } = await clientOf(command).upgrade(`/v1/exec?${search}`);
        const code = await talk(socket, head, tty);
        // Whatever still comes in is for nobody.
        process.stdin.destroy();
        socket.destroy();
        process.exitCode = code;
      },
    );
}

async function talk(socket: NodeJS.ReadWriteStream, head: Buffer, tty: boolean): Promise<number> {
  const send = (kind: (typeof execKind)[keyof typeof execKind], bytes: Uint8Array): boolean =>
    socket.write(packExec(kind, bytes));
  if (tty) process.stdin.setRawMode(true);
  process.stdin.on('data', (chunk: Buffer) => {
    if (!send(execKind.stdin, chunk)) holdBack(process.stdin, socket);
  });
  process.stdin.once('end', () => send(execKind.stdinEnd, Buffer.alloc(0)));
  const resize = (): boolean =>
    send(execKind.resize, Buffer.from(JSON.stringify([process.stdout.columns, process.stdout.rows])));
  if (tty) process.stdout.on('resize', resize);
  const unpacker = new ExecUnpacker();
  try {
    return await new Promise<number>((resolve, reject) => {
      const read = (chunk: Buffer): void => {
        for (const { kind, bytes } of unpacker.push(chunk)) {
          const to = kind === execKind.stdout ? process.stdout : kind === execKind.stderr ? process.stderr : undefined;
          if (to !== undefined) {
            if (!to.write(bytes)) holdBack(socket, to);
          } else if (kind === execKind.exit) resolve(Number(Buffer.from(bytes).toString()));
          else if (kind === execKind.error) {
            // As a shell says that a command is not there.
            warn(`osca: ${Buffer.from(bytes).toString()}`);
            resolve(127);
          }
        }
      };
      if (head.length > 0) read(head);
      socket.on('data', read);
      socket.once('error', reject);
      socket.once('close', () =>
        reject(
          new OscaError('daemon-away', 'the connection to the replica was lost', 'osca ps shows where it runs now'),
        ),
      );
    });
  } finally {
    if (tty) process.stdin.setRawMode(false);
  }
}
