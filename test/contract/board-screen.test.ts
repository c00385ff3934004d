/** What a board's screen and LED say, of what its daemon answers. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, it } from 'vitest';
import { until } from '../until.ts';

const script = new URL('../../images/pi-flash/overlay/usr/lib/osca-board/screen', import.meta.url).pathname;
const trigger = 'sys/class/leds/ACT/trigger';
let root: string;
let board: ChildProcess;
let shown = '';
const put = (path: string, text: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
/** What the daemon answers, as the API formats it. */
const answer = (status: object): void => put('status', JSON.stringify(status));
/** What is on the screen now: it is cleared before. */
const screen = (): string => shown.split('\x1b[2J\x1b[H').at(-1)!;
const says = async (...words: string[]) =>
  await until(`the screen says ${words.join()}`, () => words.every((one) => screen().includes(one)));

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'osca-screen-'));
  mkdirSync(join(root, 'tools'));
  const tool = (name: string, line: string): void =>
    writeFileSync(join(root, 'tools', name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  tool('curl', 'cat "$OSCA_ROOT/status" 2>/dev/null');
  tool('ip', 'cat "$OSCA_ROOT/addresses" 2>/dev/null');
  tool('hostname', 'echo attic');
  tool('sleep', 'exec /bin/sleep 0.05');
  put('etc/default/osca-board', '');
  put(trigger, 'none');
  shown = '';
  const env = { PATH: `${join(root, 'tools')}:/usr/bin:/bin`, OSCA_ROOT: root };
  board = spawn('sh', [script], { env, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  board.stdout!.on('data', (bytes: Buffer) => {
    shown += bytes.toString();
  });
});
afterEach(() => {
  process.kill(-board.pid!, 'SIGKILL');
  rmSync(root, { recursive: true, force: true });
});

it('shows the code that a person compares, and is calm once it is in', async () => {
  await says('OSCA  attic  no network yet', 'starting ...');
  put('addresses', '2: eth0    inet 192.168.1.20/24 brd 192.168.1.255 scope global eth0\\       valid_lft forever\n');
  answer({ phase: 'listening', name: 'attic' });
  await says('attic  192.168.1.20', 'listens for others');
  answer({ phase: 'waiting', join: { code: 'ABCD-EFGH', appliance: 'spcvtxo5cdlp' } });
  await says('waits for approval: code ABCD-EFGH', 'osca cell approve attic');
  await until('the LED beats', () => readFileSync(join(root, trigger), 'utf8') === 'heartbeat\n');
  answer({ phase: 'member', appliance: 'spcvtxo5cdlp', join: {} });
  await says('a member of appliance spcvtxo5cdlp');
  await until('the LED shows the card', () => readFileSync(join(root, trigger), 'utf8') === 'mmc0\n');
});

it('says what came of its ticket', async () => {
  answer({ phase: 'joining', appliance: 'spcvtxo5cdlp', join: { refused: 'the ticket is used up' } });
  await says('joining ...', 'the ticket is used up');
  answer({ phase: 'member', appliance: 'one', join: { note: 'the ticket here, of other, is not used' } });
  await says('a member of appliance one', 'of other, is not used');
});

it('says what is wrong with osca.yaml, and that nothing starts before it is right', async () => {
  rmSync(join(root, 'etc/default/osca-board'));
  put('run/osca-errors.txt', "osca.yaml, line 2, column 1: there is no key 'tiket'\n");
  await says('not started: it waits for an osca.yaml without errors', 'line 2, column 1', "no key 'tiket'");
});
