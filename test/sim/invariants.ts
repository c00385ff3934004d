/** What must hold of an appliance, each with a name: some at every moment, the others after the faults have stopped. */

import { limits } from '../../src/core/limits.ts';
import type { ClusterView } from '../../src/core/model.ts';
import { ties } from '../../src/core/ties.ts';
import type { Diary } from './deeds.ts';
import { isOutside } from './deeds.ts';
import { aliveIn } from './makers.ts';
import type { World } from './world.ts';
import { listEveryMs } from './world.ts';

/** Undefined where it holds; else what is wrong. */
export interface Invariant {
  name: string;
  check(world: World, diary: Diary): string | undefined;
}

const namesById = (world: World): Map<string, string> =>
  new Map([...world.hosts.values()].map(({ id, name }) => [id, name]));

export const dutyOwned = 'every duty is owned by one master, the same in all views';
export const rolledOut = 'every rollout is done, rolled back or paused, unless a replica has no place';

/** At every event that touches it. */
export const always: readonly Invariant[] = [
  {
    name: 'a strict service runs once, and what moves is made before it is broken',
    check: (world) => world.violations[0],
  },
  {
    name: 'every frame is whole, signed, and within its limit',
    check: (world) => {
      if (world.frames.longest > limits.documentBytes * 2) return `a frame of ${world.frames.longest} bytes`;
      for (const { name, cell } of world.up()) {
        const { oversized = 0, malformed = 0, unsigned = 0, 'bad-signature': forged = 0 } = cell!.counters();
        if (oversized + malformed + unsigned + forged > 0) return `${name} counts ${JSON.stringify(cell!.counters())}`;
      }
      return undefined;
    },
  },
];

/** Of every view that a cell ever has. */
export const ofEachView: readonly {
  name: string;
  check(view: ClusterView, name: string, world: World, diary: Diary): string | undefined;
}[] = [
  {
    name: 'nobody unadmitted is in a view',
    check: ({ members, tickets }, name, world, diary) => {
      // Who came in another way may have met them before it heard that their ticket is revoked.
      const isTold = diary.strangers.size === 0 || tickets.some(({ state }) => state === 'revoked');
      if (!isTold || isOutside(diary, name)) return undefined;
      // Of those that were removed, all need not have heard yet.
      const isKnown = (id: string): boolean => {
        const host = world.hostOf(id);
        return host === undefined ? [...diary.removed.values()].includes(id) : !diary.strangers.has(host.name);
      };
      const stranger = members.find(({ id }) => !isKnown(id));
      return stranger === undefined ? undefined : `${name} sees ${stranger.name} ${stranger.id}`;
    },
  },
  {
    name: 'no cell thinks itself dead',
    check: ({ members }, name) =>
      members.find(({ self }) => self)?.state === 'down' ? `${name} is down in its own view` : undefined,
  },
  {
    name: 'of the orders for a duty the newest is obeyed',
    check: ({ duties, members }, name) => {
      const given = members.flatMap(({ id, orders = [] }) => orders.map((order) => ({ ...order, id })));
      for (const { duty, epoch, by } of duties) {
        const newer = given.find(
          (one) => one.duty === duty && (one.epoch > epoch || (one.epoch === epoch && one.id > by)),
        );
        if (newer !== undefined) return `${name} obeys epoch ${epoch} of ${duty}, and knows ${newer.epoch}`;
      }
      return undefined;
    },
  },
  {
    name: 'no replica is placed twice in one view',
    check: ({ assignments }, name) =>
      new Set(assignments.map(({ replica }) => replica)).size === assignments.length ? undefined : name,
  },
];

