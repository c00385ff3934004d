/**
 * Who watches whom. All cells stand in K circles, each in another order; in each circle a member is watched by the next
 * cell that is fit to observe and does not watch it in an earlier circle. So each cell watches about K others and is watched by K
 * (the K rings of Rapid, Suresh et al., USENIX ATC '18, section 4.1), every cell computes the same from the same
 * members, and a change costs K binary searches. In an appliance of K + 1 or fewer everybody watches everybody.
 */
import { compare, hash32 } from '../core/hash.ts';
import type { CellId } from '../core/model.ts';

interface Place {
  id: CellId;
  at: number;
}

export class Observers {
  readonly #rings: Place[][];
  readonly #subjects = new Set<CellId>();
  readonly #fit = new Set<CellId>();
  readonly #lists = new Map<CellId, CellId[]>();

  constructor(k: number) {
    this.#rings = Array.from({ length: k }, () => []);
  }

  /** The observers of a subject, by circle; none for a stranger. */
  of(subject: CellId): readonly CellId[] {
    if (!this.#subjects.has(subject)) return [];
    let list = this.#lists.get(subject);
    if (list === undefined) {
      list = this.#pick(subject);
      this.#lists.set(subject, list);
    }
    return list;
  }

  isObserver(observer: CellId, subject: CellId): boolean {
    return this.of(subject).includes(observer);
  }

  /**
   * Everyone that `observer` watches, sorted. Going back in a circle past K fit cells is enough: whoever stands before them
   * would have to watch with all K elsewhere to reach this one.
   */
  subjectsOf(observer: CellId): CellId[] {
    if (!this.#fit.has(observer)) return [];
    const near = new Set<CellId>();
    this.#rings.forEach((ring, number) => {
      const start = find(ring, observer, number);
      for (let back = 1, passed = 0; back < ring.length && passed < this.#rings.length; back++) {
        const { id } = ring[(start - back + ring.length) % ring.length]!;
        if (this.#subjects.has(id)) near.add(id);
        if (this.#fit.has(id)) passed++;
      }
    });
    return [...near].filter((subject) => this.isObserver(observer, subject)).sort(compare);
  }

  addSubject(subject: CellId): void {
    if (this.#subjects.has(subject)) return;
    if (!this.#fit.has(subject)) this.#enter(subject);
    this.#subjects.add(subject);
    this.#lists.clear();
  }

  removeSubject(subject: CellId): void {
    if (!this.#subjects.delete(subject)) return;
    if (!this.#fit.has(subject)) this.#leave(subject);
    this.#lists.clear();
  }

  /** Fit to observe: alive, or suspect for a short time only. */
  setFit(id: CellId, fit: boolean): boolean {
    if (this.#fit.has(id) === fit) return false;
    if (!this.#subjects.has(id)) {
      if (fit) this.#enter(id);
      else this.#leave(id);
    }
    if (fit) this.#fit.add(id);
    else this.#fit.delete(id);
    this.#lists.clear();
    return true;
  }

  #pick(subject: CellId): CellId[] {
    const list: CellId[] = [];
    this.#rings.forEach((ring, number) => {
      const start = find(ring, subject, number);
      for (let step = 1; step < ring.length; step++) {
        const { id } = ring[(start + step) % ring.length]!;
        if (!this.#fit.has(id) || list.includes(id)) continue;
        list.push(id);
        return;
      }
    });
    return list;
  }

  #enter(id: CellId): void {
    this.#rings.forEach((ring, number) => {
      ring.splice(find(ring, id, number), 0, { id, at: hash32(id, number + 1) });
    });
  }

  #leave(id: CellId): void {
    this.#rings.forEach((ring, number) => {
      ring.splice(find(ring, id, number), 1);
    });
  }
}

/** Where `id` stands in this circle, or would stand. */
function find(ring: readonly Place[], id: CellId, number: number): number {
  const at = hash32(id, number + 1);
  let [low, high] = [0, ring.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const place = ring[middle]!;
    if (place.at < at || (place.at === at && compare(place.id, id) < 0)) low = middle + 1;
    else high = middle;
  }
  return low;
}
