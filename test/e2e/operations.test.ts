/** Machines and files as docs/OPERATIONS.md has them: cordon, replace, several files, convert. */
import { dirname } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CellRow, ReplicaRow } from '../../src/api/rows.ts';
import { until } from '../until.ts';
import { gather, TestCell } from './cells.ts';

const [ann, ben, cam] = [new TestCell('ann'), new TestCell('ben'), new TestCell('cam')];
const rows = async (): Promise<ReplicaRow[]> => await ann.json<ReplicaRow[]>('ps', 'shop');
const cells = async (): Promise<CellRow[]> => (await ann.json<{ cells: CellRow[] }>('cell', 'ls')).cells;
const web = 'services:\n  web:\n    command: sleep 1000\n    x-osca: {driver: process}\n';

beforeAll(async () => await gather(ann, ben, cam), 60_000);
afterAll(async () => {
  for (const cell of [ann, ben, cam]) await cell.stop();
});

it('two files are one, and convert says what they mean', async () => {
  const files = [
    ann.file('shop/compose.yaml', web),
    ann.file('shop/more.yaml', 'services: {web: {deploy: {replicas: 3}}}'),
  ];
  expect(JSON.parse(await ben.ok('convert', ...files))).toMatchObject({
    app: { name: 'shop', services: [{ name: 'web', replicas: 3, command: ['sleep', '1000'] }] },
  });
  await ann.ok('deploy', ...files);
  expect(await rows()).toHaveLength(3);
  expect((await ann.osca('plan', ...files)).code).toBe(0);
  const plan = await ann.osca('plan', files[0]!);
  expect([plan.code, plan.stdout]).toEqual([1, expect.stringContaining('replicas: 3 → 1')]);
});

it('all manifests of a folder are one app, called like it', async () => {
  const kind = (name: string): string => `apiVersion: v1\nkind: ${name}\nmetadata: { name: web }\n`;
  const config = ann.file('blog/k8s/b.yaml', `${kind('ConfigMap')}data: { PORT: "80" }\n`);
  const container = '{ name: web, image: web, envFrom: [{ configMapRef: { name: web } }] }';
  ann.file('blog/k8s/a.yml', `${kind('Pod')}spec: { containers: [${container}] }\n`);
  ann.file('blog/k8s/values.yaml', 'replicas: 3\n');
  expect(JSON.parse(await ben.ok('convert', dirname(config)))).toMatchObject({
    app: { name: 'blog', services: [{ name: 'web', environment: { PORT: '80' } }] },
  });
  ann.file('blog/k8s/kustomization.yaml', 'images: [{ name: web, newTag: "2" }]\n');
  const changed = await ben.osca('convert', dirname(config));
  expect([changed.code, changed.stderr]).toEqual([2, expect.stringContaining('kubectl kustomize')]);
  const none = await ben.osca('convert', ann.folder);
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('and no Kubernetes manifest')]);
});

it('a cordoned cell keeps what it runs, and gets nothing more until it is resumed', async () => {
  const on = async (): Promise<number> => (await rows()).filter(({ cell }) => cell === 'ben').length;
  const before = await on();
  expect(await ann.ok('cell', 'cordon', 'ben')).toContain('osca cell resume ben');
  await ann.ok('scale', 'shop/web=8');
  await until('all run', async () => (await rows()).filter(({ state }) => state === 'ready').length === 8);
  expect(await on()).toBe(before);
  expect(await ann.ok('cell', 'ls')).toMatch(/ben +alive cordoned/);
  await ann.ok('cell', 'resume', 'ben');
  expect((await cells()).find(({ name }) => name === 'ben')!.cordon).toBe(false);
}, 30_000);

it('restart goes through one replica after the other', async () => {
  const before = new Set((await rows()).map(({ hash }) => hash));
  await ann.ok('restart', '--rolling', 'shop/web');
  await until('all are new', async () => {
    const now = await rows();
    return now.length === 8 && now.every(({ state, hash }) => state === 'ready' && !before.has(hash));
  });
}, 60_000);

it('another cell takes the place of one, with its name and labels', async () => {
  await ann.ok('cell', 'label', 'ben', 'disk=ssd');
  const told = await ann.ok('cell', 'replace', 'ben', '--with', 'cam');
  expect(told).toContain('cam is ben now; the old one is called ben-former and is drained');
  await until('they are called so', async () => {
    const now = await cells();
    const fresh = now.find(({ name }) => name === 'ben');
    return fresh?.labels.disk === 'ssd' && now.find(({ name }) => name === 'ben-former')?.drain === true;
  });
  const wrong = await ann.osca('cell', 'replace', 'ben', '--with', 'ben');
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('name another')]);
}, 30_000);
