/**
 * `osca exec`: an HTTP upgrade that becomes a framed connection to a process in a replica. Where the replica is on another
 * cell, the same request goes there over libp2p and the bytes are passed through.
 */

import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { OscaError, reasonOf } from '../core/errors.ts';
import { unitKey } from '../core/events.ts';
import { ExecUnpacker, execKind, holdBack, packExec } from '../core/exec-frames.ts';
import type { ApiDeps } from './context.ts';
import { targetOf } from './context.ts';
import type { ReplicaRow } from './rows.ts';
import { replicaRows } from './rows.ts';

interface ExecAsked {
  /** APP/SERVICE[/N] from a person, or a unit key from another cell. */
  target?: string;
  key?: string;
  argv: string[];
  tty: boolean;
  stdin: boolean;
  /** Of several containers. */
  part?: string;
  columns: number;
  rows: number;
}

function askedOf(url: URL): ExecAsked {
  const get = (name: string): string | null => url.searchParams.get(name);
  const argv = JSON.parse(get('argv') ?? '[]') as unknown;
  if (!Array.isArray(argv) || argv.length === 0 || !argv.every((word) => typeof word === 'string')) {
    throw new OscaError('bad-request', 'no command was given', 'osca exec APP/SERVICE -- COMMAND');
  }
  const [target, key, part] = [get('target'), get('key'), get('container')];
  return {
    ...(target === null ? {} : { target }),
    ...(key === null ? {} : { key }),
    ...(part === null ? {} : { part }),
    ...{ argv: argv as string[], tty: get('tty') === 'true', stdin: get('stdin') === 'true' },
    ...{ columns: Number(get('columns') ?? 80), rows: Number(get('rows') ?? 24) },
  };
}

/** The replica that is meant: the one named, or the first that runs, one on this cell before others. */
function pick(deps: ApiDeps, text: string): ReplicaRow {
  const target = targetOf(deps.host.view(), text);
  if (target.service === undefined)
    throw new OscaError('bad-request', `'${text}' names an app`, 'osca exec APP/SERVICE[/N] -- COMMAND');
  const rows = replicaRows(deps.host.view(), target.app, target.service).filter(
    ({ index }) => target.index === undefined || index === target.index,
  );
  const running = rows.filter(({ state }) => state === 'ready' || state === 'running');
  const row = running.find(({ cellId }) => cellId === deps.host.cell.id) ?? running[0];
  if (row !== undefined) return row;
  throw new OscaError('not-found', `no replica of ${text} runs`, `osca ps ${target.app} shows their states`);
}

export async function handleExec(deps: ApiDeps, asked: IncomingMessage, socket: Duplex): Promise<void> {
  socket.on('error', () => {});
  const url = new URL(asked.url ?? '/', 'http://osca');
  try {
    const exec = askedOf(url);
    if (exec.key !== undefined) return await runHere(deps, exec.key, exec, socket);
    const row = pick(deps, exec.target ?? '');
    const key = unitKey(row.replica, row.hash);
    if (row.cellId === deps.host.cell.id) return await runHere(deps, key, exec, socket);
    url.searchParams.delete('target');
    url.searchParams.set('key', key);
    await passOn(deps, row.cellId, `${url.pathname}${url.search}`, socket);
  } catch (error) {
    refuse(socket, error);
  }
}

