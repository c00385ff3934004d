/** A strict service on real daemons: it runs while most cells are there, and is held back by a minority, in words. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../until.ts';
import { TestCell } from './cells.ts';

const cells = ['ann', 'ben', 'cleo'].map((name) => new TestCell(name));
const [ann, ben, cleo] = cells as [TestCell, TestCell, TestCell];

interface Row {
  replica: string;
  cell: string;
  state: string;
  reason: string;
}

beforeAll(async () => {
  await ann.up('--found');
  const { ticket } = await ann.json<{ ticket: string }>('ticket', 'create', '--uses', '2');
  await Promise.all([ben.up('--ticket', ticket), cleo.up('--ticket', ticket)]);
  await until('three cells', async () => (await ann.json<{ alive: number }>('status')).alive === 3);
}, 60_000);
afterAll(async () => {
  for (const cell of cells) await cell.stop();
});

it('runs while most are there, moves when its cell dies, and is held back by a minority', async () => {
  const file = ann.file(
    'db.yaml',
    'name: db\nservices:\n  one:\n    command: sleep 1000\n    x-osca: { driver: process, singleton: strict }\n',
  );
  expect((await ann.osca('deploy', file)).code).toBe(0);
  const [row] = await ann.json<Row[]>('ps', 'db');
  const home = cells.find(({ name }) => name === row!.cell)!;
  const [next, last] = cells.filter((cell) => cell !== home) as [TestCell, TestCell];
  await home.stop('SIGKILL');
  await until(
    'it runs elsewhere',
    async () => (await next.json<Row[]>('ps', 'db')).some(({ state, cell }) => state === 'ready' && cell !== home.name),
    40_000,
  );
  await last.stop('SIGKILL');
  const rows = await until(
    'it is held back',
    async () => {
      const all = await next.json<Row[]>('ps', 'db');
      return all.some(({ state }) => state === 'ready') ? undefined : all;
    },
    40_000,
  );
  expect(rows.length).toBeGreaterThan(0);
  expect(await next.ok('status')).toContain('minority: strict services are held back, 1 of 3 cells seen');
}, 120_000);
