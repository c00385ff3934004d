/** What once went wrong, and must not again. */
import { describe, expect, it } from 'vitest';
import * as Y from 'yjs';
import { toBase64 } from '../../src/core/base64.ts';
import type { Effect, Event, Request } from '../../src/core/events.ts';
import type { Frame, Link } from '../../src/core/frames.ts';
import { encodeFrame } from '../../src/core/frames.ts';
import type { ServiceSpec } from '../../src/core/spec.ts';
import { trustKey } from '../../src/crdt/document.ts';
import { applianceId, decodeTicket, redeem, signLink } from '../../src/gossip/trust.ts';
import { simSealer } from './host.ts';
import { aliveIn, allSee, appliance, simService } from './makers.ts';
import { World } from './world.ts';

const deploy = (name: string, replicas: number, image = 'busybox', more: Partial<ServiceSpec> = {}): Request => {
  const spec = { name, services: [simService('web', replicas, { image, ...more })] };
  return { op: 'deploy', spec, by: 'test', note: 'test', acks: 1 };
};
const cellOf = (world: World, name: string) => world.hosts.get(name)!.cell!;
const framesTo = (effects: Effect[], to: string): Frame[] =>
  effects.flatMap((effect) => (effect.type === 'send' && effect.to === to ? [JSON.parse(effect.text) as Frame] : []));
const documentWith = (entry: string): string => {
  const doc = new Y.Doc();
  doc.getMap('trust').set(trustKey(1, entry), entry);
  return toBase64(Y.encodeStateAsUpdate(doc));
};

describe('trust', () => {
  it('does not take known signatures for a changed chain', () => {
    const world = appliance(3, { seed: 'forge' });
    const evil = 'cell-evil';
    cellOf(world, 'h2').handle({ type: 'peer.connected', peer: evil }, world.nowMs);
    // It knocks a second later; which epoch its timer has is its own business.
    const tick: Event = { type: 'timer', name: 'tick', epoch: 0 };
    const knocks = Array.from({ length: 200 }, (_, epoch) =>
      framesTo(cellOf(world, 'h2').handle({ ...tick, epoch }, world.nowMs + 3_000), evil),
    );
    const [shown] = knocks.flat() as [Frame & { t: 'knock' }];
    const chain = shown.chain!.map(
      (link: Link, i): Link => (i === shown.chain!.length - 1 ? { ...link, sub: evil } : { ...link, uses: 2_000 }),
    );
    const text = encodeFrame({ ...shown, name: 'evil', chain });
    const answers = framesTo(
      cellOf(world, 'h1').handle({ type: 'frame', from: evil, text, sealed: false }, world.nowMs),
      evil,
    );
    expect(answers.map(({ t }) => t)).toEqual(['refuse']);
    expect(cellOf(world, 'h1').isAdmitted(evil)).toBe(false);
  });

  it.each(['founder', 'first ticket'])('lets cells in after the %s was revoked', (what) => {
    const world = appliance(3, { seed: `after-${what}` });
    world.addHost('h4');
    if (what === 'founder') world.get('h2', { op: 'cell.rm', cell: world.hosts.get('h1')!.id });
    else world.get('h1', { op: 'ticket.revoke', ticket: world.view('h1').tickets[0]!.id });
    world.run(3_000);
    const { ticket } = world.get('h2', { op: 'ticket.create', uses: 1, expiresInMs: 60_000, seed: 'next' });
    world.start('h4', String(ticket));
    world.until(() => aliveIn(world, 'h2').includes('h4'), 10_000, 'h4 is in');
  });

  it('tells a cell that was removed while it was away', () => {
    const world = appliance(3, { seed: 'removed-away' });
    world.get('h1', deploy('shop', 3));
    world.until(() => world.running().length === 3, 5_000, 'running');
    world.partition([['h1', 'h2'], ['h3']]);
    world.run(15_000);
    world.get('h1', { op: 'cell.rm', cell: world.hosts.get('h3')!.id });
    world.heal();
    world.until(() => world.running().every((one) => !one.endsWith('@h3')), 30_000, 'h3 stops its replicas');
    expect(world.view('h3').phase).toBe('revoked');
  });

  it('takes no expired ticket through a welcome', () => {
    const world = appliance(2, { seed: 'expired' });
    const { ticket } = world.get('h1', { op: 'ticket.create', uses: 5, expiresInMs: 1_000, seed: 'old' });
    world.run(60_000);
    const evil = simSealer('cell-evil');
    const decoded = decodeTicket(evil, String(ticket));
    if (!decoded.ok) throw new Error(decoded.reason);
    const chain = redeem(evil, decoded.ticket, evil.id, 'evil', decoded.ticket.chain.at(-1)!.at + 1);
    const { founder } = decoded.ticket;
    const doc = documentWith(JSON.stringify({ kind: 'admit', chain }));
    const text = encodeFrame({ t: 'welcome', app: applianceId(founder), founder, chain, doc, sealed: [] });
    world.give('h1', { type: 'frame', from: evil.id, text, sealed: false });
    world.run(5_000);
    expect(cellOf(world, 'h1').isAdmitted(evil.id)).toBe(false);
    expect(cellOf(world, 'h2').isAdmitted(evil.id)).toBe(false);
  });

  it('survives a welcome with nonsense in its log', () => {
    const world = new World({ seed: 'nonsense' });
    world.addHost('a');
    world.start('a');
    const evil = simSealer('cell-evil');
    const founding = evil.derive('x')!;
    const app = applianceId(founding.id);
    const chain = [signLink(founding, { kind: 'cell', app, sub: evil.id, name: 'e', at: 1 })];
    for (const entry of ['null', '{}', '{"kind":"admit"}', '[', '{"kind":"revoke"}']) {
      const text = encodeFrame({
        t: 'welcome',
        app,
        founder: founding.id,
        chain,
        doc: documentWith(entry),
        sealed: [],
      });
      world.give('a', { type: 'frame', from: evil.id, text, sealed: false });
    }
    world.run(3_000);
    expect(world.view('a').members).toEqual([]);
  });
});

