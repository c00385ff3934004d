/** The demo, as somebody's first minute with OSCA: it shows what it promises, and leaves nothing behind, however it ends. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { until } from '../until.ts';
import { root } from './cells.ts';

const folder = mkdtempSync(join(tmpdir(), 'osca-demos-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function demo(name: string, ...words: string[]) {
  const temp = mkdtempSync(join(folder, name));
  const env = { ...process.env, TMPDIR: temp };
  const child = spawn(join(root, 'osca'), ['demo', ...words], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => (said += piece.toString()));
  const ended = new Promise<number | null>((done) => child.once('exit', (code) => done(code)));
  return { child, temp, ended, said: () => said };
}

/** Processes that were started by it: all know where their temporary files go, or were told. */
function left(temp: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return ['environ', 'cmdline'].some((file) => readFileSync(`/proc/${pid}/${file}`, 'latin1').includes(temp));
    } catch {
      return false;
    }
  });
}

it('shows a dead cell’s replica come back, and ends by itself where it is asked to', async () => {
  const { ended, said, temp } = demo('exit', '--exit');
  expect(await ended).toBe(0);
  expect(said()).toMatch(/3 of 3 replicas run again, [\d.]+ s after the kill/);
  expect(said().match(/Hello from OSCA/g)).toHaveLength(3);
  expect(left(temp)).toEqual([]);
  expect(readdirSync(temp)).toEqual([]);
}, 60_000);

it.each(['SIGINT', 'SIGKILL'] as const)('leaves no process behind after %s', async (signal) => {
  const { child, ended, said, temp } = demo(signal);
  await until('it shows its URLs', () => said().includes('Hello from OSCA, I am hello/web/3'), 60_000);
  expect(left(temp).length).toBeGreaterThan(6);
  child.kill(signal);
  expect(await ended).toBe(signal === 'SIGINT' ? 0 : null);
  await until('nothing runs', () => left(temp).length === 0, 20_000);
}, 90_000);
