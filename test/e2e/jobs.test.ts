/** Jobs as people use them: run, runs, cancel, schedules and hooks, on plain processes of two daemons. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunRow, ScheduleRow } from '../../src/api/running.ts';
import { until } from '../until.ts';
import { gather, TestCell } from './cells.ts';

const [ann, ben] = [new TestCell('ann'), new TestCell('ben')];
const log = join(ann.folder, 'log');
const wrote = (): string[] => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []);

interface Found {
  runs: RunRow[];
  schedules: ScheduleRow[];
}
const found = async (target: string): Promise<Found> => await ben.json<Found>('runs', target);

beforeAll(async () => await gather(ann, ben), 60_000);
afterAll(async () => {
  for (const cell of [ann, ben]) await cell.stop();
});

const service = (name: string, command: string, more: string): string =>
  [`  ${name}:`, `    command: ${JSON.stringify(['sh', '-c', command])}`, more].join('\n');

describe('osca run', () => {
  beforeAll(async () => {
    const web = service('web', 'sleep 1000', '    environment: {COLOUR: red}\n    x-osca: {driver: process}');
    await ann.ok('deploy', ann.file('shop.yaml', `name: shop\nservices:\n${web}`));
  });

  it('prints what the command prints, and ends with its exit code', async () => {
    const done = await ben.osca('run', '-e', 'SIZE=2', 'shop/web', '--', 'sh', '-c', 'echo $COLOUR $SIZE; exit 3');
    expect(done.code).toBe(3);
    expect(done.stdout).toBe('red 2\n');
    expect(done.stderr).toMatch(/^shop\/web\.\w{6} accepted$/m);
    expect(done.stderr).toMatch(/on (ann|ben): exit code 3/);
    expect((await ann.osca('run', 'shop/web', '--', 'true')).code).toBe(0);
    // All of it, also of much in short, and the last line without an end.
    const much = await ann.ok('run', 'shop/web', '--', 'sh', '-c', 'seq 30000; printf last');
    expect(much).toBe([...Array.from({ length: 30_000 }, (_, i) => i + 1), 'last\n'].join('\n'));
    const { runs } = await found('shop/web');
    expect(runs.map(({ state, cause, reason }) => [state, cause, reason])).toEqual([
      ['done', 'request', ''],
      ['done', 'request', ''],
      ['failed', 'request', 'exit code 3'],
    ]);
    expect(await ben.ok('runs', 'shop')).toMatch(/shop\/web\.\w{6} +failed +osca run .*exit code 3/);
    // What it wrote can be read later, from any cell; the service is what it was.
    expect(await ann.ok('logs', runs[2]!.run)).toContain('red 2');
    expect(await ann.json('ps', 'shop')).toHaveLength(1);
  }, 30_000);

  it('goes on by itself where nobody waits, and can be cancelled', async () => {
    const name = (await ann.ok('run', '--detach', 'shop/web', '--', 'sleep', '1000')).trim();
    await until('it runs', async () =>
      (await found('shop')).runs.some(({ run, state }) => run === name && state === 'running'),
    );
    await ben.ok('cancel', name);
    await until('it is over', async () => (await ann.json<unknown[]>('ps', 'shop')).length === 1);
    expect((await found('shop')).runs[0]).toMatchObject({ run: name, state: 'failed', reason: 'cancelled by ben' });
    const again = await ben.osca('cancel', name);
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('has ended already')]);
  }, 30_000);

  it('refuses what is not there, with the way out', async () => {
    const none = await ann.osca('run', 'shop/wep', '--', 'true');
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('it has: web')]);
    const bad = await ann.osca('run', 'shop', '--', 'true');
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining('osca run APP/SERVICE -- COMMAND')]);
    const env = await ann.osca('run', '-e', 'SIZE', 'shop/web', '--', 'true');
    expect([env.code, env.stderr]).toEqual([2, expect.stringContaining('--env NAME=value')]);
  });
});

it('a job runs as often as it says, and can be run again by hand', async () => {
  const job = service(
    'job',
    `echo job >> ${log}; test -e ${log}`,
    '    deploy: {mode: replicated-job, replicas: 3}\n    x-osca: {driver: process}',
  );
  await ann.ok('deploy', ann.file('batch.yaml', `name: batch\nservices:\n${job}`));
  await until('it is done', async () => (await found('batch')).runs[0]?.state === 'done');
  expect(wrote()).toEqual(['job', 'job', 'job']);
  // A write is safe on one other cell; the third may hear of it a moment later.
  await until('ben knows of it', async () => (await ben.osca('runs', 'batch')).code === 0);
  expect((await ben.osca('run', 'batch/job')).code).toBe(0);
  await until('it ran again', async () => wrote().length === 6);
}, 30_000);

it('a schedule runs at its times, and tells the next', async () => {
  const tick = service('tick', `echo tick >> ${log}`, '    x-osca: {driver: process, schedule: "*/2 * * * * *"}');
  await ann.ok('deploy', ann.file('clock.yaml', `name: clock\nservices:\n${tick}`));
  await until(
    'it ran three times',
    async () => (await found('clock')).runs.filter(({ state }) => state === 'done').length >= 3,
  );
  const { runs, schedules } = await found('clock');
  expect(new Set(runs.map(({ run }) => run)).size).toBe(runs.length);
  expect(runs.every(({ atMs }) => atMs % 2_000 === 0)).toBe(true);
  expect(schedules).toMatchObject([{ app: 'clock', service: 'tick', cron: '*/2 * * * * *', timezone: 'UTC' }]);
  await ann.ok('stop', 'clock');
  expect((await found('clock')).schedules[0]!.nextMs).toBeUndefined();
  expect(await ann.ok('runs', 'clock')).toMatch(/stopped/);
}, 60_000);

describe('a hook before a deploy', () => {
  const spec = (form: number, hook: string): string =>
    [
      'name: site',
      'services:',
      service(
        'web',
        `sleep ${form}`,
        `    x-osca: {driver: process, pre_deploy: {command: ["sh", "-c", ${JSON.stringify(hook)}]}}`,
      ),
    ].join('\n');

  it('runs first; where it fails nothing changes, and the deploy says why', async () => {
    await ann.ok('deploy', ann.file('site.yaml', spec(1001, `echo hook-1 >> ${log}`)));
    expect(wrote().filter((line) => line === 'hook-1')).toHaveLength(1);
    await until('it is through', async () => (await ann.ok('history', 'site')).includes('done'));
    const before = await ann.json<{ hash: string }[]>('ps', 'site');
    const bad = await ben.osca('deploy', ann.file('site.yaml', spec(1002, 'echo no such table; exit 4')));
    expect(bad.code).toBe(1);
    expect(bad.stderr).toMatch(/pre_deploy of web: exit code 4; revision 2 is rolled back, site runs revision 1 again/);
    expect(bad.stderr).toContain('no such table');
    expect((await ann.json<{ hash: string }[]>('ps', 'site'))[0]!.hash).toBe(before[0]!.hash);
    // The first time there is nothing to go back to.
    const first = await ben.osca('deploy', '--name', 'fresh', ann.file('fresh.yaml', spec(1004, 'exit 5')));
    expect([first.code, first.stderr]).toEqual([
      1,
      expect.stringContaining('pre_deploy of web: exit code 5; the service does not begin'),
    ]);
    await ben.ok('deploy', ann.file('site.yaml', spec(1003, `echo hook-3 >> ${log}`)));
    expect(wrote().filter((line) => line === 'hook-3')).toHaveLength(1);
  }, 60_000);
});
