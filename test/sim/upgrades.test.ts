/** A new version in World: one cell at a time, nothing moves, and where one can't take it nobody else tries. */
import { describe, expect, it } from 'vitest';
import type { Request } from '../../src/core/events.ts';
import type { Release } from '../../src/core/model.ts';
import { WantedDocument } from '../../src/crdt/document.ts';
import { signRelease } from '../../src/release/release.ts';
import { turnMs } from '../../src/release/turns.ts';
import type { SimHost } from './host.ts';
import { simSealer } from './host.ts';
import { appliance, simService } from './makers.ts';
import type { World } from './world.ts';

const packages = { amd64: { sha256: 'a'.repeat(64), bytes: 1_000 } };
const upgrade = (version: string): Request => ({ op: 'upgrade', version, packages, wellMs: 1_000 });

/** What a host does with a release: fetch, start anew, try, keep. */
function take(world: World, host: SimHost, release: Release): void {
  world.after(500, () => {
    if (host.cell === undefined) return;
    world.give(host.name, { type: 'request', id: 1e9, request: { op: 'return', withinMs: 90_000 } });
    world.after(50, () => world.crash(host.name));
    world.after(1_000, () => start(world, host, release));
  });
}

function start(world: World, host: SimHost, { id, version }: Release): void {
  host.disk.version = version;
  host.disk.upgrade = { release: id, state: 'trying' };
  world.start(host.name);
  world.after(2_000, () => {
    delete host.disk.upgrade;
    if (host.cell !== undefined) world.give(host.name, { type: 'upgrade' });
  });
}

const versions = (world: World): string[] => [...world.hosts.values()].map(({ disk }) => disk.version ?? '1.0.0');
const outcome = (world: World) => world.view(world.up()[0]!.name).release?.outcome;

function shop(count: number, seed: string, onUpgrade = take): World {
  const world = appliance(count, { seed, onUpgrade });
  const spec = { name: 'shop', services: [simService('web', 2 * count)] };
  world.get('h1', { op: 'deploy', spec, by: 'test', note: 'test', acks: 1 });
  world.until(() => world.running().length === 2 * count, 20_000, 'all run');
  world.run(2_000);
  return world;
}

