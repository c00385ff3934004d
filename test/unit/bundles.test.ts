/** Services that share a volume are where it is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ServiceSpec } from '../../src/core/spec.ts';
import { ties } from '../../src/core/ties.ts';
import type { PlacementCell, PlacementService } from '../../src/placement/filter.ts';
import { Placement } from '../../src/placement/place.ts';
import { simService } from '../sim/makers.ts';

const gib = 2 ** 30;
const cell = (name: string, more: Partial<PlacementCell> = {}): PlacementCell => ({
  ...{ id: name, name, labels: {}, drain: false, cordon: false, up: true, held: false, leaving: false },
  ...{ vetoes: new Map(), weight: 32, units: [] },
  facts: {
    ...{ version: '', os: 'linux', arch: 'amd64', cpuMilli: 4_000, memoryBytes: 4 * gib, engine: 'Docker' },
    hostname: name,
  },
  ...more,
});
const on = (volume: string): Partial<ServiceSpec> => ({
  mounts: [{ kind: 'volume', source: volume, target: '/data' }],
});
const memory = (bytes: number): Partial<ServiceSpec> => ({ resources: { reserveMemoryBytes: bytes } });
const service = (name: string, replicas: number, ...more: Partial<ServiceSpec>[]): ServiceSpec =>
  simService(name, replicas, Object.assign({}, ...more) as Partial<ServiceSpec>);

class Fleet {
  readonly placement = new Placement();
  cells: PlacementCell[];

  constructor(cells: PlacementCell[]) {
    this.cells = cells;
  }

  /** REPLICA@CELL, of which some run nowhere. */
  place(...services: ServiceSpec[]): string[] {
    return this.placeAll(this.of(services));
  }

  of(services: readonly ServiceSpec[], since: Record<string, number> = {}): PlacementService[] {
    const tied = ties(services);
    return services.map((spec) => {
      const tie = tied.get(spec.name);
      const { name } = spec;
      return {
        ...{ app: 'shop', spec, hash: 'h' },
        ...(tie === undefined ? {} : { tie: { ...tie, since: since[name] ?? 1 } }),
      };
    });
  }

  placeAll(services: PlacementService[]): string[] {
    return this.placement
      .place({ cells: this.cells, services })
      .map(({ replica, cell: at }) => `${replica.slice(5)}@${at ?? 'nowhere'}`);
  }

  /** Each cell has what it was given. */
  run(placed: readonly string[]): void {
    const unitsOf = (name: string): string[] =>
      placed.filter((one) => one.endsWith(`@${name}`)).map((one) => `shop/${one.split('@')[0]}`);
    this.cells = this.cells.map((one) => ({ ...one, units: unitsOf(one.name) }));
  }
}
const placesOf = (placed: readonly string[], ...names: string[]): string[] => [
  ...new Set(placed.filter((one) => names.some((name) => one.startsWith(`${name}/`))).map((one) => one.split('@')[1]!)),
];

