/**
 * The one source of chance. Seeded, passed by constructor, forked by concern: a machine that draws once more does not
 * reshuffle what the others draw, so an old seed still replays after a change elsewhere.
 */
import { hash32 } from './hash.ts';

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** @param seed any text; equal seeds give equal sequences. */
  constructor(seed: string) {
    this.seed = seed;
    this.#a = hash32(seed, 1);
    this.#b = hash32(seed, 2);
    this.#c = hash32(seed, 3);
    this.#d = hash32(seed, 4) | 1;
  }

  readonly seed: string;

  /** An independent stream for one concern. */
  fork(concern: string): Random {
    return new Random(`${this.seed}/${concern}`);
  }

  /** 0 .. 2^32-1: sfc32 (Doty-Humphrey, PractRand). */
  next(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + t) | 0;
    return t >>> 0;
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * bound);
  }

  /** An integer in [low, high]. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True in `percent` of 100 draws. */
  chance(percent: number): boolean {
    return this.next() < (percent / 100) * 0x1_0000_0000;
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)];
  }

  /** A shuffled copy (Fisher-Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [out[i], out[j]] = [out[j] as T, out[i] as T];
    }
    return out;
  }
}
