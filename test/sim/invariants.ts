/** What must hold of an appliance, each with a name: some at every moment, the others after the faults have stopped. */

import { aliveIn } from './makers.ts';
import type { World } from './world.ts';

/** Undefined where it holds; else what is wrong. */
export interface Invariant {
  name: string;
  check(world: World): string | undefined;
}

const namesById = (world: World): Map<string, string> =>
  new Map([...world.hosts.values()].map(({ id, name }) => [id, name]));

export const always: readonly Invariant[] = [
  {
    name: 'nobody unadmitted is in a view',
    check: (world) => {
      const known = namesById(world);
      for (const { name } of world.up()) {
        const stranger = world.view(name).members.find(({ id }) => !known.has(id));
        if (stranger !== undefined) return `${name} sees ${stranger.id}`;
      }
      return undefined;
    },
  },
  {
    name: 'no cell thinks itself dead',
    check: (world) => {
      for (const { name } of world.up()) {
        const self = world.view(name).members.find((member) => member.self);
        if (self?.state === 'down') return `${name} is down in its own view`;
      }
      return undefined;
    },
  },
  {
    name: 'no replica is placed twice in one view',
    check: (world) => {
      for (const { name } of world.up()) {
        const { assignments } = world.view(name);
        if (new Set(assignments.map(({ replica }) => replica)).size !== assignments.length) return name;
      }
      return undefined;
    },
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
      const apps = world.up().map(({ name }) => JSON.stringify(world.view(name).apps));
      return new Set(apps).size <= 1 ? undefined : `${new Set(apps).size} different documents`;
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
    name: 'placement is the same on all cells',
    withinMs: 10_000,
    check: (world) => {
      const placed = new Set(world.up().map(({ name }) => placedIn(world, name).join()));
      return placed.size <= 1 ? undefined : [...placed].join(' | ');
    },
  },
  {
    name: 'every replica that fits runs once, where placement says',
    withinMs: 120_000,
    check: (world) => {
      const [wanted, runs] = [placedIn(world, world.up()[0]!.name).join(' '), world.running().join(' ')];
      return wanted === runs ? undefined : `wanted ${wanted}; runs ${runs}`;
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
];

/** replica@host of everything that has a place, sorted. */
function placedIn(world: World, name: string): string[] {
  const names = namesById(world);
  return world
    .view(name)
    .assignments.flatMap(({ replica, cell }) => (cell === undefined ? [] : [`${replica}@${names.get(cell)}`]))
    .sort();
}
