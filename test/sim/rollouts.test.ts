/** A change goes through a service one replica at a time, led by one master, also when that one dies or sleeps. */
import { describe, expect, it } from 'vitest';
import type { Request } from '../../src/core/events.ts';
import { freshDiary } from './deeds.ts';
import { ofEachView } from './invariants.ts';
import { appliance, simService } from './makers.ts';
import type { World } from './world.ts';

const replicas = 6;
const diary = freshDiary('');
const deploy = (image: string): Request => ({
  ...{ op: 'deploy', by: 'test', note: 'test', acks: 1 },
  spec: { name: 'shop', services: [simService('web', replicas, { image })] },
});

/** replica -> images that run of it, appliance-wide. */
function forms(world: World): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const { containers } of world.hosts.values()) {
    for (const { replica, hash, running } of containers.values()) {
      if (running) found.set(replica, (found.get(replica) ?? new Set()).add(hash));
    }
  }
  return found;
}

const between = (world: World): number => [...forms(world).values()].filter((hashes) => hashes.size > 1).length;
const leader = (world: World, on: string): string | undefined => {
  const by = world.view(on).duties[0]?.by;
  return [...world.hosts.values()].find(({ id }) => id === by)?.name;
};

/** Six replicas that run `one`, and a change to `two` that has begun. */
function begun(seed: string): { world: World; hash: string } {
  const world = appliance(5, { seed, startMs: [1_500, 2_000] });
  world.get('h1', deploy('one'));
  world.until(() => forms(world).size === replicas, 30_000, 'all run');
  world.run(3_000);
  world.get('h1', deploy('two'));
  world.until(() => between(world) > 0 || leader(world, 'h1') !== undefined, 10_000, 'it has begun');
  return { world, hash: world.view('h1').assignments[0]!.hash };
}

const isDone = (world: World, hash: string): boolean =>
  [...forms(world).values()].every((hashes) => hashes.size === 1 && hashes.has(hash)) && forms(world).size === replicas;

describe('a rollout', () => {
  it('goes back in the order that the file has for that', () => {
    for (const [order, least] of [
      ['stop-first', 2],
      ['start-first', 3],
    ] as const) {
      const world = appliance(3, { seed: `back-${order}`, startMs: [1_500, 2_000] });
      const image = (name: string): Request => {
        const spec = { name: 'shop', services: [simService('web', 3, { image: name, rollback: { order } })] };
        return { op: 'deploy', by: 'test', note: 'test', acks: 1, spec };
      };
      const running = (): Map<string, Set<string>> => forms(world);
      world.get('h1', image('one'));
      world.until(() => running().size === 3, 30_000, 'all run');
      const [before] = [...running().values()].map((hashes) => [...hashes][0]!);
      world.run(10_000);
      world.get('h1', image('two'));
      world.run(40_000);
      world.get('h1', { op: 'rollback', app: 'shop', by: 'test' });
      let fewest = 3;
      world.until(
        () => {
          fewest = Math.min(fewest, running().size);
          return running().size === 3 && [...running().values()].every((hashes) => hashes.has(before!));
        },
        60_000,
        'all went back',
      );
      expect(fewest).toBe(least);
    }
  });

  it('changes one replica after the other, never fewer than all running, by the orders of one master', () => {
    const { world, hash } = begun('calm');
    const leaders = new Set<string>();
    world.until(
      () => {
        expect(between(world)).toBeLessThanOrEqual(1);
        expect(forms(world).size).toBe(replicas);
        for (const { name } of world.up())
          for (const { by, epoch } of world.view(name).duties) leaders.add(`${by} ${epoch}`);
        return isDone(world, hash);
      },
      60_000,
      'all changed',
      50,
    );
    expect(leaders.size).toBe(1);
    world.run(1_000);
    for (const { name } of world.up()) {
      expect(world.view(name).duties).toEqual([]);
      expect(world.view(name).members.every(({ orders }) => orders === undefined)).toBe(true);
    }
  });

  it('goes through on a cell that is alone, for good or cut off', () => {
    for (const count of [1, 3]) {
      const world = appliance(count, { seed: `alone-${count}` });
      world.get('h1', deploy('one'));
      world.until(() => forms(world).size === replicas, 30_000, 'all run');
      world.partition([['h1'], [...world.hosts.keys()].filter((name) => name !== 'h1')]);
      world.run(15_000);
      world.get('h1', deploy('two'));
      const { hash } = world.view('h1').assignments[0]!;
      const mine = (): string[] =>
        [...world.hosts.get('h1')!.containers.values()].filter((one) => one.running).map((one) => one.hash);
      world.until(() => mine().length === replicas && mine().every((one) => one === hash), 20_000, 'all changed');
    }
  });

  it('goes on under another master when its leader dies, in a higher epoch', () => {
    for (const seed of ['heir-1', 'heir-2', 'heir-3']) {
      const { world, hash } = begun(seed);
      world.until(() => leader(world, 'h1') !== undefined, 5_000, 'somebody leads');
      const first = leader(world, 'h1')!;
      world.powerOff(first);
      const [witness] = world.up().map(({ name }) => name);
      world.until(() => ![undefined, first].includes(leader(world, witness!)), 20_000, 'another leads');
      expect(world.view(witness!).duties[0]!.epoch).toBe(2);
      world.until(() => isDone(world, hash), 90_000, 'all changed');
    }
  });

  it('obeys the newer of two leaders when the first wakes up', () => {
    const { world, hash } = begun('asleep');
    world.until(() => leader(world, 'h1') !== undefined, 5_000, 'somebody leads');
    const first = leader(world, 'h1')!;
    world.pause(first, 12_000);
    const witness = world.up().find(({ name }) => name !== first)!.name;
    world.until(() => ![undefined, first].includes(leader(world, witness)), 20_000, 'another leads');
    const newestIsObeyed = ofEachView.find(({ name }) => name === 'of the orders for a duty the newest is obeyed')!;
    world.until(
      () => {
        for (const { name } of world.up())
          expect(newestIsObeyed.check(world.view(name), name, world, diary)).toBeUndefined();
        expect(between(world)).toBeLessThanOrEqual(2);
        return isDone(world, hash);
      },
      90_000,
      'all changed',
      50,
    );
    expect(world.violations).toEqual([]);
  });

  it('stands still at the first replica that does not come, and the others run on', () => {
    const { world } = begun('stuck');
    world.until(() => leader(world, 'h1') === undefined, 60_000, 'changed');
    for (const host of world.hosts.values()) host.broken.set('flawed', 'it ends at once');
    world.get('h1', deploy('flawed'));
    const before = forms(world);
    world.run(20_000);
    expect([...forms(world).keys()].sort()).toEqual([...before.keys()].sort());
    expect(between(world)).toBe(0);
  });
});