describe('services that share a volume', () => {
  it('are on one cell whatever there is, and rest there', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }),
        (count, replicas, others) => {
          const fleet = new Fleet(Array.from({ length: count }, (_, i) => cell(`c${i}`)));
          const services = [
            service('db', 1, on('data')),
            service('backup', replicas, on('data')),
            service('index', 1, { mounts: [...on('data').mounts!, ...on('cache').mounts!] }),
            service('warm', 1, on('cache')),
            ...others.map((n, i) => service(`web${i}`, n)),
          ];
          const first = fleet.place(...services);
          expect(placesOf(first, 'db', 'backup', 'index', 'warm')).toHaveLength(1);
          expect(first.some((one) => one.endsWith('@nowhere'))).toBe(false);
          fleet.run(first);
          expect(fleet.place(...services)).toEqual(first);
        },
      ),
    );
  });

  it('are where all of them fit, or as many as do', () => {
    const small = cell('small');
    const large = cell('large', { facts: { ...small.facts, memoryBytes: 8 * gib } });
    const [db, cron] = [service('db', 1, on('data'), memory(3 * gib)), service('cron', 2, on('data'), memory(2 * gib))];
    expect(new Fleet([small, large]).place(db, cron)).toEqual(['cron/1@large', 'cron/2@large', 'db/1@large']);
    const none = new Fleet([small]);
    // Some of them are better than none.
    expect(none.place(db, cron)).toEqual(['cron/1@nowhere', 'cron/2@nowhere', 'db/1@small']);
    expect(none.placement.explain('shop/cron/2')!.verdicts[0]!.reason).toBe(
      'memory: needs 2048 MiB, has 1024 MiB unreserved',
    );
    // What one of them asks of its cell holds for all.
    const pinned = { ...cron, constraints: [{ key: 'node.hostname', op: '==' as const, value: 'b' }] };
    const two = new Fleet(['a', 'b', 'c'].map((name) => cell(name)));
    expect(placesOf(two.place(service('db', 1, on('data')), { ...pinned, resources: {} }), 'db', 'cron')).toEqual([
      'b',
    ]);
  });

  it('do not take a host port twice: one has it, and the other is told why', () => {
    const ports = { ports: [{ target: 80, published: 80, protocol: 'tcp' as const }] };
    const fleet = new Fleet(['a', 'b'].map((name) => cell(name)));
    const placed = fleet.place(service('db', 1, on('data')), service('web', 2, on('data'), ports));
    const [at] = placesOf(placed, 'db');
    expect(placed).toEqual([`db/1@${at}`, `web/1@${at}`, 'web/2@nowhere']);
    expect(fleet.placement.explain('shop/web/2')!.verdicts.find(({ name }) => name === at)!.reason).toBe(
      'host port tcp/80 is taken by shop/web/1',
    );
  });

  it('say why they are there', () => {
    const fleet = new Fleet(['a', 'b'].map((name) => cell(name)));
    const placed = fleet.place(service('db', 1, on('data')), service('web', 1, on('data')));
    const [at] = placesOf(placed, 'db');
    const other = at === 'a' ? 'b' : 'a';
    expect(fleet.placement.explain('shop/web/1')!.verdicts.find(({ name }) => name === other)).toMatchObject({
      fits: false,
      reason: `shop/db/1 is on ${at}: they share volume data`,
    });
  });

  it('come to what has it already, whichever leads', () => {
    for (const name of ['aaa', 'zzz']) {
      for (let count = 2; count < 7; count++) {
        const fleet = new Fleet(Array.from({ length: count }, (_, i) => cell(`c${i}`)));
        const db = service('db', 1, on('data'));
        const first = fleet.place(db);
        fleet.run(first);
        const both = fleet.place(db, service(name, 2, on('data')));
        expect(placesOf(both, 'db', name)).toEqual(placesOf(first, 'db'));
      }
    }
  });

  it('stay with the data when a job begins, one of them grows, or another could not be started there', () => {
    const small = cell('a');
    const large = cell('z', { facts: { ...small.facts, memoryBytes: 16 * gib } });
    const db = service('db', 1, on('data'), memory(3 * gib));
    const web = service('web', 1, on('data'), memory(gib));
    const fleet = new Fleet([small]);
    fleet.run(fleet.place(db, web));
    fleet.cells.push(large);
    expect(placesOf(fleet.place(db, web), 'db', 'web')).toEqual(['a']);
    // A run that asks for more than is left, or is to be somewhere else, waits.
    const tie = { ...ties([db, web]).get('db')!, since: 1 };
    const run = (more: Partial<ServiceSpec>): PlacementService => ({
      ...{ app: 'shop', hash: 'r', ended: [], tie },
      spec: service('backup.1', 1, on('data'), { job: { parallelism: 1, retries: 0 } }, more),
    });
    const pinned = { constraints: [{ key: 'node.hostname', op: '==' as const, value: 'z' }] };
    for (const more of [memory(2 * gib), pinned])
      expect(fleet.placeAll([...fleet.of([db, web]), run(more)])).toEqual(['backup.1/1@nowhere', 'db/1@a', 'web/1@a']);
    expect(fleet.placeAll([...fleet.of([db, web]), run({})])).toEqual(['backup.1/1@a', 'db/1@a', 'web/1@a']);
    expect(fleet.place(db, service('web', 3, on('data'), memory(gib)))).toEqual([
      ...['db/1@a', 'web/1@a', 'web/2@nowhere', 'web/3@nowhere'],
    ]);
    fleet.cells = fleet.cells.map((one) =>
      one.name === 'a' ? { ...one, vetoes: new Map([['shop/web@h', 'x']]) } : one,
    );
    expect(placesOf(fleet.place(db, web), 'db')).toEqual(['a']);
    // Where none of them has been yet, it is elsewhere.
    fleet.run([]);
    expect(placesOf(fleet.place(db, web), 'db', 'web')).toEqual(['z']);
  });

  it('stay where one of them could not be started, whoever leads, and go on without the one that can be nowhere', () => {
    for (const name of ['aaa', 'zzz']) {
      const services = [service('db', 1, on('data')), service(name, 1, on('data'))];
      const fleet = new Fleet(['a', 'b'].map((one) => cell(one)));
      const first = fleet.place(...services);
      fleet.run(first);
      const vetoes = new Map([[`shop/${name}@h`, 'no such image']]);
      fleet.cells = fleet.cells.map((one) => ({ ...one, vetoes }));
      expect(fleet.place(...services)).toEqual(first);
      const [at] = placesOf(first, 'db');
      fleet.cells = fleet.cells.map((one) => (one.name === at ? { ...one, up: false, units: [] } : one));
      if (name === 'zzz') expect(placesOf(fleet.place(...services), 'db')).not.toContain('nowhere');
    }
  });

  it('take no host port twice where they run, and no room that others have', () => {
    const ports = { ports: [{ target: 80, published: 80, protocol: 'tcp' as const }] };
    for (const names of [
      ['a', 'b'],
      ['a', 'b', 'c'],
    ]) {
      for (const at of names) {
        const fleet = new Fleet(names.map((name) => cell(name)));
        fleet.run([`db/1@${at}`, `web/1@${at}`, `web/2@${at}`]);
        const placed = fleet.place(service('db', 1, on('data')), service('web', 2, on('data'), ports));
        expect(placed).toEqual([`db/1@${at}`, `web/1@${at}`, 'web/2@nowhere']);
      }
    }
  });

  it('leave nobody’s room overbooked, and rest, whatever runs where', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 2, max: 6 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.record({ replicas: fc.integer({ min: 1, max: 2 }), need: fc.nat(3), tied: fc.boolean() }), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.array(fc.nat(3), { minLength: 8, maxLength: 8 }),
        fc.nat(3),
        (rooms, wanted, held, down) => {
          const base = cell('x').facts;
          const fleet = new Fleet(
            rooms.map((room, i) => cell(`c${i}`, { facts: { ...base, memoryBytes: room * gib }, up: i !== down })),
          );
          const services = wanted.map(({ replicas, need, tied }, i) =>
            service(`s${i}`, replicas, tied ? on('data') : {}, memory(need * gib)),
          );
          const all = services.flatMap(({ name, replicas }) =>
            Array.from({ length: replicas }, (_, i) => `${name}/${i + 1}`),
          );
          fleet.run(all.map((one, i) => `${one}@c${held[i % held.length]! % rooms.length}`));
          let placed = fleet.place(...services);
          for (let round = 0; round < 6; round++) {
            rooms.forEach((room, i) => {
              const taken = placed
                .filter((one) => one.endsWith(`@c${i}`))
                .map((one) => wanted[Number(one[1])]!.need)
                .reduce((a, b) => a + b, 0);
              expect(taken).toBeLessThanOrEqual(room);
            });
            const tied = [...ties(services).keys()];
            expect(placesOf(placed, ...tied).filter((at) => at !== 'nowhere').length).toBeLessThan(2);
            fleet.run(placed);
            const next = fleet.place(...services);
            if (next.join() === placed.join()) return;
            placed = next;
          }
          expect.fail('it does not rest');
        },
      ),
      { numRuns: 500 },
    );
  });

  it('are not kept from moving by a command that was to run on a cell that is dead', () => {
    const fleet = new Fleet(['a', 'b'].map((name) => cell(name)));
    const services = [service('db', 1, on('data')), service('web', 2, on('data'))];
    fleet.run(fleet.place(...services));
    const [at] = placesOf(fleet.place(...services), 'db');
    fleet.cells = fleet.cells.map((one) => (one.name === at ? { ...one, up: false } : one));
    const [db] = fleet.of(services);
    const run: PlacementService = {
      ...{ app: 'shop', hash: 'r', ended: [], tie: db!.tie! },
      spec: service('db.dump', 1, on('data'), { constraints: [{ key: 'node.id', op: '==', value: at! }] }),
    };
    const after = fleet.placeAll([...fleet.of(services), run]);
    expect(placesOf(after, 'db/1', 'web')).toHaveLength(1);
    expect(after).toContain('db.dump/1@nowhere');
  });

  it('come to who had the volume first, whatever it is called', () => {
    const fleet = new Fleet(['a', 'b'].map((name) => cell(name)));
    const [db, admin] = [service('db', 1, on('data')), service('admin', 1, on('data'))];
    fleet.run(['db/1@a', 'admin/1@b']);
    expect(fleet.placeAll(fleet.of([admin, db], { db: 1, admin: 2 }))).toEqual(['admin/1@a', 'db/1@a']);
  });

  it('move together when their cell dies', () => {
    const fleet = new Fleet(['a', 'b', 'c'].map((name) => cell(name)));
    const services = [service('db', 1, on('data')), service('web', 2, on('data'))];
    const first = fleet.place(...services);
    fleet.run(first);
    const [at] = placesOf(first, 'db');
    fleet.cells = fleet.cells.map((one) => (one.name === at ? { ...one, up: false } : one));
    const after = placesOf(fleet.place(...services), 'db', 'web');
    expect(after).toHaveLength(1);
    expect(after[0]).not.toBe(at);
  });

  it('are not brought together where they are pinned apart, where each cell has its own, or in another app', () => {
    const fleet = new Fleet(['a', 'b', 'c', 'd'].map((name) => cell(name)));
    const at = (value: string) => ({ constraints: [{ key: 'node.hostname', op: '==' as const, value }] });
    const apart = fleet.place(service('x', 1, on('data'), at('a')), service('y', 1, on('data'), at('b')));
    expect(apart).toEqual(['x/1@a', 'y/1@b']);
    const zoned = (zone: string) => ({ constraints: [{ key: 'node.labels.zone', op: '==' as const, value: zone }] });
    const zones = new Fleet(['a', 'b'].map((name) => cell(name, { labels: { zone: name } })));
    expect(zones.place(service('x', 1, on('data'), zoned('a')), service('y', 1, on('data'), zoned('b')))).toEqual([
      ...['x/1@a', 'y/1@b'],
    ]);
    const global = fleet.place(service('x', 4, on('data')), { ...service('y', 1, on('data')), mode: 'global' });
    expect(placesOf(global, 'x')).toHaveLength(4);
  });
});
