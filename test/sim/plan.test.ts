/** `osca plan --remove-cell` and `--add-cell` say beforehand what then happens. */
import { describe, expect, it } from 'vitest';
import { newcomer } from '../../src/core/model.ts';
import { appliance, simService } from './makers.ts';
import type { World } from './world.ts';

function shop(seed: string): World {
  const world = appliance(6, { seed });
  for (const [app, replicas] of [
    ['shop', 9],
    ['blog', 4],
    ['mail', 6],
  ] as const) {
    const services = [simService('web', replicas), simService('db', 1, { strict: true })];
    world.get('h1', { op: 'deploy', spec: { name: app, services }, by: 'h1', note: '', acks: 1 });
  }
  world.until(() => world.running().length === 22, 60_000, 'all run');
  // What is new has its place from where it would be, once all is calm.
  world.run(30_000);
  return world;
}

const nameOf = (world: World, id: string | undefined): string => world.hostOf(id ?? '')?.name ?? newcomer;

describe('a plan', () => {
  for (const seed of ['plan-1', 'plan-2', 'plan-3'])
    it(`says where everything runs after a cell is gone (${seed})`, () => {
      const world = shop(seed);
      const victim = world.hosts.get('h4')!;
      const planned = world.hosts
        .get('h1')!
        .cell!.whatIfCells({ remove: victim.id })
        .map(({ replica, cell }) => `${replica}@${nameOf(world, cell)}`)
        .sort();
      world.get('h1', { op: 'cell.rm', cell: victim.id });
      world.until(() => world.running().length === 22, 60_000, 'all run elsewhere');
      world.run(60_000);
      expect(world.running()).toEqual(planned);
    });

  it('says how much moves to a cell that comes', () => {
    const world = shop('plan-add');
    const machine = { cpuMilli: 4_000, memoryBytes: 4 * 2 ** 30 };
    const planned = world.hosts.get('h1')!.cell!.whatIfCells({ add: machine });
    const before = new Set(world.running());
    const { ticket } = world.get('h1', { op: 'ticket.create', uses: 1, expiresInMs: 3_600_000, seed: 'one more' });
    world.addHost('h7');
    world.start('h7', String(ticket));
    world.run(90_000);
    const come = world.running().filter((one) => one.endsWith('@h7'));
    const moved = world.running().filter((one) => !before.has(one));
    const toCome = planned.filter(({ cell }) => cell === newcomer);
    expect(moved).toEqual(come);
    expect(Math.abs(come.length - toCome.length)).toBeLessThanOrEqual(1);
  });
});
