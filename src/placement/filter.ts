/**
 * Can this cell run this service? Each question answers with a verdict in words, the same words that `osca why`,
 * `osca plan` and the events show.
 */
import type { CellFacts, CellId, Verdict } from '../core/model.ts';
import { gpusOf, mountsOf, reservationOf } from '../core/service.ts';
import type { Constraint, ServiceSpec } from '../core/spec.ts';
import type { Tie } from '../core/ties.ts';

export interface PlacementCell {
  id: CellId;
  name: string;
  facts: CellFacts;
  labels: Record<string, string>;
  drain: boolean;
  /** It keeps what it has, and gets nothing more. */
  cordon: boolean;
  /** Here now. A cell that is down keeps its home share, but gets no replica. */
  up: boolean;
  /** It fell often of late: it gets nothing while others can. */
  held: boolean;
  /** It hands over what it runs, but for what has its data there. */
  leaving: boolean;
  /** `app/service@hash` -> why this cell can't start it. */
  vetoes: ReadonlyMap<string, string>;
  weight: number;
  /** The replicas that it has now, each once, from its record. */
  units: readonly string[];
}

export interface PlacementService {
  app: string;
  spec: ServiceSpec;
  hash: string;
  /** Of a run: indices that have ended, and are placed no more. */
  ended?: readonly string[];
  tie?: Tied;
}

/** What ties it to others of its app: all are on one cell (bundles.ts). */
export interface Tied extends Pick<Tie, 'volumes' | 'constraints'> {
  /** The number of the oldest revision known in which it had one of the volumes. */
  since: number;
}

export interface PlacementInput {
  cells: readonly PlacementCell[];
  services: readonly PlacementService[];
}

/** What is taken on one cell. */
export interface Taken {
  cpuMilli: number;
  memoryBytes: number;
  /** 'tcp/8080' -> the replica that has it. */
  ports: ReadonlyMap<string, string>;
}

export const nothingTaken: Taken = { cpuMilli: 0, memoryBytes: 0, ports: new Map() };

const mebibytes = (bytes: number): string => `${Math.floor(bytes / 1_048_576)} MiB`;
const cores = (milli: number): string => `${milli / 1_000} cores`;

export const weightOf = ({ cpuMilli, memoryBytes }: CellFacts): number =>
  Math.max(1, Math.round(cpuMilli / 250) + Math.round(memoryBytes / 268_435_456));

/** Everything that does not pass by itself: architecture, labels, size of the machine, ports of other replicas. */
export function refusal(service: ServiceSpec, cell: PlacementCell, taken: Taken): string | undefined {
  return (
    labelRefusal(service.constraints, cell) ??
    deviceRefusal(service, cell) ??
    resourceRefusal(service, cell, taken) ??
    portRefusal(service, taken)
  );
}

/** What may pass: down, drained, vetoed, no engine. `isThere`: it runs there already. */
export function absence(service: ServiceSpec, key: string, cell: PlacementCell, isThere = false): string | undefined {
  if (!cell.up) return 'the cell is down';
  if (cell.drain) return `the cell is drained; take it back with: osca cell resume ${cell.name}`;
  if (cell.cordon && !isThere) return `the cell is cordoned; take it back with: osca cell resume ${cell.name}`;
  if (service.driver === 'docker' && cell.facts.engine === '') {
    return `no container engine answers here, and the service needs image ${service.image ?? ''}`;
  }
  const veto = cell.vetoes.get(key);
  return veto === undefined ? undefined : `could not start it: ${veto}`;
}

function labelRefusal(constraints: readonly Constraint[], cell: PlacementCell): string | undefined {
  for (const { key, op, value, or = [] } of constraints) {
    const actual = constraintValue(key, cell);
    const isOne = actual === value || (actual !== undefined && or.includes(actual));
    if (isOne !== (op === '==')) {
      return `constraint ${key} ${op} ${[value, ...or].join(' or ')}: it has ${actual === undefined ? 'no such label' : `'${actual}'`}`;
    }
  }
  return undefined;
}

function deviceRefusal(spec: ServiceSpec, { facts }: PlacementCell): string | undefined {
  const has = facts.gpus ?? 0;
  const gpus = gpusOf(spec);
  if (gpus !== undefined && has < Math.max(1, gpus)) return `GPUs: needs ${gpus < 0 ? 'one' : gpus}, has ${has}`;
  const missing = spec.engine?.devices?.find(({ host }) => facts.devices?.includes(host) !== true);
  return missing === undefined ? undefined : `it has no ${missing.host}`;
}

/** It can't be everywhere: something about it is asked of each cell. */
export const isChoosy = (spec: ServiceSpec): boolean =>
  spec.constraints.length > 0 || spec.engine?.devices !== undefined || gpusOf(spec) !== undefined;

function constraintValue(key: string, { id, name, facts, labels }: PlacementCell): string | undefined {
  if (key === 'node.id') return id;
  if (key === 'node.hostname') return name;
  if (key === 'node.platform.os') return facts.os;
  if (key === 'node.platform.arch') return facts.arch;
  return labels[key.replace(/^node\.labels\./, '')];
}

function resourceRefusal(spec: ServiceSpec, { facts }: PlacementCell, taken: Taken): string | undefined {
  const { cpuMilli: cpu, memoryBytes: memory } = reservationOf(spec);
  const freeCpu = facts.cpuMilli - taken.cpuMilli;
  const freeMemory = facts.memoryBytes - taken.memoryBytes;
  if (cpu > 0 && cpu > freeCpu) return `CPU: needs ${cores(cpu)}, has ${cores(Math.max(0, freeCpu))} unreserved`;
  if (memory > 0 && memory > freeMemory) {
    return `memory: needs ${mebibytes(memory)}, has ${mebibytes(Math.max(0, freeMemory))} unreserved`;
  }
  return undefined;
}

function portRefusal({ ports }: ServiceSpec, taken: Taken): string | undefined {
  for (const port of hostPorts(ports)) {
    const holder = taken.ports.get(port);
    if (holder !== undefined) return `host port ${port} is taken by ${holder}`;
  }
  return undefined;
}

export function hostPorts(ports: ServiceSpec['ports']): string[] {
  return ports.flatMap(({ protocol, published }) => (published === undefined ? [] : [`${protocol}/${published}`]));
}

/** It reserves something that another replica may have taken. */
export const reserves = ({ resources, parts, ports }: ServiceSpec): boolean =>
  parts !== undefined ||
  resources.reserveCpuMilli !== undefined ||
  resources.reserveMemoryBytes !== undefined ||
  ports.some(({ published }) => published !== undefined);

/** It left something on the cell that would not come along, or can't move without a pause. */
export const isStateful = (spec: ServiceSpec): boolean =>
  spec.strict === true || spec.job !== undefined || hasData(spec);

export const hasData = (spec: ServiceSpec): boolean => mountsOf(spec).some(({ kind }) => kind === 'volume');

export const leavingNow = 'the cell is about to leave';
export const heldBack = 'it fell often of late, and is held back for a while';

export const verdictOf = ({ id, name }: PlacementCell, reason: string | undefined): Verdict => ({
  cell: id,
  name,
  fits: reason === undefined,
  reason: reason ?? 'fits',
});
