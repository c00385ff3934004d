/**
 * The keys of the document's apps, by app, kept as they change.
 */
import type { Json, Registers } from './registers.ts';

const none: ReadonlyMap<string, Json> = new Map();

export class AppKeys {
  /** Keys are KIND/APP or KIND/APP/REST. */
  readonly #byApp = new Map<string, Map<string, Json>>();
  #changed = new Set<string>();

  constructor(apps: Registers) {
    apps.observe((key, value) => this.#take(key, value));
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
