/** Cells of this version and of an older one, frozen in the history, are one appliance. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReplicaRow } from '../../src/api/rows.ts';
import { until } from '../until.ts';
import { root, TestCell } from './cells.ts';

/** The last before upgrades, and before cells said that they return. */
const frozen = '125e4d5cc2a60d4001e49e07b7a46316a289a61c';
const folder = mkdtempSync(join(tmpdir(), 'osca-e2e-frozen-'));
const git = (...args: string[]): string =>
  execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', stdio: 'pipe' });
/** A copy without its history can't hold this. */
const isHere = ((): boolean => {
  try {
    return existsSync(join(root, '.git')) && git('cat-file', '-t', frozen).trim() === 'commit';
  } catch {
    return false;
  }
})();

let older: TestCell;
let newer: TestCell;

beforeAll(async () => {
  if (!isHere) return;
  execFileSync('sh', ['-c', 'git -C "$1" archive "$2" | tar -x -C "$3"', 'sh', root, frozen, folder]);
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  execFileSync(join(folder, 'osca'), ['_setup'], { stdio: 'ignore' });
  older = new TestCell('older', { launcher: join(folder, 'osca') });
  newer = new TestCell('newer');
}, 120_000);
afterAll(async () => {
  for (const cell of [older, newer]) await cell?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const app = (line: string): string =>
  `name: app\nservices:\n  web: { command: [sh, -c, '${line}'], working_dir: /, stop_grace_period: 1s, x-osca: { driver: process }, deploy: { replicas: 4 } }\n`;

describe.runIf(isHere)('an appliance of two versions', () => {
  it.each([
    ['the older founds it', () => [older, newer] as const],
    ['the newer founds it', () => [newer, older] as const],
  ])(
    'where %s: joins, deploys, logs and commands work both ways',
    async (_name, pair) => {
      const [first, second] = pair();
      await first.up('--found');
      const { ticket } = await first.json<{ ticket: string }>('ticket', 'create');
      await second.up('--ticket', ticket);
      for (const cell of [first, second])
        await until('two', async () => (await cell.json<{ alive: number }>('status')).alive === 2);
      const ready = async (cell: TestCell): Promise<ReplicaRow[]> =>
        (await cell.json<ReplicaRow[]>('ps', 'app')).filter(({ state }) => state === 'ready');
      for (const [by, word] of [
        [first, 'one'],
        [second, 'two'],
      ] as const) {
        await by.ok('deploy', by.file('app.yaml', app(`echo ${word}; exec sleep 1000`)));
        const rows = await ready(by);
        expect(new Set(rows.map(({ cell }) => cell))).toEqual(new Set(['older', 'newer']));
        for (const cell of [first, second])
          await until(
            'all logs',
            async () => (await cell.ok('logs', 'app')).split('\n').filter((line) => line.endsWith(word)).length === 4,
          );
      }
      for (const cell of [first, second]) {
        for (const { index } of await ready(cell))
          expect(await cell.ok('exec', `app/web/${index}`, '--', 'echo', 'hello')).toBe('hello\n');
        expect(await cell.ok('run', 'app/web', '--', 'echo', 'ran')).toContain('ran');
      }
      // What only the newer one says of itself does not disturb the older.
      const { counters } = await older.json<{ counters: Record<string, number> }>('status');
      expect(counters).not.toHaveProperty('malformed');
      const waits = await newer.osca('upgrade', '--json');
      expect(waits.stdout).toContain('by hand');
      await second.stop();
      await until(
        'it is missed',
        async () => (await ready(first)).filter(({ cell }) => cell === first.name).length === 4,
        30_000,
      );
      await first.ok('rm', 'app');
      await until('all has ended', async () => (await first.json<unknown[]>('ps')).length === 0);
      await first.stop();
      for (const cell of [first, second]) rmSync(cell.folder, { recursive: true, force: true });
    },
    120_000,
  );
});