describe('requests', () => {
  it('that change nothing are answered, and end nothing', () => {
    const world = appliance(2, { seed: 'no-op' });
    world.get('h1', deploy('shop', 1));
    expect(world.get('h1', { op: 'stop', app: 'shop', stopped: false })).toMatchObject({ app: 'shop' });
    const { id } = world.hosts.get('h2')!;
    world.get('h1', { op: 'cell.set', cell: id, labels: { nothing: null } });
    world.get('h1', { op: 'cell.set', cell: id });
  });
});

describe('joining', () => {
  it('of two whose founder is away makes both members', () => {
    for (let i = 0; i < 10; i++) {
      const world = new World({ seed: `away-${i}`, hears: 0 });
      for (const name of ['h1', 'h2', 'h3']) world.addHost(name);
      world.start('h1');
      world.get('h1', { op: 'found', seed: 'founding' });
      const { ticket } = world.get('h1', { op: 'ticket.create', uses: 5, expiresInMs: 3_600_000, seed: 'ticket' });
      world.powerOff('h1');
      world.start('h2', String(ticket));
      world.run(2_000 + i * 100);
      world.start('h3', String(ticket));
      world.connect('h2', 'h3');
      const members = (): boolean => ['h2', 'h3'].every((name) => world.view(name).phase === 'member');
      world.until(members, 10_000, `both are members, round ${i}`);
    }
  });

  it.each(['spent', 'revoked'])('by a %s ticket through a newcomer throws nobody out', (how) => {
    for (let i = 0; i < 8; i++) {
      const world = new World({ seed: `${how}-${i}`, hears: 0 });
      for (const name of ['h1', 'c', 'd', 'e']) world.addHost(name);
      world.start('h1');
      world.get('h1', { op: 'found', seed: 'founding' });
      const make = (seed: string): string => {
        const request = { op: 'ticket.create', uses: 1, expiresInMs: 3_600_000, seed } as const;
        return String(world.get('h1', request).ticket);
      };
      const old = make('old');
      world.start('c', old);
      world.connect('c', 'h1');
      world.until(() => allSee(world, 2), 5_000, 'c is in');
      const id = world.view('h1').tickets[0]!.id;
      if (how === 'revoked') world.get('h1', { op: 'ticket.revoke', ticket: id });
      world.start('d', old);
      world.run(3_000);
      world.start('e', make('new'));
      world.connect('d', 'e');
      world.run(3_000);
      world.connect('e', 'h1');
      world.connect('d', 'h1');
      world.until(() => aliveIn(world, 'h1').includes('e'), 10_000, 'e is in');
      world.run(5_000);
      expect(world.view('c').phase).toBe('member');
      expect(cellOf(world, 'h1').isAdmitted(world.hosts.get('c')!.id)).toBe(true);
      expect(cellOf(world, 'h1').isAdmitted(world.hosts.get('d')!.id)).toBe(false);
    }
  });

  it('survives a restart before anybody opened', () => {
    const world = new World({ seed: 'knocking', hears: 0 });
    for (const name of ['h1', 'h2']) world.addHost(name);
    world.start('h1');
    world.get('h1', { op: 'found', seed: 'founding' });
    const { ticket } = world.get('h1', { op: 'ticket.create', uses: 1, expiresInMs: 3_600_000, seed: 'ticket' });
    world.start('h2', String(ticket));
    world.run(1_000);
    world.crash('h2');
    world.start('h2');
    world.connect('h1', 'h2');
    world.until(() => allSee(world, 2), 10_000, 'both see both');
  });

  it('is not undone by one member who has not heard of it, and whose clock is past the ticket', () => {
    const world = appliance(2, { seed: 'returns' });
    world.powerOff('h2');
    const { ticket } = world.get('h1', { op: 'ticket.create', uses: 1, expiresInMs: 20_000, seed: 'late' }, 20_000);
    world.addHost('h3');
    world.start('h3', String(ticket));
    world.until(() => world.view('h3').phase === 'member', 10_000, 'h3 is in');
    world.run(30_000);
    world.powerOff('h1');
    world.heal();
    world.start('h2');
    world.connect('h2', 'h3');
    world.run(10_000);
    expect(world.view('h3').phase).toBe('member');
  });
});

