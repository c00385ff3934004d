import { describe, expect, it } from 'vitest';
import { Flapping } from '../../src/core/flapping.ts';

const minute = 60_000;

describe('a cell that falls often', () => {
  it('is free three times in ten minutes, then held back twice as long each time, two minutes at most', () => {
    const flapping = new Flapping();
    const held: number[] = [];
    for (let i = 1; i <= 10; i++) {
      flapping.fell(i * 10_000);
      held.push(flapping.state(i * 10_000).heldMs / 1_000);
    }
    expect(held).toEqual([0, 0, 0, 5, 10, 20, 40, 80, 120, 120]);
    expect(flapping.state(100_000 + 119_000).heldMs).toBe(1_000);
    expect(flapping.state(100_000 + 121_000)).toEqual({ falls: 10, heldMs: 0 });
    expect(flapping.state(100_000 + 10 * minute)).toEqual({ falls: 0, heldMs: 0 });
  });

  it('counts falls close together once, and earlier starts whatever the order', () => {
    const flapping = new Flapping();
    flapping.boot([1_000, 4 * minute, 2 * minute, 20 * minute, -5_000], 30 * minute);
    flapping.fell(30 * minute + 500);
    expect(flapping.state(30 * minute).falls).toBe(3);
  });
});