function refuse(socket: Duplex, error: unknown): void {
  const known = error instanceof OscaError;
  const status = known && error.code === 'not-found' ? '404 Not Found' : '400 Bad Request';
  const body = JSON.stringify({
    code: known ? error.code : 'internal',
    message: reasonOf(error),
    hint: known ? error.hint : '',
  });
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

const switching = 'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: osca-exec\r\n\r\n';

async function runHere(
  deps: ApiDeps,
  key: string,
  { argv, tty, stdin, columns, rows, part }: ExecAsked,
  socket: Duplex,
): Promise<void> {
  const unit = deps.host.cell.handleOf(key);
  const driver = unit === undefined ? undefined : deps.drivers.get(unit.driver);
  if (unit === undefined || driver === undefined)
    throw new OscaError('not-found', `${key} is not here`, 'osca ps shows what runs');
  const session = await driver.exec(unit.handle, {
    ...{ argv, tty, stdin, columns, rows },
    ...(part === undefined ? {} : { part }),
  });
  socket.write(switching);
  const out = (from: NodeJS.ReadableStream, kind: typeof execKind.stdout | typeof execKind.stderr): void => {
    from.on('data', (chunk: Buffer) => {
      if (!socket.write(packExec(kind, chunk))) holdBack(from, socket);
    });
  };
  out(session.output, execKind.stdout);
  if (session.errors !== undefined) out(session.errors, execKind.stderr);
  const unpacker = new ExecUnpacker();
  session.input.on('error', () => {});
  const take = (kind: number, bytes: Uint8Array): void => {
    if (kind === execKind.stdin) {
      if (!session.input.write(bytes)) holdBack(socket, session.input);
    } else if (kind === execKind.stdinEnd) session.input.end();
    else if (kind === execKind.resize) {
      const [width, height] = JSON.parse(Buffer.from(bytes).toString()) as unknown[];
      if (Number.isSafeInteger(width) && Number.isSafeInteger(height))
        void session.resize(Number(width), Number(height));
    }
  };
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const { kind, bytes } of unpacker.push(chunk)) take(kind, bytes);
    } catch {
      socket.destroy();
    }
  });
  // Who is held back would not be seen to go: an empty frame now and then finds out.
  const asking = setInterval(() => {
    if (socket.isPaused() && socket.writableLength === 0) socket.write(packExec(execKind.stdout, Buffer.alloc(0)));
  }, askEveryMs);
  socket.once('close', () => clearInterval(asking));
  // An upgraded socket stays half open when its other end goes; stdin ends by a frame of its own.
  socket.once('end', () => session.kill()).once('close', () => session.kill());
  if (socket.destroyed) session.kill();
  let kind: typeof execKind.exit | typeof execKind.error = execKind.exit;
  const words = await session.exitCode.then(String, (error: unknown) => {
    kind = execKind.error;
    return reasonOf(error);
  });
  await Promise.all([session.output, session.errors].map((output) => output && drained(output, socket)));
  // What comes in now is for nobody; read on, so that its end is seen.
  clearInterval(asking);
  socket.resume();
  socket.end(packExec(kind, Buffer.from(words)));
}

const quietMs = 500;
const askEveryMs = 1_000;

/**
 * What the process wrote last must go before its exit code, however slowly it is read. A child that it left behind may hold its
 * output open for ever: silence is taken for the end.
 */
async function drained(output: NodeJS.ReadableStream, socket: Duplex): Promise<void> {
  let heard = true;
  output.on('data', () => (heard = true));
  const ended = new Promise((done) => output.once('end', done).once('close', done));
  while (output.readable && !socket.destroyed && (heard || output.isPaused())) {
    heard = false;
    const silence = new AbortController();
    await Promise.race([ended, delay(quietMs, undefined, silence)]);
    silence.abort();
  }
}

async function passOn(deps: ApiDeps, cell: string, path: string, socket: Duplex): Promise<void> {
  const line = await deps.peers.open(cell);
  const asked = request({
    path,
    host: 'osca',
    headers: { connection: 'Upgrade', upgrade: 'osca-exec' },
    createConnection: () => line as never,
  });
  asked.once('upgrade', (_answer, far, head) => {
    socket.write(switching);
    if (head.length > 0) socket.write(head);
    far.pipe(socket);
    socket.pipe(far);
    far.once('error', () => socket.destroy());
    socket.once('close', () => far.destroy());
  });
  asked.once('response', (answer) => {
    let body = '';
    answer.on('data', (chunk: Buffer) => (body += chunk.toString()));
    answer.once('end', () =>
      socket.end(
        `HTTP/1.1 ${answer.statusCode} Refused\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      ),
    );
  });
  asked.once('error', (error) => refuse(socket, error));
  asked.end();
}
