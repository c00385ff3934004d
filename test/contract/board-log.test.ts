/** What of a board's log, which is in memory, comes to its data partition. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../until.ts';

const script = new URL('../../images/pi-flash/overlay/usr/lib/osca-board/log', import.meta.url).pathname;
let root: string;
let board: ChildProcess;
const at = (path: string): string => join(root, path);
const folder = (): string => at('data/log');
const text = (name = 'log'): string => {
  const path = join(folder(), name);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
};
/** New in the journal. */
const say = (lines: string): void => writeFileSync(at('said'), lines);
const hour = (): void => writeFileSync(at('hour'), '');
const end = async (): Promise<void> => {
  const gone = new Promise((done) => board.once('exit', done));
  board.kill('SIGTERM');
  await gone;
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'osca-log-'));
  for (const path of ['tools', 'data', 'run']) mkdirSync(at(path));
  const tool = (name: string, lines: string): void =>
    writeFileSync(at(`tools/${name}`), `#!/bin/sh\n${lines}\n`, { mode: 0o755 });
  tool('journalctl', 'cat "$OSCA_ROOT/said" && : >"$OSCA_ROOT/said"');
  tool('sleep', 'until [ -e "$OSCA_ROOT/hour" ]; do /bin/sleep 0.02; done; rm "$OSCA_ROOT/hour"');
  say('');
  const env = { PATH: `${at('tools')}:/usr/bin:/bin`, OSCA_ROOT: root };
  board = spawn('sh', [script], { env, stdio: ['ignore', 'ignore', 'inherit'], detached: true });
});
afterEach(() => {
  // With what sleeps.
  try {
    process.kill(-board.pid!, 'SIGKILL');
  } catch {
    // It has ended, and all that it had begun.
  }
  rmSync(root, { recursive: true });
});

it('is what is new, every hour and at the end, for root alone', async () => {
  say('one\n');
  hour();
  await until('the first hour is there', () => text() === 'one\n');
  expect(statSync(folder()).mode & 0o777).toBe(0o700);
  say('two\n');
  await end();
  expect(text()).toBe('one\ntwo\n');
});

it('is never more than six megabytes, however much is said', async () => {
  for (let i = 0; i < 6; i++) {
    say(`${'x'.repeat(3_000_000)}${i}\n`);
    hour();
    const isThere = (): boolean => [text(), text('log.1')].some((one) => one.endsWith(`x${i}\n`));
    await until('it is there', isThere);
  }
  say('last\n');
  await end();
  expect(readdirSync(folder()).sort()).toEqual(['log', 'log.1']);
  const bytes = ['log', 'log.1'].map((name) => statSync(join(folder(), name)).size);
  expect(bytes[0]! + bytes[1]!).toBeLessThanOrEqual(6 * 1_048_576);
  expect(text()).toMatch(/last\n$/);
});
