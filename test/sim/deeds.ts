/**
 * What people do and what goes wrong in a random life, each a small deed with a name. A fault is off in a life unless its
 * seed drew it (swarm testing, Groce et al., ISSTA '12: a run without a fault finds what that fault hides).
 */

import { Random } from '../../src/core/random.ts';
import type { ServiceSpec } from '../../src/core/spec.ts';
import { cannotStart } from './engines.ts';
import { simService } from './makers.ts';
import type { World } from './world.ts';

export const faults = [
  ...['crash', 'power', 'disk', 'rolling', 'blackout', 'pause', 'slow', 'clock'],
  ...['partition', 'bridge', 'oneway', 'burst', 'rough', 'wifi', 'broken', 'heavy', 'lies', 'join'],
] as const;
/** What lasts as long as the life does. */
export const conditions = ['hush', 'bad', 'work', 'shared', 'lines', 'flaky', 'wipe', 'strangers', 'leavers'] as const;
export type Fault = ((typeof faults)[number] | (typeof conditions)[number]) & string;

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
  /** Where set, some revisions fall as soon as they run, and files say how a change goes. */
  bad?: Random;
  /** Where set, apps have jobs, and hooks before a change. */
  work?: Random;
  /** Where set, some services of an app share a volume. */
  shared?: Random;
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
    if (isUp) world.say(victim, random.pick([100, 1_000, 64_000, 1_000_000])!);
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
  deploy: ({ world, random, diary, bad, work, shared }) => {
    const where = random.pick(world.up())?.name;
    const port = random.chance(15) ? { ports: [{ target: 80, published: 8_080, protocol: 'tcp' as const }] } : {};
    const services = [simService('web', random.between(0, 6), { image: `image-${random.below(3)}`, ...port })];
    if (random.chance(50)) services.push(simService('db', 1, { strict: true, image: 'busybox' }));
    const app = `app-${random.below(3)}`;
    if (bad !== undefined) services[0] = { ...services[0]!, ...moody(bad) };
    if (bad?.chance(30) === true && services.length > 1)
      services[0] = { ...services[0]!, dependsOn: [{ service: 'db', condition: 'healthy' }] };
    if (work !== undefined) busy(services, work);
    if (shared?.chance(60) === true) share(services, shared);
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

/** A job beside it, and perhaps a hook; what falls, falls here too. */
function busy(services: ServiceSpec[], random: Random): void {
  const [web] = services;
  if (random.chance(40)) services[0] = { ...web!, preDeploy: { command: ['migrate', String(random.below(3))] } };
  if (!random.chance(60)) return;
  const job = { parallelism: random.between(1, 3), retries: random.below(3) };
  const environment = { FORM: String(random.below(4)) };
  const mode = random.chance(20) ? 'global' : 'replicated';
  const image = random.chance(20) ? 'falls-job' : 'busybox';
  services.push(simService('job', random.between(0, 5), { job, environment, mode, image }));
}

/** Some of them have a volume in common. */
function share(services: ServiceSpec[], random: Random): void {
  services.push(simService('index', random.between(1, 2), { image: 'busybox' }));
  services.forEach((service, i) => {
    if (random.chance(70)) services[i] = { ...service, mounts: [{ kind: 'volume', source: 'data', target: '/data' }] };
  });
}

function moody(random: Random): Partial<ServiceSpec> {
  const update = {
    parallelism: random.below(4),
    delayMs: random.chance(30) ? random.below(3_000) : 0,
    onFailure: random.pick(['rollback', 'pause', 'continue'] as const)!,
    order: random.pick(['start-first', 'start-first', 'stop-first'] as const)!,
    monitorMs: random.pick([0, 1_000, 5_000])!,
    maxFailureRatio: random.pick([0, 0, 0.5])!,
  };
  return { update, ...(random.chance(35) ? { image: `falls-${random.below(3)}` } : {}) };
}

/** So many times, each at a moment of its own, while there are faults. */
function sometime({ world, diary }: Scene, random: Random, times: number, act: (i: number) => void): void {
  for (let i = 0; i < times; i++) world.after(random.between(0, 40_000), () => (diary.isOver ? undefined : act(i)));
}

/** What goes on beside what `happen` draws: at moments, and with dice, of its own. */
const beside: Partial<Record<Fault, (scene: Scene, random: Random) => void>> = {
  /** Some lines lose much, each direction by itself. */
  lines: ({ world }, random) => {
    for (const from of world.hosts.keys())
      for (const to of world.hosts.keys())
        if (from !== to && random.chance(10)) world.network.spoil(from, to, random.between(10, 100));
  },
  /** All of it is there, and does not start. */
  flaky: (scene, random) => {
    const { world } = scene;
    sometime(scene, random, 4, () => {
      const host = random.pick([...world.hosts.values()])!;
      host.broken.set(random.pick(['busybox', 'image-0', 'image-1'])!, cannotStart);
    });
  },
  /** A card is replaced: the same key, and nothing else. */
  wipe: (scene, random) => {
    const { world, diary } = scene;
    sometime(scene, random, 2, () => {
      const host = random.pick(world.up());
      if (host === undefined || isOutside(diary, host.name) || world.up().length < 3) return;
      world.crash(host.name);
      world.loseDisk(host.name);
      diary.disksLost++;
      world.after(random.between(100, 2_000), () => {
        if (host.cell === undefined) world.start(host.name, diary.ticket);
      });
    });
  },
  /** They hear of the appliance, with no ticket or one that was revoked, and knock. */
  strangers: (scene, random) => {
    const { world, diary } = scene;
    const made = { op: 'ticket.create', uses: 9, expiresInMs: 8.64e7, seed: 'for nobody' } as const;
    const { ticket } = world.get('h1', made, 60_000);
    world.get('h1', { op: 'ticket.revoke', ticket: String(ticket) }, 60_000);
    sometime(scene, random, 2, (i) => {
      const { name } = world.addHost(`s${i}`);
      diary.strangers.add(name);
      world.start(name, random.chance(50) ? String(ticket) : undefined);
    });
  },
  /** They are removed from the appliance by somebody. */
  leavers: (scene, random) => {
    const { world, diary } = scene;
    sometime(scene, random, 2, () => {
      const where = random.pick(world.up())?.name;
      const host = random.pick([...world.hosts.values()])!;
      const inside = [...world.hosts.keys()].filter((name) => !isOutside(diary, name));
      // Who made the ticket stays: with it all that it vouched for would go.
      if (where === undefined || where === host.name || host.name === 'h1' || inside.length <= 3) return;
      if (![where, host.name].every((name) => inside.includes(name))) return;
      // Whether it is told or not: somebody sees to it in the end.
      world.ask(where, { op: 'cell.rm', cell: host.id });
      diary.removed.set(host.name, host.id);
      // What only it had goes with it.
      diary.disksLost++;
    });
  },
};

export function begin(scene: Scene, on: ReadonlySet<string>, seed: string): void {
  for (const [name, deed] of Object.entries(beside)) if (on.has(name)) deed(scene, new Random(`${name}/${seed}`));
}

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
    if (host.saysCpuMilli !== host.cpuMilli) world.say(host.name, host.cpuMilli);
    world.setClock(host.name, 0);
  }
  // Where the removal itself was lost, somebody sees it and removes it again.
  for (const cell of diary.removed.values()) world.ask('h1', { op: 'cell.rm', cell });
}