describe('an upgrade', () => {
  it('goes from cell to cell, and moves nothing', () => {
    const world = shop(5, 'upgrade');
    const before = world.running();
    world.get('h2', upgrade('1.1.0'));
    let most = 0;
    world.until(
      () => {
        const busy = [...world.hosts.values()].filter(
          ({ cell, disk }) => cell === undefined || disk.upgrade !== undefined,
        );
        most = Math.max(most, busy.length);
        expect(world.running()).toEqual(before);
        return outcome(world)?.state === 'done';
      },
      120_000,
      'it is done',
    );
    expect(most).toBe(1);
    expect(versions(world)).toEqual(Array(5).fill('1.1.0'));
    expect(world.violations).toEqual([]);
    // What all have is taken by nobody again.
    const starts = (): number[] => [...world.hosts.values()].map(({ disk }) => disk.starts.length);
    const started = starts();
    world.get('h1', upgrade('1.1.0'));
    world.until(() => outcome(world)?.state === 'done', 5_000, 'nothing to do');
    world.run(20_000);
    expect(starts()).toEqual(started);
  });

  it('reaches a cell that was away when it is back, and leaves one alone that is newer', () => {
    const world = shop(4, 'upgrade-away');
    world.powerOff('h4');
    world.run(5_000);
    world.get('h1', upgrade('1.1.0'));
    world.until(() => outcome(world)?.state === 'done', 120_000, 'it is done');
    expect(versions(world)).toEqual(['1.1.0', '1.1.0', '1.1.0', '1.0.0']);
    world.powerOn('h4');
    world.until(() => versions(world)[3] === '1.1.0', 60_000, 'h4 has it');
    world.crash('h3');
    world.hosts.get('h3')!.disk.version = '1.2.0';
    world.start('h3');
    world.run(60_000);
    expect(versions(world)).toEqual(['1.1.0', '1.1.0', '1.2.0', '1.1.0']);
    // Asked for by name, all take it, also the older one.
    world.get('h1', upgrade('1.0.9'));
    world.until(() => versions(world).every((one) => one === '1.0.9'), 120_000, 'all have it');
  });

  it('halts where a cell can not take it, and says why; the next release is tried', () => {
    const failing = (world: World, host: SimHost, release: Release): void => {
      if (release.version !== '1.1.0') return take(world, host, release);
      world.give(host.name, { type: 'upgrade', upgrade: { release: release.id, state: 'failed', reason: 'no space' } });
    };
    const world = shop(3, 'upgrade-fails', failing);
    world.get('h1', upgrade('1.1.0'));
    world.until(() => outcome(world)?.state === 'halted', 20_000, 'it is halted');
    expect(outcome(world)?.reason).toMatch(/^h[123]: no space$/);
    world.run(30_000);
    expect(versions(world)).toEqual(Array(3).fill('1.0.0'));
    world.get('h3', upgrade('1.1.1'));
    world.until(() => outcome(world)?.state === 'done', 60_000, 'the next is done');
    expect(versions(world)).toEqual(Array(3).fill('1.1.1'));
  });

  it('halts where a cell does not come back', () => {
    const lost = (world: World, host: SimHost): void => {
      world.after(100, () => world.powerOff(host.name));
    };
    const world = shop(3, 'upgrade-lost', lost);
    world.get('h1', upgrade('1.1.0'));
    const ms = world.until(() => outcome(world)?.state === 'halted', turnMs * 2, 'it is halted', 1_000);
    expect(ms).toBeGreaterThan(turnMs - 5_000);
    expect(outcome(world)?.reason).toMatch(/did not come back with it within 10 minutes/);
    expect(world.up()).toHaveLength(2);
  });

  it('goes no further where a cell goes down with it', () => {
    // Two may be gone before anybody knows; those who are left are most.
    const world = shop(5, 'upgrade-dies', (all, host, release) => {
      take(all, host, release);
      all.after(6_000, () => all.powerOff(host.name));
    });
    world.get('h1', upgrade('1.1.0'));
    world.until(() => outcome(world)?.state === 'halted', turnMs * 2, 'it is halted', 1_000);
    expect(versions(world).filter((one) => one === '1.1.0').length).toBeLessThanOrEqual(2);
    expect(outcome(world)?.reason).toContain('did not come back with it');
  });

  it('is ordered by a majority alone, and reaches the others when they are back', () => {
    const world = shop(5, 'upgrade-minority');
    world.partition([
      ['h1', 'h2'],
      ['h3', 'h4', 'h5'],
    ]);
    world.run(15_000);
    world.get('h1', upgrade('1.1.0'));
    world.run(60_000);
    expect(versions(world)).toEqual(Array(5).fill('1.0.0'));
    expect(world.view('h1').release?.outcome).toBeUndefined();
    world.network.heal();
    for (const [a, b] of [
      ['h1', 'h3'],
      ['h2', 'h4'],
    ] as const)
      world.connect(a, b);
    world.until(() => versions(world).every((one) => one === '1.1.0'), 180_000, 'all have it');
  });

  it('waits on a cell for what that is busy with: two releases never mix there', () => {
    const begun: string[] = [];
    const world = shop(2, 'upgrade-twice', (all, host, release) => {
      const busy = host.disk.upgrade;
      begun.push(`${host.name} ${release.version}${busy === undefined ? '' : ` during ${busy.release}`}`);
      take(all, host, release);
    });
    world.get('h1', upgrade('1.1.0'));
    world.until(() => [...world.hosts.values()].some(({ disk }) => disk.upgrade !== undefined), 30_000, 'one tries');
    const [first] = [...world.hosts.values()].filter(({ disk }) => disk.upgrade !== undefined);
    const other = first!.name === 'h1' ? 'h2' : 'h1';
    world.get(other, upgrade('1.2.0'));
    world.until(() => versions(world).every((one) => one === '1.2.0'), 120_000, 'all have the second');
    expect(begun.filter((one) => one.includes('during'))).toEqual([]);
  });

  it('goes on where the cell that orders it dies', () => {
    const world = shop(5, 'upgrade-master');
    world.get('h1', upgrade('1.1.0'));
    world.until(() => versions(world).includes('1.1.0'), 30_000, 'one has it');
    const master = world.view('h1').masters.map((id) => [...world.hosts.values()].find((host) => host.id === id)!.name);
    for (const name of master) world.powerOff(name);
    world.until(() => world.up().every(({ disk }) => disk.version === '1.1.0'), 120_000, 'the others have it');
    for (const name of master) world.powerOn(name);
    world.until(() => versions(world).every((one) => one === '1.1.0'), 120_000, 'all have it');
    world.until(() => outcome(world)?.state === 'done', 60_000, 'it is done');
  });

  it('is refused where it would leave cells out, or says nothing', () => {
    const world = appliance(2, { seed: 'upgrade-refused' });
    const said = (request: Request): string => {
      const reply = world.ask('h1', request);
      world.until(() => reply() !== undefined, 5_000, 'a reply');
      const answer = reply()!;
      return answer.ok ? 'fine' : answer.message;
    };
    expect(said(upgrade('new'))).toBe("'new' is no version");
    expect(said({ op: 'upgrade', version: '1.1.0', packages, wellMs: 600_000 })).toBe(
      "a cell can't have to be well for 600 s",
    );
    const other = { arm64: packages.amd64 };
    expect(said({ op: 'upgrade', version: '1.1.0', packages: other, wellMs: 0 })).toMatch(
      /^there is no package for amd64, which h[12] needs$/,
    );
  });

  const forgeries: Record<string, (world: World, genuine: Release) => Release> = {
    'that is another than its signer signed': (_, genuine) => ({
      ...genuine,
      packages: { amd64: { sha256: 'b'.repeat(64), bytes: 1_000 } },
    }),
    'that was signed for another appliance': (world, { version, packages: sums, wellMs, atMs }) =>
      signRelease(simSealer(world.hosts.get('h2')!.id), 'another', { version, packages: sums, wellMs, atMs }),
    'that a stranger signed': (world, { version, packages: sums, wellMs, atMs }) =>
      signRelease(simSealer('cell-eve'), world.view('h1').appliance!, { version, packages: sums, wellMs, atMs }),
  };
  it.each(Object.keys(forgeries))('is taken by nobody %s', (which) => {
    const taken: string[] = [];
    const world = shop(3, 'forged', (_, host) => void taken.push(host.name));
    const named = { version: '6.6.6', packages, wellMs: 1_000, atMs: 1 };
    const genuine = signRelease(simSealer(world.hosts.get('h2')!.id), world.view('h1').appliance!, named);
    const document = new WantedDocument(666);
    const { disk } = world.hosts.get('h3')!;
    world.crash('h3');
    for (const update of disk.updates) document.apply(update);
    disk.updates.push(document.change(() => document.setRelease(forgeries[which]!(world, genuine)))!);
    world.start('h3');
    world.until(() => outcome(world)?.state === 'halted', 60_000, 'it is refused');
    expect(outcome(world)?.reason).toMatch(/no member of this appliance signed it$/);
    world.run(60_000);
    expect(taken).toEqual([]);
    expect(world.running()).toHaveLength(6);
  });
});
