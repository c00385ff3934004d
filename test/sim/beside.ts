/** What goes wrong beside what is drawn deed by deed: at moments, and with dice, of its own, so that a new one changes no other. */
import { Random } from '../../src/core/random.ts';
import type { Scene } from './deeds.ts';
import { isOutside } from './deeds.ts';
import { cannotStart } from './engines.ts';

const mebibyte = 2 ** 20;

/** So many times, each at a moment of its own, while there are faults. */
function sometime({ world, diary }: Scene, random: Random, times: number, act: (i: number) => void): void {
  for (let i = 0; i < times; i++) world.after(random.between(0, 40_000), () => (diary.isOver ? undefined : act(i)));
}

/** They come within a moment, as many as that. */
function flock({ world, diary }: Scene, random: Random, count: number): void {
  for (let i = 0; i < count; i++) {
    const { name } = world.addHost(`n${++diary.joined}`);
    world.after(random.between(0, 300), () => world.start(name, diary.ticket));
  }
}

/** What goes on beside what `happen` draws: at moments, and with dice, of its own. */
const beside: Record<string, (scene: Scene, random: Random) => void> = {
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
  /** Some hear the others, and are not heard by them. */
  gulf: (scene, random) => {
    sometime(scene, random, 2, () => {
      const names = random.shuffle([...scene.world.hosts.keys()]);
      const at = random.between(1, names.length - 1);
      scene.world.partition([names.slice(0, at), names.slice(at)], [], true);
    });
  },
  /** Whatever is sent is on its way for long: somebody fills the line. */
  lag: (scene, random) => {
    const { world } = scene;
    sometime(scene, random, 3, () => {
      const host = random.chance(50) ? random.pick([...world.hosts.keys()]) : undefined;
      world.network.lag(world.nowMs + random.between(500, 5_000), random.between(200, 4_000), host);
    });
  },
  /** As many come at once as there are, or half of that. */
  storm: (scene, random) => {
    const cells = scene.world.hosts.size;
    sometime(scene, random, 1, () => flock(scene, random, random.between(cells >> 1, cells)));
  },
  flood: (scene, random) => sometime(scene, random, 1, () => flock(scene, random, 300)),
  /** All that runs on one answers ill for a while, or not at all. */
  sick: (scene, random) => {
    const { world } = scene;
    sometime(scene, random, 4, () => {
      random.pick([...world.hosts.values()])!.illUntilMs = world.nowMs + random.between(500, 15_000);
    });
  },
  /** What they say of their memory is not true. */
  tight: (scene, random) => {
    const { world } = scene;
    sometime(scene, random, 4, () => {
      const victim = random.pick(world.up());
      if (victim !== undefined) world.say(victim.name, { memoryBytes: random.pick([64, 65_536])! * mebibyte });
    });
  },
};

export function begin(scene: Scene, on: ReadonlySet<string>, seed: string): void {
  for (const [name, deed] of Object.entries(beside)) if (on.has(name)) deed(scene, new Random(`${name}/${seed}`));
}
