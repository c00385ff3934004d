/**
 * The night nurse of one cell: it knows every unit here, starts what should run, wakes what fell, with longer and longer
 * pauses for what keeps falling, feels the pulse where the spec says how, and writes all of it in the cell's record.
 *
 * Drivers do the work; here are only states, deadlines and reasons.
 */
import type { Exit, Observed, Outbox, ProbeName, UnitSpec } from '../core/events.ts';
import { unitKey } from '../core/events.ts';
import { compare } from '../core/hash.ts';
import { limits } from '../core/limits.ts';
import type { UnitState, UnitStatus, Veto } from '../core/model.ts';
import type { ServiceSpec } from '../core/spec.ts';
import { hasPulse, Pulse } from './pulse.ts';
import type { Picture } from './reconcile.ts';
import { reconcile } from './reconcile.ts';
import type { HeldUnit, Unit } from './unit.ts';
import { adopted, begun, exitOf, isUp } from './unit.ts';
import { Vetoes } from './vetoes.ts';
import { exitWords, hasFailed } from './words.ts';

export interface SuperviseOptions {
  backoffMinMs: number;
  backoffMaxMs: number;
  /** A unit that ran this long has its back-off forgotten. */
  steadyMs: number;
  vetoMinMs: number;
  vetoMaxMs: number;
  /** Failed starts in a row before a veto, where the failure may pass. */
  failuresToVeto: number;
  /** A stop that the driver did not confirm is asked again after this long. */
  stopAgainMs: number;
  /** What must end soon is given this long. */
  soonMs: number;
}

export const superviseDefaults: SuperviseOptions = {
  backoffMinMs: 500,
  backoffMaxMs: 60_000,
  steadyMs: 10_000,
  vetoMinMs: 30_000,
  vetoMaxMs: 600_000,
  failuresToVeto: 3,
  stopAgainMs: 30_000,
  soonMs: 1_000,
};

/** Failures that another try here will not mend soon. */
const lasting = new Set(['image-missing', 'port-taken', 'bad-spec']);

export class Supervisor {
  readonly #out: Outbox;
  readonly #options: SuperviseOptions;
  readonly #units = new Map<string, Unit>();
  readonly #vetoes: Vetoes;
  #picture: Picture | undefined;
  /** Drivers whose first list has come: before it, nothing is started that may already run. */
  readonly #listed = new Set<ServiceSpec['driver']>();
  #version = 0;

  constructor(out: Outbox, options: SuperviseOptions = superviseDefaults) {
    this.#out = out;
    this.#options = options;
    this.#vetoes = new Vetoes(options);
  }

  /** Grows when what the record tells has changed. */
  get version(): number {
    return this.#version;
  }

