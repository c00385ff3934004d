/** A login on another machine (ssh2): commands to their end, as root where the user may become that. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { AnyAuthMethod, ClientChannel } from 'ssh2';
import ssh2 from 'ssh2';
import { OscaError, reasonOf } from '../core/errors.ts';
import type { Target } from './hosts.ts';

export interface Login extends Target {
  /** Private keys, as they stand in their files. */
  keys: readonly { name: string; text: Buffer }[];
  /** Socket of an ssh-agent. */
  agent?: string;
}

export interface Done {
  code: number;
  stdout: string;
  stderr: string;
}

export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const patienceMs = 15_000;
const mark = 'osca-begins-here';
/** Of what a command writes, the end is kept. */
const keptBytes = 262_144;

export class Ssh {
  readonly #client: ssh2.Client;
  readonly #login: Login;
  /** SHA256:…, as ssh-keygen -l writes it. */
  readonly fingerprint: string;
  #broke: Error | undefined;

  private constructor(client: ssh2.Client, login: Login, fingerprint: string) {
    this.#client = client;
    this.#login = login;
    this.fingerprint = fingerprint;
    client.on('error', (error) => (this.#broke ??= error));
  }

  /** `trusts` is asked for the key of the host before anything else is said. Throws OscaError: not-found, denied, timeout. */
  static async open(login: Login, trusts: (fingerprint: string) => boolean): Promise<Ssh> {
    const client = new ssh2.Client();
    let fingerprint = '';
    let isTrusted = true;
    try {
      await new Promise<void>((resolve, reject) => {
        client.once('ready', resolve).once('error', reject);
        client.once('close', () => reject(new Error('the connection was closed')));
        client.connect({
          ...{ host: login.host, port: login.port, username: login.user },
          ...{ readyTimeout: patienceMs, keepaliveInterval: 5_000, keepaliveCountMax: 3 },
          hostVerifier: (key: Buffer) => {
            fingerprint = `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
            isTrusted = trusts(fingerprint);
            return isTrusted;
          },
          authHandler: methods(login),
        });
      });
    } catch (error) {
      client.end();
      throw isTrusted ? refused(login, error as Error & { level?: string }) : strange(login, fingerprint);
    }
    client.removeAllListeners('error');
    return new Ssh(client, login, fingerprint);
  }

  /** Runs shell text to its end. `input`: its standard input. Throws where the connection breaks off. */
  async run(command: string, input: string | Readable = ''): Promise<Done> {
    const { user, password } = this.#login;
    const isRoot = user === 'root';
    // sudo takes the first line where it asks for a password, and leaves it where it does not: all up to the mark is its own.
    const skip = `while IFS= read -r line && [ "$line" != ${mark} ]; do :; done; `;
    const asRoot =
      password === undefined
        ? `sudo -n sh -c ${quoted(command)}`
        : `sudo -S -p '' sh -c ${quoted(`${skip}${command}`)}`;
    const channel = await new Promise<ClientChannel>((resolve, reject) => {
      const broken = (error: Error): void => reject(this.#brokenOff(error));
      if (this.#broke !== undefined) return broken(this.#broke);
      this.#client.exec(isRoot ? command : asRoot, (error, stream) => (error ? broken(error) : resolve(stream)));
    });
    const done: Done = { code: -1, stdout: '', stderr: '' };
    const keep = (name: 'stdout' | 'stderr') => (chunk: Buffer) => {
      done[name] = (done[name] + chunk.toString()).slice(-keptBytes);
    };
    channel.on('data', keep('stdout'));
    channel.stderr.on('data', keep('stderr'));
    channel.on('exit', (code: number | null) => (done.code = code ?? 137));
    const closed = new Promise<void>((resolve) => {
      const end = (): void => {
        this.#client.off('close', end);
        resolve();
      };
      channel.once('close', end);
      this.#client.once('close', end);
    });
    channel.on('error', () => {});
    if (!isRoot && password !== undefined) channel.write(`${password}\n${mark}\n`);
    if (typeof input === 'string') channel.end(input);
    else await pipeline(input, channel).catch(() => {});
    await closed;
    if (done.code < 0) throw this.#brokenOff(this.#broke ?? new Error('it was closed'));
    return done;
  }

  #brokenOff(error: Error): OscaError {
    const { host } = this.#login;
    return new OscaError(
      'timeout',
      `the connection to ${host} broke off: ${reasonOf(error)}`,
      `run it again when ${host} is reachable`,
    );
  }

  end(): void {
    this.#client.end();
  }
}

/** Its standard output. Throws what it wrote last where it failed. */
export async function must(
  ssh: Ssh,
  command: string,
  failing: string,
  input?: Parameters<Ssh['run']>[1],
): Promise<string> {
  const { code, stdout, stderr } = await ssh.run(command, input);
  if (code === 0) return stdout;
  throw new OscaError('internal', `${failing}: ${lastWords(stderr)}`, 'mend that, and run it again');
}

export const lastWords = (text: string): string => text.trim().split('\n').slice(-3).join('; ') || 'it did not say why';

/** What may let us in, in this order. */
function methods({ user, password, keys, agent }: Login): AnyAuthMethod[] {
  return [
    ...keys.map(({ text }): AnyAuthMethod => ({ type: 'publickey', username: user, key: text })),
    ...(agent === undefined ? [] : [{ type: 'agent', username: user, agent } satisfies AnyAuthMethod]),
    ...(password === undefined
      ? []
      : [
          { type: 'password', username: user, password } satisfies AnyAuthMethod,
          {
            type: 'keyboard-interactive',
            username: user,
            prompt: (_name, _text, _lang, prompts, finish) => finish(prompts.map(() => password)),
          } satisfies AnyAuthMethod,
        ]),
  ];
}

function refused({ user, host, port }: Login, error: Error & { level?: string; code?: string }): OscaError {
  const where = port === 22 ? host : `${host}:${port}`;
  if (error.level === 'client-authentication')
    return new OscaError(
      'denied',
      `${where} lets ${user} in with none of the keys and passwords given`,
      'give --password or --key FILE, or lend a key (ssh-add, ssh -A); root often may not log in with a password: name another user that has sudo',
    );
  if (error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN')
    return new OscaError('not-found', `there is no machine ${host}`, 'is the name right? an address works too');
  const what = error.level === 'client-timeout' ? 'it does not answer' : reasonOf(error);
  return new OscaError(
    'timeout',
    `${where} can't be reached by ssh: ${what}`,
    'is it on, is sshd running, is the port right?',
  );
}

const strange = ({ host }: Login, fingerprint: string): OscaError =>
  new OscaError(
    'denied',
    `${host} shows another host key than is known: ${fingerprint}`,
    'was it installed anew? then say so: --fingerprint KEY; else somebody may stand between',
  );