describe('silence', () => {
  it('of an appliance in which nothing happens costs it nothing: no cell looks at anything again', () => {
    const world = appliance(4, { seed: 'idle' });
    world.get('h1', deploy('shop', 6));
    world.until(() => world.running().length === 6, 5_000, 'running');
    world.run(30_000);
    const before = world.changes;
    world.run(60_000);
    expect(world.changes - before).toBeLessThanOrEqual(4);
  });

  it('of a daemon whose machine is there moves nothing for seconds', () => {
    const world = appliance(5, { seed: 'busy' });
    world.get('h1', deploy('shop', 5));
    world.until(() => world.running().length === 5, 5_000, 'running');
    const before = world.running();
    for (const [name, ms] of [
      ['h2', 1_000],
      ['h4', 2_500],
    ] as const) {
      world.pause(name, ms);
      world.run(ms + 3_000);
    }
    expect(world.running()).toEqual(before);
    expect(world.events.filter(({ kind }) => kind === 'cell.down')).toEqual([]);
  });

  it('of a machine is a death within a second or so', () => {
    const world = appliance(5, { seed: 'silent' });
    world.run(3_000);
    world.powerOff('h3');
    world.until(() => world.up().every(({ name }) => aliveIn(world, name).length === 4), 1_300, 'all know');
  });

  it('of a machine that has just come back is a death as soon', () => {
    const world = appliance(3, { seed: 'again' });
    world.run(3_000);
    for (let i = 0; i < 4; i++) {
      world.partition([['h1', 'h2'], ['h3']]);
      const gone = (): boolean => ['h1', 'h2'].every((name) => aliveIn(world, name).length === 2);
      world.until(gone, 1_300, 'all know');
      world.run(4_000);
      world.heal();
      world.until(() => allSee(world, 3), 15_000, 'back');
    }
  });

  it('of a daemon that never speaks again is a death in the end', () => {
    const world = appliance(5, { seed: 'hung' });
    world.run(3_000);
    world.pause('h3', 60_000);
    const others = ['h1', 'h2', 'h4', 'h5'];
    world.until(() => others.every((name) => !aliveIn(world, name).includes('h3')), 6_000, 'all know');
  });
});

