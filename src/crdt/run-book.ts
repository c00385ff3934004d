/**
 * What the document knows of runs (core/runs.ts): those that a time or a person began, and how replicas of any ended.
 *
 *     run/APP/NAME -> RunRecord   ran/APP/NAME/INDEX -> RunResult
 */
import { compare } from '../core/hash.ts';
import { limits } from '../core/limits.ts';
import type { AppState, RunResult } from '../core/model.ts';
import type { RunNotes, RunRecord } from '../core/runs.ts';
import type { AppKeys } from './app-keys.ts';
import type { Json, Registers } from './registers.ts';

export class RunBook {
  readonly #values: Registers;
  readonly #keys: AppKeys;

  constructor(apps: Registers, keys: AppKeys) {
    this.#values = apps;
    this.#keys = keys;
  }

  /** Of one app. */
  notes(app: string): RunNotes {
    const records = new Map<string, RunRecord>();
    const results = new Map<string, Record<string, RunResult>>();
    for (const key of [...this.#keys.of(app).keys()].filter(isOfRun).sort(compare)) {
      const [kind, , name, index] = key.split('/') as [string, string, string, string?];
      const value: unknown = this.#keys.of(app).get(key);
      if (kind === 'run' && isRecord(value)) records.set(name, value);
      else if (kind === 'ran' && index !== undefined && isResult(value))
        results.set(name, { ...results.get(name), [index]: value });
    }
    return { records, results };
  }

  begin(app: string, name: string, record: RunRecord): void {
    const key = `run/${app}/${name}`;
    if (!this.#values.has(key)) this.#values.set(key, record as unknown as Json);
  }

  /** Nothing where it is known already: the first result is the one that counts. */
  end(app: string, name: string, index: string, result: RunResult): void {
    const key = `ran/${app}/${name}/${index}`;
    if (!this.#values.has(key)) this.#values.set(key, result as unknown as Json);
  }

  /** All of an app: a result may have come when it was gone. */
  forget(app: string): void {
    for (const key of [...this.#keys.of(app).keys()].filter(isOfRun)) this.#values.delete(key);
  }

  /** Keeps the newest of each service that have ended. What the revision that runs begins by itself would begin again. */
  prune({ name: app, runs }: AppState): void {
    const seen = new Map<string, number>();
    for (const { name, service, cause, state, results, work } of runs) {
      if (state === 'open' || (work !== undefined && (cause === 'deploy' || cause === 'pre_deploy'))) continue;
      // By cause: the last time of a schedule must not be forgotten over what people asked for.
      const key = `${service} ${cause}`;
      const count = (seen.get(key) ?? 0) + 1;
      seen.set(key, count);
      if (count <= limits.runs) continue;
      this.#values.delete(`run/${app}/${name}`);
      for (const index of Object.keys(results)) this.#values.delete(`ran/${app}/${name}/${index}`);
    }
  }
}

const isOfRun = (key: string): boolean => key.startsWith('run/') || key.startsWith('ran/');

function isRecord(value: unknown): value is RunRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { service, revision, atMs, cause } = value as Record<string, unknown>;
  const isCause = cause === 'schedule' || cause === 'request';
  return typeof service === 'string' && typeof revision === 'string' && typeof atMs === 'number' && isCause;
}

function isResult(value: unknown): value is RunResult {
  if (typeof value !== 'object' || value === null) return false;
  const { ok, reason, startMs, endMs } = value as Record<string, unknown>;
  const areTimes = typeof startMs === 'number' && typeof endMs === 'number';
  return typeof ok === 'boolean' && typeof reason === 'string' && areTimes;
}
