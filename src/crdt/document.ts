/**
 * What people want, as one replicated document. Flat keys, one value each: two people who touch different things never
 * collide, and of two who touch the same the document picks one, the same everywhere (Yjs: YATA, Nicolaescu et
 * al., GROUP '16). A deploy never overwrites a revision: it adds one and points at it, so the loser stays in the history.
 *
 *     apps   current/APP -> revision id   rev/APP/ID -> Revision   stop/APP -> 'all' | [services]   restart/APP/SVC -> n
 *     cells  name/ID   label/ID/KEY   drain/ID
 *     trust  a list of entries (gossip/trust.ts), in the order that decides
 *
 * Every transaction also writes `tick`, so that a mere deletion moves the state vector and digests see it.
 */
import * as Y from 'yjs';
import { fromBase64, toBase64 } from '../core/base64.ts';
import { compare, contentHash, hash32 } from '../core/hash.ts';
import { limits } from '../core/limits.ts';
import type { AppSpec, AppState, CellId, CellSettings, Revision } from '../core/model.ts';

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

export class WantedDocument {
  readonly #doc = new Y.Doc({ gc: true });
  readonly #apps = this.#doc.getMap<Json>('apps');
  readonly #cells = this.#doc.getMap<Json>('cells');
  readonly #trust = this.#doc.getArray<string>('trust');
  #captured: Uint8Array[] = [];
  #cache: { apps?: AppState[]; trust?: string[]; hash?: number } = {};
  version = 0;

