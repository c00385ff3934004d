/** Machines that were all set up from one image, and an appliance that nobody has begun. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newAppliance } from '../../src/provision/main.ts';
import { until } from '../until.ts';
import { Lab } from './lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.up(5);
});
afterAll(() => lab.down());

const isWhole = async (count: number): Promise<boolean> =>
  (await Promise.all(lab.hosts.slice(0, count).map((host) => host.alive()))).every((names) => names.length === count);

it('machines of one image find each other, and one of them begins their appliance', async () => {
  const { appliance, foundersTicket, ticket } = newAppliance(100);
  const up = async (number: number, by: string): Promise<void> =>
    await lab.host(number).up('--name', `b${number}`, '--engine', 'none', '--ticket', by);
  await Promise.all([1, 2, 3].map((number) => up(number, foundersTicket)));
  await until('they are an appliance', async () => await isWhole(3), 60_000);
  const all = lab.hosts.slice(0, 3);
  const seen = await Promise.all(all.map((host) => host.json<{ appliance: string }>('status')));
  expect(seen.map((one) => one.appliance)).toEqual([appliance, appliance, appliance]);
  const told = (await Promise.all(all.map((host) => host.events()))).flat();
  expect(told.filter(({ message }) => message.endsWith('this cell begins it'))).toHaveLength(1);
  await up(4, ticket);
  await until('another joined by the ticket for others', async () => await isWhole(4), 30_000);
  // A cell that has begun an appliance starts as one of it.
  const begun = told.find(({ message }) => message.endsWith('this cell begins it'))!;
  const founder = (
    await Promise.all(
      all.map(async (host) => ((await host.events()).some(({ atMs }) => atMs === begun.atMs) ? host : [])),
    )
  ).flat()[0]!;
  founder.crashDaemon();
  await founder.up('--name', `b${lab.hosts.indexOf(founder) + 1}`, '--engine', 'none', '--ticket', foundersTicket);
  await until('it is back', async () => await isWhole(4), 30_000);
});

it('a machine without a network begins nothing, and asks for approval when it hears an appliance', async () => {
  const late = lab.host(5);
  late.cut();
  await late.up('--name', 'b5', '--engine', 'none');
  const phase = async () => (await late.json<{ phase: string }>('status')).phase;
  const startMs = performance.now();
  // Three seconds unheard are enough for one that has a network.
  await until('it listened for long', async () => {
    expect(await phase()).toBe('listening');
    return performance.now() - startMs > 6_000;
  });
  late.uncut();
  await until('it waits for approval', async () => (await phase()) === 'waiting', 30_000);
  await lab.host(1).ok('cell', 'approve', 'b5');
  await until('it is in', async () => (await late.alive()).length === 5, 30_000);
});
