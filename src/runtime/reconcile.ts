/**
 * What to do about the difference between what this cell should run and what it runs. Pure: two lists in, steps out.
 *
 * Make before break: a replica that moves away is kept until its new cell says it is ready, and one that changes is
 * kept until its successor is ready, unless both would want the same host port or volume. What changes waits for its
 * turn (rollouts.ts). A cell takes in a few moving replicas at a time, so that one that returns is not overrun.
 */
import type { UnitSpec } from '../core/events.ts';
import { unitKey } from '../core/events.ts';
import { compare } from '../core/hash.ts';
import type { Assignment, CellId, UnitState } from '../core/model.ts';
import { mountsOf } from '../core/service.ts';
import type { ServiceSpec } from '../core/spec.ts';

/** A unit that exists on this cell. */
export interface Held {
  key: string;
  replica: string;
  hash: string;
  state: UnitState;
  /** 'tcp/8080' that it holds on this cell, as far as its spec is known. */
  hostPorts: string[];
}

/** A unit that any cell, this one too, says it has. */
export interface Told {
  cell: CellId;
  /** Its observers do not hear it, or it is only just back: it may not run what it says. */
  suspect?: true;
  replica: string;
  hash: string;
  state: UnitState;
  restarts: number;
  reason?: string;
}

export interface Picture {
  self: CellId;
  /** What this cell should run, by replica. */
  wanted: ReadonlyMap<string, UnitSpec>;
  /** Units that are here in the form that is wanted, whether or not they belong here; by key. */
  forms: ReadonlyMap<string, UnitSpec>;
  /** Where every replica of the appliance should be. */
  assigned: ReadonlyMap<string, Assignment>;
  /** replica -> units told of it, from records of cells that are up. */
  told: ReadonlyMap<string, readonly Told[]>;
  /** Strict replicas, and whether one may run here now. */
  strict: ReadonlyMap<string, boolean>;
  /** Units that may take the place of a former form now. */
  turns: ReadonlySet<string>;
  /** This cell has started just now: what it heard of others may be of the dead. */
  isFresh: boolean;
  /** Replicas that have ended and are kept for what they wrote. */
  kept: ReadonlySet<string>;
  /** So many replicas that run elsewhere may be on their way here at once. */
  maxMoves: number;
}

export interface Steps {
  start: UnitSpec[];
  /** `soon`: it may run elsewhere in a few seconds. */
  stop: { key: string; why: string; soon?: true }[];
}

export function reconcile(picture: Picture, held: readonly Held[]): Steps {
  const steps: Steps = { start: [], stop: [] };
  const needed = new Map<string, string>();
  for (const [replica, { service }] of picture.wanted)
    for (const port of hostPortsOf(service)) needed.set(port, replica);
  const byReplica = new Map<string, Held[]>();
  for (const unit of held) byReplica.set(unit.replica, [...(byReplica.get(unit.replica) ?? []), unit]);
  // What fails to come does not keep the others away.
  const isComing = ({ replica, state }: Held): boolean =>
    (state === 'pulling' || state === 'starting' || state === 'running') && picture.wanted.has(replica);
  let moves = held.filter((unit) => isComing(unit) && runsElsewhere(picture, unit.replica)).length;
  for (const [replica, unit] of [...picture.wanted].sort(([a], [b]) => compare(a, b))) {
    const taken = held.some(
      (other) => other.replica !== replica && other.hostPorts.some((port) => needed.get(port) === replica),
    );
    const mine = byReplica.get(replica) ?? [];
    const isMove = mine.length === 0 && runsElsewhere(picture, replica);
    if (!isMove || moves < picture.maxMoves) {
      replace(picture, unit, mine, steps, taken);
      if (isMove) moves++;
    }
    byReplica.delete(replica);
  }
  for (const units of byReplica.values()) {
    for (const unit of units)
      release(
        picture,
        unit,
        steps,
        unit.hostPorts.some((port) => needed.has(port)),
      );
  }
  return steps;
}

const runsElsewhere = ({ told, self }: Picture, replica: string): boolean =>
  (told.get(replica) ?? []).some(({ cell, state }) => cell !== self && (state === 'ready' || state === 'running'));

/** A replica that belongs here: start it, and let go of its former forms. */
function replace(picture: Picture, unit: UnitSpec, held: readonly Held[], steps: Steps, portTaken: boolean): void {
  const key = unitKey(unit.replica, unit.hash);
  const current = held.find((other) => other.key === key);
  const former = held.filter((other) => other.key !== key && other.state !== 'stopping');
  const alive = former.filter(({ state }) => state === 'ready' || state === 'running');
  if (current !== undefined) {
    // One that has ended is replaced by whatever has ended too.
    const gone = current.state === 'ready' ? former : current.state === 'exited' ? former.filter(hasEnded) : [];
    for (const { key: old } of gone) steps.stop.push({ key: old, why: 'replaced' });
    return;
  }
  if (alive.length > 0 && !picture.turns.has(key)) return;
  const blocked = held.filter((other) => other.key !== key && needsStopFirst(unit.service));
  for (const { key: old, state } of blocked) if (state !== 'stopping') steps.stop.push({ key: old, why: 'replaced' });
  if (blocked.length === 0 && !portTaken) steps.start.push(unit);
}

const hasEnded = ({ state }: Held): boolean => state === 'exited' || state === 'backoff';

const hostPortsOf = ({ ports }: ServiceSpec): string[] =>
  ports.flatMap(({ protocol, published }) => (published === undefined ? [] : [`${protocol}/${published}`]));

/** Two forms of it can't stand side by side. */
export function needsStopFirst(spec: ServiceSpec): boolean {
  const { ports, strict, update } = spec;
  if (strict === true || update?.order === 'stop-first') return true;
  return ports.some(({ published }) => published !== undefined) || mountsOf(spec).some(({ kind }) => kind === 'volume');
}

/** A replica that does not belong here: stop it as soon as nobody misses it. */
function release(picture: Picture, unit: Held, steps: Steps, portNeeded: boolean): void {
  if (unit.state === 'stopping') return;
  const assignment = picture.assigned.get(unit.replica);
  if (assignment === undefined) {
    if (unit.state === 'exited' && picture.kept.has(unit.replica)) return;
    steps.stop.push({ key: unit.key, why: 'no longer wanted' });
    return;
  }
  const home = assignment.cell;
  const mayRun = picture.strict.get(unit.replica);
  if (mayRun === false) {
    steps.stop.push({ key: unit.key, why: 'strict: this cell has no lease of it', soon: true });
    return;
  }
  if (home === picture.self) return;
  if (mayRun === true && home !== undefined) {
    steps.stop.push({ key: unit.key, why: 'strict: it moves to another cell' });
    return;
  }
  if (portNeeded) {
    steps.stop.push({ key: unit.key, why: 'another replica needs its host port' });
    return;
  }
  if (unit.state !== 'ready' && unit.state !== 'running') {
    steps.stop.push({ key: unit.key, why: 'belongs to another cell' });
    return;
  }
  if (home === undefined || picture.isFresh) return;
  const told = picture.told.get(unit.replica) ?? [];
  // A former form is as good as another that is as ready; a wanted one is not given up for it.
  const isFormer = unit.hash !== assignment.hash;
  const ready = told.some(
    ({ cell, suspect, hash, state }) =>
      cell === home &&
      suspect === undefined &&
      (isFormer
        ? state === 'ready' || (state === unit.state && hash !== assignment.hash)
        : state === 'ready' && hash === assignment.hash),
  );
  if (ready) steps.stop.push({ key: unit.key, why: 'runs on another cell now' });
}
