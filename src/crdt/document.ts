/**
 * What people want, as one replicated document (Yjs: Nicolaescu et al., GROUP '16). Flat keys, one value each: two people who
 * touch different things never collide, and of two who touch the same all cells see one, the same everywhere (registers.ts). A deploy never overwrites a revision: it adds one and points at it, so the loser stays in the history.
 *
 *     apps   revisions, outcomes, what is stopped or paused (catalogue.ts), runs (run-book.ts), files and secrets (blobs.ts)
 *     cells  name/ID   label/ID/KEY   drain/ID   cordon/ID  voter/ID -> number         settings  NAME -> number         meta  voters -> number
 *     trust  NUMBER/HASH -> entry (gossip/trust.ts); the keys are the order that decides
 *
 * No key is written by two cells at once as a rule, so an update seldom waits for another: a storm of admissions arrives in
 * any order. A transaction that deletes also writes `tick`, so that the state vector moves and digests see it.
 */
import * as Y from 'yjs';
import { fromBase64, toBase64 } from '../core/base64.ts';
import { compare, contentHash, hash32 } from '../core/hash.ts';
import { limits } from '../core/limits.ts';
import type { ApplianceSettings, AppState, CellId, CellSettings, Release, TrustItem } from '../core/model.ts';
import { settingsDefaults } from '../core/model.ts';
import { AppKeys } from './app-keys.ts';
import { Blobs } from './blobs.ts';
import { Catalogue } from './catalogue.ts';
import type { Json } from './registers.ts';
import { Registers, sweep } from './registers.ts';

/** Its keys are written once: what is gone leaves nothing (registers.ts). */
const kinds = ['apps', 'cells', 'settings', 'meta'] as const;

export interface DocumentOptions {
  /** What is gone is swept out when it is as many items. */
  sweepAfter: number;
  /** The log on disk gives way to the whole document when it has more updates, or more bytes than these and than twice the document. */
  logUpdates: number;
  logBytes: number;
}

export const documentDefaults: DocumentOptions = { sweepAfter: 500, logUpdates: 500, logBytes: 1_048_576 };