  statuses(): UnitStatus[] {
    return [...this.#units.values()]
      .sort((a, b) => compare(a.key, b.key))
      .map(({ replica, hash, state, sinceMs, restarts, ports, reason }) => ({
        ...{ replica, hash, state, sinceMs: Math.round(sinceMs), restarts, ports },
        ...(reason === undefined ? {} : { reason }),
      }));
  }

  vetoes(): Veto[] {
    return this.#vetoes.held();
  }

  /** Every unit that is here or on its way. */
  held(): readonly HeldUnit[] {
    return [...this.#units.values()];
  }

  handleOf(key: string): { handle: string; driver: ServiceSpec['driver'] } | undefined {
    const unit = this.#units.get(key);
    return unit === undefined || unit.handle === '' ? undefined : { handle: unit.handle, driver: unit.driver };
  }

  // -- what should be ----------------------------------------------------------------------------------------------

  want(picture: Picture, now: number): void {
    this.#picture = picture;
    const services = new Set(
      [...picture.assigned.values()].map(({ app, service, hash }) => `${app}/${service}@${hash}`),
    );
    this.#vetoes.keep(services);
    for (const unit of this.#units.values()) {
      const spec = picture.forms.get(unit.key);
      if (spec === undefined) continue;
      unit.spec = spec;
      if (unit.state === 'running' && !hasPulse(spec.service)) this.#set(unit, 'ready', now);
    }
    this.#reconcile(now);
  }

  #reconcile(now: number): void {
    if (this.#picture === undefined) return;
    const held = [...this.#units.values()].map(({ key, replica, hash, state, spec }) => {
      const ports = spec?.service.ports ?? [];
      const hostPorts = ports.flatMap(({ protocol, published }) =>
        published === undefined ? [] : [`${protocol}/${published}`],
      );
      return { key, replica, hash, state, hostPorts };
    });
    const steps = reconcile(this.#picture, held);
    for (const { key, why, soon } of steps.stop) {
      const unit = this.#units.get(key);
      if (unit === undefined || unit.state === 'stopping' || !this.#listed.has(unit.driver)) continue;
      unit.graceMs = soon === true ? this.#options.soonMs : undefined;
      this.#stop(unit, why, now);
    }
    for (const spec of steps.start)
      if (!this.#units.has(unitKey(spec.replica, spec.hash)) && this.#listed.has(spec.service.driver))
        this.#begin(spec, now);
  }

  #begin(spec: UnitSpec, now: number): void {
    const key = unitKey(spec.replica, spec.hash);
    this.#units.set(key, begun(spec, now));
    this.#version++;
    this.#out.push({ type: 'unit.start', key, unit: spec });
  }

  #stop(unit: Unit, why: string, now: number): void {
    this.#set(unit, 'stopping', now, why);
    unit.retryMs = now + this.#options.stopAgainMs;
    // A start under way ends in started() or failed(), and both look at the state again.
    if (unit.inFlight) {
      this.#out.push({ type: 'unit.cancel', key: unit.key });
      return;
    }
    if (unit.handle === '') {
      this.#drop(unit, now);
      return;
    }
    const graceMs = unit.graceMs ?? unit.spec?.service.stopGraceMs ?? 10_000;
    this.#out.push({ type: 'unit.stop', key: unit.key, handle: unit.handle, driver: unit.driver, graceMs });
  }

  #drop(unit: Unit, now: number): void {
    this.#units.delete(unit.key);
    this.#version++;
    this.#reconcile(now);
  }

  #set(unit: Unit, state: UnitState, now: number, reason?: string): void {
    if (unit.state === state && unit.reason === reason) return;
    if (unit.state !== state) unit.sinceMs = now;
    unit.state = state;
    unit.reason = reason;
    this.#version++;
  }

  // -- what is -----------------------------------------------------------------------------------------------------

  /** The whole list of one driver: adopts what runs, notices what is gone. */
  observed(driver: ServiceSpec['driver'], list: readonly Observed[], now: number): void {
    this.#listed.add(driver);
    const seen = new Set<string>();
    for (const observed of [...list].sort((a, b) => compare(a.handle, b.handle))) {
      const key = unitKey(observed.replica, observed.hash);
      seen.add(key);
      const unit = this.#units.get(key);
      if (unit === undefined) this.#adopt(observed, now);
      else if (unit.state === 'starting' || unit.state === 'pulling') continue;
      else if (observed.running && (unit.state === 'backoff' || unit.state === 'exited'))
        this.started(key, observed, now);
      else if (!observed.running && isUp(unit)) this.exited(key, exitOf(observed), now);
      else {
        unit.handle = observed.handle;
        if (unit.state === 'backoff' && unit.retryMs === undefined) {
          // The engine is back: it ended meanwhile.
          unit.ended = hasFailed(exitOf(observed));
          unit.reason = exitWords(exitOf(observed));
          unit.retryMs = now;
        }
        if (unit.state === 'stopping') this.#stop(unit, unit.reason ?? '', now);
      }
    }
    for (const unit of [...this.#units.values()]) {
      if (unit.driver !== driver || seen.has(unit.key)) continue;
      if (unit.inFlight) continue;
      if (unit.state === 'stopping' && unit.handle !== '') this.#drop(unit, now);
      else if (unit.state === 'backoff') unit.retryMs ??= now;
      else if (isUp(unit)) this.#fell(unit, 'it was removed behind the daemon', true, now);
    }
    this.#reconcile(now);
  }

  #adopt(observed: Observed, now: number): void {
    const wanted = this.#picture?.wanted.get(observed.replica);
    const unit = adopted(observed, wanted?.hash === observed.hash ? wanted : undefined, now);
    this.#units.set(unit.key, unit);
    this.#version++;
  }

  /** The engine does not answer: what it runs can't be told. */
  engineAway(now: number): void {
    this.#listed.delete('docker');
    for (const unit of this.#units.values()) {
      if (unit.driver !== 'docker' || unit.inFlight || (unit.state !== 'backoff' && !isUp(unit))) continue;
      unit.retryMs = undefined;
      this.#set(unit, 'backoff', now, 'the container engine does not answer');
    }
  }

