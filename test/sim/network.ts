/** The simulated network: one options record, one decision per frame. Drawn from its own random stream. */
import type { Random } from '../../src/core/random.ts';

export interface NetworkOptions {
  delayMinMs: number;
  delayMaxMs: number;
  lossPercent: number;
  duplicatePercent: number;
  /** Frames that are held back long enough to be overtaken. */
  reorderPercent: number;
}

export const lan: NetworkOptions = {
  delayMinMs: 1,
  delayMaxMs: 5,
  lossPercent: 0,
  duplicatePercent: 0,
  reorderPercent: 0,
};
export const rough: NetworkOptions = {
  delayMinMs: 1,
  delayMaxMs: 60,
  lossPercent: 5,
  duplicatePercent: 5,
  reorderPercent: 10,
};

export class Network {
  options: NetworkOptions;
  readonly #random: Random;
  /** Which island each host is on; hosts of different islands do not hear each other. */
  readonly #island = new Map<string, number>();
  readonly #cut = new Set<string>();

  constructor(random: Random, options: NetworkOptions) {
    this.#random = random;
    this.options = options;
  }

  partition(islands: readonly (readonly string[])[]): void {
    this.#island.clear();
    islands.forEach((hosts, island) => {
      for (const host of hosts) this.#island.set(host, island);
    });
  }

  cut(host: string): void {
    this.#cut.add(host);
  }

  heal(): void {
    this.#island.clear();
    this.#cut.clear();
  }

  reaches(from: string, to: string): boolean {
    if (this.#cut.has(from) || this.#cut.has(to)) return false;
    return (this.#island.get(from) ?? 0) === (this.#island.get(to) ?? 0);
  }

  /** When copies of a frame arrive, in ms from now: none if it is lost, two if it is duplicated. */
  deliveries(from: string, to: string, hops = 1): number[] {
    const { lossPercent, duplicatePercent } = this.options;
    if (!this.reaches(from, to) || this.#random.chance(lossPercent)) return [];
    const delays = [this.#delay(hops)];
    if (this.#random.chance(duplicatePercent)) delays.push(this.#delay(hops));
    return delays;
  }

  /**
   * Gossip: copies come through several neighbours, and the first counts (libp2p's duplicates are dropped by its cache). Lost
   * where all are.
   */
  spread(from: string, to: string, hops: number): number | undefined {
    const copies = [1, 2, 3].flatMap(() => this.deliveries(from, to, hops));
    return copies.length === 0 ? undefined : Math.min(...copies);
  }

  #delay(hops: number): number {
    const { delayMinMs, delayMaxMs, reorderPercent } = this.options;
    let delay = 0;
    for (let hop = 0; hop < hops; hop++) delay += this.#random.between(delayMinMs, delayMaxMs);
    return this.#random.chance(reorderPercent) ? delay * 4 : delay;
  }
}
