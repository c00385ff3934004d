/** `osca cell add`: other machines become cells, over ssh. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { CellRow } from '../../api/rows.ts';
import { OscaError } from '../../core/errors.ts';
import { version } from '../../node/version.ts';
import type { AddStep, Appliance } from '../../provision/add.ts';
import { provisionBundle } from '../bundles.ts';
import type { Client } from '../client.ts';
import { bold, dim, green, red, say, warn, yellow } from '../render.ts';
import type { Changed } from '../shared.ts';
import { cellPath, clientOf, wholeNumber } from '../shared.ts';

interface AddOptions {
  hosts?: string;
  password?: boolean;
  key: string[];
  package: string[];
  engine: boolean;
  authorize?: string;
  passwords: boolean;
  fingerprint?: string;
  atOnce: string;
  json?: boolean;
}

const more = (value: string, before: string[]): string[] => [...before, value];

export function addAddCommand(cell: Command): void {
  cell
    .command('add [machines...]')
    .description('make other machines cells of this appliance, over ssh: [USER@]HOST[:PORT]')
    .option('--hosts <file>', 'take machines from a file: lines of [USER@]HOST[:PORT] [PASSWORD]')
    .option('--password', 'log in with a password: asked for, or the first line of standard input')
    .option(
      '--key <file>',
      'private key to log in with, again for more (the usual ones of ~/.ssh, and the ssh-agent)',
      more,
      [] as string[],
    )
    .option('--fingerprint <key>', 'host key that it must show: SHA256:…')
    .option(
      '--package <file>',
      'package for machines of another architecture than this one, again for more',
      more,
      [] as string[],
    )
    .option('--no-engine', 'do not install Docker where there is no engine: plain processes only')
    .option('--authorize <file>', 'add a public key to those that may log in')
    .option('--no-passwords', 'turn logins by password off, where a key lets us in')
    .option('--at-once <n>', 'how many machines at once', '4')
    .option('--json', 'print each step as a line of JSON')
    .addHelpText(
      'after',
      `
A machine needs Debian 12, Ubuntu 22.04, Raspberry Pi OS (64 bit) or later, and root, or a user that may use sudo. What fails on it is undone.

Examples:
  osca cell add root@192.168.1.20
  osca cell add pi@attic.local --password --authorize ~/.ssh/id_ed25519.pub --no-passwords
  osca cell add --hosts boards.txt --at-once 8`,
    )
    .action(
      async (machines: string[], options: AddOptions, command: Command) =>
        await add(clientOf(command), machines, options),
    );
}

/** The bundle has a class of its own of that name. */
export function throwOwn(error: Error & Partial<OscaError>): never {
  throw error.code === undefined ? error : new OscaError(error.code, error.message, error.hint);
}

async function add(client: Client, machines: readonly string[], options: AddOptions): Promise<void> {
  await client.call('GET', '/v1/status');
  const { provision } = await provisionBundle();
  const agent = process.env.SSH_AUTH_SOCK;
  const many = machines.length > 1 || options.hosts !== undefined;
  const failed = await provision(
    {
      ...{ machines, keys: options.key, home: ownHome(), packages: options.package, engine: options.engine },
      ...{ noPasswords: !options.passwords, atOnce: wholeNumber(options.atOnce), dataFolder: client.folder, version },
      ...(options.hosts === undefined ? {} : { list: options.hosts }),
      ...(options.password === true ? { password: await askedPassword() } : {}),
      ...(agent === undefined || agent === '' ? {} : { agent }),
      ...(options.authorize === undefined ? {} : { authorize: options.authorize }),
      ...(options.fingerprint === undefined ? {} : { fingerprint: options.fingerprint }),
    },
    applianceOf(client),
    (step) => (options.json === true ? say(JSON.stringify(step)) : tell(step, many)),
  ).catch(throwOwn);
  if (failed > 0) process.exitCode = 1;
}

function tell({ host, step, text: said, hint }: AddStep, many: boolean): void {
  const whose = many ? `${bold(host)} ` : '  ';
  if (step === 'failed') warn(`${whose}${red(`failed: ${said}`)}`);
  else if (step === 'done') say(many ? `${whose}${green(said)}` : green(`${host} ${said}`));
  else if (step === 'one-way') say(`${whose}${yellow('reachable '.padEnd(11))}${yellow(`one way: ${said}`)}`);
  else say(`${whose}${step.padEnd(10)} ${said}`);
  if (hint !== undefined) warn(`${whose}${dim(hint)}`);
}

const applianceOf = (client: Client): Appliance => ({
  async id() {
    const { phase, appliance } = await client.call<{ phase: string; appliance?: string }>('GET', '/v1/status');
    if (phase !== 'member' || appliance === undefined)
      throw new OscaError(
        'not-member',
        'this machine belongs to no appliance yet',
        'osca status shows what it waits for',
      );
    return appliance;
  },
  async ticket() {
    const { value } = await client.call<Changed>('POST', '/v1/tickets', { uses: 1, expiresInMs: 3_600_000 });
    return { id: String(value.id), ticket: String(value.ticket) };
  },
  async revoke(id) {
    await client.call('DELETE', `/v1/tickets/${encodeURIComponent(id)}`);
  },
  async cells() {
    return (await client.call<{ cells: CellRow[] }>('GET', '/v1/cells')).cells;
  },
  async remove(id) {
    await client.call('DELETE', cellPath(id));
  },
});

/** Nothing of it is shown on a terminal; from elsewhere it is the first line. */
async function askedPassword(): Promise<string> {
  const { stdin, stderr } = process;
  const password = stdin.isTTY === true ? await hidden() : (await text(stdin)).split('\n', 1)[0]!.replace(/\r$/, '');
  if (password === '')
    throw new OscaError('bad-request', 'no password was given', 'type it, or write it to standard input');
  return password;

  async function hidden(): Promise<string> {
    const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
    stderr.write('password: ');
    const lines = createInterface({ input: stdin, output: silent, terminal: true });
    const typed = await lines.question('');
    lines.close();
    stderr.write('\n');
    return typed;
  }
}

/** Of who types: with sudo that is not root. */
function ownHome(): string {
  const user = process.env.SUDO_USER;
  if (user === undefined || user === '') return homedir();
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${user}:`));
  return line?.split(':')[5] ?? homedir();
}
