/**
 * Strict services: never on two cells at once. Whoever wants to run a strict replica asks the others for a lease of it, as one
 * asks a library for its only copy: every cell remembers to whom it promised the replica and until when, and promises it to
 * nobody else before; who has the promise of a majority of the appliance's cells may run it until its lease ends, and asks
 * again in time. Two majorities share a cell, and that cell has only one copy to promise.
 *
 * No disk is needed, and no clock that is right: a promise lasts a length of time, counted from its arrival by the one who
 * gives it and from the question by the one who has it, less what clocks may drift (PaxosLease, Trencseni, Gazso, Reinhardt,
 * 2012; leases: Gray and Cheriton, SOSP '89). A cell that has just started may have promised before: it promises nothing
 * for the length of a lease.
 *
 * Who counts changes as cells come (node/quorum.ts). Promises are exchanged only between cells that know the same list of voters.
 */
import type { Outbox } from '../core/events.ts';
import { encodeFrame } from '../core/frames.ts';
import type { CellId } from '../core/model.ts';

export interface LeaseOptions {
  leaseMs: number;
  renewEveryMs: number;
  /** A lease that a majority has not given yet is asked for again after this long. */
  askEveryMs: number;
  /** What is lost is stopped this long before it may run elsewhere. */
  stopMs: number;
  /** What could not be stopped is killed this long before: a watchdog looks every half second, and needs a moment. */
  killMs: number;
  /** How far two monotonic clocks may drift apart. */
  driftPercent: number;
}

export const leaseDefaults: LeaseOptions = {
  leaseMs: 10_000,
  renewEveryMs: 2_000,
  askEveryMs: 500,
  stopMs: 3_000,
  killMs: 1_500,
  driftPercent: 1,
};

/** Who decides. */
export interface Electorate {
  /** Equal on cells that know the same voters. */
  hash: number;
  voters: ReadonlySet<CellId>;
  /** So many of them are a majority. */
  needed: number;
  /** Whom to ask. */
  ask: readonly CellId[];
  /** Nobody else is, or was, a cell of the appliance. */
  alone: boolean;
}

export const majorityOf = (count: number): number => Math.floor(count / 2) + 1;

/** Nobody decides: no lease is given or had. */
export const noElectorate: Electorate = {
  hash: 0,
  voters: new Set(),
  needed: Number.POSITIVE_INFINITY,
  ask: [],
  alone: false,
};

interface Given {
  to: CellId;
  untilMs: number;
  /** The question that it answers. */
  q: number;
}

interface Round {
  sentMs: number;
  replicas: readonly string[];
  hash: number;
  needed: number;
  given: Map<string, Set<CellId>>;
  /** Who knows the voters that I know. */
  agree: Set<CellId>;
}

const roundsKept = 8;

export class Leases {
  readonly #self: CellId;
  readonly #out: Outbox;
  readonly #options: LeaseOptions;
  readonly #decides: () => Electorate;
  /** What I promised to whom. */
  readonly #promises = new Map<string, Given>();
  #silentUntilMs = Number.POSITIVE_INFINITY;
  #isFirstLife = false;
  #sought: ReadonlySet<string> = new Set();
  /** replica -> until when I have it. */
  readonly #held = new Map<string, number>();
  readonly #rounds = new Map<number, Round>();
  #round = 0;
  #nextMs = 0;
  #heldNow = '';
  #agreed: { hash: number; sinceMs: number } | undefined;
  /** Grows when what may run here changes. */
  version = 0;
  /** Grows when a lease became longer. */
  renewals = 0;

  /** `decides` tells who decides now. */
  constructor(self: CellId, out: Outbox, decides: () => Electorate, options: LeaseOptions = leaseDefaults) {
    this.#self = self;
    this.#out = out;
    this.#decides = decides;
    this.#options = options;
  }

  /** In its first life a cell can't have promised anything before, unless others know better. */
  boot(incarnation: number, now: number): void {
    this.#isFirstLife = incarnation <= 1;
    this.#silentUntilMs = this.#isFirstLife ? now : now + this.#options.leaseMs;
    // Questions of this life are newer than those of the one before.
    this.#round = incarnation * 2 ** 24;
  }

