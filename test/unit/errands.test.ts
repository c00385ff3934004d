import { describe, expect, it } from 'vitest';
import { Errands } from '../../src/gossip/errands.ts';

describe('pings for others', () => {
  it('go once for all who ask, and the answer goes to each by the number it asked with', () => {
    const errands = new Errands();
    const number = errands.begin('ann', 'eve', 7, 0)!;
    expect(number).not.toBe(7);
    expect(errands.begin('bob', 'eve', 7, 10)).toBeUndefined();
    expect(errands.begin('bob', 'eve', 7, 20)).toBeUndefined();
    expect(errands.end('eve', number)).toEqual({ askers: ['ann', 'bob'], q: 7 });
    expect(errands.end('eve', number)).toBeUndefined();
  });

  it('are not taken for my own', () => {
    const errands = new Errands();
    errands.begin('ann', 'eve', 7, 0);
    expect(errands.end('eve', 7)).toBeUndefined();
  });

  it('are forgotten after a while, and go anew where somebody asks again', () => {
    const errands = new Errands();
    const number = errands.begin('ann', 'eve', 7, 0)!;
    errands.begin('ann', 'eve', 8, 9_000);
    errands.fade(10_000);
    expect(errands.end('eve', number)).toBeUndefined();
    expect(errands.begin('ann', 'eve', 8, 10_000)).toBeUndefined();
    expect(errands.begin('ann', 'eve', 7, 10_000)).toBe(number);
  });

  it('are still sent where too many wait, and nobody is told', () => {
    const errands = new Errands();
    for (let q = 0; q < 1_000; q++) errands.begin('ann', 'eve', q, 0);
    const number = errands.begin('ann', 'eve', 1_000, 0)!;
    expect(number).toBeDefined();
    expect(errands.end('eve', number)).toBeUndefined();
  });
});
