import { describe, expect, it } from 'vitest';
import { cellRows } from '../../src/api/rows.ts';
import type { Request } from '../../src/core/events.ts';
import { aliveIn, allSee, appliance, simService } from './makers.ts';
import { rough } from './network.ts';
import { World } from './world.ts';

const deploy = (name: string, replicas: number, image = 'busybox', by = 'test'): Request => {
  const spec = { name, services: [simService('web', replicas, { image })] };
  return { op: 'deploy', spec, by, note: 'test', acks: 1 };
};

describe('an appliance in World', () => {
  it('replays a seed bit for bit', () => {
    const run = (seed: string) => {
      const world = appliance(5, { seed, network: rough });
      world.get('h2', deploy('shop', 4));
      world.crash('h3');
      world.run(5_000);
      return { digest: world.digest, steps: world.steps, running: world.running() };
    };
    expect(run('alpha')).toEqual(run('alpha'));
    expect(run('alpha').digest).not.toBe(run('beta').digest);
  });

  it('joins by ticket, without the founder: boards of one image admit themselves', () => {
    const world = new World({ seed: 'flash' });
    for (const name of ['f', 'a', 'b', 'c']) world.addHost(name);
    world.start('f');
    world.get('f', { op: 'found', seed: 'founding' });
    const { ticket } = world.get('f', { op: 'ticket.create', uses: 3, expiresInMs: 60_000, seed: 't' });
    world.crash('f');
    for (const name of ['a', 'b', 'c']) world.start(name, String(ticket));
    world.until(
      () => world.up().every(({ name }) => ['a', 'b', 'c'].every((n) => aliveIn(world, name).includes(n))),
      10_000,
      'a, b and c see each other',
    );
    world.start('f');
    world.until(() => allSee(world, 4), 10_000, 'the founder is back among them');
  });

  it('spreads replicas, and moves only those of a board that dies; they return with it', () => {
    const world = appliance(3, { seed: 'spread' });
    world.get('h2', deploy('shop', 3));
    world.until(() => world.running().length === 3, 5_000, '3 replicas run');
    const before = world.running();
    expect(new Set(before.map((one) => one.split('@')[1])).size).toBe(3);
    world.powerOff('h3');
    const took = world.until(() => world.running().length === 3, 10_000, '3 replicas run on 2 boards');
    expect(took).toBeLessThanOrEqual(2_500);
    const survivors = before.filter((one) => !one.endsWith('@h3'));
    for (const one of survivors) expect(world.running()).toContain(one);
    world.network.heal();
    world.start('h3');
    world.until(() => allSee(world, 3) && world.running().join() === before.join(), 20_000, 'as before');
  });

  it.each([3, 8])('a death among %i is known although all gossip is lost', (count) => {
    const world = appliance(count, { seed: 'hushed' });
    world.run(3_000);
    world.network.hush(100);
    world.powerOff('h2');
    const { id } = world.hosts.get('h2')!;
    const stateIn = (name: string) => world.view(name).members.find((member) => member.id === id)?.state;
    const knows = (): boolean => world.up().every(({ name }) => stateIn(name) === 'down');
    expect(world.until(knows, 20_000, 'all know')).toBeLessThanOrEqual(5_000);
  });

  it('a crashed daemon is found at once, adopts its containers and restarts nothing', () => {
    const world = appliance(3, { seed: 'crash' });
    world.get('h1', deploy('shop', 3));
    world.until(() => world.running().length === 3, 5_000, 'running');
    world.run(3_000);
    const handles = [...world.hosts.get('h2')!.containers.keys()];
    world.crash('h2');
    const took = world.until(() => aliveIn(world, 'h1').length === 2, 5_000, 'h1 knows');
    expect(took).toBeLessThan(300);
    world.run(1_000);
    world.start('h2');
    world.until(() => allSee(world, 3) && world.running().length === 3, 20_000, 'no duplicates left');
    expect([...world.hosts.get('h2')!.containers.keys()]).toEqual(handles);
  });

  it('a partition serves on both sides, and converges after it heals with an event for the loser', () => {
    const world = appliance(5, { seed: 'split' });
    world.get('h1', deploy('shop', 3));
    world.until(() => world.running().length === 3, 5_000, 'running');
    world.run(2_000);
    world.partition([
      ['h1', 'h2', 'h3'],
      ['h4', 'h5'],
    ]);
    world.until(
      () => aliveIn(world, 'h1').length === 3 && aliveIn(world, 'h4').length === 2,
      30_000,
      'both sides know',
    );
    world.get('h1', deploy('shop', 3, 'image-a', 'ann'));
    world.get('h4', deploy('shop', 3, 'image-b', 'bob'));
    world.run(5_000);
    world.heal();
    world.until(() => allSee(world, 5), 20_000, 'one appliance again');
    world.until(
      () => new Set(world.up().map(({ name }) => world.view(name).apps[0]!.revision.id)).size === 1,
      10_000,
      'one revision',
    );
    world.until(() => world.running().length === 3, 20_000, '3 replicas once each');
    const [app] = world.view('h1').apps;
    expect(app!.history.map(({ by }) => by).sort()).toEqual(['ann', 'bob', 'test']);
    expect(world.events.some(({ kind }) => kind === 'app.conflict')).toBe(true);
  });

  it('a cell whose ticket was refused joins at once with another, and says no more of the first', () => {
    const world = appliance(1, { seed: 'refused' });
    const make = (seed: string) => world.get('h1', { op: 'ticket.create', uses: 1, expiresInMs: 60_000, seed });
    const { ticket: spent } = make('first');
    world.get('h1', { op: 'ticket.revoke', ticket: world.view('h1').tickets[0]!.id });
    world.addHost('h2');
    world.start('h2', String(spent));
    world.until(() => world.view('h2').join?.refused !== undefined, 5_000, 'it is refused');
    const { ticket } = make('second');
    world.get('h2', { op: 'join', ticket: String(ticket) });
    world.run(50);
    expect(world.view('h2').join).toEqual({});
    world.until(() => world.view('h2').phase === 'member', 2_000, 'it is a member');
  });

  it('a line that is cut between two says nothing of them: others are asked', () => {
    const world = appliance(3, { seed: 'line' });
    for (const [from, to] of [
      ['h1', 'h2'],
      ['h2', 'h1'],
    ] as const)
      world.network.spoil(from, to, 100);
    for (let second = 0; second < 120; second++) {
      world.run(1_000);
      for (const { name } of world.up())
        expect(world.view(name).members.map(({ state }) => state)).toEqual(['alive', 'alive', 'alive']);
    }
  });

  it('a cell that was stopped for three seconds holds nobody dead when it goes on', () => {
    const world = appliance(2, { seed: 'stopped' });
    for (let i = 0; i < 20; i++) {
      world.pause('h1', 3_000);
      world.run(10_000);
    }
    expect(world.events.filter(({ kind }) => kind === 'cell.down')).toEqual([]);
  });

  it.each([1, 3])('takes in at most %i moving replicas at once', (maxMoves) => {
    const world = appliance(2, { seed: `moves-${maxMoves}`, startMs: [400, 800] });
    const drain = (name: string, to: boolean) =>
      world.get('h1', { op: 'cell.set', cell: world.hosts.get(name)!.id, drain: to });
    world.get('h1', { op: 'settings.set', settings: { maxMoves } });
    drain('h2', true);
    world.get('h1', deploy('shop', 12));
    world.until(() => world.running().length === 12, 30_000, 'all run on h1');
    // Who has just started stops nothing yet.
    world.run(12_000);
    drain('h1', true);
    drain('h2', false);
    let most = 0;
    const isMoved = (): boolean => {
      const { units } = world.view('h2').members.find(({ self }) => self)!;
      most = Math.max(most, units.filter(({ state }) => state !== 'ready').length);
      return world.hosts.get('h1')!.containers.size === 0;
    };
    world.until(isMoved, 60_000, 'all run on h2', 1);
    expect(most).toBe(maxMoves);
    expect(world.violations).toEqual([]);
  });

  it('has as many masters as its settings say, also after some have died', () => {
    const world = appliance(7, { seed: 'masters' });
    const masters = (): number[] => world.up().map(({ name }) => world.view(name).masters.length);
    const settle = (threshold: number, maximum: number): void => {
      world.get('h1', { op: 'settings.set', settings: { mastersThreshold: threshold, mastersMaximum: maximum } });
      within(threshold, maximum);
    };
    const within = (threshold: number, maximum: number): void => {
      world.until(() => masters().every((count) => count >= threshold && count <= maximum), 60_000, 'masters');
      world.run(20_000);
      expect(masters().every((count) => count >= threshold && count <= maximum)).toBe(true);
    };
    settle(4, 5);
    const dead = world.view('h1').masters.slice(0, 2);
    for (const host of world.up()) if (dead.includes(host.id)) world.powerOff(host.name);
    within(4, 5);
    world.heal();
    const [first] = world.up();
    const settings = { mastersThreshold: 1, mastersMaximum: 1 };
    world.get(first!.name, { op: 'settings.set', settings });
    within(1, 1);
  });

  it('a removed cell is out everywhere, stops its replicas, and needs a new ticket', () => {
    const world = appliance(3, { seed: 'revoke' });
    world.get('h1', deploy('shop', 3));
    world.until(() => world.running().length === 3, 5_000, 'running');
    world.get('h1', { op: 'cell.rm', cell: world.hosts.get('h3')!.id });
    world.until(
      () => world.running().length === 3 && world.running().every((one) => !one.endsWith('@h3')),
      10_000,
      'moved',
    );
    expect(world.view('h3').phase).toBe('revoked');
    expect(
      world
        .view('h2')
        .members.map(({ name }) => name)
        .sort(),
    ).toEqual(['h1', 'h2']);
    world.crash('h3');
    world.start('h3');
    world.run(3_000);
    expect(world.view('h2').members).toHaveLength(2);
    const { ticket } = world.get('h1', { op: 'ticket.create', uses: 1, expiresInMs: 60_000, seed: 'second' });
    world.get('h3', { op: 'join', ticket: String(ticket) });
    world.until(() => allSee(world, 3), 10_000, 'back with a new ticket');
  });

  it('a stranger waits with a short code until it is approved', () => {
    const world = new World({ seed: 'approve' });
    for (const name of ['h1', 'h2', 'h3']) world.addHost(name);
    world.start('h1');
    world.get('h1', { op: 'found', seed: 'founding' });
    world.start('h2');
    world.until(() => world.view('h1').pending.length === 1 && world.view('h2').phase === 'waiting', 5_000, 'h2 waits');
    expect(world.view('h2').join?.code).toBe(world.view('h1').pending[0]!.code);
    expect(world.view('h1').members).toHaveLength(1);
    world.get('h1', { op: 'cell.approve', cell: world.hosts.get('h2')!.id });
    world.until(() => allSee(world, 2), 5_000, 'h2 is a member');
  });

  it('over-used tickets admit nobody more, the same everywhere', () => {
    const world = new World({ seed: 'overuse' });
    for (const name of ['h1', 'h2', 'h3', 'h4']) world.addHost(name);
    world.start('h1');
    world.get('h1', { op: 'found', seed: 'founding' });
    const { ticket } = world.get('h1', { op: 'ticket.create', uses: 2, expiresInMs: 60_000, seed: 't' });
    for (const name of ['h2', 'h3', 'h4']) world.start(name, String(ticket));
    world.run(10_000);
    const members = world.view('h1').members.map(({ name }) => name);
    expect(members).toHaveLength(3);
    for (const name of members) expect(world.view(name).members.map((member) => member.name)).toEqual(members);
    const out = ['h2', 'h3', 'h4'].find((name) => !members.includes(name))!;
    expect(world.view(out).join?.refused).toContain('used up');
  });

  it('a cell that can start nothing is vetoed, and the replica runs elsewhere', () => {
    const world = appliance(3, { seed: 'veto' });
    for (const { broken } of world.hosts.values()) broken.set('nosuch', 'no such image: nosuch');
    world.hosts.get('h2')!.broken.delete('nosuch');
    world.get('h1', deploy('shop', 2, 'nosuch'));
    world.until(() => world.running().length === 2, 10_000, 'both on h2');
    expect(world.running().every((one) => one.endsWith('@h2'))).toBe(true);
  });

  it('masters step up below the threshold and down above the maximum', () => {
    const world = appliance(7, { seed: 'masters' });
    world.until(() => world.view('h1').masters.length === 2, 10_000, 'two masters');
    const nameOf = new Map([...world.hosts.values()].map(({ id, name }) => [id, name]));
    const masters = world.view('h1').masters.map((id) => nameOf.get(id)!);
    for (const master of masters) world.powerOff(master);
    const witness = world.up()[0]!.name;
    world.until(() => world.view(witness).masters.length === 2, 15_000, 'two new masters');
  });

  it('a cell that leaves hands over first, and is known to be gone at once', () => {
    const world = appliance(4, { seed: 'leave' });
    world.get('h1', deploy('shop', 8));
    world.until(() => world.running().length === 8, 10_000, 'all run');
    world.run(1_000);
    world.get('h3', { op: 'leave', gone: false });
    world.until(() => world.running().every((one) => !one.endsWith('@h3')), 10_000, 'handed over');
    expect(world.running()).toHaveLength(8);
    expect(world.violations).toEqual([]);
    world.get('h3', { op: 'leave', gone: true });
    const { id } = world.hosts.get('h3')!;
    const knows = (name: string) => world.view(name).members.find((member) => member.id === id)?.state === 'left';
    expect(world.until(() => ['h1', 'h2', 'h4'].every(knows), 1_000, 'all know')).toBeLessThan(100);
  });

  it('a cell that starts anew, and says so first, is waited for; not for ever', () => {
    const world = appliance(4, { seed: 'return' });
    world.get('h1', deploy('shop', 8));
    world.until(() => world.running().length === 8, 10_000, 'all run');
    world.run(1_000);
    const before = world.running();
    const stateOf = (): string | undefined => world.view('h1').members.find(({ name }) => name === 'h3')?.state;
    const goes = (): void => {
      world.get('h3', { op: 'return', withinMs: 90_000 });
      world.run(50);
      world.crash('h3');
    };
    goes();
    for (let i = 0; i < 20; i++) {
      world.run(1_000);
      expect([stateOf(), world.running()]).toEqual(['alive', before]);
    }
    world.start('h3');
    world.run(10_000);
    expect([stateOf(), world.running()]).toEqual(['alive', before]);
    // It is missed again as others are.
    world.powerOff('h3');
    world.until(() => stateOf() === 'down', 5_000, 'h3 is down');
    world.powerOn('h3');
    world.until(() => stateOf() === 'alive', 10_000, 'h3 is back');
    world.until(() => world.running().length === 8, 20_000, 'all run');
    goes();
    expect(world.until(() => stateOf() === 'down', 100_000, 'h3 is down')).toBeGreaterThan(85_000);
    world.until(() => world.running().filter((one) => !one.endsWith('@h3')).length === 8, 10_000, 'others took over');
    expect(world.violations).toEqual([]);
  });

  it('a cell that falls again and again is held back, says so, and gets its share again later', () => {
    const world = appliance(3, { seed: 'flap' });
    world.get('h1', deploy('shop', 6));
    world.run(3_000);
    for (let i = 0; i < 6; i++) {
      world.crash('h3');
      world.run(4_000);
      world.start('h3');
      world.run(4_000);
    }
    const seen = (): number | undefined => world.view('h1').members.find(({ name }) => name === 'h3')?.held;
    expect(seen()).toBe(6);
    // As `cell ls` shows it.
    expect(cellRows(world.view('h1'), (ms) => ms).find(({ name }) => name === 'h3')).toMatchObject({
      falls: 6,
      heldMs: 20_000,
    });
    world.until(() => world.running().every((one) => !one.endsWith('@h3')), 10_000, 'h3 runs nothing');
    expect(world.running()).toHaveLength(6);
    world.until(() => seen() === undefined, 60_000, 'h3 is calm');
    world.until(() => world.running().some((one) => one.endsWith('@h3')), 20_000, 'h3 takes its share');
    expect(world.violations).toEqual([]);
  });

  it('an acknowledged deploy survives the loss of the cell that took it', () => {
    const world = appliance(3, { seed: 'durable', network: rough });
    world.get('h2', deploy('shop', 1));
    world.powerOff('h2');
    world.loseDisk('h2');
    world.run(5_000);
    expect(world.view('h1').apps.map(({ name }) => name)).toEqual(['shop']);
  });

  it('does no work while nothing changes', () => {
    const world = appliance(5, { seed: 'calm' });
    world.get('h1', deploy('shop', 5));
    world.run(20_000);
    const events = world.events.length;
    const published = world.frames.published;
    const running = world.running();
    world.run(60_000);
    expect(world.events.length).toBe(events);
    expect(world.frames.published).toBe(published);
    expect(world.running()).toEqual(running);
  });

  it('comes together and notices a death with fifty cells, each hearing of six others', () => {
    const world = new World({ seed: 'fifty', hears: 6 });
    for (let i = 1; i <= 50; i++) world.addHost(`h${i}`);
    world.start('h1');
    world.get('h1', { op: 'found', seed: 'founding' });
    const { ticket } = world.get('h1', { op: 'ticket.create', uses: 50, expiresInMs: 3_600_000, seed: 't' });
    for (let i = 2; i <= 50; i++) world.after(i * 20, () => world.start(`h${i}`, String(ticket)));
    world.run(1_500);
    world.until(() => allSee(world, 50), 30_000, 'all see all');
    world.run(3_000);
    world.powerOff('h7');
    const dead = world.hosts.get('h7')!.id;
    const know = () =>
      world.up().every(({ name }) => world.view(name).members.find(({ id }) => id === dead)?.state === 'down');
    expect(world.until(know, 10_000, 'everybody knows')).toBeLessThanOrEqual(2_000);
  });
});
