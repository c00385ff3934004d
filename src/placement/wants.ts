/** What is to be placed: services with their replicas, and those that are where another is. */
import { compare, hash32 } from '../core/hash.ts';
import type { Assignment } from '../core/model.ts';
import { replicaId } from '../core/model.ts';
import type { ServiceSpec } from '../core/spec.ts';
import type { Bundle } from './bundles.ts';
import { bundlesOf } from './bundles.ts';
import type { PlacementService } from './filter.ts';
import { hostPorts } from './filter.ts';
import type { Spread } from './stay.ts';

export interface Want {
  replica: string;
  index: string;
  keyHash: number;
  group: Group;
  /** Rows, -1 for nowhere: where it lives, where it should be now. */
  home: number;
  row: number;
  /** Rows of the cells that have it. */
  held: readonly number[];
  /** Another that it is always with (bundles.ts). */
  host: Want | undefined;
  /** Those that are with it. */
  guests: readonly Want[];
  /** Why it can't be where those are. */
  clash: string | undefined;
  assignment: Assignment | undefined;
}

export const nowhere: readonly number[] = [];
const nobody: readonly Want[] = [];

function rowsOf(wants: readonly Want[], of: 'home' | 'row'): number[] {
  const rows: number[] = [];
  for (const want of wants) if (want[of] >= 0) rows.push(want[of]);
  return rows;
}

/** One service and its replicas. */
export class Group implements Spread {
  readonly serviceKey: string;
  readonly service: PlacementService;
  wants: Want[] = [];
  /** What the cell of its first must have: for all that are with it. */
  asks: ServiceSpec;
  bundle: Bundle | undefined;

  constructor(service: PlacementService) {
    this.service = service;
    this.asks = service.spec;
    this.serviceKey = `${service.app}/${service.spec.name}`;
  }

  /** Without those that are where another is. */
  get own(): readonly Want[] {
    return this.bundle === undefined ? this.wants : this.wants.filter(({ host }) => host === undefined);
  }

  get isGlobal(): boolean {
    return this.service.spec.mode === 'global';
  }

  homes(): number[] {
    return rowsOf(this.own, 'home');
  }

  lie(): number[] {
    return rowsOf(this.own, 'row');
  }
}

/** Where it runs, or what is always with it does: data does not come along. */
export const heldBy = ({ held, guests }: Want): readonly number[] =>
  held.length > 0 || guests.length === 0 ? held : guests.flatMap((guest) => guest.held);

/** All replicas of a bundle are where the first of its leader is: those firsts. */
export function bind(groups: readonly Group[]): Want[] {
  const hosts: Want[] = [];
  const known = new Map<PlacementService, Group>();
  for (const group of groups) {
    known.set(group.service, group);
    if (group.bundle === undefined) continue;
    group.bundle = undefined;
    group.asks = group.service.spec;
    for (const want of group.wants) {
      [want.host, want.guests, want.clash] = [undefined, nobody, undefined];
      want.keyHash = hash32(want.replica);
    }
  }
  for (const bundle of bundlesOf([...known.keys()])) {
    const members = bundle.members.map((service) => known.get(service)!);
    const [host, ...guests] = members.flatMap(({ wants }) => wants);
    for (const group of members) group.bundle = bundle;
    if (host === undefined) continue;
    host.group.asks = bundle.spec;
    hosts.push(host);
    host.guests = guests;
    // Its straws are the same whoever leads.
    host.keyHash = hash32(`${host.group.service.app}/${bundle.volumes.join('/')}`);
    const ports = new Map<string, string>();
    for (const want of [host, ...guests]) {
      const own = hostPorts(want.group.service.spec.ports);
      const taken = own.find((port) => ports.has(port));
      if (want !== host) want.host = host;
      if (taken !== undefined) want.clash = `host port ${taken} is taken by ${ports.get(taken)}`;
      else for (const port of own) ports.set(port, want.replica);
    }
  }
  return hosts;
}

export function areSame(a: readonly PlacementService[], b: readonly PlacementService[]): boolean {
  if (a === b) return true;
  return a.length === b.length && a.every((one, i) => isSame(one, b[i]!));
}

const isSame = (a: PlacementService, b: PlacementService): boolean =>
  a.app === b.app &&
  a.spec === b.spec &&
  a.hash === b.hash &&
  a.ended?.join() === b.ended?.join() &&
  a.tie?.join() === b.tie?.join();

/** By service, each with its replicas by index. */
export function groupsOf(services: readonly PlacementService[], before: readonly Group[]): Group[] {
  const known = new Map(before.map((group) => [group.serviceKey, group]));
  const groups = services.map((service): Group => {
    const { app, spec } = service;
    const old = known.get(`${app}/${spec.name}`);
    if (old !== undefined && isSame(old.service, service)) return old;
    const group = new Group(service);
    for (const index of indicesOf(service)) group.wants.push(wantOf(group, replicaId(app, spec.name, index), index));
    return group;
  });
  return groups.sort((a, b) => compare(a.serviceKey, b.serviceKey));
}

/** From 1. Of a job those that have not ended, as many as may run at once. */
function indicesOf({ spec: { mode, replicas, job }, ended = [] }: PlacementService): string[] {
  if (mode === 'global') return [];
  const all = Array.from({ length: replicas }, (_, i) => String(i + 1));
  return job === undefined ? all : all.filter((index) => !ended.includes(index)).slice(0, job.parallelism);
}

export const wantOf = (group: Group, replica: string, index: string): Want => ({
  ...{ replica, index, keyHash: hash32(replica), group, home: -1, row: -1, held: nowhere },
  ...{ host: undefined, guests: nobody, clash: undefined, assignment: undefined },
});