  constructor(clientId: number) {
    this.reset(clientId);
    this.#doc.on('update', (update: Uint8Array) => {
      this.#captured.push(update);
      this.#cache = {};
      this.version++;
    });
  }

  /** Yjs draws a random client id; ours comes from outside, new at each boot, so that clocks are never used twice. */
  reset(clientId: number): void {
    this.#doc.clientID = clientId;
  }

  /** Runs `edit` as one transaction; the update that others need, or undefined where nothing changed. */
  change(edit: () => void): Uint8Array | undefined {
    this.#captured = [];
    this.#doc.transact(() => {
      edit();
      const meta = this.#doc.getMap<number>('meta');
      meta.set('tick', (meta.get('tick') ?? 0) + 1);
    });
    return this.#captured[0];
  }

  /** Applies an update of another cell; what changed here, undefined for nothing, 'malformed' for bytes that are none. */
  apply(update: Uint8Array): Uint8Array | undefined | 'malformed' {
    this.#captured = [];
    try {
      Y.applyUpdate(this.#doc, update);
    } catch {
      return 'malformed';
    }
    return this.#captured[0];
  }

  /** False while an update waits for an earlier one that has not come. */
  isWhole(): boolean {
    const { store } = this.#doc;
    return store.pendingStructs === null && store.pendingDs === null;
  }

  // -- sync ---------------------------------------------------------------------------------------------------------

  whole(): string {
    return toBase64(Y.encodeStateAsUpdate(this.#doc));
  }

  hash(): number {
    return (this.#cache.hash ??= hash32(this.stateVector()));
  }

  stateVector(): string {
    return toBase64(Y.encodeStateVector(this.#doc));
  }

  missingOf(stateVector: string): string | undefined {
    const bytes = fromBase64(stateVector);
    if (bytes === undefined) return undefined;
    try {
      const theirs = Y.decodeStateVector(bytes);
      const mine = Y.decodeStateVector(Y.encodeStateVector(this.#doc));
      const lacking = [...mine].some(([client, clock]) => clock > (theirs.get(client) ?? 0));
      return lacking ? toBase64(Y.encodeStateAsUpdate(this.#doc, bytes)) : undefined;
    } catch {
      return undefined;
    }
  }

  // -- trust --------------------------------------------------------------------------------------------------------

  trustLog(): string[] {
    return (this.#cache.trust ??= this.#trust.toArray());
  }

  addTrust(entry: object): void {
    this.#trust.push([JSON.stringify(entry)]);
  }

  // -- cells --------------------------------------------------------------------------------------------------------

  cell(id: CellId): CellSettings {
    const labels: Record<string, string> = {};
    const prefix = `label/${id}/`;
    for (const key of [...this.#cells.keys()].sort(compare)) {
      if (key.startsWith(prefix)) labels[key.slice(prefix.length)] = String(this.#cells.get(key));
    }
    const name = this.#cells.get(`name/${id}`);
    return { labels, drain: this.#cells.get(`drain/${id}`) === true, ...(typeof name === 'string' ? { name } : {}) };
  }

  setCell(id: CellId, set: { name?: string; labels?: Record<string, string | null>; drain?: boolean }): void {
    if (set.name !== undefined) this.#cells.set(`name/${id}`, set.name);
    if (set.drain !== undefined) this.#cells.set(`drain/${id}`, set.drain);
    for (const [key, value] of Object.entries(set.labels ?? {})) {
      if (value === null) this.#cells.delete(`label/${id}/${key}`);
      else this.#cells.set(`label/${id}/${key}`, value);
    }
  }

  dropCell(id: CellId): void {
    for (const key of [...this.#cells.keys()]) if (key.split('/')[1] === id) this.#cells.delete(key);
  }

  // -- apps ---------------------------------------------------------------------------------------------------------

  apps(): AppState[] {
    return (this.#cache.apps ??= this.#readApps());
  }

  app(name: string): AppState | undefined {
    return this.apps().find((app) => app.name === name);
  }

  #readApps(): AppState[] {
    const revisions = new Map<string, Revision[]>();
    const restarts = new Map<string, Record<string, number>>();
    const names: string[] = [];
    for (const key of [...this.#apps.keys()].sort(compare)) {
      const [kind, app, rest] = key.split('/') as [string, string, string?];
      const value = this.#apps.get(key);
      if (kind === 'current') names.push(app);
      else if (kind === 'rev' && isRevision(value))
        revisions.set(app, [...(revisions.get(app) ?? []), value as unknown as Revision]);
      else if (kind === 'restart') restarts.set(app, { ...restarts.get(app), [rest!]: Number(value) });
    }
    return names.flatMap((name) => {
      const history = (revisions.get(name) ?? []).sort((a, b) => a.seq - b.seq || compare(a.id, b.id));
      const revision = history.find(({ id }) => id === this.#apps.get(`current/${name}`)) ?? history.at(-1);
      if (revision === undefined) return [];
      const stop = this.#apps.get(`stop/${name}`);
      const stoppedServices = Array.isArray(stop) ? (stop as string[]) : [];
      return [
        { name, revision, history, stopped: stop === 'all', stoppedServices, restarts: restarts.get(name) ?? {} },
      ];
    });
  }

  /** Adds a revision (or picks an equal one again) and points at it. */
  deploy(spec: AppSpec, made: { atMs: number; by: string; note: string }): Revision {
    const before = this.app(spec.name);
    const id = contentHash(spec);
    const parent = before === undefined ? {} : { parent: before.revision.id };
    const revision: Revision = { id, seq: (before?.history.at(-1)?.seq ?? 0) + 1, ...parent, ...made, spec };
    this.#apps.set(`rev/${spec.name}/${id}`, revision as unknown as Json);
    this.#apps.set(`current/${spec.name}`, id);
    if (this.#apps.has(`stop/${spec.name}`)) this.#apps.delete(`stop/${spec.name}`);
    const old = (before?.history ?? []).filter((other) => other.id !== id);
    for (const { id: gone } of old.slice(0, Math.max(0, old.length + 1 - limits.revisions))) {
      this.#apps.delete(`rev/${spec.name}/${gone}`);
    }
    return revision;
  }

  remove(app: string): void {
    for (const key of [...this.#apps.keys()]) if (key.split('/')[1] === app) this.#apps.delete(key);
  }

  setStopped(app: string, service: string | undefined, stopped: boolean): void {
    const state = this.app(app)!;
    const key = `stop/${app}`;
    if (service === undefined) {
      if (stopped) this.#apps.set(key, 'all');
      else this.#apps.delete(key);
      return;
    }
    const all = state.revision.spec.services.map(({ name }) => name);
    const now = new Set(state.stopped ? all : state.stoppedServices);
    if (stopped) now.add(service);
    else now.delete(service);
    if (now.size === 0) this.#apps.delete(key);
    else this.#apps.set(key, [...now].sort(compare));
  }

  restart(app: string, services: readonly string[]): void {
    for (const service of services) {
      const key = `restart/${app}/${service}`;
      this.#apps.set(key, Number(this.#apps.get(key) ?? 0) + 1);
    }
  }
}

/** What a member wrote is trusted to mean well, not to be whole. */
function isRevision(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { id, seq, spec } = value as { id?: unknown; seq?: unknown; spec?: { services?: unknown } };
  return typeof id === 'string' && typeof seq === 'number' && Array.isArray(spec?.services);
}
