/** Secrets as people use them, on plain processes of two daemons: read where they are needed, and nowhere else. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../until.ts';
import { gather, TestCell } from './cells.ts';

const [ann, ben] = [new TestCell('ann'), new TestCell('ben')];

beforeAll(async () => await gather(ann, ben), 60_000);
afterAll(async () => {
  for (const cell of [ann, ben]) await cell.stop();
});

const spec = `name: shop
secrets: {pw: {file: ./pw.txt}}
configs: {greeting: {content: hello}}
services:
  web:
    command: ["sh", "-c", "cat $$OSCA_FILES/greeting $$OSCA_FILES/pw | tr -d '\\n' | rev; echo; sleep 1000"]
    secrets: [pw]
    configs: [greeting]
    deploy: {replicas: 4}
    x-osca: {driver: process}
`;

/** Files below a folder that hold these bytes. */
function holding(folder: string, words: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter(
      (path) => lstatSync(path, { throwIfNoEntry: false })?.isFile() === true && !path.startsWith(join(folder, 'work')),
    )
    .filter((path) =>
      [words, Buffer.from(words).toString('base64url')].some((one) => readFileSync(path).includes(one)),
    );
}

it('a secret is read by its service on every cell, and found nowhere else', async () => {
  ann.file('pw.txt', 'open-sesame-42');
  await ann.ok('deploy', ann.file('shop.yaml', spec));
  const reversed = 'open-sesame-42'.split('').reverse().join('');
  await until('all have read it', async () => (await ben.ok('logs', 'shop/web')).split(reversed).length === 5);
  const rows = await ann.json<{ cell: string }[]>('ps', 'shop');
  expect(new Set(rows.map(({ cell }) => cell))).toEqual(new Set(['ann', 'ben']));
  for (const cell of [ann, ben]) {
    expect(await cell.ok('inspect', 'shop')).not.toContain('open-sesame');
    expect(holding(cell.folder, 'open-sesame-42')).toEqual([]);
  }
  expect((await ann.osca('plan', ann.file('shop.yaml', spec))).code).toBe(0);
  ann.file('pw.txt', 'another-word-17');
  const plan = await ann.osca('plan', ann.file('shop.yaml', spec));
  expect([plan.code, plan.stdout]).toEqual([1, expect.stringMatching(/~ replace.* web +files: /)]);
  expect(plan.stdout).not.toContain('another-word');
}, 60_000);
