/** Who owns a duty, whose order is obeyed, and what a rollout lets change. */
import { describe, expect, it } from 'vitest';
import type { Assignment, UnitState } from '../../src/core/model.ts';
import { epochOf, newest, obeyed, ownerOf } from '../../src/placement/duties.ts';
import type { Told } from '../../src/runtime/reconcile.ts';
import { rolloutsOf, turnsOf } from '../../src/runtime/rollouts.ts';

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

const replicas = (count: number, hash = 'new'): Assignment[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ replica: `shop/web/${i + 1}`, app: 'shop', service: 'web', index: String(i + 1), hash },
    ...{ cell: `c${i + 1}`, verdicts: [] },
  }));

/** 'old ready' by index, on the cell where placement has it unless another is named. */
function tale(...states: string[]): Map<string, Told[]> {
  const told = new Map<string, Told[]>();
  for (const [i, text] of states.entries()) {
    const replica = `shop/web/${i + 1}`;
    const units = text.split(', ').filter((one) => one !== '');
    const list = units.map((one): Told => {
      const [hash, state, cell = `c${i + 1}`] = one.split(' ') as [string, UnitState, string?];
      return { replica, hash, state, cell };
    });
    told.set(replica, list);
  }
  return told;
}

const go = (assignments: Assignment[], told: Map<string, Told[]>): string[] | undefined =>
  rolloutsOf(assignments, told)[0]?.go;

describe('a rollout', () => {
  it('lets one replica change after the other', () => {
    expect(go(replicas(3), tale('old ready', 'old ready', 'old ready'))).toEqual(['1']);
    expect(go(replicas(3), tale('old ready, new starting', 'old ready', 'old ready'))).toEqual(['1']);
    expect(go(replicas(3), tale('new ready, old stopping', 'old ready', 'old ready'))).toEqual(['2']);
    expect(go(replicas(3), tale('new ready', 'new ready', 'old ready'))).toEqual(['3']);
  });

  it('is over when nothing runs in a former form', () => {
    expect(rolloutsOf(replicas(2), tale('new ready', 'new starting'))).toEqual([]);
    expect(rolloutsOf(replicas(2), new Map())).toEqual([]);
  });

  it('waits for what fails in its new form', () => {
    expect(go(replicas(2), tale('old ready, new backoff', 'old ready'))).toEqual(['1']);
  });

  it('is not held up by what has no place, or runs nowhere', () => {
    const [first, ...rest] = replicas(3);
    const { cell: _, ...nowhere } = first!;
    expect(go([nowhere, ...rest], tale('old ready', 'old ready', 'old ready'))).toEqual(['2']);
    expect(go(replicas(3), tale('', 'old ready', 'old ready'))).toEqual(['2']);
  });

  it('changes what is at home in its old form while its new one is ready elsewhere', () => {
    expect(go(replicas(2), tale('new ready', 'old ready, new ready c9'))).toEqual(['2']);
  });

  it('goes on past what ended by itself in its new form', () => {
    expect(go(replicas(2), tale('old ready, new exited', 'old ready'))).toEqual(['2']);
  });

  it('needs nobody’s leave where there is one replica', () => {
    const rollouts = rolloutsOf(replicas(1), tale('old ready'));
    expect([...turnsOf(rollouts, () => [])]).toEqual(['shop/web/1@new']);
    const three = rolloutsOf(replicas(3), tale('old ready', 'old ready', 'old ready'));
    expect([...turnsOf(three, () => [])]).toEqual([]);
    expect([...turnsOf(three, () => ['2'])]).toEqual(['shop/web/2@new']);
  });
});
