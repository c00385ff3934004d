/**
 * The apps of the document: their revisions, which of them is wanted, how their rollouts ended, what is stopped or paused.
 *
 *     current/APP -> revision id   rev/APP/ID -> Revision   outcome/APP/ID -> Outcome   stop/APP -> 'all' | [services]
 *     restart/APP/SVC -> n   pause/APP -> Pause   insist/APP -> seq of the revision whose failures don't count
 *     run/…, ran/…   runs of jobs (run-book.ts)
 *
 * A rollback that happens by itself writes nothing but the outcome of the revision that failed: what should run follows from that,
 * so it never undoes what somebody deploys at the same moment. Neither does a hook that fails before a change begins.
 */
import { compare, contentHash } from '../core/hash.ts';
import { limits } from '../core/limits.ts';
import type { AppState, Outcome, Pause, Revision, Run } from '../core/model.ts';
import type { RunNotes } from '../core/runs.ts';
import { formerRuns, hookFailure, hookKey, hooksOf, newestFirst, runsOf } from '../core/runs.ts';
import type { AppSpec } from '../core/spec.ts';
import type { AppKeys } from './app-keys.ts';
import type { Json, Registers } from './registers.ts';
import { RunBook } from './run-book.ts';

export class Catalogue {
  readonly #values: Registers;
  readonly #keys: AppKeys;
  readonly runs: RunBook;
  readonly #states = new Map<string, AppState>();
  #all: AppState[] = [];

  constructor(apps: Registers, keys: AppKeys) {
    this.#values = apps;
    this.#keys = keys;
    this.runs = new RunBook(apps, keys);
  }

  /** By name. The same list until something changes, and the same objects but for what did. */
  apps(): AppState[] {
    if (!this.#keys.hasChanged) return this.#all;
    for (const name of this.#keys.takeChanged()) {
      const state = this.#read(name);
      if (state === undefined) this.#states.delete(name);
      else this.#states.set(name, state);
    }
    this.#all = [...this.#states.values()].sort((a, b) => compare(a.name, b.name));
    return this.#all;
  }

  app(name: string): AppState | undefined {
    this.apps();
    return this.#states.get(name);
  }

  #read(name: string): AppState | undefined {
    const keys = this.#keys.of(name);
    if (!keys.has(`current/${name}`)) return undefined;
    const history: Revision[] = [];
    const restarts: Record<string, number> = {};
    for (const [key, value] of [...keys].sort(([a], [b]) => compare(a, b))) {
      const [kind, , rest] = key.split('/') as [string, string, string?];
      if (kind === 'rev' && isRevision(value)) history.push(this.#withOutcome(name, value as unknown as Revision));
      else if (kind === 'restart') restarts[rest!] = Number(value);
    }
    history.sort((a, b) => a.seq - b.seq || compare(a.id, b.id));
    const wanted = history.find(({ id }) => id === keys.get(`current/${name}`)) ?? history.at(-1);
    return wanted === undefined ? undefined : this.#stateOf(name, wanted, history, restarts, this.runs.notes(name));
  }

  #stateOf(
    name: string,
    wanted: Revision,
    history: Revision[],
    restarts: Record<string, number>,
    notes: RunNotes,
  ): AppState {
    const gate = gateOf(wanted, history, restarts, notes);
    const { revision } = gate;
    const stop = this.#values.get(`stop/${name}`);
    const stoppedServices = Array.isArray(stop) ? (stop as string[]) : [];
    const pause = this.#values.get(`pause/${name}`);
    const known = [...runsOf(revision, history, restarts, notes), ...gate.hooks];
    return {
      ...{ name, revision, history: gate.history, stopped: stop === 'all', stoppedServices, restarts },
      runs: [...known, ...formerRuns(known, notes)].sort(newestFirst),
      withheld: gate.withheld,
      ...(gate.undone === undefined ? {} : { undone: gate.undone }),
      ...(gate.next === undefined ? {} : { next: gate.next }),
      ...(isPause(pause) && (pause.seq ?? wanted.seq) === wanted.seq ? { paused: pause } : {}),
      ...(this.#values.get(`insist/${name}`) === wanted.seq ? { insists: true as const } : {}),
    };
  }

  #withOutcome(app: string, revision: Revision): Revision {
    const outcome = this.#values.get(`outcome/${app}/${revision.id}`) as unknown as Outcome | undefined;
    return isOutcome(outcome) && outcome.seq === revision.seq ? { ...revision, outcome } : revision;
  }