  progress(key: string, text: string, now: number): void {
    const unit = this.#units.get(key);
    if (unit !== undefined && (unit.state === 'starting' || unit.state === 'pulling'))
      this.#set(unit, 'pulling', now, text);
  }

  started(key: string, observed: Observed, now: number): void {
    const unit = this.#units.get(key);
    if (unit === undefined) return;
    unit.inFlight = false;
    // The driver looked a moment after the start: what was heard before that was of an earlier run.
    const isOfThis = unit.early !== undefined && now - unit.early.atMs < limits.firstMomentMs;
    const early = observed.running ? (isOfThis ? unit.early!.exit : undefined) : exitOf(observed);
    unit.early = undefined;
    unit.handle = observed.handle;
    unit.ports = observed.ports;
    unit.startedMs = now;
    unit.retryMs = undefined;
    unit.failures = 0;
    if (unit.state === 'stopping') {
      this.#stop(unit, unit.reason ?? '', now);
      return;
    }
    if (early !== undefined) {
      this.#fell(unit, exitWords(early), hasFailed(early), now);
      return;
    }
    unit.pulse = unit.spec === undefined ? undefined : new Pulse(unit.spec.service, now, false);
    const isAsked = unit.spec !== undefined && hasPulse(unit.spec.service);
    this.#set(unit, isAsked ? 'running' : 'ready', now, isAsked ? 'waiting for its health check' : undefined);
    this.#reconcile(now);
  }

