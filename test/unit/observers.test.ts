/** Who watches whom: laws that hold for every appliance. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Observers } from '../../src/gossip/observers.ts';

const cells = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { maxLength: 40 });

function made(ids: readonly string[], unfit: ReadonlySet<string> = new Set()): Observers {
  const observers = new Observers(5);
  for (const id of ids) {
    observers.addSubject(id);
    observers.setFit(id, !unfit.has(id));
  }
  return observers;
}

describe('observers', () => {
  it('are K others that are fit, or all there are', () =>
    fc.assert(
      fc.property(cells, fc.array(fc.nat(39)), (ids, chosen) => {
        const unfit = new Set(chosen.flatMap((at) => ids[at] ?? []));
        const observers = made(ids, unfit);
        for (const id of ids) {
          const others = ids.filter((other) => other !== id && !unfit.has(other));
          const list = observers.of(id);
          expect(new Set(list).size).toBe(Math.min(5, others.length));
          for (const one of list) expect(others).toContain(one);
        }
      }),
    ));

  it('know whom they watch', () =>
    fc.assert(
      fc.property(cells, fc.array(fc.nat(39)), (ids, chosen) => {
        const unfit = new Set(chosen.flatMap((at) => ids[at] ?? []));
        const observers = made(ids, unfit);
        for (const id of ids) {
          const watched = ids.filter((subject) => observers.of(subject).includes(id)).sort();
          expect([...observers.subjectsOf(id)].sort()).toEqual(watched);
        }
      }),
    ));

  it('are the same however the members came, left and came back', () =>
    fc.assert(
      fc.property(cells, cells, (ids, passing) => {
        const observers = made([...passing, ...[...ids].reverse()]);
        for (const id of passing) {
          observers.setFit(id, false);
          observers.removeSubject(id);
        }
        for (const id of ids) {
          observers.addSubject(id);
          observers.setFit(id, true);
        }
        for (const id of ids) expect(observers.of(id)).toEqual(made(ids).of(id));
      }),
    ));

  it('share the work: of 1,000 cells nobody watches many', () => {
    const ids = Array.from({ length: 1_000 }, (_, i) => `cell-${i}`);
    const observers = made(ids);
    for (const id of ids) expect(observers.subjectsOf(id).length).toBeLessThanOrEqual(8);
  });
});
