/** The simulator finds what it is for: with a bug planted, the fixed seeds break. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mutations } from './mutations.ts';

async function simulate(mutation: string): Promise<{ code: number | null; said: string }> {
  const args = ['--disable-warning=ExperimentalWarning', '--import', join(import.meta.dirname, 'mutate.ts')];
  const child = spawn(process.execPath, [...args, join(import.meta.dirname, 'run.ts'), '--fixed'], {
    env: { ...process.env, MUTATION: mutation },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return await new Promise((resolve) => child.once('close', (code) => resolve({ code, said })));
}

describe('a planted bug is found', () => {
  it.each(mutations.map(({ name }) => name))('%s', async (name) => {
    const { code, said } = await simulate(name);
    expect(said).toContain('broken: ');
    expect(code).toBe(1);
  }, 120_000);
});
