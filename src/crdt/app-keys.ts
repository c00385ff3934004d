/**
 * The keys of the document's apps, by app, kept as they change. A map of Yjs remembers every key that it ever had, so to look through
 * them all takes longer with each deploy.
 */
import type * as Y from 'yjs';

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

const none: ReadonlyMap<string, Json> = new Map();

export class AppKeys {
  /** Keys are KIND/APP or KIND/APP/REST. */
  readonly #byApp = new Map<string, Map<string, Json>>();
  #changed = new Set<string>();

  constructor(map: Y.Map<Json>) {
    map.observe(({ keysChanged }) => {
      for (const key of keysChanged) this.#take(key, map.get(key));
    });
  }

  #take(key: string, value: Json | undefined): void {
    const app = key.split('/')[1] ?? '';
    this.#changed.add(app);
    const keys = this.#byApp.get(app) ?? new Map<string, Json>();
    if (value === undefined) keys.delete(key);
    else keys.set(key, value);
    if (keys.size === 0) this.#byApp.delete(app);
    else this.#byApp.set(app, keys);
  }

  apps(): IterableIterator<string> {
    return this.#byApp.keys();
  }

  of(app: string): ReadonlyMap<string, Json> {
    return this.#byApp.get(app) ?? none;
  }

  /** Apps of which something changed since this was asked last. */
  takeChanged(): ReadonlySet<string> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }
}
