/** A thousand cells in World: how soon all know what happened, how little they say at rest, and what simulating it costs. */

import { allSee, grown } from '../test/sim/makers.ts';
import { lan } from '../test/sim/network.ts';
import type { World } from '../test/sim/world.ts';
import { series } from './measure.ts';

const preset = { ...lan, lossPercent: 0.1 };

export interface ScaleOptions {
  cells: number;
  joining: number;
  tell(text: string): void;
}

/** All times in virtual ms, but for `wall`, which is in seconds of this machine. */
export function simScale({ cells, joining, tell }: ScaleOptions): object {
  const wall: Record<string, number> = {};
  const timed = <T>(name: string, run: () => T): T => {
    const startMs = performance.now();
    const value = run();
    wall[name] = Math.round((performance.now() - startMs) / 100) / 10;
    tell(`  ${name}: ${wall[name]} s of this machine`);
    return value;
  };
  const world = timed('start', () => grown(cells - joining, { seed: 'scale', hears: 5, network: preset }));
  const storm = timed('storm', () => joinAtOnce(world, joining));
  timed('settle', () => world.run(5_000));
  const before = { ...world.frames };
  const idleMs = 5_000;
  timed('idle', () => world.run(idleMs));
  const perSecond = (now: number, then: number): number => Math.round(((now - then) / cells / idleMs) * 1e5) / 100;
  const idle = {
    framesPerSecond: perSecond(world.frames.sent, before.sent),
    bytesPerSecond: perSecond(world.frames.bytes, before.bytes),
    wallPerSecond: Math.round((wall.idle! / (idleMs / 1_000)) * 100) / 100,
  };
  const deaths = timed('deaths', () => tenDeaths(world));
  return {
    what: `${cells} cells in World, RTT 2-10 ms, 0.1 % loss; virtual ms`,
    ...{ cells, joining, stormMs: storm, idle, wall },
    ...{ deathKnownByAllMs: series(deaths.times), falseDeaths: deaths.wrong },
    target: { stormMs: 5_000, framesPerSecond: 15, bytesPerSecond: 4_096, wallPerSecond: 1, deathMs: 2_000 },
    met:
      storm <= 5_000 &&
      idle.framesPerSecond <= 15 &&
      idle.bytesPerSecond <= 4_096 &&
      idle.wallPerSecond <= 1 &&
      Math.max(...deaths.times) <= 2_000 &&
      deaths.wrong === 0,
  };
}

function joinAtOnce(world: World, joining: number): number {
  const request = { op: 'ticket.create', uses: joining, expiresInMs: 3_600_000, seed: 'storm' } as const;
  const { ticket } = world.get('h1', request);
  const names = Array.from({ length: joining }, (_, i) => `n${i + 1}`);
  for (const name of names) world.addHost(name);
  for (const name of names) world.start(name, String(ticket));
  const count = world.hosts.size;
  return Math.round(world.until(() => allSee(world, count), 60_000, 'all see all'));
}

function tenDeaths(world: World): { times: number[]; wrong: number } {
  const times: number[] = [];
  const told = world.events.length;
  let expected = 0;
  for (const victim of [...world.hosts.keys()]
    .filter((_, i) => i % Math.floor(world.hosts.size / 10) === 1)
    .slice(0, 10)) {
    const { id } = world.hosts.get(victim)!;
    world.powerOff(victim);
    const knows = (name: string) => world.view(name).members.find((member) => member.id === id)?.state === 'down';
    times.push(Math.round(world.until(() => world.up().every(({ name }) => knows(name)), 30_000, 'all know')));
    expected += world.up().length;
    world.run(500 + ((times.length * 137) % 900));
  }
  const downs = world.events.slice(told).filter(({ kind }) => kind === 'cell.down').length;
  return { times, wrong: downs - expected };
}
