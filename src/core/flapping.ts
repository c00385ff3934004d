/**
 * A lamp that goes on and off is switched off for a while: a cell that fell often of late (it started again, or was held down and
 * said that it lives) says so in its record, and gets no replicas until it has been up for some time, the longer the more
 * often it fell. The cell counts its own falls: it alone knows all of them, and all others read the same in its record.
 */
export interface FlappingOptions {
  windowMs: number;
  /** So many falls within the window cost nothing: an upgrade, a cable, a power cut. */
  free: number;
  firstMs: number;
  mostMs: number;
  /** Falls this close together are one. */
  mergeMs: number;
}

export const flappingDefaults: FlappingOptions = {
  windowMs: 600_000,
  free: 3,
  firstMs: 5_000,
  mostMs: 120_000,
  mergeMs: 3_000,
};

/** How long it is held back after the last of so many falls. */
export function penaltyMs(falls: number, { free, firstMs, mostMs }: FlappingOptions = flappingDefaults): number {
  return falls <= free ? 0 : Math.min(mostMs, firstMs * 2 ** (falls - free - 1));
}

export class Flapping {
  readonly #options: FlappingOptions;
  #falls: number[] = [];

  constructor(options: FlappingOptions = flappingDefaults) {
    this.#options = options;
  }

  /** Earlier starts, as ms before now; the clock that counted them may have been set meanwhile. */
  boot(startsAgoMs: readonly number[], now: number): void {
    for (const ago of [...startsAgoMs].sort((a, b) => b - a)) if (ago >= 0) this.fell(now - ago);
  }

  fell(atMs: number): void {
    if (atMs - (this.#falls.at(-1) ?? Number.NEGATIVE_INFINITY) < this.#options.mergeMs) return;
    this.#falls.push(atMs);
  }

  /** How often it fell of late, and how long it is still held back. */
  state(now: number): { falls: number; heldMs: number } {
    this.#falls = this.#falls.filter((atMs) => now - atMs < this.#options.windowMs);
    const falls = this.#falls.length;
    const untilMs = (this.#falls.at(-1) ?? now) + penaltyMs(falls, this.#options);
    return { falls, heldMs: Math.max(0, untilMs - now) };
  }
}
