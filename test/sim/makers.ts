/** Appliances ready to be tried, and what is asked of them. */
import type { ServiceSpec } from '../../src/core/spec.ts';
import { WantedDocument } from '../../src/crdt/document.ts';
import { applianceId, redeem, signLink } from '../../src/gossip/trust.ts';
import type { SimHost } from './host.ts';
import { simSealer } from './host.ts';
import type { WorldOptions } from './world.ts';
import { World } from './world.ts';

/** A service as the spec reader would hand it over. */
export function simService(name: string, replicas: number, more: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    ...{ name, driver: 'docker', image: 'busybox', environment: {}, ports: [], mounts: [], labels: {} },
    ...{
      restart: { condition: 'any' },
      stopGraceMs: 10_000,
      mode: 'replicated',
      replicas,
      resources: {},
      constraints: [],
    },
    ...more,
  };
}

/** An appliance of `count` cells, founded by h1 and joined by ticket, all in all views. */
export function appliance(count: number, options: WorldOptions): World {
  const world = new World(options);
  for (let i = 1; i <= count; i++) world.addHost(`h${i}`);
  world.start('h1');
  world.get('h1', { op: 'found', seed: `founding ${options.seed}` });
  const { ticket } = world.get('h1', { op: 'ticket.create', uses: count, expiresInMs: 3_600_000, seed: 'ticket' });
  for (let i = 2; i <= count; i++) world.start(`h${i}`, String(ticket));
  world.until(() => allSee(world, count), 30_000, `all ${count} cells see each other`);
  return world;
}

/** The same, all started at once from disks that remember each other: how a large one comes up after a power cut. */
export function grown(count: number, options: WorldOptions): World {
  const world = new World(options);
  const hosts = Array.from({ length: count }, (_, i) => world.addHost(`h${i + 1}`));
  const first = hosts[0]!;
  const founding = simSealer(first.id).derive('founding')!;
  const app = applianceId(founding.id);
  const cell = { kind: 'cell', app, sub: first.id, name: first.name, at: 1 } as const;
  const origin = signLink(founding, cell);
  const key = simSealer(first.id).derive('ticket')!;
  const link = signLink(simSealer(first.id), { kind: 'ticket', app, sub: key.id, uses: count, at: 2, exp: 1e15 });
  const ticket = { founder: founding.id, chain: [origin, link], seed: 'ticket', addrs: [] };
  const document = new WantedDocument(1);
  const update = document.change(() => {
    document.addTrust({ kind: 'admit', chain: [origin] });
    for (const { id, name } of hosts.slice(1))
      document.addTrust({ kind: 'admit', chain: redeem(simSealer(id), ticket, id, name, 3) });
  })!;
  for (const host of hosts)
    host.disk = { incarnation: 0, founder: founding.id, updates: [update], former: [], starts: [], writtenMs: 0 };
  for (const host of hosts) world.start(host.name);
  world.until(() => allSee(world, count), 60_000, `all ${count} cells see each other`);
  return world;
}

export function allSee(world: World, count: number): boolean {
  const sees = ({ cell }: SimHost): boolean => {
    const { members } = cell!.view(world.nowMs);
    return members.length >= count && members.filter(({ state }) => state === 'alive').length === count;
  };
  return world.up().every(sees);
}

export function aliveIn(world: World, name: string): string[] {
  return world
    .view(name)
    .members.filter(({ state }) => state === 'alive')
    .map((member) => member.name)
    .sort();
}
