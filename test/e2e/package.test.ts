import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { archOf, makePackage } from '../../src/provision/package.ts';

const root = new URL('../..', import.meta.url).pathname;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'osca-package-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Its hash. The clock goes on while it is made. */
async function made(): Promise<string> {
  const arch = archOf(process.arch)!;
  const file = await makePackage({ root, arch, node: process.execPath, version: '0.0.1', folder, small: false });
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

it('is the same of the same copy, so that an image of it is not made anew', async () => {
  const first = await made();
  expect(await made()).toBe(first);
}, 60_000);
