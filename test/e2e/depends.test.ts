/** Services that wait for each other, on two cells; in words that people read, and with what runs left alone. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ReplicaRow } from '../../src/api/rows.ts';
import { until } from '../until.ts';
import { gather, TestCell } from './cells.ts';

const [ann, ben] = [new TestCell('ann'), new TestCell('ben')];

beforeAll(async () => await gather(ann, ben), 60_000);
afterAll(async () => {
  for (const cell of [ann, ben]) await cell.stop();
});

const rows = async (): Promise<Record<string, ReplicaRow>> =>
  Object.fromEntries((await ben.json<ReplicaRow[]>('ps', 'chain')).map((row) => [row.service, row]));

it('starts each when what it depends on is there, and keeps it when that goes', async () => {
  const file = ann.file(
    'chain.yaml',
    `name: chain
services:
  web:
    command: sleep 1000
    depends_on: {db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}}
    x-osca: {driver: process}
  migrate:
    command: sh -c "while ! test -e ${ann.folder}/go; do sleep 0.05; done"
    restart: "no"
    depends_on: [db]
    x-osca: {driver: process}
  db:
    command: sleep 1000
    healthcheck: {test: ["CMD-SHELL", "test -e ${ann.folder}/healthy"], interval: 100ms, retries: 1000}
    x-osca: {driver: process}
`,
  );
  const deploy = ann.osca('deploy', file);
  await until('web waits for db', async () => (await rows()).web?.reason.includes('waits for db: no replica'));
  await until('migrate runs', async () => (await rows()).migrate?.state === 'ready');
  ann.file('../healthy', '');
  await until('web waits for migrate', async () => (await rows()).web?.reason.includes('waits for migrate'));
  ann.file('../go', '');
  expect((await deploy).code).toBe(0);
  const { web } = await rows();
  expect(web).toMatchObject({ state: 'ready', restarts: 0 });
  await ann.ok('stop', 'chain/db');
  await until('db is gone', async () => (await rows()).db === undefined);
  expect((await rows()).web).toMatchObject({ state: 'ready', restarts: 0 });
}, 60_000);
