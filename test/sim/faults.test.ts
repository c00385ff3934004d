/** Random lives with fixed seeds, and the seeds that once failed. OSCA_SEEDS=name,name replays; `npm run sim` tries fresh ones. */
import { describe, expect, it } from 'vitest';
import { live } from './life.ts';

const fixed = Array.from({ length: 40 }, (_, i) => `fault-${i}`);
/** Found by `npm run sim` and mended since. */
const once = ['mwq8u2zo-26'];

describe('after the faults stop', () => {
  it.each(process.env.OSCA_SEEDS?.split(',') ?? [...once, ...fixed])('everything comes right: seed %s', (seed) => {
    expect(live({ seed }).up().length).toBeGreaterThan(0);
  });
});
