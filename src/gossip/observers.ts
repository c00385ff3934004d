/**
 * Who watches whom. Each member has K observers, its best by rendezvous rank among those that are fit to observe; every
 * cell computes the same lists from the same members (Rapid, Suresh et al., USENIX ATC '18, section 4.1, uses K
 * rings to the same end). Kept incrementally: a join costs 2N hashes, a departure about K*N.
 */
import { compare, hash32, mix32 } from '../core/hash.ts';
import type { CellId } from '../core/model.ts';

interface Ranked {
  id: CellId;
  score: number;
}

export class Observers {
  readonly #k: number;
  readonly #hash = new Map<CellId, number>();
  readonly #fit = new Set<CellId>();
  readonly #lists = new Map<CellId, Ranked[]>();

  constructor(k: number) {
    this.#k = k;
  }

  /** The observers of a subject, best first; none for a stranger. */
  of(subject: CellId): CellId[] {
    return (this.#lists.get(subject) ?? []).map(({ id }) => id);
  }

  isObserver(observer: CellId, subject: CellId): boolean {
    return this.#lists.get(subject)?.some(({ id }) => id === observer) ?? false;
  }

  /** Everyone that `observer` watches, sorted. */
  subjectsOf(observer: CellId): CellId[] {
    const subjects: CellId[] = [];
    for (const [subject, list] of this.#lists) if (list.some(({ id }) => id === observer)) subjects.push(subject);
    return subjects.sort(compare);
  }

  addSubject(subject: CellId): void {
    if (!this.#lists.has(subject)) this.#lists.set(subject, this.#rank(subject));
  }

  removeSubject(subject: CellId): void {
    this.#lists.delete(subject);
  }

  /** Fit to observe: alive, or suspect for a short time only. */
  setFit(id: CellId, fit: boolean): boolean {
    if (this.#fit.has(id) === fit) return false;
    if (fit) this.#fit.add(id);
    else this.#fit.delete(id);
    for (const [subject, list] of this.#lists) {
      if (fit) this.#insert(subject, list, id);
      else if (list.some((ranked) => ranked.id === id)) this.#lists.set(subject, this.#rank(subject));
    }
    return true;
  }

  #rank(subject: CellId): Ranked[] {
    const list: Ranked[] = [];
    for (const id of this.#fit) this.#insert(subject, list, id);
    return list;
  }

  #insert(subject: CellId, list: Ranked[], id: CellId): void {
    if (id === subject) return;
    const ranked = { id, score: this.#score(subject, id) };
    if (list.length >= this.#k && !isBetter(ranked, list[list.length - 1]!)) return;
    let at = list.length;
    while (at > 0 && isBetter(ranked, list[at - 1]!)) at--;
    list.splice(at, 0, ranked);
    if (list.length > this.#k) list.pop();
  }

  #score(subject: CellId, observer: CellId): number {
    return mix32(Math.imul(this.#hashOf(subject), 0x9e3779b1) ^ this.#hashOf(observer));
  }

  #hashOf(id: CellId): number {
    let hash = this.#hash.get(id);
    if (hash === undefined) this.#hash.set(id, (hash = hash32(id)));
    return hash;
  }
}

function isBetter(a: Ranked, b: Ranked): boolean {
  return a.score > b.score || (a.score === b.score && compare(a.id, b.id) < 0);
}
