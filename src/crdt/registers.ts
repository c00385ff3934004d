/**
 * Named values that several cells write, and of which nothing is left when they are gone.
 *
 * A map of Yjs remembers each value that was ever under a key, since a write elsewhere may refer to it: a schedule that runs each minute
 * would fill the memory of a small board within a year. So each write has a key of its own here, NAME#ROUND.CLOCK.CLIENT, that is
 * written once and deleted once: a write takes the place of those that it saw (a multi-value register: Shapiro et al., "A
 * comprehensive study of Convergent and Commutative Replicated Data Types", INRIA RR-7506, 2011, §3.2.2). Of two at once all
 * see the one that saw more, then the one with the higher key. A name that is removed while somebody writes it has that value.
 */
import * as Y from 'yjs';
import { compare } from '../core/hash.ts';

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

interface Written {
  key: string;
  round: number;
  value: Json;
}

export class Registers {
  readonly #map: Y.Map<Json>;
  /** By name; the one that counts comes first. */
  readonly #written = new Map<string, Written[]>();
  /** How often something was taken away, and nothing set in its place. */
  deletions = 0;
  readonly #told: ((name: string, value: Json | undefined) => void)[] = [];

  constructor(map: Y.Map<Json>) {
    this.#map = map;
    map.observe(({ keysChanged }) => {
      const names = new Set<string>();
      for (const key of keysChanged) names.add(this.#take(key));
      for (const name of names) for (const tell of this.#told) tell(name, this.get(name));
    });
  }

  /** Told at the end of the transaction in which a value changed. */
  observe(tell: (name: string, value: Json | undefined) => void): void {
    this.#told.push(tell);
  }

  get(name: string): Json | undefined {
    return this.#written.get(name)?.[0]?.value;
  }

  has(name: string): boolean {
    return this.#written.has(name);
  }

  names(): IterableIterator<string> {
    return this.#written.keys();
  }

  set(name: string, value: Json): void {
    const { clientID, store } = this.#map.doc!;
    const before = this.#written.get(name) ?? [];
    const round = 1 + Math.max(0, ...before.map((one) => one.round));
    const clock = Y.getState(store, clientID);
    const key = `${name}#${[round, clock, clientID].map((part) => part.toString(36)).join('.')}`;
    this.#map.set(key, value);
    for (const old of before) this.#map.delete(old.key);
    this.#written.set(name, [{ key, round, value }]);
  }

  /** Nothing where there is none. */
  delete(name: string): void {
    const before = this.#written.get(name);
    if (before === undefined) return;
    for (const { key } of before) this.#map.delete(key);
    this.#written.delete(name);
    this.deletions++;
  }

  /** The name whose key it is. */
  #take(key: string): string {
    const end = key.lastIndexOf('#');
    const name = end < 0 ? key : key.slice(0, end);
    const others = (this.#written.get(name) ?? []).filter((one) => one.key !== key);
    const value = this.#map.get(key);
    if (value !== undefined) {
      const round = Number.parseInt(key.slice(end + 1), 36);
      others.push({ key, round: Number.isSafeInteger(round) ? round : 0, value });
      others.sort((a, b) => b.round - a.round || compare(b.key, a.key));
    }
    if (others.length === 0) this.#written.delete(name);
    else this.#written.set(name, others);
    return name;
  }
}

/**
 * Forgets what was deleted from maps whose keys are written once: nothing that is still to come can refer to it. What stays of it
 * is one range of clocks for all that stood together. It changes nothing that another can see.
 */
export function sweep(doc: Y.Doc, maps: readonly Y.Map<Json>[]): void {
  const owners = new Set<unknown>(maps);
  for (const structs of doc.store.clients.values()) {
    for (const item of structs) {
      if (!(item instanceof Y.Item) || !item.deleted || item.parentSub === null || !owners.has(item.parent)) continue;
      const { _map: known } = item.parent as Y.Map<Json>;
      // More than one under a key: somebody wrote it otherwise, and may again.
      if (item.left !== null || item.right !== null || known.get(item.parentSub) !== item) continue;
      known.delete(item.parentSub);
      item.gc(doc.store, true);
    }
    let last = 0;
    for (let i = 1; i < structs.length; i++) {
      const [left, right] = [structs[last]!, structs[i]!];
      if (left instanceof Y.GC && right instanceof Y.GC) left.mergeWith(right);
      else structs[++last] = right;
    }
    structs.length = Math.min(structs.length, last + 1);
  }
}
