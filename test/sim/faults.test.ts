/**
 * Random lives of small appliances: crashes, power cuts, partitions, a bad network, and people who deploy all along. Then
 * the faults stop, and everything must come right within a bound. A failure names its seed; OSCA_SEEDS=name,name replays.
 */
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { rough } from './network.ts';
import type { World } from './world.ts';
import { allSee, appliance, simService } from './world.ts';

const seeds = process.env.OSCA_SEEDS?.split(',') ?? Array.from({ length: 40 }, (_, i) => `fault-${i}`);

function disturb(world: World, random: Random, names: string[]): void {
  const up = world.up().map(({ name }) => name);
  const victim = random.pick(names)!;
  const deed = random.below(9);
  const isUp = up.includes(victim);
  if (deed <= 2) {
    const where = random.pick(up);
    const services = [simService('web', random.between(0, 6), { image: `image-${random.below(3)}` })];
    const spec = { name: `app-${random.below(3)}`, services };
    if (where !== undefined) world.ask(where, { op: 'deploy', spec, by: where, note: 'random', acks: 1 });
  } else if (deed === 3 && isUp) world.crash(victim);
  else if (deed === 4 && isUp && up.length > 2) world.powerOff(victim);
  else if (deed === 5 && !isUp) world.start(victim);
  else if (deed === 6) {
    const shuffled = random.shuffle(names);
    const at = random.between(1, names.length - 1);
    world.partition([shuffled.slice(0, at), shuffled.slice(at)]);
  } else if (deed === 7) world.heal();
  else if (deed === 8 && isUp) world.pause(victim, random.between(100, 4_000));
}

describe('after the faults stop', () => {
  it.each(seeds)('everything comes right: seed %s', (seed) => {
    const random = new Random(`deeds/${seed}`);
    const count = random.between(3, 8);
    const world = appliance(count, { seed, network: rough });
    const names = [...world.hosts.keys()];
    for (let i = 0; i < 40; i++) {
      disturb(world, random, names);
      world.run(random.between(100, 3_000));
    }
    world.heal();
    for (const name of names) if (world.hosts.get(name)!.cell === undefined) world.start(name);
    world.until(() => allSee(world, count), 60_000, 'all alive in all views');
    const wanted = () => {
      const homes = new Map([...world.hosts.values()].map(({ id, name }) => [id, name]));
      return world
        .view('h1')
        .assignments.map(({ replica, cell }) => `${replica}@${homes.get(cell ?? '')}`)
        .sort()
        .join();
    };
    world.until(
      () => new Set(names.map((name) => JSON.stringify(world.view(name).apps))).size === 1,
      30_000,
      'equal documents',
    );
    world.until(() => world.running().join() === wanted(), 120_000, 'every replica once, where placement says');
    const before = world.running();
    world.run(20_000);
    expect(world.running()).toEqual(before);
  });
});
