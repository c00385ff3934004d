/** The CLI's only way to the world: the API on the Unix socket of a data folder. */

import { createReadStream, existsSync, statSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import type { ErrorCode, SpecProblem } from '../core/errors.ts';
import { OscaError, SpecError } from '../core/errors.ts';

/** The same rule as the daemon's. */
export function dataFolder(given?: string): string {
  if (given !== undefined) return resolve(given);
  const env = process.env.OSCA_DATA;
  if (env !== undefined && env !== '') return resolve(env);
  if (process.getuid?.() === 0) return '/var/lib/osca';
  return join(process.env.XDG_DATA_HOME ?? join(homedir(), '.local/share'), 'osca');
}

/** A daemon on a slow board answers a question within a second. */
const patienceMs = 30_000;

export class Client {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** A JSON answer. Throws what the API refused as OscaError, or daemon-away. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.#send(method, path, body, method === 'GET' ? patienceMs : undefined);
    return JSON.parse(await textOf(answer)) as T;
  }

  /** Sends a file as bytes. */
  async upload<T>(path: string, file: string): Promise<T> {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { 'content-type': 'application/octet-stream', 'content-length': statSync(file).size };
      const asked = request({ ...this.#where(), method: 'POST', path, headers, agent: false });
      asked.once('response', resolve);
      asked.once('error', (error) => reject(this.#away(error)));
      createReadStream(file)
        .once('error', (error) => asked.destroy(error))
        .pipe(asked);
    });
    const said = await textOf(answer);
    if ((answer.statusCode ?? 500) >= 400) throw refusalOf(answer.statusCode ?? 500, said);
    return JSON.parse(said) as T;
  }

  /** Lines of JSON, as they come. */
  async *lines<T>(method: string, path: string, body?: unknown): AsyncGenerator<T> {
    const answer = await this.#send(method, path, body);
    for await (const line of this.#linesOf(answer)) if (line !== '') yield JSON.parse(line) as T;
  }

  /** Values of server-sent events. */
  async *events<T>(path: string): AsyncGenerator<T> {
    const answer = await this.#send('GET', path);
    for await (const line of this.#linesOf(answer)) if (line.startsWith('data: ')) yield JSON.parse(line.slice(6)) as T;
  }

  async *#linesOf(answer: IncomingMessage): AsyncGenerator<string> {
    try {
      yield* createInterface({ input: answer, crlfDelay: Infinity });
    } catch (error) {
      throw this.#away(error as NodeJS.ErrnoException);
    }
    if (!answer.complete) throw this.#away(new Error('the stream ended'));
  }

  /** A connection that speaks something else than HTTP from now on. */
  async upgrade(path: string): Promise<{ socket: Duplex; head: Buffer }> {
    return await new Promise((resolve, reject) => {
      const asked = request({ ...this.#where(), path, headers: { connection: 'Upgrade', upgrade: 'osca-exec' } });
      asked.once('upgrade', (_answer, socket, head) => resolve({ socket, head }));
      asked.once(
        'response',
        (answer) => void textOf(answer).then((text) => reject(refusalOf(answer.statusCode ?? 500, text))),
      );
      asked.once('error', (error) => reject(this.#away(error)));
      asked.end();
    });
  }

  /** With a name for TLS: Node would make one for every request, and compile a pattern of all IPv6 addresses for it (5 ms). */
  #where(): { socketPath: string; servername: string } {
    return { socketPath: join(this.folder, 'osca.sock'), servername: '' };
  }

  /** `withinMs`: of what is answered from memory. */
  async #send(method: string, path: string, body?: unknown, withinMs?: number): Promise<IncomingMessage> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers =
      text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const asked = request({ ...this.#where(), method, path, headers, agent: false });
      asked.once('response', resolve);
      asked.once('error', (error) => reject(this.#away(error)));
      if (withinMs !== undefined) asked.setTimeout(withinMs, () => asked.destroy(this.#silent(withinMs)));
      asked.end(text);
    });
    if ((answer.statusCode ?? 500) < 400) return answer;
    throw refusalOf(answer.statusCode ?? 500, await textOf(answer));
  }

  #silent(ms: number): OscaError {
    const hint = 'is the machine out of memory, or the daemon stopped? systemctl restart osca, or end it and: osca up';
    return new OscaError('timeout', `the daemon of ${this.folder} has not answered for ${ms / 1_000} s`, hint);
  }

  #away(error: NodeJS.ErrnoException): OscaError {
    if (error instanceof OscaError) return error;
    if (error.code === 'EACCES') {
      return new OscaError(
        'denied',
        `${this.folder} belongs to another user`,
        'run as that user (sudo osca …), or name your own folder with --data DIR',
        error,
      );
    }
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'ECONNREFUSED') {
      return new OscaError(
        'daemon-away',
        `no osca daemon answers in ${this.folder}`,
        process.getuid?.() !== 0 && existsSync('/var/lib/osca')
          ? "this machine's cell is root's: sudo osca …   (or name another folder with --data DIR)"
          : 'start one with: osca up   (or name its folder with --data DIR)',
        error,
      );
    }
    return new OscaError(
      'daemon-away',
      `the daemon in ${this.folder} broke off: ${error.message}`,
      'osca status shows whether it runs',
      error,
    );
  }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function refusalOf(status: number, text: string): OscaError {
  try {
    const { code, message, hint, problems } = JSON.parse(text) as {
      code: ErrorCode;
      message: string;
      hint: string;
      problems?: SpecProblem[];
    };
    return problems === undefined ? new OscaError(code, message, hint) : new SpecError(problems);
  } catch {
    return new OscaError('internal', `the daemon answered ${status}: ${text.slice(0, 200)}`);
  }
}
