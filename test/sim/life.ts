/**
 * One random life of an appliance: its seed draws how many cells it has, which faults there are (swarm testing, Groce et
 * al., ISSTA '12: a run without a fault finds what that fault hides) and when they strike, with people deploying all along.
 * Then the faults stop, and everything must come right in time and stay so.
 */
import { Random } from '../../src/core/random.ts';
import type { Invariant } from './invariants.ts';
import { always, settled } from './invariants.ts';
import { appliance, simService } from './makers.ts';
import { lan, rough } from './network.ts';
import type { World } from './world.ts';

export const faults = ['crash', 'power', 'disk', 'partition', 'pause', 'rough', 'broken'] as const;
export type Fault = (typeof faults)[number];

export interface LifeOptions {
  seed: string;
  /** Drawn, 3 to 8, where absent. */
  cells?: number;
  /** Drawn where absent. */
  faults?: readonly Fault[];
  deeds?: number;
}

/** An invariant that did not hold, with all that is needed to look at it again. */
export class Broken extends Error {
  constructor(invariant: string, detail: string, world: World, life: Required<LifeOptions>) {
    const last = world.events
      .slice(-15)
      .map(({ atMs, host, message }) => `    ${Math.round(atMs)} ms ${host}: ${message}`);
    const command = `npm run sim -- --seed ${life.seed} --cells ${life.cells} --deeds ${life.deeds} --faults ${life.faults.join() || 'none'}`;
    super(
      `broken: ${invariant}\n  ${detail}\n  step ${world.steps}, ${Math.round(world.nowMs)} ms; last events:\n${last.join('\n')}\n  replay: ${command}`,
    );
  }
}

/** What the seed draws, but for what is given. */
export function drawn({ seed, cells, faults: given, deeds = 40 }: LifeOptions): Required<LifeOptions> {
  const random = new Random(`life/${seed}`);
  const count = random.between(3, 8);
  const on = faults.filter(() => random.chance(50));
  return { seed, cells: cells ?? count, faults: given ?? on, deeds };
}

/** Throws Broken. */
export function live(options: LifeOptions): World {
  const life = drawn(options);
  const { seed, cells, deeds } = life;
  const random = new Random(`deeds/${seed}`);
  const world = appliance(cells, { seed, network: life.faults.includes('rough') ? rough : lan });
  const names = [...world.hosts.keys()];
  const hold = (invariants: readonly Invariant[]): void => {
    for (const { name, check } of invariants) {
      const detail = check(world);
      if (detail !== undefined) throw new Broken(name, detail, world, life);
    }
  };
  for (let i = 0; i < deeds; i++) {
    disturb(world, random, names, new Set(life.faults));
    for (let left = random.between(100, 3_000); left > 0; left -= 250) {
      world.run(Math.min(250, left));
      hold(always);
    }
  }
  world.heal();
  for (const host of world.hosts.values()) {
    host.broken.clear();
    if (host.cell === undefined) world.start(host.name);
  }
  for (const { name, withinMs, check } of settled) {
    try {
      world.until(() => check(world) === undefined, withinMs, name);
    } catch {
      throw new Broken(name, check(world) ?? 'not in time', world, life);
    }
  }
  const before = world.running();
  world.run(20_000);
  hold([...always, ...settled]);
  if (world.running().join() !== before.join())
    throw new Broken('nothing moves at rest', world.running().join(), world, life);
  return world;
}

function disturb(world: World, random: Random, names: string[], on: ReadonlySet<Fault>): void {
  const up = world.up().map(({ name }) => name);
  const victim = random.pick(names)!;
  const isUp = up.includes(victim);
  const deed = random.pick(['deploy', 'deploy', 'heal', 'start', ...faults])!;
  if (deed === 'deploy') {
    const where = random.pick(up);
    const services = [simService('web', random.between(0, 6), { image: `image-${random.below(3)}` })];
    const spec = { name: `app-${random.below(3)}`, services };
    if (where !== undefined) world.ask(where, { op: 'deploy', spec, by: where, note: 'random', acks: 1 });
  } else if (deed === 'start') {
    if (!isUp) world.start(victim);
  } else if (deed === 'heal') world.heal();
  else if (on.has(deed as Fault)) strike(deed as Fault, world, random, names, victim, isUp);
}

function strike(fault: Fault, world: World, random: Random, names: string[], victim: string, isUp: boolean): void {
  if (fault === 'crash' && isUp) world.crash(victim);
  else if (fault === 'power' && isUp && world.up().length > 2) world.powerOff(victim);
  else if (fault === 'pause' && isUp) world.pause(victim, random.between(100, 4_000));
  else if (fault === 'disk' && isUp && world.up().length > 2) {
    // The daemon ends, and its last write is lost although the disk had promised it: cheap cards lie.
    world.crash(victim);
    world.hosts.get(victim)!.disk.updates.pop();
  } else if (fault === 'broken') world.hosts.get(victim)!.broken.set(`image-${random.below(3)}`, 'no space');
  else if (fault === 'partition') {
    const shuffled = random.shuffle(names);
    const at = random.between(1, names.length - 1);
    world.partition([shuffled.slice(0, at), shuffled.slice(at)]);
  }
}

/** The same failure with fewer faults, cells and deeds, as far as it goes. */
export function reduced(options: LifeOptions): Required<LifeOptions> {
  let life = drawn(options);
  const fails = (candidate: Required<LifeOptions>): boolean => {
    try {
      live(candidate);
      return false;
    } catch (error) {
      return error instanceof Broken;
    }
  };
  const take = (candidate: Required<LifeOptions>): void => {
    if (fails(candidate)) life = candidate;
  };
  for (const fault of life.faults) take({ ...life, faults: life.faults.filter((one) => one !== fault) });
  while (life.cells > 2 && fails({ ...life, cells: life.cells - 1 })) life = { ...life, cells: life.cells - 1 };
  for (let less = life.deeds >> 1; less > 0; less >>= 1) take({ ...life, deeds: life.deeds - less });
  return life;
}