  /** Adds a revision (or picks an equal one again) and points at it; `again`: what failed of it is tried anew. */
  deploy(
    spec: AppSpec,
    made: { atMs: number; by: string; note: string; back?: true },
    { again = false }: { again?: boolean } = {},
  ): Revision {
    const before = this.app(spec.name);
    const id = contentHash(spec);
    const parent = before === undefined ? {} : { parent: (before.undone ?? before.next ?? before.revision).id };
    const over = before === undefined || isWithheld(before) ? {} : { over: before.revision.id };
    const same = before?.history.find((one) => one.id === id);
    const was = same?.outcome?.state === 'done' || same?.wasDone === true ? { wasDone: true as const } : {};
    const revision: Revision = {
      id,
      seq: (before?.history.at(-1)?.seq ?? 0) + 1,
      ...parent,
      ...over,
      ...made,
      ...was,
      spec,
    };
    this.#values.set(`rev/${spec.name}/${id}`, revision as unknown as Json);
    this.#values.set(`current/${spec.name}`, id);
    // What runs already, and stayed, is not tried again.
    const known = before?.revision.id === id ? before.revision.outcome : undefined;
    if (known !== undefined)
      this.#values.set(`outcome/${spec.name}/${id}`, { ...known, seq: revision.seq } as unknown as Json);
    // What was left of an app of this name that is gone.
    if (before === undefined) this.runs.forget(spec.name);
    else {
      const { restarts } = before;
      const names = [...hooksOf(revision, restarts, noNotes), ...runsOf(revision, [], restarts, noNotes)];
      if (again) this.restart(spec.name, toRunAgain(before, new Set(names.map(({ name }) => name))));
      this.runs.prune(before);
    }
    this.#values.delete(`stop/${spec.name}`);
    if (before?.paused?.by === '') this.#values.delete(`pause/${spec.name}`);
    // Where a rollback would lead is kept.
    const refuge = lastDone(before?.history ?? [], revision)?.id;
    // What runs until a hook has run, and what open runs are made from, is kept too.
    const open =
      before?.runs.flatMap(({ state, revision: of }) => (state === 'open' && of !== undefined ? [of] : [])) ?? [];
    const kept = new Set([refuge, revision.over, ...open].filter((one) => one !== undefined && one !== id));
    const old = (before?.history ?? []).filter((other) => other.id !== id && !kept.has(other.id));
    const room = Math.max(1, limits.revisions - 1 - kept.size);
    for (const { id: gone } of old.slice(0, Math.max(0, old.length - room))) {
      this.#values.delete(`rev/${spec.name}/${gone}`);
      this.#values.delete(`outcome/${spec.name}/${gone}`);
    }
    return revision;
  }

