/** A binary heap of things to happen, earliest first; ties in the order in which they were put in. */
export interface Due<T> {
  atMs: number;
  order: number;
  what: T;
}

export class Agenda<T> {
  readonly #heap: Due<T>[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  peekMs(): number | undefined {
    return this.#heap[0]?.atMs;
  }

  push(atMs: number, what: T): void {
    const heap = this.#heap;
    heap.push({ atMs, order: this.#order++, what });
    let i = heap.length - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (before(heap[parent]!, heap[i]!)) break;
      [heap[parent], heap[i]] = [heap[i]!, heap[parent]!];
      i = parent;
    }
  }

  pop(): Due<T> | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    heap[0] = last;
    for (let i = 0; ; ) {
      const left = 2 * i + 1;
      if (left >= heap.length) break;
      const child = left + 1 < heap.length && before(heap[left + 1]!, heap[left]!) ? left + 1 : left;
      if (before(heap[i]!, heap[child]!)) break;
      [heap[i], heap[child]] = [heap[child]!, heap[i]!];
      i = child;
    }
    return top;
  }
}

const before = <T>(a: Due<T>, b: Due<T>): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
