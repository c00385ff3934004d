/**
 * A service changes its form one replica at a time, in index order, each after those before it are ready in the new form. Which may
 * change now follows from the view alone, so whoever owns the duty says the same, and a successor goes on where the last one ended.
 */
import { unitKey } from '../core/events.ts';
import type { Assignment } from '../core/model.ts';
import type { Told } from './reconcile.ts';

export interface Rollout {
  /** 'rollout/APP/SERVICE@HASH' */
  duty: string;
  /** 'APP/SERVICE' */
  service: string;
  hash: string;
  /** Indexes of the replicas that may change now. */
  go: string[];
  /** A service of one replica needs nobody's leave. */
  isAlone: boolean;
}

const isUp = ({ state }: Told): boolean => state === 'ready' || state === 'running';

/** The services of which a replica runs in a former form. `assignments` stand together by service, in replica order. */
export function rolloutsOf(assignments: readonly Assignment[], told: ReadonlyMap<string, readonly Told[]>): Rollout[] {
  const rollouts: Rollout[] = [];
  for (let from = 0, to = 0; from < assignments.length; from = to) {
    const { app, service, hash } = assignments[from]!;
    while (to < assignments.length && assignments[to]!.app === app && assignments[to]!.service === service) to++;
    // What has no place now would never be ready: it waits by itself.
    const placed = assignments.slice(from, to).filter(({ cell }) => cell !== undefined);
    const isOld = ({ replica }: Assignment): boolean =>
      (told.get(replica) ?? []).some((unit) => unit.hash !== hash && isUp(unit));
    if (placed.some(isOld)) rollouts.push(rolloutOf(`${app}/${service}`, hash, placed, told));
  }
  return rollouts;
}

function rolloutOf(
  service: string,
  hash: string,
  placed: readonly Assignment[],
  told: ReadonlyMap<string, readonly Told[]>,
): Rollout {
  const changing: string[] = [];
  const waiting: string[] = [];
  for (const { replica, index, cell } of placed) {
    const units = told.get(replica) ?? [];
    const isOld = units.some((unit) => unit.cell === cell && unit.hash !== hash && isUp(unit));
    const isNew = units.some((unit) => unit.hash === hash && unit.state === 'ready');
    const hasEnded = units.some((unit) => unit.hash === hash && unit.state === 'exited');
    // What runs nowhere is on its way by itself, and keeps nobody waiting.
    if (units.length === 0 || hasEnded || (isNew && !isOld)) continue;
    (!isNew && units.some((unit) => unit.hash === hash || !isUp(unit)) ? changing : waiting).push(index);
  }
  const go = changing.length > 0 ? changing : waiting.slice(0, 1);
  return { duty: `rollout/${service}@${hash}`, service, hash, go, isAlone: placed.length === 1 };
}

/** Keys of the units that may take the place of a former form now; `go` by duty. */
export function turnsOf(rollouts: readonly Rollout[], go: (duty: string) => readonly string[]): Set<string> {
  const turns = new Set<string>();
  for (const { duty, service, hash, go: mine, isAlone } of rollouts) {
    for (const index of isAlone ? mine : go(duty)) turns.add(unitKey(`${service}/${index}`, hash));
  }
  return turns;
}
