/** Boards of one image, whose appliance nobody has begun. */
import { describe, expect, it } from 'vitest';
import type { Request } from '../../src/core/events.ts';
import { decodeTicket, encodeTicket, foundersTicket } from '../../src/gossip/trust.ts';
import { simSealer } from './host.ts';
import { allSee, simService } from './makers.ts';
import { rough } from './network.ts';
import type { WorldOptions } from './world.ts';
import { World } from './world.ts';

const terms = { seed: 'founding', ticketSeed: 'ticket', uses: 100, at: 1 };
const ticket = encodeTicket(foundersTicket(simSealer('builder'), terms)!);

function boards(names: string, options: WorldOptions): World {
  const world = new World(options);
  for (const name of names) world.addHost(name);
  return world;
}

const strict = (name: string): Request => {
  const spec = { name, services: [simService('db', 1, { strict: true })] };
  return { op: 'deploy', spec, by: 'test', note: 'test', acks: 0 };
};

describe('boards of one image', () => {
  it.each(['box', 'shelf', 'attic', 'school'])('that start together are one appliance that one began (%s)', (seed) => {
    const world = boards('abcde', { seed, network: rough });
    for (const name of 'abcde') world.after(world.random.between(0, 8_000), () => world.start(name, ticket));
    world.until(() => world.up().length === 5 && allSee(world, 5), 60_000, 'all see each other');
    expect(world.founders).toHaveLength(1);
    world.get('c', strict('shop'));
    world.until(() => world.running().length === 1, 60_000, 'the strict service runs');
    expect(world.violations).toEqual([]);
  });

  it('alone is an appliance of one, which others join whenever they come', () => {
    const world = boards('ab', { seed: 'lone' });
    world.start('a', ticket);
    world.until(() => world.view('a').phase === 'member', 20_000, 'a begins it');
    world.get('a', strict('shop'));
    world.until(() => world.running().length === 1, 30_000, 'it runs');
    world.run(100_000);
    world.start('b', ticket);
    world.until(() => allSee(world, 2), 10_000, 'b joined');
    expect(world.founders).toEqual(['a']);
  });

  it('waits for no elder that died before it began', () => {
    const world = boards('abc', { seed: 'elder' });
    for (const name of 'abc') world.start(name, ticket);
    const elder = [...world.hosts.values()].sort((one, other) => (one.id < other.id ? -1 : 1))[0]!.name;
    world.run(10_000);
    world.powerOff(elder);
    world.until(() => world.up().every(({ name }) => world.view(name).phase === 'member'), 40_000, 'two are members');
    expect(world.founders).toHaveLength(1);
    world.heal();
    world.start(elder);
    world.until(() => allSee(world, 3), 20_000, 'the elder joined');
    expect(world.founders).toHaveLength(1);
  });

  it('stays out where its ticket was revoked', () => {
    const world = boards('ab', { seed: 'revoked' });
    world.start('a', ticket);
    world.until(() => world.view('a').phase === 'member', 20_000, 'a begins it');
    world.start('b', ticket);
    world.until(() => allSee(world, 2), 10_000, 'b joined');
    world.get('a', { op: 'ticket.revoke', ticket });
    world.run(5_000);
    world.addHost('c');
    world.start('c', ticket);
    world.run(100_000);
    expect(world.view('c').join?.refused).toContain('revoked');
    expect(world.view('a').members).toHaveLength(2);
    expect(world.founders).toEqual(['a']);
  });

  it('that could not hear each other at first become one when they do', () => {
    const world = boards('abcd', { seed: 'apart' });
    world.partition([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    for (const name of 'abcd') world.start(name, ticket);
    world.until(() => world.up().every(({ name }) => world.view(name).phase === 'member'), 30_000, 'two appliances');
    expect(world.founders).toHaveLength(2);
    world.get('a', strict('left'));
    world.get('d', strict('right'));
    world.heal();
    world.until(() => allSee(world, 4), 30_000, 'one appliance');
    world.until(() => world.running().length === 2, 60_000, 'both run');
    expect(world.view('a').quorum.cells).toBe(world.view('d').quorum.cells);
    expect(world.violations).toEqual([]);
  });
});

const years = 10 * 365 * 86_400_000;

describe('a clock that is off by years', () => {
  it.each([years, -years])('keeps no newcomer out whose ticket is good (%i ms)', (byMs) => {
    const world = boards('ab', { seed: 'wrong-clock' });
    world.start('a', ticket);
    world.until(() => world.view('a').phase === 'member', 20_000, 'a begins it');
    const { ticket: short } = world.get('a', { op: 'ticket.create', uses: 1, expiresInMs: 3_600_000, seed: 's' });
    world.setClock('b', byMs);
    world.start('b', String(short));
    world.until(() => allSee(world, 2), 10_000, 'b joined');
  });

  it('lets nobody in whose ticket has expired', () => {
    const world = boards('ab', { seed: 'late-clock' });
    world.start('a', ticket);
    world.until(() => world.view('a').phase === 'member', 20_000, 'a begins it');
    const { ticket: short } = world.get('a', { op: 'ticket.create', uses: 1, expiresInMs: 1_000, seed: 's' });
    world.run(5_000);
    world.setClock('b', -years);
    world.start('b', String(short));
    world.until(() => world.view('b').join?.refused !== undefined, 10_000, 'b is refused');
    expect(world.view('b').join?.refused).toContain('has expired');
    expect(world.view('a').members).toHaveLength(1);
  });

  it('begins nothing with a ticket that would admit nobody after, says so, and does when it is right', () => {
    const exp = 1_700_000_000_000 + 30 * 86_400_000;
    const lasting = encodeTicket(foundersTicket(simSealer('builder'), { ...terms, exp })!);
    const world = boards('a', { seed: 'ahead' });
    world.setClock('a', years);
    world.start('a', lasting);
    world.until(() => world.view('a').join?.note !== undefined, 20_000, 'it says why');
    expect(world.view('a').join?.note).toMatch(/begin.*by the clock here, of 2033, the ticket has expired/);
    world.run(60_000);
    expect(world.founders).toEqual([]);
    world.setClock('a', 0);
    world.until(() => world.view('a').phase === 'member', 20_000, 'a begins it');
    expect(world.view('a').join?.note).toBeUndefined();
  });
});

describe('a ticket in the image', () => {
  it('of another appliance is spoken of, and changes nothing', () => {
    const world = boards('a', { seed: 'other-ticket' });
    world.start('a', ticket);
    world.until(() => world.view('a').phase === 'member', 20_000, 'a begins it');
    world.run(5_000);
    const { appliance } = world.view('a');
    const other = encodeTicket(foundersTicket(simSealer('builder'), { ...terms, seed: 'another' })!);
    world.crash('a');
    world.start('a', other);
    world.until(() => world.view('a').phase === 'member', 20_000, 'it is back');
    expect(world.view('a')).toMatchObject({ appliance, join: { note: expect.stringContaining('is not used') } });
  });

  it('that is put right after it was refused is used at the next start', () => {
    const world = boards('ab', { seed: 'put-right' });
    world.start('a', ticket);
    world.until(() => world.view('a').phase === 'member', 20_000, 'a begins it');
    const made = (seed: string, expiresInMs: number) =>
      String(world.get('a', { op: 'ticket.create', uses: 1, expiresInMs, seed }).ticket);
    const late = made('s', 1_000);
    world.run(5_000);
    world.start('b', late);
    world.until(() => world.view('b').join?.refused !== undefined, 10_000, 'b is refused');
    world.crash('b');
    world.start('b', made('t', 60_000));
    world.until(() => allSee(world, 2), 40_000, 'b joined');
  });
});

it('a founders’ ticket whose seed is another’s is refused', () => {
  const made = foundersTicket(simSealer('builder'), terms)!;
  expect(decodeTicket(simSealer('x'), encodeTicket({ ...made, founding: 'other' }))).toEqual({
    ok: false,
    reason: 'its key does not fit it',
  });
  const { founding: _, ...plain } = made;
  expect(decodeTicket(simSealer('x'), encodeTicket(plain))).toEqual({ ok: true, ticket: plain });
});
