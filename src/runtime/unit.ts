/** One unit as its supervisor knows it: how it begins, and how one is taken over that a daemon before this one began. */
import type { Exit, Observed, UnitSpec } from '../core/events.ts';
import { unitKey } from '../core/events.ts';
import type { UnitState } from '../core/model.ts';
import type { ServiceSpec } from '../core/spec.ts';
import { hasPulse, Pulse } from './pulse.ts';
import { exitWords, hasFailed } from './words.ts';

export interface Unit {
  key: string;
  replica: string;
  hash: string;
  driver: ServiceSpec['driver'];
  handle: string;
  state: UnitState;
  sinceMs: number;
  startedMs: number;
  /** Its first start. */
  begunMs: number;
  /** When it was told to end because it took too long. */
  overdueMs: number | undefined;
  restarts: number;
  failures: number;
  ports: number[];
  reason: string | undefined;
  retryMs: number | undefined;
  /** Shorter than its spec has it, where it must go. */
  graceMs: number | undefined;
  /** Stop, then start again (unhealthy). */
  again: boolean;
  /** A start was asked for and has not ended. */
  inFlight: boolean;
  /** It ended before its start was told. */
  early: { exit: Exit; atMs: number } | undefined;
  /** Adopted when it had ended already: did it fail? */
  ended: boolean | undefined;
  spec: UnitSpec | undefined;
  /** Begun anew with each start. */
  pulse: Pulse | undefined;
}

/** A unit that is here or on its way, as others may read it; times on the cell's own clock. */
export type HeldUnit = Readonly<
  Pick<Unit, 'key' | 'replica' | 'hash' | 'handle' | 'driver' | 'state' | 'sinceMs' | 'begunMs' | 'reason'>
>;

/** It shall run, and its first start is asked for. */
export function begun(spec: UnitSpec, now: number): Unit {
  return {
    ...blank(unitKey(spec.replica, spec.hash), spec, now),
    ...{ driver: spec.service.driver, handle: '', state: 'starting', inFlight: true, spec },
  };
}

/** Found as it is: ready only when its spec is known and has no health check, or later, when the check says so. */
export function adopted(observed: Observed, spec: UnitSpec | undefined, now: number): Unit {
  const { driver, handle, running, ports, ageMs = 0 } = observed;
  const unit = {
    ...blank(unitKey(observed.replica, observed.hash), observed, now),
    ...{ driver, handle, ports, spec },
    // Its deadline goes on where a daemon before this one began it.
    begunMs: now - ageMs,
  };
  if (!running) {
    const exit = exitOf(observed);
    return { ...unit, state: 'backoff', reason: exitWords(exit), retryMs: now, ended: hasFailed(exit) };
  }
  const state = spec === undefined || hasPulse(spec.service) ? 'running' : 'ready';
  return { ...unit, state, pulse: spec === undefined ? undefined : new Pulse(spec.service, now, true) };
}

function blank(
  key: string,
  { replica, hash }: Pick<Unit, 'replica' | 'hash'>,
  now: number,
): Omit<Unit, 'driver' | 'handle' | 'state' | 'spec'> {
  return {
    ...{ key, replica, hash, sinceMs: now, startedMs: now, begunMs: now, overdueMs: undefined },
    ...{ restarts: 0, failures: 0, ports: [], reason: undefined, retryMs: undefined, graceMs: undefined },
    ...{ again: false, inFlight: false, early: undefined, ended: undefined, pulse: undefined },
  };
}

export const isUp = ({ state }: Unit): boolean => state === 'running' || state === 'ready';
export const exitOf = ({ exit }: Observed): Exit => exit ?? { exitCode: 0, oom: false };
