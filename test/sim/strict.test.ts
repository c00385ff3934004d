/** Strict services: never on two cells at once, and on one wherever a majority sees it. */
import { describe, expect, it } from 'vitest';
import type { Request } from '../../src/core/events.ts';
import { appliance, simService } from './makers.ts';
import { rough } from './network.ts';
import type { World } from './world.ts';

const database: Request = {
  op: 'deploy',
  spec: { name: 'shop', services: [simService('db', 1, { strict: true })] },
  by: 'test',
  note: 'test',
  acks: 1,
};

const whereIs = (world: World): string | undefined =>
  world
    .running()
    .find((one) => one.startsWith('shop/db/'))
    ?.split('@')[1];
const runs = (world: World, notOn = ''): string => {
  world.until(
    () => ![undefined, notOn].includes(whereIs(world)),
    60_000,
    `db runs${notOn === '' ? '' : ` not on ${notOn}`}`,
  );
  return whereIs(world)!;
};
const others = (world: World, name: string): string[] => [...world.hosts.keys()].filter((one) => one !== name);

function strictWorld(count: number, seed: string, more = {}): { world: World; home: string } {
  const world = appliance(count, { seed, ...more });
  world.get('h1', database);
  const home = runs(world);
  world.until(() => world.view('h1').quorum.cells === count, 60_000, 'all decide');
  world.run(12_000);
  return { world, home };
}

