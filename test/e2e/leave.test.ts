/** SIGTERM: a cell hands over what it runs before it goes, and at no moment is one replica less ready. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../until.ts';
import { gather, TestCell } from './cells.ts';

const [ann, ben] = ['ann', 'ben'].map((name) => new TestCell(name)) as [TestCell, TestCell];
const cid = new TestCell('cid', { isLifeline: false });

beforeAll(async () => await gather(ann, ben), 60_000);
afterAll(async () => {
  for (const cell of [ann, ben, cid]) await cell.stop(cell === cid ? 'SIGINT' : undefined);
});

it('hands over before it goes', async () => {
  const file = ann.file(
    'web.yaml',
    'name: web\nservices:\n  one:\n    command: sleep 1000\n    deploy: { replicas: 2 }\n    x-osca: { driver: process }\n',
  );
  await ann.ok('deploy', file);
  const ready = async (): Promise<string[]> =>
    (await ann.json<{ replica: string; cell: string; state: string }[]>('ps', 'web'))
      .filter(({ state }) => state === 'ready')
      .map(({ replica, cell }) => `${replica}@${cell}`);
  expect(new Set((await ready()).map((one) => one.split('@')[1]))).toEqual(new Set(['ann', 'ben']));
  const gone = ben.stop('SIGTERM');
  let isGone = false;
  void gone.then(() => (isGone = true));
  while (!isGone) {
    const replicas = new Set((await ready()).map((one) => one.split('@')[0]));
    expect(replicas.size).toBe(2);
  }
  expect(await ready()).toEqual(['web/one/1@ann', 'web/one/2@ann']);
  const { cells } = await ann.json<{ cells: { name: string; state: string }[] }>('cell', 'ls');
  expect(cells.find(({ name }) => name === 'ben')).toMatchObject({ state: 'left' });
}, 60_000);

it('hands over what it runs also where it has only just started, and heard of nobody yet', async () => {
  const { ticket } = await ann.json<{ ticket: string }>('ticket', 'create');
  await cid.up('--ticket', ticket);
  await until('both are there', async () => (await ann.json<{ alive: number }>('status')).alive === 2);
  await ann.ok(
    'deploy',
    ann.file(
      'shop.yaml',
      'name: shop\nservices:\n  one:\n    command: sleep 987654\n    deploy: { replicas: 2 }\n    x-osca: { driver: process }\n',
    ),
  );
  const ready = async (): Promise<string[]> =>
    (await ann.json<{ cell: string; state: string }[]>('ps', 'shop'))
      .filter(({ state }) => state === 'ready')
      .map(({ cell }) => cell);
  expect((await ready()).sort()).toEqual(['ann', 'cid']);
  const processes = (): number =>
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((name) => commandOf(name) === 'sleep\x00987654\x00').length;
  // It starts anew, what it runs goes on; nobody answers it when it is told to go.
  await cid.stop('SIGUSR2');
  expect(processes()).toBe(2);
  ann.child!.kill('SIGSTOP');
  let isGone = false;
  try {
    await cid.up();
    const gone = cid.stop('SIGTERM').then(() => (isGone = true));
    await until('it says so', async () => {
      const listed = await cid.osca('cell', 'ls', '--json');
      return isGone || (listed.code === 0 && listed.stdout.includes('"leaving": true'));
    });
    ann.child!.kill('SIGCONT');
    await gone;
  } finally {
    ann.child!.kill('SIGCONT');
  }
  expect(await ready()).toEqual(['ann', 'ann']);
  expect(processes()).toBe(2);
  await ann.ok('rm', 'shop');
}, 60_000);

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
