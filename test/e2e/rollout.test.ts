/** A change that takes a while: `osca status` tells who leads it, on every cell, and forgets it when it is over. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../until.ts';
import { TestCell } from './cells.ts';

const [ann, ben] = [new TestCell('ann'), new TestCell('ben')];

beforeAll(async () => {
  await ann.up('--found');
  const { ticket } = await ann.json<{ ticket: string }>('ticket', 'create');
  await ben.up('--ticket', ticket);
  await until('two cells', async () => (await ann.json<{ alive: number }>('status')).alive === 2);
}, 60_000);
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
      return status.includes('rollout/slow/web') ? status : undefined;
    });
    expect(text).toMatch(/duty +rollout\/slow\/web: (ann|ben) leads, now 1$/m);
  }
  ann.file('../ok-1001', '');
  expect((await deploy).code).toBe(0);
  for (const cell of [ann, ben])
    await until('it is over', async () => !(await cell.ok('status')).includes('rollout/slow/web'));
}, 60_000);