/** In the order in which they come true, each with the virtual ms it is given. */
export const settled: readonly (Invariant & { withinMs: number })[] = [
  {
    name: 'all are alive in all views',
    withinMs: 60_000,
    check: (world) => {
      const all = world.hosts.size;
      const blind = world.up().find(({ name }) => aliveIn(world, name).length !== all);
      return blind === undefined ? undefined : `${blind.name} sees ${aliveIn(world, blind.name).join(' ')}`;
    },
  },
  {
    name: 'documents are equal',
    withinMs: 30_000,
    check: (world) => {
      const documents = world.up().map(({ name }) => {
        const { apps, settings, tickets, members } = world.view(name);
        const told = members.map(({ id, name: called, labels, drain, cordon }) => [id, called, labels, drain, cordon]);
        return JSON.stringify({ apps, settings, tickets, told });
      });
      return new Set(documents).size <= 1 ? undefined : `${new Set(documents).size} different documents`;
    },
  },
  {
    name: 'no acknowledged deploy is lost',
    withinMs: 10,
    check: (world, { kept, disksLost }) => {
      const { apps } = world.view(world.up()[0]!.name);
      for (const { app, revision, acks, lostBefore } of kept) {
        if (disksLost - lostBefore > acks) continue;
        const history = apps.find(({ name }) => name === app)?.history ?? [];
        if (history.length < limits.revisions && !history.some(({ id }) => id === revision))
          return `${app} has no revision ${revision}: ${history.map(({ id }) => id).join(' ')}`;
      }
      return undefined;
    },
  },
  {
    // Ten minutes at the most, and moved back when it ends.
    name: 'no cell holds a veto any more',
    withinMs: 700_000,
    check: (world) => {
      const vetoed = world.up().find(({ name }) => world.view(name).members.some(({ vetoes }) => vetoes.length > 0));
      return vetoed === undefined ? undefined : `${vetoed.name} sees one`;
    },
  },
  {
    // What fell often is held back for two minutes at most, once the faults have stopped.
    name: 'no cell is held back any more',
    withinMs: 200_000,
    check: (world) => {
      const held = world.up().find(({ name }) => world.view(name).members.some((member) => member.held !== undefined));
      return held === undefined ? undefined : `${held.name} sees one`;
    },
  },
  {
    // A few at a time, each time after a lease.
    name: 'all cells decide on leases, up to fifteen',
    withinMs: 200_000,
    check: (world) => {
      const all = Math.min(15, world.hosts.size);
      const few = world.up().find(({ name }) => world.view(name).quorum.cells !== all);
      return few === undefined ? undefined : `${few.name} knows ${world.view(few.name).quorum.cells}`;
    },
  },
  {
    name: 'placement is the same on all cells',
    withinMs: 10_000,
    check: (world) => {
      const placed = new Set(world.up().map(({ name }) => placedIn(world, name).join()));
      return placed.size <= 1 ? undefined : [...placed].join(' | ');
    },
  },
  {
    // An engine may end the start that an earlier life of its daemon asked for.
    name: 'every daemon knows what its engine has',
    withinMs: listEveryMs + 1_000,
    check: (world) => {
      for (const { name, containers, ended, told } of world.up()) {
        const unknown = [...containers.keys(), ...ended.keys()].find((handle) => !told.has(handle));
        if (unknown !== undefined) return `${name} does not know of ${unknown}`;
      }
      return undefined;
    },
  },
  {
    name: 'every replica that fits runs once, where placement says',
    withinMs: 120_000,
    check: (world) => {
      const first = world.up()[0]!.name;
      // What failed before it began waits for somebody to mend it.
      const { waits } = world.view(first);
      const isHeld = (one: string): boolean => waits[one.split('/', 2).join('/')]?.startsWith('pre_deploy') === true;
      // What has nowhere to go may stay where it is.
      const homeless = new Set(
        world.view(first).assignments.flatMap(({ replica, cell }) => (cell === undefined ? [replica] : [])),
      );
      const runs = world.running().filter((one) => !homeless.has(one.split('@')[0]!));
      const wanted = placedIn(world, first).filter((one) => !isHeld(one) || runs.includes(one));
      return wanted.join() === runs.join() ? undefined : `wanted ${wanted.join(' ')}; runs ${runs.join(' ')}`;
    },
  },
  {
    name: 'who shares a volume is on one cell',
    withinMs: 0,
    check: (world) => {
      const { apps, assignments } = world.view(world.up()[0]!.name);
      for (const { name, revision } of apps) {
        const tied = ties(revision.spec.services);
        const all = assignments.filter(
          ({ app, service, cell }) => app === name && cell !== undefined && tied.has(service),
        );
        if (new Set(all.map(({ cell }) => cell)).size > 1)
          return all.map(({ replica, cell }) => `${replica}@${cell}`).join(' ');
      }
      return undefined;
    },
  },
  {
    name: rolledOut,
    withinMs: 60_000,
    check: (world) => {
      for (const { name } of world.up()) {
        const { apps, assignments } = world.view(name);
        const homeless = new Set(assignments.flatMap(({ app, cell }) => (cell === undefined ? [app] : [])));
        const some = new Set(assignments.map(({ app }) => app));
        const open = apps.find(
          ({ name: app, revision, undone, paused, withheld }) =>
            some.has(app) &&
            !homeless.has(app) &&
            // What failed before it began waits for somebody to mend it.
            Object.keys(withheld).length === 0 &&
            (revision.outcome ?? undone ?? paused) === undefined,
        );
        if (open !== undefined) return `${open.name} revision ${open.revision.seq} is open on ${name}`;
      }
      return undefined;
    },
  },
  {
    // With back-off between its tries.
    name: 'every run of a job has ended, unless it has no place',
    withinMs: 120_000,
    check: (world) => {
      for (const { name } of world.up()) {
        const { apps, assignments } = world.view(name);
        const placed = new Set(assignments.flatMap(({ app, service, cell }) => (cell ? [`${app}/${service}`] : [])));
        const open = apps.flatMap(({ name: app, runs }) =>
          runs.filter(({ state, name: run }) => state === 'open' && placed.has(`${app}/${run}`)),
        );
        if (open.length > 0) return `${open.map((run) => run.name).join(' ')} on ${name}`;
      }
      return undefined;
    },
  },
  {
    name: 'masters are between the threshold and the maximum',
    withinMs: 30_000,
    check: (world) => {
      for (const { name } of world.up()) {
        const { masters } = world.view(name);
        if (masters.length < Math.min(2, world.hosts.size) || masters.length > 3)
          return `${name} sees ${masters.length}`;
      }
      return undefined;
    },
  },
  {
    name: dutyOwned,
    withinMs: 10_000,
    check: (world) => {
      const seen = new Set(world.up().map(({ name }) => JSON.stringify(world.view(name).duties)));
      if (seen.size > 1) return [...seen].join(' | ');
      const { duties, masters, members } = world.view(world.up()[0]!.name);
      for (const { duty, by } of duties) {
        const owners = members.filter(({ orders = [] }) => orders.some((order) => order.duty === duty));
        if (owners.length !== 1 || owners[0]!.id !== by || !masters.includes(by))
          return `${duty} is owned by ${owners.map(({ name }) => name).join(' ')}`;
      }
      return undefined;
    },
  },
];