  remove(app: string): void {
    for (const key of [...this.#keys.of(app).keys()]) this.#values.delete(key);
  }

  /** How the rollout of a revision ended. Nothing where it is gone, or was deployed again. */
  conclude(app: string, { id, seq }: Revision, outcome: Omit<Outcome, 'seq'>): void {
    const known = this.app(app)?.history.find((one) => one.id === id);
    if (known?.seq !== seq || known.outcome !== undefined) return;
    this.#values.set(`outcome/${app}/${id}`, { seq, ...outcome } as unknown as Json);
  }

  pause(app: string, pause: Pause): void {
    this.#values.set(`pause/${app}`, pause as unknown as Json);
  }

  /** Goes on; what failed until now, and fails from now on, does not stop this revision again. */
  resume(app: string): void {
    const state = this.app(app)!;
    if (state.paused?.by === '') this.#values.set(`insist/${app}`, (state.undone ?? state.next ?? state.revision).seq);
    this.#values.delete(`pause/${app}`);
  }

  setStopped(app: string, service: string | undefined, stopped: boolean): void {
    const state = this.app(app)!;
    const key = `stop/${app}`;
    if (service === undefined) {
      if (stopped) this.#values.set(key, 'all');
      else this.#values.delete(key);
      return;
    }
    const all = state.revision.spec.services.map(({ name }) => name);
    const now = new Set(state.stopped ? all : state.stoppedServices);
    if (stopped) now.add(service);
    else now.delete(service);
    if (now.size === 0) this.#values.delete(key);
    else this.#values.set(key, [...now].sort(compare));
  }

  restart(app: string, services: readonly string[]): void {
    for (const service of services) {
      const key = `restart/${app}/${service}`;
      this.#values.set(key, Number(this.#values.get(key) ?? 0) + 1);
    }
  }
}

interface Gate {
  /** What should run. */
  revision: Revision;
  history: Revision[];
  undone?: Revision;
  next?: Revision;
  withheld: Record<string, string>;
  hooks: Run[];
}

/** Which revision is to run: not the wanted one while a hook has yet to run before it, or where it was taken back. */
function gateOf(wanted: Revision, history: Revision[], restarts: AppState['restarts'], notes: RunNotes): Gate {
  const plain = { history, withheld: {}, hooks: [] };
  if (wanted.outcome?.state === 'undone') {
    const revision = lastDone(history, wanted);
    return { ...plain, revision: revision ?? wanted, ...(revision === undefined ? {} : { undone: wanted }) };
  }
  const hooks = hooksOf(wanted, restarts, notes);
  const isTried = wanted.outcome !== undefined || wanted.wasDone === true;
  const failed = hooks.find(({ state }) => state === 'failed');
  if (isTried || (failed === undefined && hooks.every(({ state }) => state === 'done')))
    return { ...plain, revision: wanted, hooks: hooks.filter(({ state }) => state !== 'open') };
  const former = history.find(({ id }) => id === wanted.over && id !== wanted.id) ?? lastDone(history, wanted);
  if (former === undefined) {
    const open = hooks.filter(({ state }) => state !== 'done');
    const whyOf = (hook: Run): string => (hook.state === 'failed' ? hookFailure(hook) : waitsForHook);
    const withheld = Object.fromEntries(open.map((hook) => [hook.service, whyOf(hook)]));
    return { ...plain, revision: wanted, withheld, hooks };
  }
  if (failed === undefined) return { ...plain, revision: former, next: wanted, hooks };
  const atMs = Math.max(...Object.values(failed.results).map(({ endMs }) => endMs));
  const undone: Revision = {
    ...wanted,
    outcome: { seq: wanted.seq, state: 'undone', reason: hookFailure(failed), atMs },
  };
  const told = history.map((one) => (one === wanted ? undone : one));
  return { ...plain, history: told, revision: former, undone, hooks: hooks.filter(({ state }) => state !== 'open') };
}

/** A deploy of what failed tries it again: its jobs, and what was to run before it. */
function toRunAgain({ runs }: AppState, names: ReadonlySet<string>): string[] {
  const failed = runs.filter(({ name, state }) => state === 'failed' && names.has(name));
  return failed.map(({ service, cause }) => (cause === 'deploy' ? service : hookKey(service)));
}

const isWithheld = ({ withheld }: AppState): boolean => Object.keys(withheld).length > 0;
const noNotes: RunNotes = { records: new Map(), results: new Map() };
const waitsForHook = 'waits for its pre_deploy';

/** Where a rollback of this revision leads: the newest before it that was done. */
export function lastDone(history: readonly Revision[], { id, seq }: Revision): Revision | undefined {
  const isGood = ({ outcome, wasDone }: Revision): boolean =>
    outcome === undefined ? wasDone === true : outcome.state === 'done';
  const done = history.filter((one) => one.id !== id && one.seq < seq && isGood(one));
  return done.at(-1);
}

/** What a member wrote is trusted to mean well, not to be whole. */
function isRevision(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { id, seq, spec } = value as { id?: unknown; seq?: unknown; spec?: { services?: unknown } };
  return typeof id === 'string' && typeof seq === 'number' && Array.isArray(spec?.services);
}

function isOutcome(value: unknown): value is Outcome {
  if (typeof value !== 'object' || value === null) return false;
  const { seq, state } = value as { seq?: unknown; state?: unknown };
  return typeof seq === 'number' && (state === 'done' || state === 'undone');
}

function isPause(value: unknown): value is Pause {
  if (typeof value !== 'object' || value === null) return false;
  const { by, reason } = value as { by?: unknown; reason?: unknown };
  return typeof by === 'string' && typeof reason === 'string';
}
