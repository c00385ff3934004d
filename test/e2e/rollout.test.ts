/** Changes as people see them: who leads, what fails and is taken back, what was, and the way between. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReplicaRow, RevisionRow } from '../../src/api/rows.ts';
import { until } from '../until.ts';
import { gather, TestCell } from './cells.ts';

const [ann, ben] = [new TestCell('ann'), new TestCell('ben')];

beforeAll(async () => await gather(ann, ben), 60_000);
afterAll(async () => {
  for (const cell of [ann, ben]) await cell.stop();
});

/** Healthy as soon as its folder has `ok`. */
const spec = (form: string): string =>
  [
    'name: slow',
    'services:',
    '  web:',
    `    command: sleep ${form}`,
    '    deploy: {replicas: 3}',
    `    healthcheck: {test: ["CMD-SHELL", "test -e ${ann.folder}/ok-${form}"], interval: 200ms, retries: 1000}`,
    '    x-osca: {driver: process}',
  ].join('\n');

it('shows who leads a rollout while it lasts', async () => {
  ann.file('../ok-1000', '');
  await ann.ok('deploy', ann.file('slow.yaml', spec('1000')));
  const deploy = ben.osca('deploy', ann.file('slow.yaml', spec('1001')));
  for (const cell of [ann, ben]) {
    const text = await until('it is told', async () => {
      const status = await cell.ok('status');
      return status.includes('rollout/slow') ? status : undefined;
    });
    expect(text).toMatch(/duty +rollout\/slow: (ann|ben) leads, now web\/1$/m);
  }
  ann.file('../ok-1001', '');
  expect((await deploy).code).toBe(0);
  for (const cell of [ann, ben])
    await until('it is over', async () => !(await cell.ok('status')).includes('rollout/slow'));
}, 60_000);

const shop = (command: string, config = ''): string =>
  [
    'name: shop',
    'services:',
    '  web:',
    `    command: ${command}`,
    `    deploy: {replicas: 3, update_config: {monitor: 1s, ${config}}}`,
    '    x-osca: {driver: process}',
  ].join('\n');

const history = async (): Promise<RevisionRow[]> => await ben.json<RevisionRow[]>('history', 'shop');
const commands = async (): Promise<string[]> => {
  const rows = await ann.json<ReplicaRow[]>('ps', 'shop');
  return rows.filter(({ state }) => state === 'ready').map(({ hash }) => hash);
};

describe('a revision that falls', () => {
  it('is taken back, and what ran before runs on', async () => {
    await ann.ok('deploy', ann.file('shop.yaml', shop('sleep 2000')));
    await until('it is through', async () => (await history())[0]?.state === 'done');
    const before = await commands();
    const { code, stderr } = await ben.osca('deploy', ann.file('shop.yaml', shop('sh -c "echo no luck; exit 3"')));
    expect(code).toBe(1);
    expect(stderr).toMatch(/shop\/web\/\d: exit code 3; revision 2 is rolled back, shop runs revision 1 again/);
    expect(stderr).toContain('no luck');
    await until('all as before', async () => (await commands()).join() === before.join());
    expect((await history()).map(({ number, state, running }) => [number, state, running])).toEqual([
      [2, 'rolled back', false],
      [1, 'done', true],
    ]);
    for (const cell of [ann, ben])
      expect(await cell.ok('events')).toMatch(/shop: revision 2 is rolled back, 1 runs again/);
    const again = await ann.osca('rollback', 'shop');
    expect(again.stderr).toContain('is back at revision 1 already: 2 was rolled back');
    expect(await ann.ok('ls')).toMatch(/revision 2 was rolled back: shop\/web\/\d: exit code 3/);
  });

  it('is paused where its file says so; somebody may insist, or go back', async () => {
    const bad = shop('sh -c "sleep 0.3; exit 4"', 'failure_action: pause');
    const { code, stderr } = await ann.osca('deploy', ann.file('shop.yaml', bad));
    expect(code).toBe(1);
    expect(stderr).toMatch(/exit code 4; shop is paused on its way to revision 3/);
    expect((await history())[0]).toMatchObject({ number: 3, state: 'paused', running: true });
    expect(await ben.ok('rollback', 'shop')).toContain('from revision 3 back to 1');
    expect((await ann.osca('deploy', ann.file('shop.yaml', bad))).stderr).toContain('is paused on its way');
    await ann.ok('resume', 'shop');
    // It is through at once where all of its replicas had fallen already: failures stop it no more.
    await until('it goes on', async () => ['on its way', 'done'].includes((await history())[0]!.state));
    const back = await ben.ok('rollback', 'shop');
    expect(back).toMatch(/from revision \d back to/);
    expect((await history())[0]).toMatchObject({
      state: 'done',
      running: true,
      note: expect.stringContaining('rollback to'),
    });
  });
}, 60_000);

describe('a pause', () => {
  it('keeps a change from going on until it is resumed, whoever deploys', async () => {
    await ann.ok('pause', 'shop');
    const before = await commands();
    const { stderr } = await ann.osca('deploy', ann.file('shop.yaml', shop('sleep 2001')));
    expect(stderr).toContain('paused by ann');
    expect(await commands()).toEqual(before);
    expect((await ann.osca('pause', 'shop')).stderr).toContain('paused already');
    await ben.ok('resume', 'shop');
    await until('it is through', async () => (await history())[0]?.state === 'done');
    expect((await commands())[0]).not.toBe(before[0]);
    expect((await ann.osca('resume', 'shop')).stderr).toContain('is not paused');
  });
}, 60_000);

describe('a rollback', () => {
  it('picks a revision by number or id, and refuses what is not there or runs already', async () => {
    const [now, ...older] = await history();
    expect((await ann.osca('rollback', 'shop', '77')).stderr).toContain("has no revision '77'");
    expect((await ann.osca('rollback', 'shop', String(now!.number))).stderr).toContain('already');
    expect((await ann.osca('rollback', 'nothing')).stderr).toContain("no app 'nothing'");
    const target = older.find(({ state }) => state === 'done')!;
    await ann.ok('rollback', 'shop', target.revision.slice(0, 6));
    expect((await history())[0]).toMatchObject({ revision: target.revision, running: true, state: 'done' });
  });
}, 60_000);
