/**
 * One random life of an appliance: its seed draws how many cells it has, which faults there are and when they strike, with people
 * deploying all along. Safety is checked at every step; then the faults stop, everything must come right in time and stay so,
 * and the death of one more cell must be known and made good.
 */
import { Random } from '../../src/core/random.ts';
import { begin } from './beside.ts';
import type { Fault, Scene } from './deeds.ts';
import { conditions, faults, freshDiary, happen, isOutside, mend } from './deeds.ts';
import type { Moods } from './forms.ts';
import { moodNames } from './forms.ts';
import type { SimHost } from './host.ts';
import { clockOf } from './host.ts';
import type { Invariant } from './invariants.ts';
import { always, dutyOwned, ofEachView, rolledOut, settled, silence } from './invariants.ts';
import { appliance, grown, simService } from './makers.ts';
import type { NetworkOptions } from './network.ts';
import { lan, rough, wifi } from './network.ts';
import { grownOf, oversizeOf, sizesOf } from './sizes.ts';
import { Witness } from './witness.ts';
import type { World } from './world.ts';

export interface LifeOptions {
  seed: string;
  /** Drawn where absent: 3 to 8, or between `fewest` and `most`. */
  cells?: number;
  between?: readonly [fewest: number, most: number];
  /** Drawn where absent. */
  faults?: readonly Fault[];
  deeds?: number;
}

export type Life = Required<Omit<LifeOptions, 'between'>>;

/** An invariant that did not hold, with all that is needed to look at it again. */
export class Broken extends Error {
  readonly invariant: string;

  constructor(invariant: string, detail: string, world: World | undefined, life: Life) {
    const events = world?.events ?? [];
    // Events of the cells that the detail names, else of all.
    const named = events.filter(({ host }) => detail.split(/\W+/).includes(host));
    const last = (named.length > 0 ? named : events)
      .slice(-15)
      .map(({ atMs, host, message }) => `    ${Math.round(atMs)} ms ${host}: ${message}`);
    super(
      `broken: ${invariant}\n  ${detail.slice(0, 2_000)}\n  step ${world?.steps ?? 0}, ${Math.round(world?.nowMs ?? 0)} ms; last events:\n${last.join('\n')}\n  replay: ${commandOf(life)}`,
    );
    this.invariant = invariant;
  }
}

export const commandOf = ({ seed, cells, deeds, faults: on }: Life): string =>
  `npm run sim -- --seed ${seed} --cells ${cells} --deeds ${deeds} --faults ${on.join() || 'none'}`;

/** What the seed draws, but for what is given. */
export function drawn({ seed, cells, between = [3, 8], faults: given, deeds = 40 }: LifeOptions): Life {
  const random = new Random(`life/${seed}`);
  const count = random.between(...between);
  const on = [...faults, ...conditions].filter(() => random.chance(40)) as Fault[];
  return { seed, cells: cells ?? count, faults: given ?? on, deeds };
}

/** Throws Broken. */
export function live(options: LifeOptions): World {
  const life = drawn(options);
  let world: World | undefined;
  try {
    return lived(life, (begun) => {
      world = begun;
    });
  } catch (error) {
    if (error instanceof Broken) throw error;
    // It would end a daemon.
    throw new Broken('no cell throws', (error as Error).stack ?? String(error), world, life);
  }
}

