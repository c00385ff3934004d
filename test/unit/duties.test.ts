/** Who owns a duty, whose order is obeyed, and what a rollout lets change. */
import { describe, expect, it } from 'vitest';
import { epochOf, newest, obeyed, ownerOf } from '../../src/placement/duties.ts';

const order = (epoch: number, ...go: string[]) => ({ duty: 'd', epoch, go });

describe('a duty', () => {
  it('is owned by one master, another for another duty, and by nobody without masters', () => {
    const masters = ['a', 'b', 'c'];
    const owners = Array.from({ length: 60 }, (_, i) => ownerOf(`duty-${i}`, masters));
    expect(new Set(owners)).toEqual(new Set(masters));
    expect(ownerOf('duty-1', ['c', 'b', 'a'])).toBe(ownerOf('duty-1', masters));
    expect(ownerOf('duty-1', [])).toBeUndefined();
  });

  it('goes on with its other owners’ duties where they were when one master dies', () => {
    const masters = ['a', 'b', 'c'];
    for (let i = 0; i < 60; i++) {
      const owner = ownerOf(`duty-${i}`, masters)!;
      if (owner !== 'a') expect(ownerOf(`duty-${i}`, ['b', 'c'])).toBe(owner);
    }
  });

  it('is done by the newest order, whoever is heard first, and of two of one epoch by that of the higher id', () => {
    const [old, young, twin] = [
      { id: 'z', orders: [order(1, '1')] },
      { id: 'a', orders: [order(2, '2')] },
      { id: 'b', orders: [order(2, '3')] },
    ];
    expect(newest([old, young]).get('d')).toMatchObject({ by: 'a', go: ['2'] });
    expect(newest([young, old]).get('d')).toMatchObject({ by: 'a', go: ['2'] });
    expect(newest([twin, young]).get('d')).toEqual(newest([young, twin]).get('d'));
  });

  it('is not done by the order of a dead owner, nor by an older one', () => {
    const [dead, old] = [
      { id: 'a', state: 'down' as const, orders: [order(2, '2')] },
      { id: 'b', state: 'alive' as const, orders: [order(1, '1')] },
    ];
    expect(obeyed([dead, old]).get('d')).toBeUndefined();
    expect(obeyed([{ ...dead, state: 'suspect' }, old]).get('d')).toMatchObject({ by: 'a', go: ['2'] });
    expect(epochOf('b', newest([dead, old]).get('d'))).toBe(3);
  });

  it('has a new epoch with a new owner, and keeps it while the owner stays', () => {
    expect(epochOf('a', undefined)).toBe(1);
    expect(epochOf('a', { ...order(3), by: 'a' })).toBe(3);
    expect(epochOf('a', { ...order(3), by: 'b' })).toBe(4);
  });
});