export class WantedDocument {
  readonly #options: DocumentOptions;
  readonly #doc = new Y.Doc({ gc: true });
  readonly #maps = kinds.map((kind) => this.#doc.getMap<Json>(kind));
  readonly #apps = this.#registers('apps');
  readonly #cells = this.#registers('cells');
  readonly #settingsMap = this.#registers('settings');
  readonly #meta = this.#registers('meta');
  readonly #keys = new AppKeys(this.#apps);
  readonly catalogue = new Catalogue(this.#apps, this.#keys);
  readonly blobs = new Blobs(this.#apps, this.#cells, this.#meta, this.#keys);
  readonly #trust = this.#doc.getMap<string>('trust');
  readonly #trustLog: TrustItem[] = [];
  #trustNumber = 0;
  /** Updates that must wait, oldest first, by `writer:clock`. */
  readonly #held = new Map<string, { client: number; clock: number; update: Uint8Array }>();
  #heldBytes = 0;
  /** The last update that was applied has taken effect, and does not wait for another. */
  tookIn = true;
  #captured: Uint8Array[] = [];
  /** Items of the maps that were deleted since what is gone was swept out. */
  #gone = 0;
  #cache: { sv?: string; hash?: number; whole?: string } = {};
  #settings: Map<CellId, CellSettings> | undefined;
  version = 0;

  constructor(clientId: number, options: DocumentOptions = documentDefaults) {
    this.#options = options;
    this.reset(clientId);
    this.#trust.observe(({ keysChanged }) => {
      for (const key of keysChanged) this.#readTrust(key);
    });
    this.#cells.observe(() => void (this.#settings = undefined));
    this.#doc.on('afterTransaction', ({ deleteSet }) => {
      for (const ranges of deleteSet.clients.values()) for (const { len } of ranges) this.#gone += len;
    });
    this.#doc.on('update', (update: Uint8Array) => {
      this.#captured.push(update);
      delete this.#cache.sv;
      delete this.#cache.hash;
      delete this.#cache.whole;
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
    const before = this.#deleted();
    this.#doc.transact(() => {
      edit();
      if (this.#deleted() > before) this.#meta.set('tick', Number(this.#meta.get('tick') ?? 0) + 1);
    });
    this.#sweep();
    return this.#captured[0];
  }

  #registers(kind: (typeof kinds)[number]): Registers {
    return new Registers(this.#doc.getMap<Json>(kind));
  }

  #deleted(): number {
    return this.#apps.deletions + this.#cells.deletions;
  }

  #sweep(): void {
    if (this.#gone < this.#options.sweepAfter) return;
    this.#gone = 0;
    sweep(this.#doc, this.#maps);
  }

  /**
   * Applies an update of another cell; what changed here, undefined for nothing, 'malformed' for bytes that are none. An
   * update that came before the earlier ones of its writer is held until they are there: Yjs would hold it too, but
   * writes all that it holds anew with each that comes.
   */
  apply(update: Uint8Array): Uint8Array | undefined | 'malformed' {
    this.#captured = [];
    this.tookIn = false;
    const waiting = this.#doc.store.pendingDs;
    try {
      const early = this.#earlyOf(update);
      if (early === undefined) Y.applyUpdate(this.#doc, update);
      else this.#hold(early, update);
      this.tookIn = early === undefined && this.#doc.store.pendingStructs === null;
    } catch {
      return 'malformed';
    }
    for (let next = this.#takeHeld(); next !== undefined; next = this.#takeHeld()) {
      try {
        Y.applyUpdate(this.#doc, next);
      } catch {
        // What waited was no good; what it waited for is.
      }
    }
    const { pendingDs } = this.#doc.store;
    if (pendingDs !== null && (waiting === null || toBase64(waiting) !== toBase64(pendingDs))) {
      // It takes away what has not come yet: that has to be on the disk too, and nobody is told before that it is in.
      this.tookIn = false;
      this.#captured.push(update);
    }
    this.#sweep();
    return this.#captured.length > 1 ? Y.mergeUpdates(this.#captured) : this.#captured[0];
  }

  /** The writer and clock that must be reached before this update of one writer can be taken in. */
  #earlyOf(update: Uint8Array): { client: number; clock: number } | undefined {
    const { from } = Y.parseUpdateMeta(update);
    if (from.size !== 1) return undefined;
    const [[client, clock]] = [...from] as [[number, number]];
    return clock > Y.getState(this.#doc.store, client) ? { client, clock } : undefined;
  }

  #hold({ client, clock }: { client: number; clock: number }, update: Uint8Array): void {
    const key = `${client}:${clock}`;
    if (update.length <= (this.#held.get(key)?.update.length ?? 0)) return;
    this.#drop(key);
    this.#held.set(key, { client, clock, update });
    this.#heldBytes += update.length;
    while (this.#held.size > limits.heldUpdates || this.#heldBytes > limits.heldBytes)
      this.#drop(this.#held.keys().next().value!);
  }

  #drop(key: string): void {
    this.#heldBytes -= this.#held.get(key)?.update.length ?? 0;
    this.#held.delete(key);
  }

  #takeHeld(): Uint8Array | undefined {
    for (const [key, { client, clock, update }] of this.#held) {
      if (clock > Y.getState(this.#doc.store, client)) continue;
      this.#drop(key);
      return update;
    }
    return undefined;
  }

  /** False while an update waits for an earlier one that has not come. */
  isWhole(): boolean {
    const { store } = this.#doc;
    return this.#held.size === 0 && store.pendingStructs === null && store.pendingDs === null;
  }

  // -- sync ---------------------------------------------------------------------------------------------------------

  whole(): string {
    return (this.#cache.whole ??= toBase64(this.bytes()));
  }

  bytes(): Uint8Array {
    return Y.encodeStateAsUpdate(this.#doc);
  }

  hash(): number {
    return (this.#cache.hash ??= hash32(this.stateVector()));
  }

  stateVector(): string {
    return (this.#cache.sv ??= toBase64(Y.encodeStateVector(this.#doc)));
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

  /** As it came here; it only grows. */
  trustLog(): readonly TrustItem[] {
    return this.#trustLog;
  }

  /** The highest number that an entry has here. */
  get trustNumber(): number {
    return this.#trustNumber;
  }

  /** `floor`: it stands after all that was written before this time, in ms, also what I have not heard of. */
  addTrust(entry: object, floor = 0): void {
    const text = JSON.stringify(entry);
    this.#trust.set(trustKey(Math.max(this.#trustNumber + 1, floor), text), text);
  }

  #readTrust(key: string): void {
    const text = this.#trust.get(key);
    const number = Number.parseInt(key, 36);
    if (typeof text !== 'string' || !Number.isSafeInteger(number) || key !== trustKey(number, text)) return;
    this.#trustNumber = Math.max(this.#trustNumber, number);
    this.#trustLog.push({ key, text });
  }

  // -- cells --------------------------------------------------------------------------------------------------------

  /** The same object until the settings of some cell change. */
  cell(id: CellId): CellSettings {
    this.#settings ??= this.#readSettings();
    return this.#settings.get(id) ?? noSettings;
  }

  #readSettings(): Map<CellId, CellSettings> {
    const settings = new Map<CellId, CellSettings>();
    for (const key of [...this.#cells.names()].sort(compare)) {
      const [kind, id, label] = key.split('/') as [string, string, ...string[]];
      const value = this.#cells.get(key);
      let one = settings.get(id);
      if (one === undefined) settings.set(id, (one = { labels: {}, drain: false }));
      if (kind === 'name' && typeof value === 'string') one.name = value;
      else if (kind === 'drain') one.drain = value === true;
      else if (kind === 'cordon' && value === true) one.cordon = true;
      else if (kind === 'label' && label !== undefined) one.labels[key.slice(`label/${id}/`.length)] = String(value);
    }
    return settings;
  }

  setCell(
    id: CellId,
    set: { name?: string; labels?: Record<string, string | null>; drain?: boolean; cordon?: boolean },
  ): void {
    if (set.name !== undefined) this.#cells.set(`name/${id}`, set.name);
    if (set.drain !== undefined) this.#cells.set(`drain/${id}`, set.drain);
    if (set.cordon !== undefined) this.#cells.set(`cordon/${id}`, set.cordon);
    for (const [key, value] of Object.entries(set.labels ?? {})) {
      if (value === null) this.#cells.delete(`label/${id}/${key}`);
      else this.#cells.set(`label/${id}/${key}`, value);
    }
  }

  /** From which list of voters on it is on it (node/quorum.ts). */
  voterNumber(id: CellId): number | undefined {
    const number = this.#cells.get(`voter/${id}`);
    return typeof number === 'number' ? number : undefined;
  }

  /** The list that counts. */
  get votersCount(): number {
    return Number(this.#meta.get('voters') ?? 0);
  }

  setVoters(voters: Voters): void {
    if ('counts' in voters) this.#meta.set('voters', voters.counts);
    else for (const id of voters.ids) this.#cells.set(`voter/${id}`, voters.number);
  }

  apps(): AppState[] {
    return this.catalogue.apps();
  }

  dropCell(id: CellId): void {
    for (const key of [...this.#cells.names()]) if (key.split('/')[1] === id) this.#cells.delete(key);
  }

  // -- settings -----------------------------------------------------------------------------------------------------

  settings(): ApplianceSettings {
    const settings = { ...settingsDefaults };
    for (const name of Object.keys(settings) as (keyof ApplianceSettings)[]) {
      const value = this.#settingsMap.get(name);
      if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) settings[name] = value;
    }
    // Two people may have set one each.
    settings.mastersMaximum = Math.max(settings.mastersMaximum, settings.mastersThreshold);
    return settings;
  }

  /** What all cells are to run; nothing where nobody said so, or it can't be read. */
  release(): Release | undefined {
    const value: unknown = this.#settingsMap.get('release');
    if (!isRelease(value)) return undefined;
    const ended: unknown = this.#settingsMap.get('release.outcome');
    const { id, ...outcome } = (ended ?? { id: '' }) as Concluded & { id: string };
    return id === value.id ? { ...value, outcome } : value;
  }

  setRelease(release: Omit<Release, 'outcome'>): void {
    this.#settingsMap.set('release', release as unknown as Json);
  }

  concludeRelease(id: string, outcome: Concluded): void {
    if (this.release()?.id === id) this.#settingsMap.set('release.outcome', { id, ...outcome });
  }

  set(settings: Partial<ApplianceSettings>): void {
    for (const [name, value] of Object.entries(settings)) {
      if (this.settings()[name as keyof ApplianceSettings] !== value) this.#settingsMap.set(name, value);
    }
  }
}

type Concluded = NonNullable<Release['outcome']>;

function isRelease(value: unknown): value is Release {
  if (value === null || typeof value !== 'object') return false;
  const { id, version, packages, wellMs, atMs, by, sig } = value as Release;
  const isText =
    [id, version, by, sig].every((one) => typeof one === 'string') && [atMs, wellMs].every(Number.isFinite);
  const sums = packages !== null && typeof packages === 'object' ? Object.values(packages) : [undefined];
  return isText && sums.every((sum) => typeof sum?.sha256 === 'string' && Number.isSafeInteger(sum.bytes));
}

/** A longer list of voters, or that one counts now. */
export type Voters = { ids: readonly CellId[]; number: number } | { counts: number };

const noSettings: CellSettings = { labels: {}, drain: false };

/** Where an entry stands: after all that its writer knew of; of those written at once, by hash. */
export const trustKey = (number: number, text: string): string =>
  `${number.toString(36).padStart(9, '0')}/${contentHash(text, 16)}`;