function lived(life: Life, tell: (world: World) => void): World {
  const { seed, cells, deeds } = life;
  const on = new Set<string>(life.faults);
  const network = on.has('rough') ? rough : on.has('wifi') ? wifi : lan;
  const world = begun(life, network);
  tell(world);
  const random = new Random(`deeds/${seed}`);
  if (on.has('clock')) for (const host of world.hosts.values()) host.rate = 1 + random.between(-45, 45) / 10_000;
  if (on.has('hush')) world.network.hush(40);
  const { ticket } = world.get('h1', { op: 'ticket.create', uses: 999, expiresInMs: 8.64e7 * 3, seed: `life ${seed}` });
  const diary = freshDiary(String(ticket));
  const moods: Moods = Object.fromEntries(
    moodNames.filter((name) => on.has(name)).map((name) => [name, new Random(`${name}/${seed}`)]),
  );
  const scene: Scene = { world, random, diary, room: Math.max(2, cells >> 1), moods };
  begin(scene, on, seed);
  const witness = new Witness(world, (name) => !isOutside(diary, name));
  const hold = (invariants: readonly Invariant[]): void => {
    const seen = witness.look();
    if (seen !== undefined) throw new Broken(seen.name, seen.detail, world, life);
    for (const { name, check } of invariants) {
      const detail = check(world, diary);
      if (detail !== undefined) throw new Broken(name, detail, world, life);
    }
  };
  world.onView = ({ name, cell }) => {
    const view = cell!.view(clockOf(world.hosts.get(name)!, world.nowMs));
    for (const { name: invariant, check } of ofEachView) {
      const detail = check(view, name, world, diary);
      if (detail !== undefined) throw new Broken(invariant, detail, world, life);
    }
  };
  const come = (invariants: typeof settled): void => {
    for (const { name, withinMs, check } of invariants) {
      try {
        // Of a thousand views each is looked at once a second.
        world.until(() => check(world, diary) === undefined, withinMs, name, Math.max(50, world.hosts.size));
      } catch (error) {
        if (error instanceof Broken) throw error;
        throw new Broken(name, check(world, diary) ?? 'not in time', world, life);
      }
      hold(always);
    }
  };
  const pass = (forMs: number): void => {
    const stepMs = Math.max(250, world.hosts.size);
    for (let left = forMs; left > 0; left -= stepMs) {
      world.run(Math.min(stepMs, left));
      hold(always);
    }
  };
  const measure = (some: readonly SimHost[]): void => {
    for (const { name, cell } of some) {
      const { apps, assignments } = world.view(name);
      const revisions = apps.reduce((sum, { history }) => sum + history.length, 0);
      const things = world.hosts.size + diary.removed.size + diary.joined + assignments.length + revisions;
      const detail = oversizeOf(cell!, things);
      if (detail !== undefined)
        throw new Broken('every queue and map is within its limit', `${name}: ${detail}`, world, life);
    }
  };
  for (let i = 0; i < deeds; i++) {
    happen(scene, on);
    pass(random.between(100, 3_000));
    if (i % 10 === 9) measure(world.up().slice(0, 3));
  }
  mend(scene);
  // What was set off may go on for a moment: a rolling restart, power that returns.
  pass(8_000);
  mend(scene);
  // Who slept until now may find that it fell, and be held back.
  come(settled);
  world.run(2_000);
  come(settled);
  world.run(5_000);
  const before = silence(world);
  const [first] = world.up();
  const sizes = sizesOf(first!.cell!);
  world.run(20_000);
  hold([...always, ...settled]);
  measure(world.up().slice(0, 3));
  const grownTo = grownOf(sizes, sizesOf(first!.cell!));
  if (grownTo !== undefined) throw new Broken('no queue or map grows while nothing changes', grownTo, world, life);
  const noise = before();
  if (noise !== undefined) throw new Broken('no work while nothing changes', noise, world, life);
  if (cells < 3) return world;
  const leader = change(world, (name, detail) => new Broken(name, detail, world, life));
  const victim = leader ?? world.hosts.get(random.pick([...world.hosts.keys()])!)!;
  examine(world, victim, (name, detail) => new Broken(name, detail, world, life), hold);
  come(settled.filter(({ name }) => name === rolledOut));
  return world;
}

function begun(life: Life, network: NetworkOptions): World {
  const { seed, cells } = life;
  try {
    return cells > 12 ? grown(cells, { seed, network, hears: 5 }) : appliance(cells, { seed, network });
  } catch (error) {
    throw new Broken('the appliance comes together', (error as Error).message, undefined, life);
  }
}

