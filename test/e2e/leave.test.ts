/** SIGTERM: a cell hands over what it runs before it goes, and at no moment is one replica less ready. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { gather, TestCell } from './cells.ts';

const [ann, ben] = ['ann', 'ben'].map((name) => new TestCell(name)) as [TestCell, TestCell];

beforeAll(async () => await gather(ann, ben), 60_000);
afterAll(async () => {
  for (const cell of [ann, ben]) await cell.stop();
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
