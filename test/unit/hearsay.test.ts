/** What others say of a death counts where I can't reach it either. */
import { describe, expect, it } from 'vitest';
import { encodeFrame } from '../../src/core/frames.ts';
import { appliance } from '../sim/makers.ts';

describe('a cell that watches another, which does not answer', () => {
  /** h1 alone, all others dead; what it thinks of h6 when h2 is heard to say that h6 is down. */
  const alone = () => {
    const world = appliance(6, { seed: 'hearsay' });
    const idOf = (name: string): string => world.hosts.get(name)!.id;
    const of = () => world.view('h1').members.find(({ id }) => id === idOf('h6'))!;
    const { incarnation } = of();
    for (const name of ['h2', 'h3', 'h4', 'h5', 'h6']) world.powerOff(name);
    const told = (inc: number): string => {
      const text = encodeFrame({ t: 'have', items: [[idOf('h6'), inc, 1, 1]], sv: '', reply: false });
      world.give('h1', { type: 'frame', from: idOf('h2'), text, sealed: false });
      world.run(20);
      return of().state;
    };
    return { world, incarnation, told, of };
  };

  it('is missed a little longer, and held down when another does: alerts of its other observers may be lost', () => {
    const { world, incarnation, told, of } = alone();
    world.until(() => of().state === 'suspect', 4_000, 'missed');
    expect(told(incarnation)).toBe('suspect');
    world.until(() => of().state === 'down', 2_500, 'missed again');
  });

  it('does not before it has missed it, and not for an earlier life', () => {
    const { world, incarnation, told, of } = alone();
    expect(told(incarnation)).toBe('alive');
    world.until(() => of().state === 'suspect', 4_000, 'missed');
    told(incarnation - 1);
    world.run(2_500);
    expect(of().state).toBe('suspect');
  });
});
