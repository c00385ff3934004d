/** Asks a replica how it is: by a command in it, or by its network (HTTP, TCP, the health service of gRPC). Never throws. */
import { request as http } from 'node:http';
import { connect as http2 } from 'node:http2';
import { request as https } from 'node:https';
import { connect } from 'node:net';
import { reasonOf } from '../../core/errors.ts';
import type { RuntimeDriver } from '../../core/ports.ts';
import type { Check } from '../../core/spec.ts';
import { runCommand } from '../exec/command.ts';

interface Address {
  host: string;
  port: number;
}

type NetworkCheck = Exclude<Check, { kind: 'exec' }>;
type Asked = Pick<RuntimeDriver, 'exec' | 'addressOf'>;

export interface ProbeAnswer {
  ok: boolean;
  /** What it said, or why it did not. */
  output: string;
}

/** `part`: of several containers, the one that a command is for. */
export async function probe(
  driver: Asked,
  { handle, part }: { handle: string; part?: string },
  check: Check,
  timeoutMs: number,
): Promise<ProbeAnswer> {
  try {
    if (check.kind === 'exec') {
      const query = { argv: check.command, ...(part === undefined ? {} : { part }) };
      return await askByCommand(driver, handle, query, timeoutMs);
    }
    const at = await driver.addressOf(handle, check.port);
    const why =
      at === undefined ? `port ${check.port} can't be reached from here` : await askByNetwork(check, at, timeoutMs);
    return { ok: why === undefined, output: why ?? '' };
  } catch (error) {
    return { ok: false, output: reasonOf(error) };
  }
}

async function askByCommand(
  driver: Asked,
  handle: string,
  query: { argv: string[]; part?: string },
  timeoutMs: number,
): Promise<ProbeAnswer> {
  const { code, output } = await runCommand(driver, handle, query, timeoutMs);
  if (code === undefined) return { ok: false, output: `no answer within ${timeoutMs} ms` };
  return { ok: code === 0, output: output === '' ? `exit code ${code}` : output };
}

/** Resolves to why not, or undefined where all is well. */
async function askByNetwork(check: NetworkCheck, at: Address, timeoutMs: number): Promise<string | undefined> {
  const where = `${at.host}:${at.port}`;
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    if (check.kind === 'tcp') return await askTcp(at, signal);
    return await (check.kind === 'http' ? askHttp(check, at, signal) : askGrpc(check.service, at, signal));
  } catch (error) {
    const late = error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError');
    return late ? `no answer from ${where} within ${timeoutMs} ms` : `${where}: ${reasonOf(error)}`;
  }
}

async function askTcp({ host, port }: Address, signal: AbortSignal): Promise<undefined> {
  return await new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal });
    socket.once('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once('error', reject);
  });
}

async function askHttp(
  { path, scheme, headers }: NetworkCheck & { kind: 'http' },
  { host, port }: Address,
  signal: AbortSignal,
): Promise<string | undefined> {
  return await new Promise((resolve, reject) => {
    const ask = scheme === 'https' ? https : http;
    const options = { host, port, path, headers, signal, agent: false, rejectUnauthorized: false };
    const asked = ask(options, (answer) => {
      const code = answer.statusCode ?? 0;
      answer.destroy();
      resolve(code >= 200 && code < 400 ? undefined : `GET ${path} was answered with ${code}`);
    });
    asked.once('error', reject);
    asked.end();
  });
}

/** grpc.health.v1.Health/Check: one string in field 1 out, one number in field 1 back; 1 is SERVING. */
async function askGrpc(service: string, { host, port }: Address, signal: AbortSignal): Promise<string | undefined> {
  const session = http2(`http://${host}:${port}`);
  try {
    return await new Promise((resolve, reject) => {
      session.once('error', reject);
      signal.addEventListener('abort', () => reject(signal.reason));
      const stream = session.request({
        ':method': 'POST',
        ':path': '/grpc.health.v1.Health/Check',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      const name = Buffer.from(service);
      const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
      const head = Buffer.alloc(5);
      head.writeUInt32BE(message.length, 1);
      let body = Buffer.alloc(0);
      let status = '';
      stream.on('response', (headers) => void (status = String(headers['grpc-status'] ?? status)));
      stream.on('trailers', (headers) => void (status = String(headers['grpc-status'] ?? status)));
      stream.on('data', (chunk: Buffer) => void (body = Buffer.concat([body, chunk])));
      stream.once('error', reject);
      stream.once('end', () => {
        const serving = body.length >= 7 && body[5] === 0x08 && body[6] === 1;
        resolve(
          serving ? undefined : `gRPC says that it is not serving (status ${status === '' ? 'unknown' : status})`,
        );
      });
      stream.end(Buffer.concat([head, message]));
    });
  } finally {
    session.destroy();
  }
}
