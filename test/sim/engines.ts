/** What stands in for the engines of World's hosts: units start, end by themselves, are stopped, and are never where they must not be. */
import type { Effect, Event } from '../../src/core/events.ts';
import { unitKey } from '../../src/core/events.ts';
import type { Random } from '../../src/core/random.ts';
import { hasPulse } from '../../src/runtime/pulse.ts';
import { needsStopFirst } from '../../src/runtime/reconcile.ts';
import type { SimHost } from './host.ts';
import { clockOf, observedOf } from './host.ts';
import type { Network } from './network.ts';

/** A death takes this long to be known; until then its replicas count as running. */
const detectedWithinMs = 20_000;
/** A daemon that has much to do hears this late of what ended; one that is slow, later. */
const unheardMs = 2_000;
const slowUnheardMs = 10_000;
/** The watchdog kills what was not put off this late at most: it sleeps half a second, and the machine may be busy. */
const watchdogMs = 1_000;

/** For so long it counts that something was ill. */
const illMs = 30_000;

/** Why an image of which all is there does not start. */
export const cannotStart = 'no such device';

/** What engines need of World. */
interface Around {
  readonly hosts: ReadonlyMap<string, SimHost>;
  readonly network: Network;
  readonly nowMs: number;
  /** Containers of images named falls-… end soon after they started. */
  readonly falling: boolean;
  /** Replicas of jobs, and how often each ran to a good end. */
  readonly worked: Map<string, number>;
  readonly violations: string[];
  after(delayMs: number, run: () => void): void;
  give(name: string, event: Event): void;
}

export class Engines {
  readonly #world: Around;
  readonly #random: Random;

