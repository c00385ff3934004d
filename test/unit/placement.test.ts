import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PlacementCell, PlacementInput } from '../../src/placement/filter.ts';
import { place } from '../../src/placement/place.ts';
import { byStraw } from '../../src/placement/straw2.ts';
import { simService } from '../sim/world.ts';

function cell(id: string, more: Partial<PlacementCell> = {}): PlacementCell {
  const facts = {
    version: '',
    os: 'linux',
    arch: 'amd64',
    cpuMilli: 4_000,
    memoryBytes: 4 * 2 ** 30,
    engine: 'Docker',
    hostname: id,
  };
  return { id, name: id, facts, labels: {}, drain: false, up: true, vetoes: new Map(), weight: 32, ...more };
}

const cells = (count: number): PlacementCell[] => Array.from({ length: count }, (_, i) => cell(`cell-${i}`));
const input = (list: PlacementCell[], services = [simService('web', 5)]): PlacementInput => ({
  ...{ cells: list, running: new Map() },
  services: services.map((spec) => ({ app: 'shop', spec, hash: 'h' })),
});
const where = (from: PlacementInput): Map<string, string | undefined> =>
  new Map(place(from).map(({ replica, cell }) => [replica, cell]));

describe('straws', () => {
  it('are as long as weights are heavy, within sampling error', () => {
    const list = [
      { id: 'a', weight: 1 },
      { id: 'b', weight: 2 },
      { id: 'c', weight: 4 },
    ];
    const wins = { a: 0, b: 0, c: 0 } as Record<string, number>;
    for (let i = 0; i < 7_000; i++) wins[byStraw(`key-${i}`, list)[0]!.id]!++;
    expect(wins.a! / 1_000).toBeCloseTo(1, 0);
    expect(wins.b! / 2_000).toBeCloseTo(1, 0);
    expect(wins.c! / 4_000).toBeCloseTo(1, 0);
  });
});

describe('placement', () => {
  it('is the same whatever the order in which cells are listed', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(cells(9), { minLength: 9 }), (shuffled) => {
        expect(place(input(shuffled))).toEqual(place(input(cells(9))));
      }),
    );
  });

  it('spreads: no cell has two while another has none', () => {
    const counts = new Map<string, number>();
    for (const home of where(input(cells(5))).values()) counts.set(home!, (counts.get(home!) ?? 0) + 1);
    expect([...counts.values()]).toEqual([1, 1, 1, 1, 1]);
  });

  it('moves only the replicas of a cell that goes down', () => {
    const services = [simService('a', 7), simService('b', 3), simService('c', 12)];
    const before = where(input(cells(6), services));
    for (const victim of cells(6)) {
      const after = where(
        input(
          cells(6).map((one) => (one.id === victim.id ? { ...one, up: false } : one)),
          services,
        ),
      );
      for (const [replica, home] of before) {
        if (home !== victim.id) expect(after.get(replica)).toBe(home);
        else expect(after.get(replica)).not.toBe(victim.id);
      }
    }
  });

  it('says why nothing fits, cell by cell', () => {
    const picky = simService('web', 1, { constraints: [{ key: 'node.labels.disk', op: '==', value: 'ssd' }] });
    const big = simService('big', 1, { resources: { reserveMemoryBytes: 64 * 2 ** 30 } });
    const [wide, web] = place(input(cells(2), [picky, big]));
    expect(wide!.cell).toBeUndefined();
    expect(wide!.verdicts.map(({ reason }) => reason)).toEqual(
      Array(2).fill('memory: needs 65536 MiB, has 4096 MiB unreserved'),
    );
    expect(web!.verdicts[0]!.reason).toBe('constraint node.labels.disk == ssd: it has no such label');
  });

  it('gives one host port once per cell, and the rest is pending', () => {
    const port = simService('web', 3, { ports: [{ target: 80, published: 8_080, protocol: 'tcp' }] });
    const placed = place(input(cells(2), [port]));
    expect(placed.filter(({ cell }) => cell !== undefined)).toHaveLength(2);
    expect(placed.find(({ cell }) => cell === undefined)!.verdicts[0]!.reason).toMatch(
      /host port tcp\/8080 is taken by shop\/web\/\d/,
    );
  });

  it('respects drain, vetoes and engines, and runs global services on every cell', () => {
    const [a, b, c, d] = cells(4) as [PlacementCell, PlacementCell, PlacementCell, PlacementCell];
    const list = [
      { ...a, drain: true },
      { ...b, vetoes: new Map([['shop/web@h', 'no image']]) },
      { ...c, facts: { ...c.facts, engine: '' } },
      d,
    ];
    expect(new Set(where(input(list)).values())).toEqual(new Set([d.id]));
    const everywhere = place(input(cells(4), [simService('agent', 1, { mode: 'global' })]));
    expect(everywhere.map(({ index }) => index)).toEqual(cells(4).map(({ name }) => name));
  });

  it('leaves a replica with a named volume where it runs', () => {
    const db = simService('db', 1, { mounts: [{ kind: 'volume', source: 'data', target: '/data' }] });
    const home = place(input(cells(3), [db]))[0]!.cell!;
    const other = cells(3).find(({ id }) => id !== home)!.id;
    const running = new Map([['shop/db/1', [other]]]);
    expect(place({ ...input(cells(3), [db]), running })[0]!.cell).toBe(other);
  });
});