  /** Others knew this cell: its disk has forgotten what it promised. */
  known(now: number): void {
    if (this.#isFirstLife) this.#silentUntilMs = now + this.#options.leaseMs;
    this.#isFirstLife = false;
  }

  /** May it run here? Ends early enough to stop it before it may run elsewhere. */
  holds(replica: string, now: number): boolean {
    return this.#leftMs(replica, now) > this.#options.stopMs;
  }

  /** What still runs then is killed; not above 0 without a lease. */
  killInMs(replica: string, now: number): number {
    return this.#leftMs(replica, now) - this.#options.killMs;
  }

  #leftMs(replica: string, now: number): number {
    return (this.#held.get(replica) ?? now) - now;
  }

  /** What I should have a lease of: what is placed here, and what still runs here. The rest is given back. */
  seek(replicas: ReadonlySet<string>, now: number): void {
    const free = [...this.#sought].filter((replica) => !replicas.has(replica));
    const isNew = [...replicas].some((replica) => !this.#sought.has(replica));
    this.#sought = replicas;
    if (free.length > 0) this.#giveBack(free, now);
    if (isNew || (free.length > 0 && replicas.size > 0)) this.#ask(now);
    this.#notice(now);
  }

  seeks(replica: string): boolean {
    return this.#sought.has(replica);
  }

  /** Something that I promised may run now. */
  hasPromised(now: number): boolean {
    return now < this.#silentUntilMs || [...this.#promises.values()].some(({ untilMs }) => untilMs > now);
  }

  #giveBack(free: readonly string[], now: number): void {
    for (const replica of free) this.#held.delete(replica);
    // An answer that comes now is to a question of before: the promise is gone.
    this.#rounds.clear();
    const q = ++this.#round;
    this.#send({ q, want: [], free });
    this.#take(this.#self, q, [], free, now);
  }

  tick(now: number): void {
    if (this.#sought.size > 0 && now >= this.#nextMs) this.#ask(now);
    this.#notice(now);
    for (const [replica, { untilMs }] of this.#promises) if (untilMs <= now) this.#promises.delete(replica);
  }

  /** A majority of the voters has known for the length of a lease who they are; asks them. */
  isAgreed(now: number): boolean {
    const { leaseMs, driftPercent } = this.#options;
    if (this.#agreed?.hash === this.#decides().hash)
      return now - this.#agreed.sinceMs >= (leaseMs * (100 + 2 * driftPercent)) / 100;
    if (now >= this.#nextMs) this.#ask(now);
    return false;
  }

  #ask(now: number): void {
    const { hash, needed, voters } = this.#decides();
    const replicas = [...this.#sought].sort();
    const q = ++this.#round;
    this.#rounds.set(q, { sentMs: now, replicas, hash, needed, given: new Map(), agree: new Set() });
    this.#rounds.delete(q - roundsKept);
    // Sooner again unless a majority answers: frames get lost.
    this.#nextMs = now + (replicas.length === 0 ? this.#options.renewEveryMs : this.#options.askEveryMs);
    this.#send({ q, want: replicas, free: [] });
    if (voters.has(this.#self)) this.#count(q, this.#self, this.#take(this.#self, q, replicas, [], now), now);
  }

  #send({ q, want, free }: { q: number; want: readonly string[]; free: readonly string[] }): void {
    const { ask, hash } = this.#decides();
    const text = encodeFrame({ t: 'lease', q, want: [...want], free: [...free], k: hash });
    for (const cell of ask) if (cell !== this.#self) this.#out.push({ type: 'send', to: cell, text });
  }

  /** Promises what it can of `want`; forgets what is given back, unless it was asked for again since. */
  #take(to: CellId, q: number, want: readonly string[], free: readonly string[], now: number): string[] {
    for (const replica of free) {
      const promise = this.#promises.get(replica);
      if (promise?.to === to && promise.q < q) this.#promises.delete(replica);
    }
    // Alone there is nobody to whom it may have promised before. Who alone decides may have promised it to those who do not.
    if (now < this.#silentUntilMs && !this.#decides().alone) return [];
    const untilMs = now + this.#options.leaseMs;
    return want.filter((replica) => {
      const promise = this.#promises.get(replica);
      if (promise !== undefined && promise.to !== to && promise.untilMs > now) return false;
      this.#promises.set(replica, { to, untilMs, q: Math.max(q, promise?.to === to ? promise.q : 0) });
      return true;
    });
  }

  onLease(from: CellId, frame: { q: number; want: string[]; free: string[]; k: number }, now: number): void {
    // Who knows another list is asked again when both have caught up.
    const want = frame.k === this.#decides().hash ? frame.want : [];
    const ok = this.#take(from, frame.q, want, frame.free, now);
    const isAgreed = frame.k === this.#decides().hash && frame.want.length + frame.free.length === 0;
    if (ok.length > 0 || isAgreed)
      this.#out.push({ type: 'send', to: from, text: encodeFrame({ t: 'grant', q: frame.q, ok }) });
  }

  onGrant(from: CellId, { q, ok }: { q: number; ok: string[] }, now: number): void {
    if (this.#decides().voters.has(from)) this.#count(q, from, ok, now);
    this.#notice(now);
  }

  #count(q: number, from: CellId, ok: readonly string[], now: number): void {
    const round = this.#rounds.get(q);
    if (round === undefined || round.hash !== this.#decides().hash) return;
    const { leaseMs, driftPercent } = this.#options;
    round.agree.add(from);
    if (round.agree.size >= round.needed && this.#agreed?.hash !== round.hash)
      this.#agreed = { hash: round.hash, sinceMs: now };
    for (const replica of ok) {
      if (!round.replicas.includes(replica) || !this.#sought.has(replica)) continue;
      const given = round.given.get(replica) ?? new Set<CellId>();
      round.given.set(replica, given.add(from));
      if (given.size < round.needed) continue;
      const untilMs = round.sentMs + (leaseMs * (100 - driftPercent)) / 100;
      if (untilMs <= (this.#held.get(replica) ?? 0)) continue;
      this.#held.set(replica, untilMs);
      this.renewals++;
    }
    const isGiven = (replica: string): boolean => (round.given.get(replica)?.size ?? 0) >= round.needed;
    if (q === this.#round && round.replicas.every(isGiven)) this.#nextMs = round.sentMs + this.#options.renewEveryMs;
  }

  #notice(now: number): void {
    const heldNow = [...this.#held.keys()].filter((replica) => this.holds(replica, now)).join();
    if (heldNow === this.#heldNow) return;
    this.#heldNow = heldNow;
    this.version++;
  }
}
