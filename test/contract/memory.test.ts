/** What the C library keeps of freed memory, in a process of its own. */
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';

const source = new URL('../../src/runtime/facts/memory.ts', import.meta.url).href;

it('gives back what lies between blocks that live, and leaves those as they are', () => {
  const script = `
    const { trim } = await import(${JSON.stringify(source)});
    let blocks = Array.from({ length: 20_000 }, (_, i) => Buffer.alloc(3_000, i % 251));
    const kept = blocks.filter((_, i) => i % 10 === 0);
    blocks = undefined;
    gc();
    await new Promise((done) => setTimeout(done, 200));
    const full = process.memoryUsage.rss();
    trim();
    const after = process.memoryUsage.rss();
    const whole = kept.every((block, i) => block.every((byte) => byte === (i * 10) % 251));
    console.log(JSON.stringify({ given: full - after, whole }));`;
  const flags = ['--expose-gc', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
  const said = execFileSync(process.execPath, flags, {
    encoding: 'utf8',
    env: { ...process.env, MALLOC_ARENA_MAX: '1' },
  });
  const { given, whole } = JSON.parse(said) as { given: number; whole: boolean };
  expect(whole).toBe(true);
  // Sixty megabytes were in use, and six are.
  expect(given).toBeGreaterThan(20e6);
});
