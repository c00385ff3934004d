/** What a cell says of the machine that it is on: its name, where it is reached, what it has, how busy it is. */
import type { CellFacts, ClusterView, Load } from '../core/model.ts';
import { unknownFacts } from './members.ts';

export class Machine {
  readonly #loadEveryMs: number;
  name = '';
  addrs: readonly string[] = [];
  facts: CellFacts = unknownFacts;
  #load: Load = { cpuPercent: 0, memoryUsedBytes: 0 };
  #loadMs = Number.NEGATIVE_INFINITY;
  /** Grows when there is something new to say. */
  version = 0;

  /** Load is told when it moved notably, and at most this often. */
  constructor(loadEveryMs: number) {
    this.#loadEveryMs = loadEveryMs;
  }

  rename(name: string): void {
    if (name === this.name) return;
    this.name = name;
    this.version++;
  }

  describe(facts: CellFacts, addrs: readonly string[]): void {
    this.facts = facts;
    this.addrs = addrs;
    this.version++;
  }

  measure(load: Load, now: number): void {
    const moved =
      Math.abs(load.cpuPercent - this.#load.cpuPercent) >= 10 ||
      Math.abs(load.memoryUsedBytes - this.#load.memoryUsedBytes) >= this.facts.memoryBytes / 20;
    if (!moved || now - this.#loadMs < this.#loadEveryMs) return;
    this.#load = load;
    this.#loadMs = now;
    this.version++;
  }

  /** Its part of the cell's record. */
  told(): { name: string; addrs: string[]; facts: CellFacts; load: Load } {
    return { name: this.name, addrs: [...this.addrs], facts: this.facts, load: this.#load };
  }
}

/** What replicas may know of their cell: its name, and the first address of its machine that others use. */
export function ownFacts({ members }: ClusterView): { name: string; address: string } {
  const mine = members.find(({ self }) => self);
  const found = mine?.addrs.flatMap((addr) => /^\/ip4\/([\d.]+)\//.exec(addr)?.[1] ?? []);
  return { name: mine?.name ?? '', address: found?.find((one) => !one.startsWith('127.')) ?? found?.[0] ?? '' };
}
