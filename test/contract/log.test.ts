/** When the lines of a plain process were written, by files of any age and size. */
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LogKeeper, readLog } from '../../src/runtime/process/log.ts';

let folder: string;
let log: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'osca-log-'));
  log = join(folder, 'log');
});
afterEach(() => rmSync(folder, { recursive: true }));

const wrote = (text: string, minutesAgo: number): void => {
  appendFileSync(log, text);
  const at = (Date.now() - minutesAgo * 60_000) / 1_000;
  utimesSync(log, at, at);
};
async function since(minutes: number): Promise<string[]> {
  const lines: string[] = [];
  const query = { follow: false, sinceMs: Date.now() - minutes * 60_000, signal: AbortSignal.timeout(5_000) };
  for await (const { text } of readLog(folder, query, () => true)) lines.push(text);
  return lines;
}

it('tells what is of late from what was there before a daemon or a process began anew', async () => {
  wrote('an hour ago\n', 60);
  new LogKeeper(folder).look();
  wrote('half an hour ago, and its end\n', 30);
  new LogKeeper(folder).look(true);
  wrote('now', 0);
  expect(await since(5)).toEqual(['now']);
  expect(await since(45)).toEqual(['half an hour ago, and its end', 'now']);
  expect(await since(90)).toHaveLength(3);
});

it('keeps no more notes than a few hundred kilobytes, the older ones sparser', async () => {
  const keeper = new LogKeeper(folder);
  for (let i = 0; i < 15_000; i++) {
    wrote(`${i}\n`, 500 - i / 50);
    keeper.look(true);
  }
  expect(statSync(`${log}.times`).size).toBeLessThan(262_144);
  const lines = await since(300);
  expect(Number(lines[0])).toBeGreaterThan(9_900);
  expect(Number(lines[0])).toBeLessThan(10_100);
  expect(lines.at(-1)).toBe('14999');
});

it('begins anew with what is too large, and its times with it', async () => {
  const keeper = new LogKeeper(folder);
  wrote('early\n', 60);
  keeper.look();
  writeFileSync(log, 'x'.repeat(8_400_000));
  keeper.look();
  expect([statSync(log).size, existsSync(`${log}.times`)]).toEqual([0, false]);
  expect(readFileSync(`${log}.times.1`, 'utf8')).toMatch(/^6 \d+\n$/);
  wrote('late\n', 0);
  keeper.look();
  expect((await since(1)).at(-1)).toBe('late');
});