/** A change that takes a while: one leads it, and all know who. Where it has a place. */
function change(world: World, broken: (name: string, detail: string) => Broken): SimHost | undefined {
  const { name: where } = world.up()[0]!;
  for (const host of world.hosts.values()) host.startFactor = 10;
  const deploy = (form: string): void => {
    const services = [simService('web', 3, { image: 'busybox', environment: { FORM: form } })];
    world.get(where, { op: 'deploy', spec: { name: 'last', services }, by: where, note: '', acks: 1 });
  };
  const isDone = (): boolean =>
    world
      .up()
      .every(
        ({ name }) => world.view(name).apps.find((app) => app.name === 'last')?.revision.outcome?.state === 'done',
      );
  deploy('1');
  world.run(500);
  if (world.view(where).assignments.some(({ app, cell }) => app === 'last' && cell === undefined)) return undefined;
  try {
    world.until(isDone, 60_000, 'the first revision', 50);
    deploy('2');
    world.until(() => world.up().every(({ name }) => world.view(name).duties.length > 0), 5_000, 'a duty in all views');
  } catch (error) {
    if (error instanceof Broken) throw error;
    throw broken('a change is led and ends', (error as Error).message);
  }
  const owned = settled.find(({ name }) => name === dutyOwned)!;
  let why: string | undefined;
  try {
    world.until(() => (why = owned.check(world, freshDiary(''))) === undefined, owned.withinMs, dutyOwned);
  } catch (error) {
    if (error instanceof Broken) throw error;
    throw broken(dutyOwned, why ?? 'not in time');
  }
  return world.hostOf(world.view(where).duties[0]?.by ?? '');
}

/** One more dies: all must know, and what it ran must run elsewhere. */
function examine(
  world: World,
  victim: SimHost,
  broken: (name: string, detail: string) => Broken,
  hold: (invariants: readonly Invariant[]) => void,
): void {
  const lost = [...victim.containers.values()].filter(({ handle }) => !victim.strict.has(handle));
  world.powerOff(victim.name);
  const blind = () =>
    world.up().find(({ name }) => world.view(name).members.find(({ id }) => id === victim.id)?.state !== 'down');
  const missing = (): string[] => {
    const runs = new Set(world.running().map((one) => one.split('@')[0]));
    const placed = new Set(
      world.view(world.up()[0]!.name).assignments.flatMap((one) => (one.cell ? [one.replica] : [])),
    );
    return lost.map(({ replica }) => replica).filter((replica) => placed.has(replica) && !runs.has(replica));
  };
  try {
    world.until(() => blind() === undefined, 15_000, 'known', 20);
  } catch (error) {
    if (error instanceof Broken) throw error;
    throw broken('a dead cell is down in every view', `${victim.name} is dead, and ${blind()!.name} does not know`);
  }
  try {
    world.until(() => missing().length === 0, 60_000, 'elsewhere', 50);
  } catch (error) {
    if (error instanceof Broken) throw error;
    throw broken('what a dead cell ran runs elsewhere', `${victim.name} ran ${missing().join(' ')}`);
  }
  hold(always);
}

/** The same failure with fewer faults, cells and deeds, as far as it goes. */
export function reduced(options: LifeOptions, { invariant }: Broken): Life {
  let life = drawn(options);
  const fails = (candidate: Life): boolean => {
    try {
      live(candidate);
      return false;
    } catch (error) {
      return (error as Broken).invariant === invariant;
    }
  };
  const take = (candidate: Life): void => {
    if (fails(candidate)) life = candidate;
  };
  for (const fault of life.faults) take({ ...life, faults: life.faults.filter((one) => one !== fault) });
  for (let less = life.cells >> 1; less > 0; less >>= 1)
    if (life.cells - less >= 2) take({ ...life, cells: life.cells - less });
  for (let less = life.deeds >> 1; less > 0; less >>= 1) take({ ...life, deeds: life.deeds - less });
  return life;
}