describe('supervision', () => {
  it('removes an app of which several replicas can not start', () => {
    const world = appliance(1, { seed: 'flawed', startMs: [50, 50] });
    world.hosts.get('h1')!.broken.set('flawed', 'no');
    world.get('h1', deploy('shop', 3, 'flawed'));
    world.until(
      () => world.view('h1').members[0]!.units.filter(({ state }) => state === 'backoff').length === 3,
      5_000,
      'all in backoff',
    );
    world.get('h1', { op: 'remove', app: 'shop' });
    world.until(() => world.view('h1').members[0]!.units.length === 0, 5_000, 'gone');
  });

  it('leaves no orphan of a start that took longer than the stop', () => {
    const world = appliance(1, { seed: 'slow', startMs: [45_000, 45_000] });
    world.get('h1', deploy('shop', 1));
    world.run(1_000);
    world.get('h1', { op: 'remove', app: 'shop' });
    world.run(120_000);
    expect(world.running()).toEqual([]);
  });

  it('keeps lent replicas of a dead cell through a restart of its own', () => {
    const world = appliance(3, { seed: 'lent' });
    world.get('h1', deploy('shop', 6));
    world.until(() => world.running().length === 6, 5_000, 'running');
    world.run(2_000);
    world.powerOff('h3');
    world.until(() => world.running().length === 6, 10_000, 'lent');
    world.run(20_000);
    world.crash('h2');
    world.run(3_000);
    world.start('h2');
    for (let i = 0; i < 400; i++) {
      world.run(50);
      expect(new Set(world.running().map((one) => one.split('@')[0])).size).toBe(6);
    }
  });

  it.each([true, false])('goes on when the engine comes back, containers lived through it: %s', (live) => {
    const world = appliance(1, { seed: 'engine' });
    world.get('h1', deploy('shop', 2));
    world.until(() => world.running().length === 2, 5_000, 'running');
    const host = world.hosts.get('h1')!;
    const before = [...host.containers.keys()];
    const tell = (engine: string): void => {
      host.engine = engine;
      const facts = {
        version: 'sim',
        os: 'linux',
        arch: 'amd64',
        cpuMilli: 4_000,
        memoryBytes: 4 * 2 ** 30,
        engine,
        hostname: 'h1',
      };
      world.give('h1', { type: 'facts', name: 'h1', facts, addrs: ['/sim/h1'] });
    };
    tell('');
    world.run(2_000);
    if (!live)
      for (const container of host.containers.values())
        Object.assign(container, { running: false, exit: { exitCode: 137, oom: false } });
    tell('Docker');
    world.give('h1', { type: 'units.observed', driver: 'docker', units: [...host.containers.values()] });
    world.until(
      () => world.view('h1').members[0]!.units.filter(({ state }) => state === 'ready').length === 2,
      5_000,
      'ready again',
    );
    if (live) expect([...host.containers.keys()]).toEqual(before);
  });

  it('leaves a stateful replica where it runs when its container restarts', () => {
    const world = appliance(3, { seed: 'stateful' });
    world.get('h1', deploy('db', 1, 'busybox', { mounts: [{ kind: 'volume', source: 'v', target: '/d' }] }));
    world.until(() => world.running().length === 1, 5_000, 'running');
    const home = world.running()[0]!.split('@')[1]!;
    world.run(2_000);
    world.powerOff(home);
    world.until(() => world.running().length === 1, 10_000, 'lent');
    const [there] = world.running();
    const lent = world.hosts.get(there!.split('@')[1]!)!;
    world.network.heal();
    world.start(home);
    world.until(() => allSee(world, 3), 20_000, 'home is back');
    world.run(10_000);
    const [container] = [...lent.containers.values()];
    lent.containers.delete(container!.handle);
    world.give(lent.name, {
      type: 'unit.exited',
      key: `${container!.replica}@${container!.hash}`,
      exitCode: 1,
      oom: false,
    });
    world.run(20_000);
    expect(world.running()).toEqual([there]);
  });

  it('does not run a one-shot service again when the daemon restarts', () => {
    const world = appliance(1, { seed: 'oneshot' });
    world.get('h1', deploy('job', 1, 'busybox', { restart: { condition: 'none' } }));
    world.until(() => world.running().length === 1, 5_000, 'running');
    const [container] = [...world.hosts.get('h1')!.containers.values()];
    Object.assign(container!, { running: false, exit: { exitCode: 0, oom: false } });
    world.give('h1', { type: 'unit.exited', key: `${container!.replica}@${container!.hash}`, exitCode: 0, oom: false });
    world.run(5_000);
    world.crash('h1');
    world.start('h1');
    world.run(10_000);
    expect([...world.hosts.get('h1')!.containers.values()].map(({ running }) => running)).toEqual([false]);
  });

  it('frees a host port before the replica that needs it starts', () => {
    const world = appliance(2, { seed: 'ports' });
    const ports = [{ target: 80, published: 8_080, protocol: 'tcp' as const }];
    world.get('h1', deploy('shop', 2, 'busybox', { ports }));
    world.until(() => world.running().length === 2, 5_000, 'running');
    world.addHost('h3');
    const { ticket } = world.get('h1', { op: 'ticket.create', uses: 1, expiresInMs: 60_000, seed: 'third' });
    world.start('h3', String(ticket));
    world.run(20_000);
    expect(world.running()).toHaveLength(2);
    expect(world.events.filter(({ kind }) => kind === 'unit.failed')).toEqual([]);
  });
});

describe('joining', () => {
  it('is refused in words, whoever knocks first', () => {
    const world = new World({ seed: 'knock-first' });
    for (const name of ['h1', 'h2']) world.addHost(name);
    world.start('h1');
    world.get('h1', { op: 'found', seed: 'founding' });
    const { ticket, id } = world.get('h1', { op: 'ticket.create', uses: 1, expiresInMs: 60_000, seed: 't' });
    world.get('h1', { op: 'ticket.revoke', ticket: String(id) });
    world.start('h2', String(ticket));
    const h1 = world.hosts.get('h1')!.id;
    for (const effect of cellOf(world, 'h1').handle(
      { type: 'peer.connected', peer: world.hosts.get('h2')!.id },
      world.nowMs,
    )) {
      if (effect.type === 'send') world.give('h2', { type: 'frame', from: h1, text: effect.text, sealed: false });
    }
    world.until(() => world.view('h2').join?.refused?.includes('revoked') ?? false, 10_000, 'h2 knows why');
  });
});
