/** Every spec in the documents is one: it reads as it stands there. */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readSpec } from '../../src/specs/read.ts';

const root = new URL('../..', import.meta.url).pathname;
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)];
const examples = pages.flatMap((page) =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, text], i) => ({
    name: `${page} ${i + 1}`,
    text: text!,
  })),
);

it.each(examples)('$name', ({ text }) => {
  const file = join(mkdtempSync(join(tmpdir(), 'osca-example-')), 'compose.yaml');
  writeFileSync(file, text);
  const { app } = readSpec({ file, env: { DB_PASSWORD: 'sesame' }, profiles: [] });
  expect(app.services.length).toBeGreaterThan(0);
});

it('there are some', () => {
  expect(examples.length).toBeGreaterThan(5);
});
