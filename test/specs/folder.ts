/** Spec files of one test, in a folder of their own that is gone after it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { SpecProblem } from '../../src/core/errors.ts';
import { SpecError } from '../../src/core/errors.ts';
import type { ServiceSpec } from '../../src/core/spec.ts';
import type { ComposeResult } from '../../src/specs/compose.ts';
import { readCompose } from '../../src/specs/compose.ts';

export let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'osca-spec-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

export function put(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** As the file of an app that is called shop. */
export function read(text: string, env: Record<string, string> = {}, profiles: string[] = []): ComposeResult {
  return readCompose({ file: put('shop/compose.yaml', text), env, profiles });
}

/** One service, its image given. */
export function service(text: string, env: Record<string, string> = {}): ServiceSpec {
  return read(`services:\n  web:\n    image: nginx\n${text}`, env).app.services[0]!;
}

export function problems(run: () => unknown): SpecProblem[] {
  try {
    run();
  } catch (error) {
    if (error instanceof SpecError) return error.problems;
    throw error;
  }
  throw new Error('nothing was refused');
}