  failed(key: string, code: string, message: string, now: number): void {
    const unit = this.#units.get(key);
    if (unit === undefined) return;
    unit.inFlight = false;
    unit.failures++;
    unit.handle = '';
    if (unit.state === 'stopping' || code === 'lease-lost') {
      this.#drop(unit, now);
      return;
    }
    if (lasting.has(code) || unit.failures >= this.#options.failuresToVeto) {
      this.#vetoes.add(serviceOf(unit.replica), unit.hash, message, now);
      this.#version++;
    }
    this.#set(unit, 'backoff', now, message);
    unit.retryMs = now + this.#backoff(unit.failures);
    this.#out.push({
      type: 'event',
      event: { level: 'error', kind: 'unit.failed', message: `${unit.replica}: ${message}` },
    });
  }

  exited(key: string, exit: Exit, now: number): void {
    const unit = this.#units.get(key);
    if (unit?.inFlight) unit.early = { exit, atMs: now };
    if (unit === undefined || !isUp(unit)) return;
    this.#fell(unit, exitWords(exit), hasFailed(exit), now);
  }

  #fell(unit: Unit, cause: string, failed: boolean, now: number): void {
    if (unit.spec === undefined) {
      // Found running, and not looked up yet: #retry decides when its policy is known.
      unit.ended = failed;
      unit.retryMs = now;
      this.#set(unit, 'backoff', now, cause);
      return;
    }
    const isOverdue = unit.overdueMs !== undefined;
    const [reason, failure] = isOverdue ? [overdue, true] : [cause, failed];
    const policy = unit.spec?.service.restart ?? { condition: 'any' };
    if (now - unit.startedMs >= (policy.windowMs ?? this.#options.steadyMs)) unit.restarts = 0;
    const level = failure ? 'warn' : 'info';
    this.#out.push({ type: 'event', event: { level, kind: 'unit.exited', message: `${unit.replica}: ${reason}` } });
    const again = policy.condition === 'any' || (policy.condition === 'on-failure' && failure);
    const spent = policy.maxAttempts !== undefined && unit.restarts >= policy.maxAttempts;
    if (!again || spent || isOverdue) {
      const gaveUp = spent && again && !isOverdue;
      this.#set(unit, 'exited', now, gaveUp ? `${reason}; gave up after ${unit.restarts} restarts` : reason);
      // Its other containers end with it.
      const { key, handle, driver, spec } = unit;
      const graceMs = spec.service.stopGraceMs;
      if (spec.service.parts !== undefined)
        this.#out.push({ type: 'unit.stop', key, handle, driver, graceMs, keep: true });
    } else {
      unit.restarts++;
      unit.retryMs = now + (policy.delayMs ?? this.#backoff(unit.restarts));
      this.#set(unit, 'backoff', now, reason);
    }
    this.#reconcile(now);
  }

  stopped(key: string, now: number): void {
    const unit = this.#units.get(key);
    if (unit === undefined || unit.state !== 'stopping') return;
    if (unit.again && this.#picture?.wanted.get(unit.replica)?.hash === unit.hash) {
      unit.again = false;
      unit.restarts++;
      unit.handle = '';
      unit.retryMs = now + this.#backoff(unit.restarts);
      this.#set(unit, 'backoff', now, unit.reason);
    } else this.#drop(unit, now);
  }

  #backoff(times: number): number {
    return Math.min(this.#options.backoffMaxMs, this.#options.backoffMinMs * 2 ** Math.min(16, times - 1));
  }

  // -- time --------------------------------------------------------------------------------------------------------

  tick(now: number): void {
    for (const unit of [...this.#units.values()]) {
      if (unit.state === 'stopping') {
        if (unit.retryMs !== undefined && now >= unit.retryMs) this.#stop(unit, unit.reason ?? '', now);
      } else if (unit.state === 'backoff') this.#retry(unit, now);
      else if (isUp(unit) && !this.#isOverdue(unit, now)) this.#feelPulse(unit, now);
    }
    if (this.#vetoes.end(now)) this.#version++;
  }

  #retry(unit: Unit, now: number): void {
    if (unit.retryMs === undefined || now < unit.retryMs) return;
    const wanted = this.#picture?.wanted.get(unit.replica);
    if (wanted === undefined || wanted.hash !== unit.hash) {
      const isKept = unit.ended !== undefined && this.#picture?.kept.has(unit.replica) === true;
      if (isKept) this.#set(unit, 'exited', now, unit.reason);
      else if (this.#picture !== undefined) this.#stop(unit, 'no longer wanted', now);
      return;
    }
    const { condition } = wanted.service.restart;
    if (unit.ended !== undefined && condition !== 'any' && !(condition === 'on-failure' && unit.ended)) {
      this.#set(unit, 'exited', now, unit.reason);
      return;
    }
    unit.ended = undefined;
    unit.retryMs = undefined;
    unit.inFlight = true;
    this.#set(unit, 'starting', now, unit.reason);
    this.#out.push({ type: 'unit.start', key: unit.key, unit: wanted });
  }

  /** A job that takes too long is ended, and has failed; what it wrote stays. */
  #isOverdue(unit: Unit, now: number): boolean {
    const deadlineMs = unit.spec?.service.job?.deadlineMs;
    if (deadlineMs === undefined || now - unit.begunMs < deadlineMs) return false;
    if (unit.overdueMs !== undefined && now - unit.overdueMs < this.#options.stopAgainMs) return true;
    unit.overdueMs = now;
    const { key, handle, driver } = unit;
    const graceMs = unit.spec!.service.stopGraceMs;
    this.#set(unit, unit.state, now, overdue);
    this.#out.push({ type: 'unit.stop', key, handle, driver, graceMs, keep: true });
    return true;
  }

  #feelPulse(unit: Unit, now: number): void {
    if (unit.spec === undefined) return;
    const { key, handle, driver } = unit;
    unit.pulse ??= new Pulse(unit.spec.service, now, true);
    for (const question of unit.pulse.due(now))
      this.#out.push({ type: 'unit.probe', key, handle, driver, ...question });
  }

  probed(key: string, { name, part, ok, output }: Answer, now: number): void {
    const unit = this.#units.get(key);
    if (unit === undefined || !isUp(unit)) return;
    const finding = unit.pulse?.told(name, ok, now, part);
    if (finding === undefined) return;
    if (finding.is === 'ready') {
      this.#set(unit, 'ready', now);
      this.#reconcile(now);
    } else if (finding.is === 'unready') this.#set(unit, 'running', now, `health check fails: ${output}`);
    else {
      const message = `${unit.replica}: unhealthy, ${finding.failing} failed checks: ${output}`;
      this.#out.push({ type: 'event', event: { level: 'warn', kind: 'unit.unhealthy', message } });
      unit.again = true;
      this.#stop(unit, `unhealthy: ${output}`, now);
    }
  }
}

/** To a question of the pulse. */
export interface Answer {
  name: ProbeName;
  part?: string;
  ok: boolean;
  output: string;
}

const overdue = 'it took longer than its deadline';
const serviceOf = (replica: string): string => replica.split('/').slice(0, 2).join('/');
