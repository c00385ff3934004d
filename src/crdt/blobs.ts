/**
 * What files of containers hold, apart from revisions, so that ten of them don't carry it ten times; secrets sealed. And the keys
 * of the appliance under which they are, each sealed for every cell.
 *
 *     apps   blob/APP/ID -> Blob        cells  key/CELL/KEY -> text        meta  key -> id of the key for what is new
 */
import { contentHash } from '../core/hash.ts';
import type { CellId } from '../core/model.ts';
import type { AppSpec } from '../core/spec.ts';
import type { AppKeys } from './app-keys.ts';
import type { Json, Registers } from './registers.ts';

export interface Blob {
  /** base64 */
  data: string;
  /** Of the key under which it is sealed. */
  key?: string;
}

export class Blobs {
  readonly #apps: Registers;
  readonly #cells: Registers;
  readonly #meta: Registers;
  readonly #keys: AppKeys;

  constructor(apps: Registers, cells: Registers, meta: Registers, keys: AppKeys) {
    this.#apps = apps;
    this.#cells = cells;
    this.#meta = meta;
    this.#keys = keys;
  }

  get(app: string, id: string): Blob | undefined {
    const value: unknown = this.#apps.get(`blob/${app}/${id}`);
    return isBlob(value) ? value : undefined;
  }

  /** Those of an app, by id. */
  of(app: string): [id: string, blob: Blob][] {
    const prefix = `blob/${app}/`;
    return [...this.#keys.of(app)].flatMap(([key, value]): [string, Blob][] =>
      key.startsWith(prefix) && isBlob(value) ? [[key.slice(prefix.length), value]] : [],
    );
  }

  put(app: string, blob: Blob): void {
    const key = `blob/${app}/${idOf(blob)}`;
    if (!this.#apps.has(key)) this.#apps.set(key, blob as unknown as Json);
  }

  /** Drops what none of these names. */
  prune(app: string, specs: readonly AppSpec[]): void {
    const all = this.of(app);
    if (all.length === 0) return;
    const text = JSON.stringify(specs);
    for (const [id] of all) if (!text.includes(id)) this.#apps.delete(`blob/${app}/${id}`);
  }

  // -- keys --------------------------------------------------------------------------------------------------------

  get currentKey(): string | undefined {
    const id = this.#meta.get('key');
    return typeof id === 'string' ? id : undefined;
  }

  set currentKey(id: string) {
    this.#meta.set('key', id);
  }

  /** Of all that is sealed, and of what is to be. */
  keysInUse(): Set<string> {
    const keys = new Set<string>();
    if (this.currentKey !== undefined) keys.add(this.currentKey);
    for (const app of this.#keys.apps()) for (const [, { key }] of this.of(app)) if (key !== undefined) keys.add(key);
    return keys;
  }

  /** A key as it was sealed for a cell. */
  envelope(cell: CellId, key: string): string | undefined {
    const text = this.#cells.get(`key/${cell}/${key}`);
    return typeof text === 'string' ? text : undefined;
  }

  addEnvelope(cell: CellId, key: string, text: string): void {
    this.#cells.set(`key/${cell}/${key}`, text);
  }
}

/** What it holds gives its name. */
export const idOf = ({ data, key }: Blob): string => contentHash({ data, key }, 32);

function isBlob(value: unknown): value is Blob {
  if (typeof value !== 'object' || value === null) return false;
  const { data, key } = value as Record<string, unknown>;
  return typeof data === 'string' && (key === undefined || typeof key === 'string');
}
