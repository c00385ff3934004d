/**
 * Whom to dial, and which connections to let go: addresses of members as last heard, when each is tried again, who is connected.
 * It decides; the transport does.
 */
import { limits } from '../../core/limits.ts';
import type { CellId } from '../../core/model.ts';

const pruneEveryMs = 5_000;
const redialMs = { min: 1_000, max: 15_000 };
/** So many members are dialled at once, and so many asked for in the DHT: when the power returns, a thousand are away. */
const dialsAtOnce = { known: 8, unknown: 1 };

interface Known {
  /** As text: a thousand members are known, and few are dialled. */
  addrs: readonly string[];
  nextMs: number;
  waitMs: number;
}

export class Dialler {
  readonly #self: CellId;
  readonly #known = new Map<CellId, Known>();
  readonly #connected = new Set<CellId>();
  readonly #dialling = new Set<CellId>();
  /** When something was last said to a peer or heard from it. */
  readonly #usedMs = new Map<CellId, number>();
  #seeds: Known = { addrs: [], nextMs: 0, waitMs: redialMs.min };
  /** Members with whom a connection is kept; all where undefined. */
  #near: ReadonlySet<CellId> | undefined;
  #prunedMs = 0;

  constructor(self: CellId) {
    this.#self = self;
  }

  learn(peer: CellId, addrs: readonly string[]): void {
    if (peer === this.#self) return;
    const known = this.#known.get(peer);
    // A member of which only the name is known now may have been met before: its addresses of then are not forgotten.
    if (known !== undefined && (addrs.length === 0 || known.addrs.join() === addrs.join())) return;
    this.#known.set(peer, { addrs: [...addrs], nextMs: 0, waitMs: redialMs.min });
  }

  forget(peer: CellId): void {
    this.#known.delete(peer);
  }

  addrsOf(peer: CellId): readonly string[] {
    return this.#known.get(peer)?.addrs ?? [];
  }

  /** Addresses from a ticket, for while there is nobody. */
  reach(addrs: readonly string[]): void {
    this.#seeds = { addrs: [...addrs], nextMs: 0, waitMs: redialMs.min };
  }

  /** In a large appliance connections are kept with these only; others are made when something is to be said, and end in time. */
  keep(peers: ReadonlySet<CellId> | undefined): void {
    this.#near = peers;
  }

  used(peer: CellId, now: number): void {
    this.#usedMs.set(peer, now);
  }

  opened(peer: CellId): void {
    this.#connected.add(peer);
    const known = this.#known.get(peer);
    if (known !== undefined) Object.assign(known, { nextMs: 0, waitMs: redialMs.min });
  }

  closed(peer: CellId): void {
    this.#connected.delete(peer);
    this.#usedMs.delete(peer);
  }

  /** False where it is being dialled. */
  begin(peer: CellId): boolean {
    if (this.#dialling.has(peer)) return false;
    this.#dialling.add(peer);
    return true;
  }

  end(peer: CellId): void {
    this.#dialling.delete(peer);
  }

  /** While there are few connections anybody is welcome. */
  wants(peer: CellId): boolean {
    return this.#near === undefined || this.#connected.size < this.#near.size / 2 || this.#near.has(peer);
  }

  /** Addresses from the ticket that are due now: only while nobody is connected. */
  seedsDue(now: number): readonly string[] {
    if (now < this.#seeds.nextMs || this.#connected.size > 0) return [];
    waited(this.#seeds, now);
    return this.#seeds.addrs;
  }

  /** Whom to dial now: neighbours first, then who has waited longest. */
  due(now: number): CellId[] {
    const near = this.#near;
    const due = [...this.#known].filter(
      ([peer, { nextMs }]) =>
        now >= nextMs && !this.#connected.has(peer) && !this.#dialling.has(peer) && this.wants(peer),
    );
    due.sort(
      ([a, one], [b, other]) => Number(near?.has(b) ?? 0) - Number(near?.has(a) ?? 0) || one.nextMs - other.nextMs,
    );
    const free = { ...dialsAtOnce };
    const kindOf = (peer: CellId) => (this.addrsOf(peer).length > 0 ? 'known' : 'unknown');
    for (const peer of this.#dialling) free[kindOf(peer)]--;
    const peers = due.map(([peer]) => peer).filter((peer) => free[kindOf(peer)]-- > 0);
    for (const peer of peers) waited(this.#known.get(peer)!, now);
    return peers;
  }

  /** What was not used for longest and is not kept, down to the limit; `isServed` are never let go. */
  surplus(now: number, isServed: (peer: CellId) => boolean): CellId[] {
    if (this.#near === undefined || now - this.#prunedMs < pruneEveryMs) return [];
    this.#prunedMs = now;
    const most = this.#connected.size - limits.connections;
    if (most <= 0) return [];
    const idle = [...this.#connected].filter((peer) => !this.#near!.has(peer) && !isServed(peer));
    idle.sort((a, b) => (this.#usedMs.get(a) ?? 0) - (this.#usedMs.get(b) ?? 0));
    return idle.slice(0, most);
  }
}

function waited(known: Known, now: number): void {
  known.nextMs = now + known.waitMs;
  known.waitMs = Math.min(redialMs.max, known.waitMs * 1.5);
}