/** replica@host of everything that has a place, sorted. */
function placedIn(world: World, name: string): string[] {
  const names = namesById(world);
  return world
    .view(name)
    .assignments.flatMap(({ replica, cell }) => (cell === undefined ? [] : [`${replica}@${names.get(cell)}`]))
    .sort();
}

/** Listens from now on; what it gives back tells what was done meanwhile though nothing happened. */
export function silence(world: World): () => string | undefined {
  // Where frames are lost a cell may be suspected, and says once that it lives.
  const refuted = (): number =>
    world
      .up()
      .reduce((sum, { name, id }) => sum + world.view(name).members.find((one) => one.id === id)!.incarnation, 0);
  const refutedBefore = refuted();
  const [running, news, bytes, startMs] = [world.running().join(), world.frames.news, world.frames.bytes, world.nowMs];
  return () => {
    if (world.running().join() !== running) return `it ran ${running}; now ${world.running().join()}`;
    const more = world.frames.news - news - (refuted() - refutedBefore);
    if (more > 0) return `${more} records or changes were published`;
    const perSecond = (world.frames.bytes - bytes) / world.hosts.size / ((world.nowMs - startMs) / 1_000);
    return perSecond > idleBytes ? `${Math.round(perSecond)} bytes per cell and second` : undefined;
  };
}

/** Per cell and second, while nothing changes. */
const idleBytes = 4_096;
