/** Starting things: up, join, demo. */
import { spawn } from 'node:child_process';
import { fstatSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { OscaError, reasonOf } from '../../core/errors.ts';
import { daemonBundle } from '../bundles.ts';
import { Client, dataFolder } from '../client.ts';
import { runDemo } from '../demo.ts';
import { dim, green, say } from '../render.ts';
import type { Changed } from '../shared.ts';
import { clientOf, show } from '../shared.ts';

interface UpOptions {
  ticket?: string;
  name?: string;
  listen: string[];
  apiPort?: string;
  engine?: string;
  mdns: boolean;
  found?: boolean;
  detach?: boolean;
  quiet?: boolean;
  lifeline?: boolean;
}

/** Set for the daemon that --detach started, so that it does not do so again. */
const detachedMark = 'OSCA_DETACHED';

export function addDaemonCommands(osca: Command): void {
  osca
    .command('up')
    .description('start this machine’s cell; it finds the others by itself')
    .option('--ticket <ticket>', 'join the appliance that the ticket is for (or OSCA_TICKET)')
    .option('--found', 'found an appliance at once, without listening for others')
    .option('--name <name>', 'name of the cell; the host name where it is not given')
    .option(
      '--listen <multiaddr>',
      'libp2p address to listen on, again for more',
      (value: string, before: string[]) => [...before, value],
      [] as string[],
    )
    .option('--api-port <port>', 'port of the HTTP API on 127.0.0.1; 0 for any free one (4477)')
    .option('--engine <socket>', 'socket of Docker or Podman; none for plain processes only')
    .option('--no-mdns', 'do not look for others on the local network')
    .option('-d, --detach', 'start in the background, and return when it is up')
    .option('-q, --quiet', 'log errors only')
    .option('--lifeline', 'end, with everything that runs here as a process, when standard input closes')
    .addHelpText(
      'after',
      '\nExamples:\n  osca up                       the first cell: founds an appliance if it hears none\n  osca up --ticket osca1-…      a further cell, anywhere',
    )
    .action(async (options: UpOptions, command: Command) => {
      const folder = dataFolder(command.optsWithGlobals<{ data?: string }>().data);
      if (options.detach && process.env[detachedMark] === undefined) return await detach(folder);
      const { runDaemon } = await daemonBundle();
      await runDaemon({
        ...{
          dataDir: folder,
          mdns: options.mdns,
          found: options.found ?? false,
          lifeline: options.lifeline ?? false,
          quiet: options.quiet ?? false,
        },
        ...(options.ticket === undefined ? {} : { ticket: options.ticket }),
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.listen.length === 0 ? {} : { listen: options.listen }),
        ...(options.apiPort === undefined ? {} : { apiPort: Number(options.apiPort) }),
        ...(options.engine === undefined ? {} : { engine: options.engine === 'none' ? '' : options.engine }),
      });
    });
  osca
    .command('join [ticket]')
    .description('bring this running cell into the appliance that the ticket is for (or OSCA_TICKET)')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  osca join osca1-…')
    .action(async (given: string | undefined, _options: unknown, command: Command) => {
      const ticket = given ?? process.env.OSCA_TICKET ?? '';
      if (ticket === '') throw new OscaError('bad-request', 'no ticket was given', 'osca join osca1-…');
      const client = clientOf(command);
      const { join: before } = await client.call<Joining>('GET', '/v1/status');
      const changed = await client.call<Changed>('POST', '/v1/join', { ticket });
      await joined(client, before?.refused);
      show(command, changed, () => green(`joined appliance ${String(changed.value.appliance)}`));
    });
  osca
    .command('demo')
    .addHelpText('after', '\nExample:\n  ./osca demo')
    .description('three cells on this machine run a small web service; one is killed, its replica comes back')
    .option('--exit', 'end when it is shown, for scripts')
    .option('--json', 'print what was measured as JSON')
    .action(async (options: { exit?: boolean; json?: boolean }) => {
      process.exitCode = await runDemo({ exit: options.exit ?? false, json: options.json ?? false });
    });
}

interface Joining {
  phase: string;
  join?: { refused?: string };
}

/** Until a member has welcomed it, or refused; `before`: why the ticket before this one was, which is told for a moment more. */
async function joined(client: Client, before: string | undefined, withinMs = 30_000): Promise<void> {
  const startMs = Date.now();
  while (Date.now() - startMs < withinMs) {
    const { phase, join: state } = await client.call<Joining>('GET', '/v1/status');
    if (phase === 'member') return;
    if (state?.refused !== undefined && (state.refused !== before || Date.now() - startMs > 2_000))
      throw new OscaError(
        'bad-ticket',
        `refused: ${state.refused}`,
        'make a new ticket on a member: osca ticket create',
      );
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new OscaError(
    'timeout',
    `no member of the appliance was heard within ${withinMs / 1_000} s`,
    'it goes on looking; is one up and reachable? osca status shows when it has joined',
  );
}

/** Starts the same command again in a session of its own, its words in a file. */
async function detach(folder: string): Promise<void> {
  const path = join(folder, 'daemon.log');
  let log: number;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    log = openSync(path, 'a', 0o600);
  } catch (error) {
    throw new OscaError(
      'data-unusable',
      `${folder} can't be used: ${reasonOf(error)}`,
      'make it writable for this user, or give another folder with --data DIR',
      error,
    );
  }
  const from = fstatSync(log).size;
  const env = { ...process.env, [detachedMark]: '1' };
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    stdio: ['ignore', log, log],
    env,
  });
  let code: number | undefined;
  child.once('exit', (status) => {
    code = status ?? 1;
  });
  const client = new Client(folder);
  for (let i = 0; i < 300; i++) {
    const up = await client.call<{ pid: number }>('GET', '/v1/status').catch(() => undefined);
    if (up?.pid === child.pid) {
      say(`the cell is up (pid ${child.pid}) ${dim(`log: ${path}`)}`);
      child.unref();
      return;
    }
    if (code !== undefined) {
      process.stderr.write(readFileSync(path).subarray(from));
      process.exitCode = code === 0 ? 1 : code;
      return;
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new OscaError('timeout', 'the daemon did not come up within 30 s', `its words are in ${path}`);
}
