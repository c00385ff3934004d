/** What the C library keeps of freed memory, in a process of its own. */
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';

const source = new URL('../../src/runtime/facts/memory.ts', import.meta.url).href;

it('gives back what lies between blocks that live, and leaves those as they are', () => {
  const script = `
    const { MemoryKeeper } = await import(${JSON.stringify(source)});
    const keeper = new MemoryKeeper();
    keeper.look(0);
    let blocks = Array.from({ length: 20_000 }, (_, i) => Buffer.alloc(3_000, i % 251));
    const kept = blocks.filter((_, i) => i % 10 === 0);
    blocks = undefined;
    gc();
    await new Promise((done) => setTimeout(done, 200));
    const full = process.memoryUsage.rss();
    keeper.look(30_000);
    const early = process.memoryUsage.rss();
    keeper.look(60_000);
    const after = process.memoryUsage.rss();
    const whole = kept.every((block, i) => block.every((byte) => byte === (i * 10) % 251));
    console.log(JSON.stringify({ early: full - early, after: full - after, whole }));`;
  const flags = ['--expose-gc', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
  const said = execFileSync(process.execPath, flags, {
    encoding: 'utf8',
    env: { ...process.env, MALLOC_ARENA_MAX: '1' },
  });
  const { early, after, whole } = JSON.parse(said) as { early: number; after: number; whole: boolean };
  expect(whole).toBe(true);
  // Sixty megabytes were in use, and six are; not more often than once a minute.
  expect(early).toBeLessThan(10e6);
  expect(after).toBeGreaterThan(20e6);
});
