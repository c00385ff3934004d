/**
 * How a replica is asked how it is: a Compose health check, or the three questions of Kubernetes (spec.ts). Only when to ask, and what
 * the answers mean; who asks is an effect.
 */
import type { ProbeName } from '../core/events.ts';
import type { Check, Healthcheck, Probe, ServiceSpec } from '../core/spec.ts';

export interface Question {
  name: ProbeName;
  check: Check;
  timeoutMs: number;
}

/** `ready` and `unready` are states; `dead`: it has to be replaced. */
export type Finding = { is: 'ready' } | { is: 'unready' | 'dead'; failing: number };

interface Asked {
  name: ProbeName;
  check: Check;
  timeoutMs: number;
  nextMs: number;
  inFlight: boolean;
  /** In a row. */
  failing: number;
  passing: number;
}

/** Something is asked before it counts as ready. */
export const hasPulse = ({ healthcheck, probes }: ServiceSpec): boolean =>
  healthcheck !== undefined || probes?.startup !== undefined || probes?.ready !== undefined;

export class Pulse {
  readonly #service: ServiceSpec;
  readonly #startedMs: number;
  readonly #asked = new Map<ProbeName, Asked>();
  /** It has answered once that it has started. */
  #hasStarted: boolean;
  #isReady = false;

  /** `firstMs`: from when on it is asked; of one that was found running at once. */
  constructor(service: ServiceSpec, startedMs: number, wasFound: boolean) {
    this.#service = service;
    this.#startedMs = startedMs;
    const { healthcheck, probes } = service;
    this.#hasStarted = probes?.startup === undefined;
    if (healthcheck !== undefined) {
      const { test, timeoutMs, startIntervalMs, intervalMs } = healthcheck;
      const nextMs = startedMs + (wasFound ? 0 : Math.min(startIntervalMs, intervalMs));
      this.#add('health', checkOf(test), timeoutMs, nextMs);
    }
    for (const name of ['startup', 'ready', 'live'] as const) {
      const probe = probes?.[name];
      if (probe !== undefined)
        this.#add(name, probe.check, probe.timeoutMs, startedMs + (wasFound ? 0 : probe.initialDelayMs));
    }
  }

  #add(name: ProbeName, check: Check, timeoutMs: number, nextMs: number): void {
    this.#asked.set(name, { name, check, timeoutMs, nextMs, inFlight: false, failing: 0, passing: 0 });
  }

  /** What is to be asked now; the answers come to `told`. */
  due(now: number): Question[] {
    return [...this.#asked.values()].flatMap((asked): Question[] => {
      const waits = this.#hasStarted ? asked.name === 'startup' : asked.name !== 'startup';
      if (waits || asked.inFlight || now < asked.nextMs) return [];
      asked.inFlight = true;
      return [{ name: asked.name, check: asked.check, timeoutMs: asked.timeoutMs }];
    });
  }

  told(name: ProbeName, ok: boolean, now: number): Finding | undefined {
    const asked = this.#asked.get(name);
    if (asked === undefined) return undefined;
    asked.inFlight = false;
    asked.failing = ok ? 0 : asked.failing + 1;
    asked.passing = ok ? asked.passing + 1 : 0;
    const { healthcheck, probes } = this.#service;
    if (name === 'health') return this.#health(asked, healthcheck!, now);
    return this.#probe(asked, probes![name]!, now);
  }

  #health(asked: Asked, check: Healthcheck, now: number): Finding | undefined {
    const inStart = now - this.#startedMs < check.startPeriodMs;
    asked.nextMs = now + (!this.#isReady && inStart ? check.startIntervalMs : check.intervalMs);
    if (asked.passing > 0) {
      this.#isReady = true;
      return { is: 'ready' };
    }
    if (inStart && !this.#isReady) {
      asked.failing = 0;
      return { is: 'unready', failing: 0 };
    }
    if (asked.failing >= check.retries) return { is: 'dead', failing: asked.failing };
    return this.#isReady ? undefined : { is: 'unready', failing: asked.failing };
  }

  #probe(asked: Asked, probe: Probe, now: number): Finding | undefined {
    asked.nextMs = now + probe.intervalMs;
    const [passed, failed] = [asked.passing >= probe.successes, asked.failing >= probe.failures];
    if (asked.name === 'live') return failed ? { is: 'dead', failing: asked.failing } : undefined;
    if (asked.name === 'startup') {
      if (failed) return { is: 'dead', failing: asked.failing };
      if (!passed) return { is: 'unready', failing: asked.failing };
      this.#hasStarted = true;
      return this.#service.probes?.ready === undefined ? { is: 'ready' } : undefined;
    }
    if (passed) this.#isReady = true;
    else if (failed) this.#isReady = false;
    if (this.#isReady) return passed ? { is: 'ready' } : undefined;
    return { is: 'unready', failing: asked.failing };
  }
}

const checkOf = (test: readonly string[]): Check => ({
  kind: 'exec',
  command: test[0] === 'CMD' ? test.slice(1) : ['/bin/sh', '-c', test[1] ?? 'true'],
});
