/** What the C library and V8 keep of freed memory, in processes of their own. */
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';

const source = new URL('../../src/runtime/facts/memory.ts', import.meta.url).href;

function run<T>(script: string, ...flags: string[]): T {
  const own = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
  const env = { ...process.env, MALLOC_ARENA_MAX: '1' };
  return JSON.parse(execFileSync(process.execPath, [...flags, ...own], { encoding: 'utf8', env })) as T;
}

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
  const { given, whole } = run<{ given: number; whole: boolean }>(script, '--expose-gc');
  expect(whole).toBe(true);
  // Sixty megabytes were in use, and six are.
  expect(given).toBeGreaterThan(20e6);
});

const busy = `
  const { makeHousekeeping } = await import(${JSON.stringify(source)});
  const keep = makeHousekeeping();
  const heap = () => process.memoryUsage().heapTotal / 1e6;
  const heaps = [];
  const look = () => { keep(); heaps.push(heap()); };
  look();
  look();
  let load = Array.from({ length: 300_000 }, (_, i) => ({ i, list: [i] }));
  look();
  load = undefined;
  look();
  look();
  console.log(JSON.stringify(heaps));`;

it('lets V8 give back what a busy time has left, once it is over', () => {
  const [, clean, loaded, calm, later] = run<number[]>(busy, '--expose-gc') as [number, number, number, number, number];
  expect(loaded).toBeGreaterThan(clean + 15);
  expect(calm).toBeLessThan(clean * 1.5);
  expect(later).toBeLessThan(clean * 1.5);
});

it('needs no gc() for the rest', () => expect(run<number[]>(busy)).toHaveLength(5));
