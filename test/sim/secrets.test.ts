/** Secrets in World: whoever is a member can open them, nobody else, and keys come to newcomers by themselves. */
import { describe, expect, it } from 'vitest';
import type { ServiceSpec } from '../../src/core/spec.ts';
import { appliance, simService } from './makers.ts';
import type { World } from './world.ts';

const word = Buffer.from('open sesame').toString('base64url');
const web = (more: Partial<ServiceSpec> = {}): ServiceSpec =>
  simService('web', 2, { files: [{ target: '/run/secrets/pw', blob: '#secrets/pw' }], ...more });

function deploy(world: World, where: string, app: string, data = word, services = [web()]): void {
  const files = { '#secrets/pw': { data, secret: true as const } };
  const request = { spec: { name: app, services }, files, keySeed: `seed-${where}-${world.nowMs}` };
  world.get(where, { op: 'deploy', ...request, by: where, note: 'test', acks: 1 });
}

const blobOf = (world: World, name: string, app: string): string =>
  world.view(name).apps.find((one) => one.name === app)!.revision.spec.services[0]!.files![0]!.blob;
const opened = (world: World, name: string, app: string): string | undefined =>
  world.hosts.get(name)!.cell!.reveal(app, blobOf(world, name, app));
const allOpen = (world: World, app: string): boolean =>
  world
    .up()
    .every(({ name }) => world.view(name).apps.some((one) => one.name === app) && opened(world, name, app) === word);

describe('a secret', () => {
  it('opens on every cell, also on one that joins later, and what did not change restarts nothing', () => {
    const world = appliance(3, { seed: 'secret' });
    deploy(world, 'h2', 'shop');
    world.until(() => allOpen(world, 'shop') && world.running().length === 2, 10_000, 'all can open it');
    const { ticket } = world.get('h1', { op: 'ticket.create', uses: 1, expiresInMs: 60_000, seed: 'one more' });
    world.addHost('h4');
    world.start('h4', String(ticket));
    world.until(() => world.up().length === 4 && allOpen(world, 'shop'), 20_000, 'the newcomer can open it');
    world.run(20_000);
    const before = world.running().join();
    deploy(world, 'h4', 'shop');
    world.run(20_000);
    expect(world.running().join()).toBe(before);
    // Neither what people read of it nor what a disk holds has it in the clear.
    expect(JSON.stringify(world.view('h1').apps)).not.toContain(word);
  });

  it('is sealed anew where a cell was removed, but not what that cell knew', () => {
    const world = appliance(3, { seed: 'secret-removed' });
    deploy(world, 'h1', 'shop');
    world.until(() => allOpen(world, 'shop'), 10_000, 'all can open it');
    const gone = world.hosts.get('h3')!;
    world.get('h1', { op: 'cell.rm', cell: gone.id, keySeed: 'renewed' });
    const before = blobOf(world, 'h1', 'shop');
    deploy(world, 'h1', 'shop');
    expect(blobOf(world, 'h1', 'shop')).toBe(before);
    const other = Buffer.from('another').toString('base64url');
    deploy(world, 'h2', 'site', other);
    world.run(5_000);
    expect(world.hosts.get('h1')!.cell!.reveal('site', blobOf(world, 'h1', 'site'))).toBe(other);
    expect(gone.cell!.reveal('site', blobOf(world, 'h1', 'site'))).toBeUndefined();
  });

  it('of two sides that made a key each, opens everywhere when they are one again', () => {
    const world = appliance(4, { seed: 'secret-parted' });
    world.partition([
      ['h1', 'h2'],
      ['h3', 'h4'],
    ]);
    world.run(10_000);
    deploy(world, 'h1', 'left');
    deploy(world, 'h3', 'right');
    world.heal();
    world.until(() => allOpen(world, 'left') && allOpen(world, 'right'), 60_000, 'all can open both');
  });

  it('survives that every cell starts anew', () => {
    const world = appliance(3, { seed: 'secret-restart' });
    deploy(world, 'h1', 'shop');
    world.until(() => allOpen(world, 'shop'), 10_000, 'all can open it');
    for (const { name } of world.up()) world.crash(name);
    for (const name of world.hosts.keys()) world.start(name);
    world.until(() => allOpen(world, 'shop'), 20_000, 'all can open it again');
  });

  it('goes from the document when no revision has it any more', () => {
    const world = appliance(1, { seed: 'secret-pruned' });
    deploy(world, 'h1', 'shop');
    world.run(20);
    const first = blobOf(world, 'h1', 'shop');
    for (let i = 0; i < 12; i++) {
      deploy(world, 'h1', 'shop', Buffer.from(`word ${i}`).toString('base64url'));
      world.run(20_000);
    }
    expect(world.hosts.get('h1')!.cell!.reveal('shop', first)).toBeUndefined();
  });
});
