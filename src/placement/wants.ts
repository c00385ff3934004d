/** What is to be placed: services with their replicas, and those that are where another is. */
import { compare, hash32 } from '../core/hash.ts';
import type { Assignment } from '../core/model.ts';
import { replicaId } from '../core/model.ts';
import type { ServiceSpec } from '../core/spec.ts';
import { bundlesOf, isRun, together } from './bundles.ts';
import type { PlacementService, Tied } from './filter.ts';
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
  /** What is taken for it at home, and where it is: for all that stand with it, for those that ran there, or for itself. */
  asked: ServiceSpec;
  taken: ServiceSpec;
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
  /** What the cell of its first must have for all that stand with it, and for itself. */
  asks: ServiceSpec;
  least: ServiceSpec;
  /** Those that stand together, by service and hash. */
  keys: readonly string[] = [];
  /** All are at home, and nothing has changed there: what was told of them holds. */
  isSettled = false;
  told: readonly Assignment[] | undefined;

  constructor(service: PlacementService) {
    this.service = service;
    this.asks = this.least = service.spec;
    this.serviceKey = `${service.app}/${service.spec.name}`;
  }

  /** Without those that are where another is. */
  get own(): readonly Want[] {
    return this.service.tie === undefined ? this.wants : this.wants.filter(({ host }) => host === undefined);
  }

  get isGlobal(): boolean {
    return this.service.spec.mode === 'global';
  }

  unsettle(): void {
    this.isSettled = false;
    this.told = undefined;
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

/** It is among those for which something is taken where its host is. */
export const isCounted = (guest: Want, { taken, row, group }: Want): boolean =>
  taken === group.asks
    ? !isRun(guest.group.service) && guest.clash === undefined
    : taken !== group.least && guest.clash === undefined && guest.held.includes(row);

/** What is needed for those that run on a cell already. */
export function staying(host: Want, row: number): ServiceSpec {
  const { tie, spec } = host.group.service;
  if (tie === undefined) return host.group.asks;
  const there = host.guests.filter(({ held, clash }) => clash === undefined && held.includes(row));
  return together([spec, ...there.map(({ group }) => group.service.spec)], tie);
}

/** All replicas that are tied are where the first of those that lead is: those firsts. */
export function bind(groups: readonly Group[]): Want[] {
  const known = new Map(groups.map((group) => [group.service, group]));
  return bundlesOf([...known.keys()]).flatMap((members): Want[] => {
    const all = members.map((service) => known.get(service)!);
    const [host, ...guests] = all.flatMap(({ wants }) => wants);
    if (host === undefined) return [];
    const { group } = host;
    const tie = group.service.tie!;
    const ports = new Map<string, string>();
    for (const want of [host, ...guests]) {
      const own = hostPorts(want.group.service.spec.ports);
      const taken = own.find((port) => ports.has(port));
      want.host = want === host ? undefined : host;
      want.guests = nobody;
      want.clash = taken === undefined ? undefined : `host port ${taken} is taken by ${ports.get(taken)}`;
      if (taken === undefined) for (const port of own) ports.set(port, want.replica);
    }
    host.guests = guests;
    // Its straws are the same whoever leads.
    host.keyHash = hash32(`${group.service.app}/${tie.volumes.join('/')}`);
    const standing = guests.filter((guest) => guest.clash === undefined && !isRun(guest.group.service));
    group.least = together([group.service.spec], tie);
    group.asks = together(
      [host, ...standing].map((want) => want.group.service.spec),
      tie,
    );
    group.keys = all.flatMap(({ service, serviceKey }) => (isRun(service) ? [] : [`${serviceKey}@${service.hash}`]));
    return [host];
  });
}

export function areSame(a: readonly PlacementService[], b: readonly PlacementService[]): boolean {
  if (a === b) return true;
  return a.length === b.length && a.every((one, i) => isSame(one, b[i]!));
}

const isSame = (a: PlacementService, b: PlacementService): boolean =>
  a === b ||
  (a.app === b.app &&
    a.spec === b.spec &&
    a.hash === b.hash &&
    a.ended?.join() === b.ended?.join() &&
    areTied(a.tie, b.tie));

const areTied = (a: Tied | undefined, b: Tied | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && JSON.stringify(a) === JSON.stringify(b));

/** By service, each with its replicas by index. */
export function groupsOf(services: readonly PlacementService[], before: readonly Group[]): Group[] {
  const known = new Map(before.map((group) => [group.serviceKey, group]));
  const groups = services.map((service): Group => {
    const { app, spec } = service;
    const old = known.get(`${app}/${spec.name}`);
    // What is tied is bound anew.
    if (old !== undefined && service.tie === undefined && isSame(old.service, service)) return old;
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
  ...{ asked: group.asks, taken: group.asks },
});
