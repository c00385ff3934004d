/** Random lives with fixed seeds, and the seeds that once failed. `npm run sim` tries fresh ones. */
import { describe, expect, it } from 'vitest';
import { live } from './life.ts';
import { fixedLives } from './seeds.ts';

describe('after the faults stop', () => {
  it.each(fixedLives().map((life) => [life.seed, life] as const))(
    'everything comes right: seed %s',
    (_seed, life) => {
      expect(live(life).up().length).toBeGreaterThan(0);
    },
    60_000,
  );
});
