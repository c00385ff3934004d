/** The simulated network: one options record, one decision per frame. Drawn from its own random stream. */
import { hash32 } from '../../src/core/hash.ts';
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
/** A crowded Wi-Fi: a twentieth is lost, the rest comes when it comes. */
export const wifi: NetworkOptions = { ...lan, delayMaxMs: 100, lossPercent: 5, reorderPercent: 5 };

export class Network {
  options: NetworkOptions;
  readonly #random: Random;
  /** Which island each host is on; hosts of different islands do not hear each other. */
  readonly #island = new Map<string, number>();
  /** Each island hears those before it, though they do not hear it. */
  #isOneWay = false;
  /** They hear all islands, and are heard by all. */
  readonly #bridges = new Set<string>();
  readonly #cut = new Set<string>();
  /** They hear, and nobody hears them; they speak, and hear nobody. */
  readonly #mute = new Set<string>();
  readonly #deaf = new Set<string>();
  /** More of all frames, or of those of one host, are lost until then. */
  #burst: { untilMs: number; percent: number; host: string | undefined } | undefined;
  /** All frames, or those of one host, come so much later. */
  #lag: { untilMs: number; byMs: number; host: string | undefined } | undefined;

  /** 'FROM TO' -> of a hundred frames that are sent straight, so many are lost. */
  readonly #lines = new Map<string, number>();

  /** Of a hundred pairs, between how many gossip is lost, while all else arrives. */
  #hushed = 0;

  constructor(random: Random, options: NetworkOptions) {
    this.#random = random;
    this.options = options;
  }

  partition(islands: readonly (readonly string[])[], bridges: readonly string[] = [], isOneWay = false): void {
    this.#isOneWay = isOneWay;
    this.#island.clear();
    this.#bridges.clear();
    islands.forEach((hosts, island) => {
      for (const host of hosts) this.#island.set(host, island);
    });
    for (const host of bridges) this.#bridges.add(host);
  }

  cut(host: string): void {
    this.#cut.add(host);
  }

  /** The power is back, and with it the link. */
  uncut(host: string): void {
    this.#cut.delete(host);
  }

  mute(host: string): void {
    this.#mute.add(host);
  }

  deafen(host: string): void {
    this.#deaf.add(host);
  }

  burst(untilMs: number, percent: number, host?: string): void {
    this.#burst = { untilMs, percent, host };
  }

  lag(untilMs: number, byMs: number, host?: string): void {
    this.#lag = { untilMs, byMs, host };
  }

  /** One direction of one line is bad. */
  spoil(from: string, to: string, lossPercent: number): void {
    this.#lines.set(`${from} ${to}`, lossPercent);
  }

  /** All lines are good again. */
  mendLines(): void {
    this.#lines.clear();
  }

  /** Each hears what the other sends, but for what is lost to everybody. */
  isGood(one: string, other: string): boolean {
    const lossOf = (from: string, to: string): number => this.#lines.get(`${from} ${to}`) ?? 0;
    if (!this.isBetween(one, other)) return false;
    return this.#lines.size === 0 || Math.max(lossOf(one, other), lossOf(other, one)) === 0;
  }

  hush(percentOfPairs: number): void {
    this.#hushed = percentOfPairs;
  }

  heal(): void {
    this.#island.clear();
    this.#bridges.clear();
    this.#cut.clear();
    this.#mute.clear();
    this.#deaf.clear();
    this.#burst = undefined;
    this.#lag = undefined;
  }

  /** Much of what is sent is lost, or on its way for long. */
  isBurst(nowMs: number): boolean {
    const { untilMs: lagMs, byMs } = this.#lag ?? { untilMs: 0, byMs: 0 };
    return nowMs < lagMs + byMs || nowMs < (this.#burst?.untilMs ?? 0);
  }

  /** All that have their power hear all others. */
  get isWhole(): boolean {
    return this.#island.size + this.#mute.size + this.#deaf.size + this.#lines.size === 0;
  }

  reaches(from: string, to: string): boolean {
    if (this.#cut.has(from) || this.#cut.has(to) || this.#mute.has(from) || this.#deaf.has(to)) return false;
    if (this.#bridges.has(from) || this.#bridges.has(to)) return true;
    const [here, there] = [this.#island.get(from) ?? 0, this.#island.get(to) ?? 0];
    return here === there || (this.#isOneWay && here < there);
  }

  /** What answers come back from can be connected with. */
  isBetween(one: string, other: string): boolean {
    return this.reaches(one, other) && this.reaches(other, one);
  }

  /** When copies of a frame arrive, in ms from now: none if it is lost, two if it is duplicated. */
  deliveries(from: string, to: string, nowMs: number, hops = 1): number[] {
    const isLost = this.#lines.size > 0 && this.#random.chance(this.#lines.get(`${from} ${to}`) ?? 0);
    return isLost ? [] : this.#copies(from, to, nowMs, hops);
  }

  #copies(from: string, to: string, nowMs: number, hops: number): number[] {
    const { lossPercent, duplicatePercent } = this.options;
    if (!this.reaches(from, to) || this.#random.chance(lossPercent) || this.#isInBurst(from, to, nowMs)) return [];
    const delays = [this.#delay(hops)];
    if (this.#random.chance(duplicatePercent)) delays.push(this.#delay(hops));
    const lag = this.#lagOf(from, to, nowMs);
    return lag === 0 ? delays : delays.map((delay) => delay + this.#random.between(0, lag));
  }

  #lagOf(from: string, to: string, nowMs: number): number {
    if (this.#lag === undefined || nowMs >= this.#lag.untilMs) return 0;
    const { host, byMs } = this.#lag;
    return host === undefined || host === from || host === to ? byMs : 0;
  }

  #isInBurst(from: string, to: string, nowMs: number): boolean {
    if (this.#burst === undefined || nowMs >= this.#burst.untilMs) return false;
    const { host, percent } = this.#burst;
    return (host === undefined || host === from || host === to) && this.#random.chance(percent);
  }

  /**
   * Gossip: copies come through several neighbours, and the first counts (libp2p's duplicates are dropped by its cache). Lost
   * where all are.
   */
  spread(from: string, to: string, nowMs: number, hops: number): number | undefined {
    if (hash32([from, to].sort().join()) % 100 < this.#hushed) return undefined;
    const copies = [1, 2, 3].flatMap(() => this.#copies(from, to, nowMs, hops));
    return copies.length === 0 ? undefined : Math.min(...copies);
  }

  #delay(hops: number): number {
    const { delayMinMs, delayMaxMs, reorderPercent } = this.options;
    let delay = 0;
    for (let hop = 0; hop < hops; hop++) delay += this.#random.between(delayMinMs, delayMaxMs);
    return this.#random.chance(reorderPercent) ? delay * 4 : delay;
  }
}
