/** Many cells: what grows with their number, and what must not. `npm run bench -- sim-scale` does the same with 1,000. */
import { describe, expect, it } from 'vitest';
import { allSee, appliance, grown } from './makers.ts';
import { lan } from './network.ts';

const lossy = { ...lan, lossPercent: 0.1 };

describe('a hundred cells', () => {
  it('know of every death soon, and of none that is none', () => {
    const world = grown(100, { seed: 'deaths', hears: 5, network: lossy });
    world.run(3_000);
    for (const victim of ['h20', 'h50', 'h80']) {
      const { id } = world.hosts.get(victim)!;
      world.powerOff(victim);
      const knows = (name: string) => world.view(name).members.find((member) => member.id === id)?.state === 'down';
      world.until(() => world.up().every(({ name }) => knows(name)), 2_000, `all know that ${victim} is down`);
      world.run(500);
    }
    expect(world.events.filter(({ kind }) => kind === 'cell.down').length).toBe(99 + 98 + 97);
  });

  it('say little while nothing happens', () => {
    const world = grown(100, { seed: 'idle', hears: 5, network: lossy });
    world.run(20_000);
    const { sent, published, bytes } = world.frames;
    world.run(10_000);
    expect((world.frames.sent - sent) / 1_000).toBeLessThan(15);
    expect((world.frames.bytes - bytes) / 1_000).toBeLessThan(4_096);
    expect(world.frames.published).toBe(published);
  });

  it('take in thirty newcomers at once', () => {
    const world = grown(70, { seed: 'storm', hears: 5, network: lossy });
    const { ticket } = world.get('h1', { op: 'ticket.create', uses: 30, expiresInMs: 3_600_000, seed: 'storm' });
    for (let i = 71; i <= 100; i++) world.addHost(`h${i}`);
    for (let i = 71; i <= 100; i++) world.start(`h${i}`, String(ticket));
    world.until(() => allSee(world, 100), 5_000, 'all see all');
  });

  it('hear of a member that came while they were cut off, and send no more than what differs', () => {
    const world = grown(80, { seed: 'apart', hears: 5, network: lossy });
    world.run(3_000);
    const [left, right] = [[...world.hosts.keys()].slice(0, 40), [...world.hosts.keys()].slice(40)];
    world.partition([left, right]);
    world.run(10_000);
    world.heal();
    const { bytes } = world.frames;
    world.until(() => allSee(world, 80), 20_000, 'all see all again');
    // Everything to everybody once would be 80 * 80 records of 370 bytes; a refutation of each to each is less.
    expect(world.frames.bytes - bytes).toBeLessThan(80 * 80 * 370 * 4);
  });
});

it('fifty cells join one after the other and see each other', () => {
  const world = appliance(50, { seed: 'fifty', hears: 5 });
  expect(allSee(world, 50)).toBe(true);
});
