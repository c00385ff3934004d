import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PlacementCell, PlacementInput } from '../../src/placement/filter.ts';
import { Placement, place } from '../../src/placement/place.ts';
import { byStraw } from '../../src/placement/straw2.ts';
import { simService } from '../sim/makers.ts';

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
  return {
    id,
    name: id,
    facts,
    labels: {},
    drain: false,
    cordon: false,
    up: true,
    held: false,
    leaving: false,
    vetoes: new Map(),
    weight: 32,
    units: [],
    ...more,
  };
}

const cells = (count: number): PlacementCell[] => Array.from({ length: count }, (_, i) => cell(`cell-${i}`));
const input = (list: PlacementCell[], services = [simService('web', 5)]): PlacementInput => ({
  cells: list,
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

  it('gives nothing to a cell that is held back, unless nothing else has room', () => {
    const [a, b] = cells(2) as [PlacementCell, PlacementCell];
    const list = [{ ...a, held: true }, b];
    expect(new Set(where(input(list)).values())).toEqual(new Set([b.id]));
    const port = simService('web', 2, { ports: [{ target: 80, published: 80, protocol: 'tcp' }] });
    expect(new Set(where(input(list, [port])).values())).toEqual(new Set([a.id, b.id]));
    expect([
      ...where(
        input([
          { ...a, held: true },
          { ...b, held: true },
        ]),
      ).values(),
    ]).not.toContain(undefined);
  });

  it('leaves a replica with a named volume where it runs', () => {
    const db = simService('db', 1, { mounts: [{ kind: 'volume', source: 'data', target: '/data' }] });
    const home = place(input(cells(3), [db]))[0]!.cell!;
    const other = cells(3).find(({ id }) => id !== home)!.id;
    const running = cells(3).map((one) => (one.id === other ? { ...one, units: ['shop/db/1'] } : one));
    expect(place(input(running, [db]))[0]!.cell).toBe(other);
  });
});

/** Everything runs where it was placed. */
function runs(list: readonly PlacementCell[], placed: ReadonlyMap<string, string | undefined>): PlacementCell[] {
  return list.map((one) => ({
    ...one,
    units: [...placed].flatMap(([replica, home]) => (home === one.id ? [replica] : [])),
  }));
}

const movedFrom = (before: ReadonlyMap<string, string | undefined>, after: ReadonlyMap<string, string | undefined>) =>
  [...after].filter(([replica, home]) => before.get(replica) !== home).length;

describe('what some cells have and others have not', () => {
  const with_ = (id: string, facts: Partial<PlacementCell['facts']>): PlacementCell => {
    const plain = cell(id);
    return { ...plain, facts: { ...plain.facts, ...facts } };
  };

  it('devices: a service runs only where they are, and says what is missing', () => {
    const stick = { engine: { devices: [{ host: '/dev/ttyUSB0', inside: '/dev/ttyUSB0', permissions: 'rwm' }] } };
    const list = [cell('a'), with_('b', { devices: ['/dev/ttyUSB0'] })];
    const zigbee = simService('zigbee', 1, stick);
    expect([...where(input(list, [zigbee])).values()]).toEqual(['b']);
    const [lost] = place(input([cell('a')], [zigbee]));
    expect(lost!.verdicts.map(({ reason }) => reason)).toEqual(['it has no /dev/ttyUSB0']);
  });

  it('GPUs', () => {
    const list = [cell('a'), with_('b', { gpus: 1 }), with_('c', { gpus: 2 })];
    expect([...where(input(list, [simService('llm', 1, { resources: { gpus: 2 } })])).values()]).toEqual(['c']);
    const any = simService('llm', 4, { resources: { gpus: -1 } });
    expect(new Set(where(input(list, [any])).values())).toEqual(new Set(['b', 'c']));
    const [none] = place(input([cell('a')], [any]));
    expect(none!.verdicts[0]!.reason).toBe('GPUs: needs one, has 0');
  });

  it('a cordoned cell keeps what it runs, and gets nothing more', () => {
    const runs = (units: string[]) => [cell('a', { cordon: true, units }), cell('b')];
    const placed = where(
      input(runs(['shop/web/1', 'shop/web/2', 'shop/db/1']), [simService('web', 4), simService('db', 1)]),
    );
    for (const replica of ['shop/web/1', 'shop/web/2', 'shop/db/1']) expect(placed.get(replica)).toBe('a');
    for (const replica of ['shop/web/3', 'shop/web/4']) expect(placed.get(replica)).toBe('b');
    const [lost] = place(input([cell('a', { cordon: true })], [simService('web', 1)]));
    expect(lost!.verdicts[0]!.reason).toBe('the cell is cordoned; take it back with: osca cell resume a');
    const scan = simService('scan', 1, { mode: 'global' });
    expect([...where(input(runs([]), [scan])).values()]).toEqual([undefined, 'b']);
    expect([...where(input(runs(['shop/scan/a']), [scan])).values()]).toEqual(['a', 'b']);
  });

  it('at most so many of a service on each', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 0, max: 12 }),
        (size, most, count) => {
          const placed = place(input(cells(size), [simService('web', count, { maxPerCell: most })]));
          const on = Map.groupBy(
            placed.filter((one) => one.cell !== undefined),
            (one) => one.cell,
          );
          for (const [, replicas] of on) expect(replicas.length).toBeLessThanOrEqual(most);
          expect(placed.filter((one) => one.cell !== undefined)).toHaveLength(Math.min(count, size * most));
          for (const one of placed.filter(({ cell }) => cell === undefined))
            expect(one.verdicts[0]!.reason).toBe(`max_replicas_per_node: it has ${most} already`);
        },
      ),
    );
  });
});