  constructor(world: Around, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  start(host: SimHost, effect: Effect & { type: 'unit.start' }, delayMs: number): void {
    const { life, boots } = host;
    this.#world.after(delayMs, () => {
      if (host.boots !== boots) return;
      const image = effect.unit.service.image ?? '';
      const message = host.broken.get(image);
      if (message !== undefined) {
        if (host.life === life)
          this.#world.give(host.name, {
            type: 'unit.failed',
            key: effect.key,
            code: image === 'flawed' || message === cannotStart ? 'start-failed' : 'image-missing',
            message,
          });
        return;
      }
      const { strict } = effect.unit.service;
      if (strict === true && (host.fuses.get(effect.key) ?? 0) <= this.#world.nowMs) {
        // A driver removes what it may not begin.
        for (const [handle, { replica, hash }] of host.ended)
          if (unitKey(replica, hash) === effect.key) host.ended.delete(handle);
        if (host.life === life)
          this.#world.give(host.name, {
            type: 'unit.failed',
            key: effect.key,
            code: 'lease-lost',
            message: 'its lease ended',
          });
        return;
      }
      if (this.#world.network.reaches(host.name, host.name) || host.cell !== undefined) {
        // An engine has one container of a name: what an earlier life of the daemon began is found, not made twice.
        const { replica, hash } = effect.unit;
        const there = [...host.containers.values(), ...host.ended.values()];
        const same = there.find((one) => one.replica === replica && one.hash === hash);
        const observed =
          same === undefined ? observedOf(effect.unit, this.#world.nowMs) : Object.assign(same, { running: true });
        host.containers.set(observed.handle, observed);
        if (!hasPulse(effect.unit.service)) host.ran.set(observed.replica, Number.POSITIVE_INFINITY);
        if (needsStopFirst(effect.unit.service)) host.forced.add(observed.replica);
        if (strict === true) this.#onlyOnce(host, observed);
        host.ended.delete(observed.handle);
        if (effect.unit.service.job !== undefined) this.#toil(host, effect.key, observed.handle, image);
        else if (this.#world.falling && image.startsWith('falls-')) this.#fall(host, effect.key, observed.handle);
        if (host.life !== life) return;
        this.#world.give(host.name, { type: 'unit.started', key: effect.key, observed });
      }
    });
  }

  /** It answers in time, badly, or not before the question is given up. What never does is a command that is `false`. */
  probe(host: SimHost, { key, check, timeoutMs, ...effect }: Effect & { type: 'unit.probe' }): void {
    const { life } = host;
    const isStuck = host.illUntilMs > this.#world.nowMs && this.#random.chance(50);
    this.#world.after(isStuck ? timeoutMs : this.#random.between(1, 50), () => {
      if (host.life !== life) return;
      const there = host.containers.get(effect.handle);
      const never = this.#world.falling && check.kind === 'exec' && check.command[0] === 'false';
      const ok = !isStuck && !never && there !== undefined && host.illUntilMs <= this.#world.nowMs;
      if (!ok) host.ill.set(key, this.#world.nowMs);
      else if (effect.name === 'health' || effect.name === 'ready')
        host.ran.set(there.replica, Number.POSITIVE_INFINITY);
      this.#world.give(host.name, { ...effect, key, type: 'unit.probed', ok, output: ok ? '' : 'ill' });
    });
  }

  #fall(host: SimHost, key: string, handle: string): void {
    this.#world.after(this.#random.between(100, 3_000), () => {
      if (!host.containers.has(handle)) return;
      this.end(host, handle);
      this.#world.give(host.name, { type: 'unit.exited', key, exitCode: 1, oom: false });
    });
  }

  /** A job ends by itself; it is written down how often each did. */
  #toil(host: SimHost, key: string, handle: string, image: string): void {
    this.#world.after(this.#random.between(100, 3_000), () => {
      if (!host.containers.has(handle)) return;
      const exitCode = this.#world.falling && image.startsWith('falls-') ? 1 : 0;
      const replica = key.split('@')[0]!;
      if (exitCode === 0) this.#world.worked.set(replica, (this.#world.worked.get(replica) ?? 0) + 1);
      this.halt(host, key, handle, exitCode);
    });
  }

  halt(host: SimHost, key: string, handle: string, exitCode: number): void {
    const container = host.containers.get(handle);
    if (container === undefined) return;
    this.end(host, handle);
    host.ended.set(handle, { ...container, running: false, exit: { exitCode, oom: false } });
    this.#world.give(host.name, { type: 'unit.exited', key, exitCode, oom: false });
  }

  /** A strict replica runs here now: nowhere else may one. */
  #onlyOnce(host: SimHost, { handle, replica }: { handle: string; replica: string }): void {
    host.strict.add(handle);
    for (const other of this.#world.hosts.values()) {
      if (other === host) continue;
      for (const one of other.containers.values()) {
        if (one.replica === replica && other.strict.has(one.handle))
          this.#world.violations.push(
            `${Math.round(this.#world.nowMs)} ms: ${replica} runs on ${other.name} and on ${host.name}`,
          );
      }
    }
  }

  /** A watchdog of its own, which lives on without the daemon, looks every half second, and takes a moment to kill. */
  fuse(host: SimHost, key: string, forMs: number): void {
    const until = this.#world.nowMs + forMs / host.rate;
    host.fuses.set(key, until);
    if (forMs === Number.POSITIVE_INFINITY) return;
    this.#world.after(forMs / host.rate + watchdogMs, () => {
      if (host.fuses.get(key) !== until) return;
      host.fuses.delete(key);
      for (const [handle, { replica, hash }] of host.containers) {
        if (unitKey(replica, hash) !== key) continue;
        this.end(host, handle);
        this.#world.give(host.name, { type: 'unit.exited', key, exitCode: 137, oom: false });
      }
    });
  }

  /** Make before break: what moves away ran elsewhere a moment ago, unless it has to go first. */
  mayStop(host: SimHost, key: string, handle: string): void {
    const replica = key.split('@')[0]!;
    if (!host.containers.has(handle) || !host.told.has(handle) || host.strict.has(handle)) return;
    // What is ill is replaced where it is.
    if ((host.ill.get(key) ?? Number.NEGATIVE_INFINITY) > this.#world.nowMs - illMs) return;
    const { assignments, apps } = host.cell!.view(clockOf(host, this.#world.nowMs));
    const assignment = assignments.find((one) => one.replica === replica);
    if (assignment?.cell === undefined || host.forced.has(replica)) return;
    const wanted = apps.find(({ name }) => name === assignment.app)?.revision.spec.services;
    if (wanted?.some((spec) => spec.name === assignment.service && needsStopFirst(spec))) return;
    const isFormer = assignment.hash !== key.split('@')[1];
    if (assignment.cell === host.id && !isFormer) return;
    // Its successor, where it only changes its form; that it fell just now a busy daemon may not know.
    const successor = [...host.containers.values()].some((one) => one.replica === replica && one.handle !== handle);
    const last = host.last.get(replica);
    const wasSlow = host.wasSlowMs > this.#world.nowMs - slowUnheardMs;
    const fell =
      last !== undefined &&
      last.handle !== handle &&
      last.atMs > this.#world.nowMs - (wasSlow ? slowUnheardMs : unheardMs);
    if (successor || fell) return;
    const others = [...this.#world.hosts.values()].filter((other) => other !== host);
    if (others.some(({ ran }) => (ran.get(replica) ?? Number.NEGATIVE_INFINITY) > this.#world.nowMs - detectedWithinMs))
      return;
    this.#world.violations.push(
      `${Math.round(this.#world.nowMs)} ms: ${replica} was stopped on ${host.name} and ran nowhere else`,
    );
  }

  end(host: SimHost, handle: string): void {
    const gone = host.containers.get(handle);
    host.containers.delete(handle);
    if (gone !== undefined) host.last.set(gone.replica, { handle, atMs: this.#world.nowMs });
    if (gone === undefined || [...host.containers.values()].some(({ replica }) => replica === gone.replica)) return;
    if (host.ran.get(gone.replica) === Number.POSITIVE_INFINITY) host.ran.set(gone.replica, this.#world.nowMs);
  }

  /** The time it takes. */
  stop(host: SimHost, handle: string): number {
    this.end(host, handle);
    host.ended.delete(handle);
    return this.#random.between(5, 50);
  }
}
