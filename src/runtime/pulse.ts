/**
 * How a replica is asked how it is: a Compose health check, or the three questions of Kubernetes (spec.ts). Only when to ask, and what
 * the answers mean; who asks is an effect. Of several containers each is asked, and all must be ready.
 */
import type { ProbeName } from '../core/events.ts';
import type { Check, ContainerSpec, Healthcheck, Probe, ServiceSpec } from '../core/spec.ts';

export interface Question {
  name: ProbeName;
  /** Of several containers, which; absent: the first. */
  part?: string;
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
export const hasPulse = (service: ServiceSpec): boolean => isAsked(service) || (service.parts ?? []).some(isAsked);

const isAsked = ({ healthcheck, probes }: ContainerSpec): boolean =>
  healthcheck !== undefined || probes?.startup !== undefined || probes?.ready !== undefined;

const hasProbe = (spec: ContainerSpec): boolean => isAsked(spec) || spec.probes?.live !== undefined;

export class Pulse {
  /** By container; the first is ''. */
  readonly #parts = new Map<string, PartPulse>();

  /** `wasFound`: it runs already, and is asked at once. */
  constructor(service: ServiceSpec, startedMs: number, wasFound: boolean) {
    for (const [part, spec] of [
      ['', service] as const,
      ...(service.parts ?? []).map((one) => [one.name, one] as const),
    ])
      if (hasProbe(spec)) this.#parts.set(part, new PartPulse(spec, startedMs, wasFound));
  }

  /** What is to be asked now; the answers come to `told`. */
  due(now: number): Question[] {
    return [...this.#parts].flatMap(([part, pulse]) =>
      pulse.due(now).map((question) => (part === '' ? question : { ...question, part })),
    );
  }

  told(name: ProbeName, ok: boolean, now: number, part = ''): Finding | undefined {
    const finding = this.#parts.get(part)?.told(name, ok, now);
    if (finding?.is !== 'ready') return finding;
    return [...this.#parts.values()].every(({ isReady }) => isReady) ? finding : undefined;
  }
}

class PartPulse {
  readonly #spec: ContainerSpec;
  readonly #startedMs: number;
  readonly #asked = new Map<ProbeName, Asked>();
  /** It has answered once that it has started. */
  #hasStarted: boolean;
  isReady: boolean;

  constructor(spec: ContainerSpec, startedMs: number, wasFound: boolean) {
    this.#spec = spec;
    this.#startedMs = startedMs;
    this.isReady = !isAsked(spec);
    const { healthcheck, probes } = spec;
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
    const { healthcheck, probes } = this.#spec;
    if (name === 'health') return this.#health(asked, healthcheck!, now);
    return this.#probe(asked, probes![name]!, now);
  }

  #health(asked: Asked, check: Healthcheck, now: number): Finding | undefined {
    const inStart = now - this.#startedMs < check.startPeriodMs;
    asked.nextMs = now + (!this.isReady && inStart ? check.startIntervalMs : check.intervalMs);
    if (asked.passing > 0) {
      this.isReady = true;
      return { is: 'ready' };
    }
    if (inStart && !this.isReady) {
      asked.failing = 0;
      return { is: 'unready', failing: 0 };
    }
    if (asked.failing >= check.retries) return { is: 'dead', failing: asked.failing };
    return this.isReady ? undefined : { is: 'unready', failing: asked.failing };
  }

  #probe(asked: Asked, probe: Probe, now: number): Finding | undefined {
    asked.nextMs = now + probe.intervalMs;
    const [passed, failed] = [asked.passing >= probe.successes, asked.failing >= probe.failures];
    if (asked.name === 'live') return failed ? { is: 'dead', failing: asked.failing } : undefined;
    if (asked.name === 'startup') {
      if (failed) return { is: 'dead', failing: asked.failing };
      if (!passed) return { is: 'unready', failing: asked.failing };
      this.#hasStarted = true;
      this.isReady = this.#spec.probes?.ready === undefined;
      return this.isReady ? { is: 'ready' } : undefined;
    }
    if (passed) this.isReady = true;
    else if (failed) this.isReady = false;
    if (this.isReady) return passed ? { is: 'ready' } : undefined;
    return { is: 'unready', failing: asked.failing };
  }
}

const checkOf = (test: readonly string[]): Check => ({
  kind: 'exec',
  command: test[0] === 'CMD' ? test.slice(1) : ['/bin/sh', '-c', test[1] ?? 'true'],
});
