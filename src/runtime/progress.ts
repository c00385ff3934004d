/**
 * Whoever leads a rollout: which replicas go next, and when it is over. What it remembers are times and falls that it saw itself; a
 * successor begins to count anew, so at worst it waits a little longer.
 */
import { limits } from '../core/limits.ts';
import type { Outcome, Pause } from '../core/model.ts';
import type { Rollout, ServiceChange } from './rollouts.ts';

/** A service that so many cells can't start is not tried on all the others first. */
const vetoesToFail = 3;
/** From a failure to what is done about it: whoever waits for the deploy reads meanwhile what the replica wrote. */
const failureMs = 1_000;

const none: ReadonlyMap<string, string> = new Map();

interface Followed {
  /** When a replica came. */
  cameMs: Map<string, number>;
  /** How often it had fallen when it was first seen. */
  fellBefore: Map<string, number>;
  /** Those that failed, and why. */
  failed: Map<string, string>;
}

export interface Verdict {
  /** 'SERVICE/INDEX' of those that may change now. */
  go: string[];
  /** How it ended, if it did. */
  outcome?: Omit<Outcome, 'seq' | 'atMs'>;
  pause?: Pause;
  /** Look again then, even if nothing happens. */
  dueMs: number;
}

export class Progress {
  readonly #followed = new Map<string, Map<string, Followed>>();
  /** When a duty was first seen to fail. */
  readonly #failedMs = new Map<string, number>();

  /** Forgets all but these duties. */
  keep(duties: ReadonlySet<string>): void {
    for (const map of [this.#followed, this.#failedMs])
      for (const duty of map.keys()) if (!duties.has(duty)) map.delete(duty);
  }

  /** `canGoBack`: there is a revision to which a rollback would lead. */
  lead({ duty, app, services }: Rollout, canGoBack: boolean, now: number): Verdict {
    const followed = this.#followed.get(duty) ?? new Map<string, Followed>();
    this.#followed.set(duty, followed);
    const verdict: Verdict = { go: [], dueMs: Number.POSITIVE_INFINITY };
    let isOver = app.paused === undefined;
    for (const change of services) {
      const one = followed.get(change.service) ?? { cameMs: new Map(), fellBefore: new Map(), failed: new Map() };
      followed.set(change.service, one);
      note(one, change, now);
      const failure = app.insists === true ? undefined : failureOf(one, change);
      if (failure !== undefined && app.paused === undefined) {
        const { onFailure } = change.policy;
        const reason = `${app.name}/${failure}`;
        if (onFailure === 'pause' || (onFailure === 'rollback' && canGoBack)) {
          const atMs = (this.#failedMs.get(duty) ?? now) + failureMs;
          this.#failedMs.set(duty, atMs - failureMs);
          if (now < atMs) return { go: [], dueMs: atMs };
          return onFailure === 'pause'
            ? { ...verdict, go: [], pause: { by: '', reason } }
            : { ...verdict, go: [], outcome: { state: 'undone', reason } };
        }
      }
      // What fails and may fail keeps nobody waiting; what fails and can't be taken back does.
      const borne = failure === undefined || change.policy.onFailure === 'continue' ? one.failed : none;
      if (app.paused === undefined) verdict.go.push(...next(one, change, borne, now, verdict));
      const cameMs = change.came.map((index) => one.cameMs.get(index)! + change.policy.monitorMs);
      if (change.came.length < change.count || cameMs.some((atMs) => atMs > now)) isOver = false;
      for (const atMs of cameMs) if (atMs > now) verdict.dueMs = Math.min(verdict.dueMs, atMs);
    }
    verdict.go.splice(limits.rolloutAtOnce);
    return isOver ? { ...verdict, outcome: { state: 'done' } } : verdict;
  }
}

function note({ cameMs, fellBefore, failed }: Followed, { came, fell, policy }: ServiceChange, now: number): void {
  for (const [index, { times, isUp, reason }] of fell) {
    // What I find up may have fallen long ago, under another leader.
    if (!fellBefore.has(index)) fellBefore.set(index, isUp ? times : 0);
    const isWatched = now - (cameMs.get(index) ?? now) <= policy.monitorMs;
    if (times > fellBefore.get(index)! && isWatched && !failed.has(index)) failed.set(index, reason);
  }
  for (const index of came) {
    if (!cameMs.has(index)) cameMs.set(index, now);
    if (!fellBefore.has(index)) fellBefore.set(index, 0);
  }
}

/** 'SERVICE/INDEX: why', where more failed than may. */
function failureOf(
  { failed }: Followed,
  { service, count, policy, homeless, vetoes }: ServiceChange,
): string | undefined {
  const [first] = failed;
  if (first !== undefined && failed.size > policy.maxFailureRatio * count) return `${service}/${first[0]}: ${first[1]}`;
  const nowhere = vetoes.length >= vetoesToFail || (vetoes.length > 0 && homeless.length > 0);
  return nowhere ? `${service}: ${vetoes[0]}` : undefined;
}

/** Those on their way, and as many more as may be. One that came keeps its place for the delay. */
function next(
  { cameMs }: Followed,
  change: ServiceChange,
  borne: ReadonlyMap<string, string>,
  now: number,
  verdict: Verdict,
): string[] {
  const { service, waiting, changing, came, policy } = change;
  const cooling = came.map((index) => cameMs.get(index)! + policy.delayMs).filter((atMs) => atMs > now);
  if (waiting.length > 0) for (const atMs of cooling) verdict.dueMs = Math.min(verdict.dueMs, atMs);
  const atOnce = policy.parallelism === 0 ? change.count : policy.parallelism;
  const busy = changing.filter((index) => !borne.has(index)).length;
  const free = Math.max(0, atOnce - busy - cooling.length);
  return [...changing, ...waiting.slice(0, free)].map((index) => `${service}/${index}`);
}
