/**
 * The list of all members, kept in order and hashed as it changes, so that asking costs nothing: the same records give the
 * same hash on every cell, whatever the order in which they came.
 */
import { compare, hash32 } from '../core/hash.ts';
import type { CellId, MemberRecord, MemberState } from '../core/model.ts';

export interface Member {
  id: CellId;
  record: MemberRecord;
  /** The record as its origin sealed it, to pass on. */
  sealed: string;
  inc: number;
  seq: number;
  state: MemberState;
  sinceMs: number;
  suspectMs: number | undefined;
}

export class Roster {
  readonly #byId = new Map<CellId, Member>();
  readonly #sorted: Member[] = [];
  /** Of all records and of who is down. */
  hash = 0;

  get size(): number {
    return this.#byId.size;
  }

  /** By id. */
  get sorted(): readonly Member[] {
    return this.#sorted;
  }

  get(id: CellId): Member | undefined {
    return this.#byId.get(id);
  }

  put(member: Member): void {
    const known = this.#byId.get(member.id);
    this.hash = (this.hash ^ (known === undefined ? 0 : sumOf(known)) ^ sumOf(member)) >>> 0;
    this.#sorted.splice(this.#placeOf(member.id), known === undefined ? 0 : 1, member);
    this.#byId.set(member.id, member);
  }

  delete(id: CellId): boolean {
    const known = this.#byId.get(id);
    if (known === undefined) return false;
    this.hash = (this.hash ^ sumOf(known)) >>> 0;
    this.#sorted.splice(this.#placeOf(id), 1);
    return this.#byId.delete(id);
  }

  /** Of n drawers, each one's hash: equal where the same records lie in it. */
  sums(n: number): number[] {
    const sums = Array.from({ length: n }, () => 0);
    for (const member of this.#sorted) {
      const drawer = drawerOf(member.id, n);
      sums[drawer] = (sums[drawer]! ^ sumOf(member)) >>> 0;
    }
    return sums;
  }

  #placeOf(id: CellId): number {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(this.#sorted[middle]!.id, id) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export const drawerOf = (id: CellId, drawers: number): number => hash32(id, 17) % drawers;

const sumOf = ({ id, inc, seq, state }: Member): number => hash32(`${id} ${inc} ${seq} ${state === 'down'}`);
