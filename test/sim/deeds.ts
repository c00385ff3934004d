/**
 * What people do and what goes wrong in a random life, each a small deed with a name. A fault is off in a life unless its
 * seed drew it (swarm testing, Groce et al., ISSTA '12: a run without a fault finds what that fault hides).
 */

import type { Random } from '../../src/core/random.ts';
import type { Moods } from './forms.ts';
import { drawnApp } from './forms.ts';
import { memoryBytes } from './host.ts';
import type { World } from './world.ts';

export const faults = [
  ...['crash', 'power', 'disk', 'rolling', 'blackout', 'pause', 'slow', 'clock'],
  ...['partition', 'bridge', 'oneway', 'burst', 'rough', 'wifi', 'broken', 'heavy', 'lies', 'join'],
] as const;
/** What lasts as long as the life does. */
export const conditions = [
  ...['hush', 'bad', 'work', 'shared', 'lines', 'flaky', 'wipe', 'strangers', 'leavers'],
  ...['gulf', 'lag', 'storm', 'sick', 'tight'],
] as const;
/** Only where they are named: too dear to be drawn. */
export const dear = ['flood'] as const;
export const allFaults: readonly string[] = [...faults, ...conditions, ...dear];
export type Fault = ((typeof faults)[number] | (typeof conditions)[number] | (typeof dear)[number]) & string;

/** An acknowledged deploy: it must not be lost while one of the disks that have it is whole. */
interface Kept {
  app: string;
  revision: string;
  acks: number;
  lostBefore: number;
}

/** The life so far, as those who check it remember. */
export interface Diary {
  kept: Kept[];
  /** Disks that lost their last write. */
  disksLost: number;
  ticket: string;
  joined: number;
  /** Names of hosts that nobody let in, and of those that were removed. */
  strangers: Set<string>;
  /** Of those that were removed, and their ids. */
  removed: Map<string, string>;
  /** The faults have stopped. */
  isOver: boolean;
}

export const freshDiary = (ticket: string): Diary => ({
  ...{ kept: [], disksLost: 0, ticket, joined: 0 },
  ...{ strangers: new Set(), removed: new Map(), isOver: false },
});

export const isOutside = ({ strangers, removed }: Diary, name: string): boolean =>
  strangers.has(name) || removed.has(name);

export interface Scene {
  world: World;
  random: Random;
  diary: Diary;
  /** How many cells may come along the way. */
  room: number;
  moods: Moods;
}

type Deed = (scene: Scene, victim: string, isUp: boolean) => void;

const upCount = ({ world }: Scene): number => world.up().length;

const harms: Record<string, Deed> = {
  crash: ({ world }, victim, isUp) => {
    if (isUp) world.crash(victim);
  },
  power: (scene, victim, isUp) => {
    if (isUp && upCount(scene) > 2) scene.world.powerOff(victim);
  },
  disk: (scene, victim, isUp) => {
    if (!isUp || upCount(scene) <= 2) return;
    // The daemon ends, and its last write is lost although the disk had promised it: cheap cards lie.
    scene.world.crash(victim);
    if (scene.world.tear(victim)) scene.diary.disksLost++;
  },
  // One after the other; of many several at once, so that all are through in a few seconds.
  rolling: ({ world, random }) => {
    const pace = Math.min(1, 12 / world.up().length);
    let at = 0;
    for (const { name } of world.up()) {
      world.after((at += random.between(200, 800) * pace), () => world.crash(name));
      world.after(at + random.between(50, 700), () => {
        if (world.hosts.get(name)?.cell === undefined) world.powerOn(name);
      });
    }
  },
  blackout: ({ world, random }) => {
    const names = [...world.hosts.keys()];
    for (const { name } of world.up()) world.powerOff(name);
    for (const name of names) world.after(random.between(500, 4_000), () => world.powerOn(name));
  },
  pause: ({ world, random }, victim, isUp) => {
    if (isUp) world.pause(victim, random.between(100, random.chance(20) ? 30_000 : 3_000));
  },
  slow: ({ world, random }, victim) => {
    world.hosts.get(victim)!.slowMs = random.chance(50) ? random.between(20, 150) : 0;
  },
  clock: ({ world, random }, victim, isUp) => {
    if (isUp) world.setClock(victim, random.between(-86_400_000, 86_400_000));
  },
  partition: ({ world, random }) => {
    const names = random.shuffle([...world.hosts.keys()]);
    const cuts = [random.between(1, names.length - 1), random.between(1, names.length - 1)].sort((a, b) => a - b);
    const islands = random.chance(70) ? [names.slice(0, cuts[0]), names.slice(cuts[0])] : undefined;
    world.partition(islands ?? [names.slice(0, cuts[0]), names.slice(cuts[0], cuts[1]), names.slice(cuts[1])]);
  },
  bridge: ({ world, random }) => {
    const [bridge, ...names] = random.shuffle([...world.hosts.keys()]);
    const at = names.length >> 1;
    world.partition([names.slice(0, at), names.slice(at)], [bridge!]);
  },
  oneway: ({ world, random }, victim) => {
    if (random.chance(50)) world.network.mute(victim);
    else world.network.deafen(victim);
  },
  burst: ({ world, random }, victim) => {
    const host = random.chance(50) ? victim : undefined;
    world.network.burst(world.nowMs + random.between(300, 3_000), random.between(30, 95), host);
  },
  broken: ({ world, random }, victim) => {
    world.hosts.get(victim)!.broken.set(`image-${random.below(3)}`, 'no space');
  },
  // What takes long to start: changes go on while other things happen.
  heavy: ({ world, random }) => {
    for (const host of world.hosts.values()) host.startFactor = random.between(5, 30);
  },
  lies: ({ world, random }, victim, isUp) => {
    if (isUp) world.say(victim, { cpuMilli: random.pick([100, 1_000, 64_000, 1_000_000])! });
  },
  join: (scene) => {
    const { world, random, diary } = scene;
    for (let i = random.between(1, 4); i > 0 && diary.joined < scene.room; i--) {
      const { name } = world.addHost(`n${++diary.joined}`);
      world.after(random.between(0, 500), () => world.start(name, diary.ticket));
    }
  },
};