describe('when the list of cells changes', () => {
  const services = Array.from({ length: 40 }, (_, i) => simService(`s${i}`, 5));

  it('gives a new cell its share and moves nothing else', () => {
    const before = where(input(cells(20), services));
    const after = where(input([...runs(cells(20), before), cell('new')], services));
    expect([...after.values()].filter((home) => home === 'new')).toHaveLength(Math.floor(200 / 21));
    expect(movedFrom(before, after)).toBe(Math.floor(200 / 21));
  });

  it('gives a cell that returns its share back, and moves nothing else', () => {
    const all = where(input(cells(20), services));
    const down = (list: PlacementCell[]) => list.map((one) => (one.id === 'cell-3' ? { ...one, up: false } : one));
    const without = where(input(down(runs(cells(20), all)), services));
    const running = runs(cells(20), without);
    const back = where(input(running, services));
    expect([...back.values()].filter((home) => home === 'cell-3').length).toBeGreaterThanOrEqual(9);
    for (const [replica, home] of back) if (home !== 'cell-3') expect(home).toBe(without.get(replica));
  });

  it('keeps the heaviest cell within a tenth of the mean, weight for weight', () => {
    const big = cells(10).map((one, i) => ({ ...one, weight: i < 5 ? 32 : 64 }));
    const many = Array.from({ length: 150 }, (_, i) => simService(`s${i}`, 2));
    let list: PlacementCell[] = big;
    for (const victim of ['cell-1', 'cell-7', 'cell-4']) {
      list = runs(list, where(input(list, many))).map((one) => (one.id === victim ? { ...one, up: false } : one));
      list = runs(list, where(input(list, many)));
      const up = list.filter((one) => one.up);
      const mean = 300 / up.reduce((sum, { weight }) => sum + weight, 0);
      for (const { units, weight } of up)
        expect(units.length).toBeLessThanOrEqual(Math.ceil(weight * mean * 1.1 + 0.1));
    }
  });

  it('answers the same with a memory as without, whatever happened before', () => {
    const step = fc.record({
      cell: fc.nat(7),
      deed: fc.constantFrom('down', 'up', 'drain', 'veto', 'label', 'add', 'drop', 'scale', 'run', 'run'),
      number: fc.nat(5),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const kept = new Placement();
        let list = cells(5);
        let asked = [
          simService('a', 4),
          simService('b', 2, { mounts: [{ kind: 'volume', source: 'v', target: '/v' }] }),
        ];
        for (const { cell: at, deed, number } of steps) {
          const set = (change: Partial<PlacementCell>) => {
            list = list.map((one, i) => (i === at % list.length ? { ...one, ...change } : one));
          };
          if (deed === 'down') set({ up: false, units: [] });
          else if (deed === 'up') set({ up: true, drain: false, vetoes: new Map() });
          else if (deed === 'drain') set({ drain: true });
          else if (deed === 'veto') set({ vetoes: new Map([['shop/a@h', 'no']]) });
          else if (deed === 'label') set({ labels: { zone: `z${number % 2}` } });
          else if (deed === 'add') list = [...list, cell(`more-${list.length}-${number}`)];
          else if (deed === 'drop' && list.length > 2) list = list.filter((_, i) => i !== at % list.length);
          else if (deed === 'scale')
            asked = asked.map((one, i) => (i === number % 2 ? { ...one, replicas: number } : one));
          else list = runs(list, where(input(list, asked)));
          const unique = [...new Map(list.map((one) => [one.id, one])).values()];
          expect(kept.place(input(unique, asked))).toEqual(place(input(unique, asked)));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('comes to rest: nothing moves twice', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(5), { minLength: 12, maxLength: 12 }), fc.nat(5), (places, down) => {
        const three = [simService('a', 4), simService('b', 5), simService('c', 3)];
        const replicas = [...where(input(cells(6), three)).keys()];
        let list: PlacementCell[] = cells(6).map((one, at) => ({
          ...one,
          up: at !== down,
          units: at === down ? [] : replicas.filter((_, i) => places[i] === at),
        }));
        let placed = where(input(list, three));
        const moved = new Set<string>();
        // One that goes home may make another's place needed; but none moves twice, so this ends.
        for (let isAtRest = false; !isAtRest; ) {
          list = runs(list, placed);
          const next = where(input(list, three));
          const movers = [...next].flatMap(([replica, home]) => (placed.get(replica) === home ? [] : [replica]));
          expect(movers.filter((replica) => moved.has(replica))).toEqual([]);
          for (const replica of movers) moved.add(replica);
          isAtRest = movers.length === 0;
          placed = next;
        }
      }),
    );
  });
});

describe('a host port that too many want', () => {
  it('stays with whoever has it', () => {
    const port = { ports: [{ target: 80, published: 8_080, protocol: 'tcp' as const }] };
    const others = [simService('c', 3), simService('d', 1), simService('e', 1), simService('f', 1)];
    const services = [simService('a', 6, port), simService('b', 2, port), ...others];
    const names = [...where(input(cells(7), services)).keys()];
    const places = fc.array(fc.nat(7), { minLength: names.length, maxLength: names.length });
    const drained = fc.uniqueArray(fc.nat(6), { maxLength: 4 });
    fc.assert(
      fc.property(places, drained, (runsAt, away) => {
        let list = cells(7).map((one, at) => ({
          ...one,
          drain: away.includes(at),
          units: names.filter((_, i) => runsAt[i] === at),
        }));
        // Of those that want the port a cell has one at the most.
        list = list.map((one) => {
          const wants = (name: string): boolean => /^shop\/[ab]/.test(name);
          const first = one.units.find(wants);
          return { ...one, units: one.units.filter((name) => !wants(name) || name === first) };
        });
        let placed = where(input(list, services));
        for (let round = 0; ; round++) {
          expect(round).toBeLessThan(names.length);
          list = runs(list, placed) as typeof list;
          const next = where(input(list, services));
          if ([...next].every(([name, home]) => placed.get(name) === home)) return;
          placed = next;
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('zones', () => {
  const zoned = (count: number): PlacementCell[] =>
    cells(count).map((one, i) => ({ ...one, labels: { zone: i < count / 2 ? 'attic' : 'cellar' } }));
  const zonesOf = (list: readonly PlacementCell[], placed: ReadonlyMap<string, string | undefined>): string[] =>
    [...placed.values()].map((home) => list.find(({ id }) => id === home)!.labels.zone!).sort();

  it('share the replicas of a service, after cells', () => {
    for (let i = 0; i < 10; i++) {
      const list = zoned(6);
      expect(zonesOf(list, where(input(list, [simService(`s${i}`, 2)])))).toEqual(['attic', 'cellar']);
      expect(zonesOf(list, where(input(list, [simService(`s${i}`, 4)])))).toEqual([
        'attic',
        'attic',
        'cellar',
        'cellar',
      ]);
    }
  });

  it('take a replica back when they return', () => {
    const list = zoned(4);
    const dark = list.map((one) => ({ ...one, up: one.labels.zone === 'attic' }));
    const web = [simService('web', 2)];
    const inAttic = where(input(dark, web));
    expect(zonesOf(list, inAttic)).toEqual(['attic', 'attic']);
    expect(zonesOf(list, where(input(runs(list, inAttic), web)))).toEqual(['attic', 'cellar']);
  });
});