describe('a strict service', () => {
  it('starts at once on a fresh appliance, and once', () => {
    const world = appliance(3, { seed: 'strict' });
    world.get('h1', database);
    expect(world.until(() => whereIs(world) !== undefined, 5_000, 'it runs')).toBeLessThan(2_000);
    world.run(60_000);
    expect(world.running()).toHaveLength(1);
    expect(world.violations).toEqual([]);
  });

  it('stops on the side without a majority before the other side starts it, and stays single when they meet', () => {
    for (const seed of ['apart-1', 'apart-2', 'apart-3']) {
      const { world, home } = strictWorld(5, seed);
      const [mate, ...rest] = others(world, home);
      world.partition([[home, mate!], rest]);
      const next = runs(world, home);
      expect(rest).toContain(next);
      expect(world.view(home).quorum).toMatchObject({ cells: 5, seen: 2, needed: 3 });
      world.heal();
      world.run(30_000);
      expect(world.running()).toHaveLength(1);
      expect(world.violations).toEqual([]);
    }
  });

  it('ends with its lease also where the daemon is dead, or does not get a turn', () => {
    for (const [seed, harm] of [
      ['dead', (world: World, home: string) => world.crash(home)],
      ['asleep', (world: World, home: string) => world.pause(home, 40_000)],
    ] as const) {
      const { world, home } = strictWorld(5, seed);
      harm(world, home);
      runs(world, home);
      world.run(60_000);
      expect(world.violations).toEqual([]);
      expect(world.running()).toHaveLength(1);
    }
  });

  it('comes back after the power was off everywhere', () => {
    const { world } = strictWorld(3, 'dark');
    for (const name of world.hosts.keys()) world.powerOff(name);
    world.run(5_000);
    world.heal();
    for (const name of world.hosts.keys()) world.start(name);
    runs(world);
    world.run(20_000);
    expect(world.running()).toHaveLength(1);
    expect(world.violations).toEqual([]);
  });

  it('is held back where one of two is left: two have no majority of one', () => {
    const { world, home } = strictWorld(2, 'pair');
    const [left] = others(world, home);
    world.powerOff(home);
    world.run(60_000);
    expect(world.running()).toEqual([]);
    expect(world.view(left!).quorum).toEqual({ cells: 2, seen: 1, needed: 2 });
  });

  it('runs on through a restart of its daemon, alone and with others', () => {
    for (const count of [1, 3]) {
      const { world, home } = strictWorld(count, `restart-${count}`);
      const [before] = [...world.hosts.get(home)!.containers.keys()];
      world.crash(home);
      world.run(300);
      world.start(home);
      world.run(30_000);
      expect([...world.hosts.get(home)!.containers.keys()]).toEqual([before]);
      expect(world.violations).toEqual([]);
    }
  });

  it('runs on when it is strict no more, and takes no second replica while it is', () => {
    const { world } = strictWorld(3, 'loose');
    const [before] = world.running();
    expect(() => world.get('h2', { op: 'scale', app: 'shop', service: 'db', replicas: 2, by: 'test' })).toThrow(
      'strict',
    );
    world.get('h1', { ...database, spec: { name: 'shop', services: [simService('db', 1)] } } as Request);
    world.run(40_000);
    expect(world.running()).toEqual([before]);
    expect(world.events.filter(({ kind }) => kind === 'unit.exited')).toEqual([]);
  });

  it('does not stop when a second cell comes', () => {
    const { world } = strictWorld(1, 'second');
    const { ticket } = world.get('h1', { op: 'ticket.create', uses: 1, expiresInMs: 3_600_000, seed: 'second' });
    world.addHost('h2');
    world.start('h2', String(ticket));
    const [before] = [...world.hosts.get('h1')!.containers.keys()];
    world.run(40_000);
    expect([...world.hosts.get('h1')!.containers.keys()]).toEqual([before]);
    expect(world.view('h1').quorum).toEqual({ cells: 2, seen: 2, needed: 2 });
  });

  it('is safe as soon as the third cell is in: any of the three may die then', () => {
    for (const victim of ['h1', 'h2']) {
      const { world } = strictWorld(2, `third-${victim}`);
      const { ticket } = world.get('h1', { op: 'ticket.create', uses: 1, expiresInMs: 3_600_000, seed: 'third' });
      world.addHost('h3');
      world.start('h3', String(ticket));
      world.until(() => world.view('h1').quorum.seen === 3, 5_000, 'all three decide');
      world.run(500);
      world.powerOff(victim);
      runs(world, victim);
      world.run(20_000);
      expect(world.running()).toHaveLength(1);
      expect(world.violations).toEqual([]);
    }
  });

  it('moves by stopping first when its cell is drained', () => {
    const { world, home } = strictWorld(3, 'drain');
    world.get(home, { op: 'cell.set', cell: world.hosts.get(home)!.id, drain: true });
    const next = runs(world, home);
    expect(next).not.toBe(home);
    world.run(10_000);
    expect(world.running()).toHaveLength(1);
    expect(world.violations).toEqual([]);
  });

  it('is not won by a minority that lets new cells in', () => {
    const { world, home } = strictWorld(3, 'grow');
    const [alone, mate] = others(world, home);
    const { ticket } = world.get(alone!, { op: 'ticket.create', uses: 6, expiresInMs: 3_600_000, seed: 'grow' });
    world.run(1_000);
    for (let i = 4; i <= 9; i++) world.addHost(`h${i}`);
    const newcomers = ['h4', 'h5', 'h6', 'h7', 'h8', 'h9'];
    world.partition([
      [home, mate!],
      [alone!, ...newcomers],
    ]);
    for (const name of newcomers) world.start(name, String(ticket));
    world.run(120_000);
    const { seen, needed } = world.view('h4').quorum;
    expect(seen).toBeLessThan(needed);
    expect(world.running()).toEqual([`shop/db/1@${home}`]);
    world.heal();
    world.run(60_000);
    expect(world.running()).toHaveLength(1);
    expect(world.violations).toEqual([]);
  });

  it('is won by one side at most where both let new cells in', () => {
    for (let i = 0; i < 8; i++) {
      const { world } = strictWorld(3, `both-${i}`);
      const { ticket } = world.get('h1', { op: 'ticket.create', uses: 4, expiresInMs: 3_600_000, seed: 'both' });
      for (const name of ['h4', 'h5', 'h6', 'h7']) world.addHost(name);
      for (const name of ['h4', 'h5']) world.start(name, String(ticket));
      world.run(3_000 + i * 1_000);
      const lone = `h${(i % 3) + 1}`;
      const pair = ['h1', 'h2', 'h3'].filter((name) => name !== lone);
      world.partition([
        [...pair, 'h6', 'h7'],
        [lone, 'h4', 'h5'],
      ]);
      for (const name of ['h6', 'h7']) world.start(name, String(ticket));
      world.run(60_000);
      expect(world.violations).toEqual([]);
      world.heal();
      world.until(() => world.view('h6').quorum.cells === 7, 90_000, 'all decide');
      runs(world);
      expect(world.violations).toEqual([]);
    }
  });

  it('is never doubled where the cell that lets others decide forgets that it did', () => {
    for (let i = 0; i < 6; i++) {
      const { world } = strictWorld(2, `forget-${i}`);
      const { ticket } = world.get('h1', { op: 'ticket.create', uses: 2, expiresInMs: 3_600_000, seed: 'forget' });
      world.addHost('h3');
      world.addHost('h4');
      world.start('h3', String(ticket));
      const before = world.view('h2').quorum.cells;
      world.until(() => world.hosts.get('h1')!.cell!.isAdmitted(world.hosts.get('h3')!.id), 5_000, 'it is let in', 5);
      world.run(i * 60);
      // Its last writes never reached the disk.
      world.powerOff('h1');
      for (let lost = 0; lost < 2; lost++) world.tear('h1');
      world.partition([
        ['h1', 'h4'],
        ['h2', 'h3'],
      ]);
      world.start('h1');
      world.start('h4', String(ticket));
      world.run(60_000);
      expect(before).toBe(2);
      expect(world.violations).toEqual([]);
    }
  });

  it.each(['card-1', 'card-2', 'card-3'])('is never doubled where one that decides has lost its disk (%s)', (seed) => {
    const { world, home } = strictWorld(3, seed);
    const { ticket } = world.get(home, { op: 'ticket.create', uses: 2, expiresInMs: 3_600_000, seed: 'again' });
    const [mate, other] = others(world, home) as [string, string];
    // Its mate alone has promised it.
    world.partition([[home, mate], [other]]);
    world.run(15_000);
    world.crash(home);
    world.crash(mate);
    world.loseDisk(mate);
    world.heal();
    world.start(mate, String(ticket));
    world.until(() => world.view(mate).phase === 'member', 10_000, 'it is a member again');
    const next = runs(world, home);
    expect([mate, other]).toContain(next);
    expect(world.violations).toEqual([]);
  });

  it('is never doubled under loss, with clocks that drift, through cuts and returns', () => {
    for (let i = 0; i < 15; i++) {
      const world = appliance(5, { seed: `storm-${i}`, network: rough });
      const random = world.random.fork('harm');
      for (const host of world.hosts.values()) host.rate = 1 + random.between(-40, 40) / 10_000;
      world.get('h1', database);
      const names = [...world.hosts.keys()];
      for (let step = 0; step < 25; step++) {
        const victim = random.pick(names)!;
        const isUp = world.hosts.get(victim)!.cell !== undefined;
        const shuffled = random.shuffle(names);
        const deed = random.below(6);
        if (deed === 0) world.partition([shuffled.slice(0, 2), shuffled.slice(2)]);
        else if (deed === 1) world.heal();
        else if (deed === 2 && isUp) world.crash(victim);
        else if (deed === 3 && !isUp) world.start(victim);
        else if (deed === 4 && isUp) world.pause(victim, random.between(100, 30_000));
        else if (deed === 5) world.partition([shuffled.slice(0, 3), shuffled.slice(3)]);
        world.run(random.between(500, 8_000));
        expect(world.violations).toEqual([]);
      }
      world.heal();
      for (const name of names) if (world.hosts.get(name)!.cell === undefined) world.start(name);
      world.until(() => world.running().length === 1, 90_000, 'it runs again');
      expect(world.violations).toEqual([]);
    }
  });
});