const people: Record<string, Deed> = {
  deploy: ({ world, random, diary, moods }) => {
    const where = random.pick(world.up())?.name;
    const { app, services } = drawnApp(random, moods);
    if (where === undefined) return;
    const lostBefore = diary.disksLost;
    const request = { op: 'deploy', spec: { name: app, services }, by: where, note: 'random', acks: 1 } as const;
    world.tellOf(world.ask(where, request), (reply) => {
      // Who is out, and does not know it, has only itself to promise for.
      if (!reply.ok || reply.warning !== undefined || isOutside(diary, where)) return;
      diary.kept.push({ app, revision: String(reply.value.revision), acks: Number(reply.value.acks), lostBefore });
    });
  },
  heal: ({ world }) => world.heal(),
  start: ({ world }, victim, isUp) => {
    if (!isUp) world.powerOn(victim);
  },
  drain: ({ world, random }, victim) => {
    const where = random.pick(world.up())?.name;
    const cell = world.hosts.get(victim)!.id;
    if (where !== undefined) world.ask(where, { op: 'cell.set', cell, drain: random.chance(50) });
  },
  zone: ({ world, random }, victim) => {
    const where = random.pick(world.up())?.name;
    const cell = world.hosts.get(victim)!.id;
    if (where !== undefined) world.ask(where, { op: 'cell.set', cell, labels: { zone: `z${random.below(2)}` } });
  },
};

/** One thing happens, if its fault is on. */
export function happen(scene: Scene, on: ReadonlySet<string>): void {
  const { world, random } = scene;
  const victim = random.pick([...world.hosts.keys()])!;
  const isUp = world.hosts.get(victim)!.cell !== undefined;
  const deed = random.pick([
    'deploy',
    'deploy',
    'deploy',
    'heal',
    'heal',
    'start',
    'start',
    'drain',
    'zone',
    ...faults,
  ])!;
  if (people[deed] !== undefined) people[deed](scene, victim, isUp);
  else if (on.has(deed)) harms[deed]?.(scene, victim, isUp);
}

/** Faults stop: everybody is there, sound, and honest. */
export function mend({ world, diary }: Scene): void {
  diary.isOver = true;
  for (const name of [...world.hosts.keys()]) if (isOutside(diary, name)) world.remove(name);
  world.heal();
  world.network.hush(0);
  world.network.mendLines();
  world.falling = false;
  for (const host of world.hosts.values()) {
    host.broken.clear();
    host.slowMs = 0;
    host.startFactor = 1;
    if (host.cell === undefined) world.start(host.name);
    host.illUntilMs = Number.NEGATIVE_INFINITY;
    const { cpuMilli, says } = host;
    if (says.cpuMilli !== cpuMilli || says.memoryBytes !== memoryBytes) world.say(host.name, { cpuMilli, memoryBytes });
    world.setClock(host.name, 0);
  }
  // Where the removal itself was lost, somebody sees it and removes it again.
  for (const cell of diary.removed.values()) world.ask('h1', { op: 'cell.rm', cell });
}
