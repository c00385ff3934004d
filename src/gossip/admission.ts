/**
 * The door. A stranger knocks and shows its chain of introductions; whoever opens checks it, writes the name into the trust
 * log, and hands over everything a newcomer needs. A stranger without a chain waits on the step until somebody who lives
 * here says its name, and both sides see the same short code. At the door nothing else is spoken.
 */
import type { Outbox } from '../core/events.ts';
import type { Frame, Link, Sealer } from '../core/frames.ts';
import { encodeFrame } from '../core/frames.ts';
import { limits } from '../core/limits.ts';
import type { CellId, ClusterView, PendingCell, Phase, TrustItem } from '../core/model.ts';
import type { Ticket, TrustEntry } from './trust.ts';
import { applianceId, decodeTicket, redeem, shortCode, signLink, Trust } from './trust.ts';

export interface AdmissionDeps {
  self: CellId;
  sealer: Sealer;
  out: Outbox;
  name(): string;
  wallMs(now: number): number;
  /** The replicated trust log and document. */
  log(): readonly TrustItem[];
  /** `floor`: the least number that it may have in the log. */
  append(entry: TrustEntry, floor?: number): void;
  /** What the document has beyond a state vector, or all of it. */
  document(stateVector: string | undefined): string;
  stateVector(): string;
  mergeDocument(doc: string): boolean;
  /** Of all members, where they are few; many are compared instead. */
  records(): string[];
  compareWith(peer: CellId): void;
  mergeRecords(sealed: readonly string[], now: number): void;
  /** I was a member before I came, and my disk does not know it. */
  onKnown(now: number): void;
}

const knockEveryMs = 1_000;
/** With a ticket I knock at one door after the other: each welcome carries all that there is to know. */
const doorEveryMs = 250;
/** As a member I wait a little: most strangers are newcomers of whom I am about to hear. */
const strangerMs = 1_000;
/** Newcomers leave the door to those who know everybody; if all came at once, they open it to each other after this. */
const youngMs = 600;
const knockRefusedEveryMs = 30_000;
/** Whose ticket may begin an appliance listens so long for somebody who has; longer for an elder that might. */
const foundMs = 15_000;
const elderFoundMs = 60_000;
const pendingLifeMs = 10_000;

export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #strangers = new Map<CellId, { nextMs: number }>();
  readonly #pending = new Map<CellId, PendingCell>();
  readonly #toldMs = new Map<CellId, number>();
  readonly #rate = new Map<CellId, { windowMs: number; count: number }>();
  #elderMs = Number.NEGATIVE_INFINITY;
  #doorMs = Number.NEGATIVE_INFINITY;
  #joiningMs = Number.NEGATIVE_INFINITY;
  /**
   * My ticket's word for me, until whoever opens to me writes it in the log. I don't: I can't know what stands before it, and who
   * came first by a ticket decides who is in.
   */
  #own: Link[] | undefined;
  /** The last signature of it, also when it is in the log. */
  #signed: string | undefined;
  /** Seed of the founding key, where my ticket brings it and I know of nobody who used it. */
  #founding: string | undefined;
  phase: Phase = 'fresh';
  trust: Trust | undefined;
  join: NonNullable<ClusterView['join']> = {};
  /** Grows with every change of what the view shows. */
  version = 0;

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
  }

  get appliance(): string {
    return this.trust === undefined ? '' : applianceId(this.trust.founder);
  }

  isAdmitted(cell: CellId): boolean {
    return this.trust?.isAdmitted(cell) ?? false;
  }

  admitted(): readonly CellId[] {
    return this.trust?.admitted() ?? [];
  }

  pending(): PendingCell[] {
    return [...this.#pending.values()];
  }

  // -- becoming a member -------------------------------------------------------------------------------------------

  listen(): void {
    this.#to('listening');
  }

  /** The disk remembers an appliance. */
  resume(founder: string): void {
    this.trust = new Trust(this.#deps.sealer, founder);
    this.refresh();
    if (this.phase === 'fresh') this.#to('joining');
  }

  /** Of several fresh cells that hear each other the first by id founds; the others wait for it. */
  defers(now: number): boolean {
    return this.phase === 'waiting' || now - this.#elderMs < pendingLifeMs;
  }

  found(seed: string, now: number): boolean {
    const founding = this.#deps.sealer.derive(seed);
    if (founding === undefined) return false;
    this.trust = new Trust(this.#deps.sealer, founding.id);
    this.#own = this.#founding = undefined;
    this.join = {};
    const at = Math.round(this.#deps.wallMs(now));
    const body = { kind: 'cell', app: this.appliance, sub: this.#deps.self, name: this.#deps.name(), at } as const;
    this.#deps.out.push({ type: 'appliance', id: this.appliance, founder: founding.id, seed });
    this.#deps.append({ kind: 'admit', chain: [signLink(founding, body)] });
    return true;
  }

  /** Self-admission by a ticket. The reason, where it can't be. */
  redeem(ticket: Ticket, text: string, now: number): string | undefined {
    const chain = redeem(this.#deps.sealer, ticket, this.#deps.self, this.#deps.name(), this.#deps.wallMs(now));
    const trust = new Trust(this.#deps.sealer, ticket.founder);
    trust.update(this.#deps.log());
    const verdict = trust.judge(chain);
    if (!verdict.ok) return verdict.reason;
    this.trust = trust;
    this.join = {};
    this.#deps.out.push({ type: 'appliance', id: this.appliance, founder: ticket.founder, ticket: text });
    this.#own = chain;
    this.#signed = chain.at(-1)!.sig;
    this.#founding = ticket.founding;
    this.#deps.out.push({ type: 'reach', addrs: ticket.addrs });
    this.#joiningMs = now;
    this.version++;
    // Who refused the ticket before is asked with this one at once.
    for (const stranger of this.#strangers.values()) stranger.nextMs = now;
    this.#to('joining');
    return undefined;
  }

  /** The ticket that this cell was started with. A member has no use for one; that of another appliance is worth a word. */
  use(text: string, now: number): void {
    const decoded = decodeTicket(this.#deps.sealer, text);
    if (this.isAdmitted(this.#deps.self)) {
      const other = decoded.ok ? applianceId(decoded.ticket.founder) : this.appliance;
      if (other !== this.appliance)
        this.note(`a member of appliance ${this.appliance} already: the ticket here, of ${other}, is not used`);
      return;
    }
    const reason = decoded.ok ? this.redeem(decoded.ticket, text, now) : decoded.reason;
    if (reason === undefined) return;
    this.join = { refused: reason };
    const message = `the ticket can't be used: ${reason}`;
    this.#deps.out.push({ type: 'event', event: { level: 'error', kind: 'cell.refused', message } });
  }

  /** Reads the trust log again after the document changed; the cells that lost their place. */
  refresh(): CellId[] {
    if (this.trust === undefined) return [];
    const lost = this.trust.update(this.#deps.log());
    if (lost !== undefined) {
      for (const id of this.#pending.keys()) if (this.isAdmitted(id)) this.#pending.delete(id);
      this.version++;
    }
    const { self } = this.#deps;
    if (this.isAdmitted(self)) {
      this.#own = this.#founding = undefined;
      if (this.phase !== 'joining' && this.phase !== 'member') this.#to('member');
      if (this.phase === 'joining' && this.trust.chainOf(self)?.length === 1) this.#to('member');
    } else if (this.#own === undefined && (this.phase === 'member' || this.phase === 'joining')) {
      this.join = {
        refused: this.trust.isRevoked(self)
          ? 'this cell was removed from the appliance'
          : 'the ticket was used up, or revoked, before this cell came',
      };
      this.#to('revoked');
    }
    return lost ?? [];
  }

  #to(phase: Phase): void {
    if (this.phase === phase) return;
    this.phase = phase;
    this.version++;
    if (phase === 'revoked') {
      const message = `${this.join.refused}; its replicas stop here. To join again: osca join TICKET`;
      this.#deps.out.push({ type: 'event', event: { level: 'error', kind: 'cell.revoked', message } });
    }
  }

  // -- knocking ----------------------------------------------------------------------------------------------------

  /** Somebody is within reach. */
  met(peer: CellId, now: number): void {
    if (this.#isSettled(peer)) return;
    if (this.trust?.isRevoked(peer)) {
      this.#send(peer, {
        ...{ t: 'refuse', app: this.appliance, reason: 'this cell was removed from the appliance' },
        spent: this.trust.spentBy(peer),
      });
    }
    if (this.#strangers.size < limits.members && !this.#strangers.has(peer))
      this.#strangers.set(peer, { nextMs: this.phase === 'member' ? now + strangerMs : now });
    this.tick(now);
  }

  /** I know it, and have been welcomed: nothing to knock for. Its own knock may have come before mine. */
  #isSettled(peer: CellId): boolean {
    return this.isAdmitted(peer) && this.phase !== 'joining';
  }

  /** Out of reach: it is met again when it comes back. */
  lost(peer: CellId): void {
    this.#strangers.delete(peer);
  }

  tick(now: number): void {
    for (const [id, { sinceMs }] of this.#pending) {
      if (now - sinceMs > pendingLifeMs && this.#pending.delete(id)) this.version++;
    }
    if (this.phase === 'fresh' || this.phase === 'revoked') return;
    if (this.#founding !== undefined && this.#isMineToFound(now)) {
      const message = `heard nobody of appliance ${this.appliance}; this cell begins it`;
      this.#deps.out.push({ type: 'event', event: { level: 'info', kind: 'appliance', message } });
      this.found(this.#founding, now);
    }
    for (const [peer, stranger] of this.#strangers) {
      if (this.#isSettled(peer)) this.#strangers.delete(peer);
      else if (now >= stranger.nextMs && (this.trust === undefined || now - this.#doorMs >= doorEveryMs)) {
        stranger.nextMs = now + knockEveryMs;
        this.#doorMs = now;
        this.#knock(peer);
        // The next time another is first.
        this.#strangers.delete(peer);
        this.#strangers.set(peer, stranger);
        if (this.trust !== undefined) return;
      }
    }
  }

  #isMineToFound(now: number): boolean {
    // Somebody is there, and does not want me.
    if (this.join.refused !== undefined) return false;
    const waited = now - this.#joiningMs;
    if (waited < (now - this.#elderMs < pendingLifeMs ? elderFoundMs : foundMs)) return false;
    const wallMs = this.#deps.wallMs(now);
    const verdict = this.trust!.judge(this.#own ?? [], wallMs);
    if (!verdict.ok)
      this.note(
        `heard nobody of appliance ${this.appliance}, and does not begin it: by the clock here, of ${yearOf(wallMs)}, ${verdict.reason}`,
      );
    return verdict.ok;
  }

  /** What whoever looks at this cell should know of its ticket; told once. */
  note(note: string): void {
    if (this.join.note === note) return;
    this.join = { ...this.join, note };
    this.version++;
    this.#deps.out.push({ type: 'event', event: { level: 'warn', kind: 'cell.ticket', message: note } });
  }

  #knock(peer: CellId): void {
    const chain = this.#own ?? this.trust?.chainOf(this.#deps.self);
    const name = this.#deps.name();
    if (this.trust === undefined) this.#send(peer, { t: 'knock', name });
    // Without a chain, where my disk forgot how I came in: members know me still.
    else if (chain === undefined) this.#send(peer, { t: 'knock', name, app: this.appliance });
    else this.#send(peer, { t: 'knock', name, app: this.appliance, chain, sv: this.#deps.stateVector() });
  }

  // -- at the door -------------------------------------------------------------------------------------------------

  onFrame(from: CellId, frame: Frame, now: number): void {
    if (!this.#mayspeak(from, now)) return;
    if (frame.t === 'knock') this.#onKnock(from, frame, now);
    else if (frame.t === 'welcome') this.#onWelcome(from, frame, now);
    else if (frame.t === 'wait') this.#onWait(from, frame);
    else if (frame.t === 'refuse') this.#onRefuse(from, frame, now);
  }

  #mayspeak(from: CellId, now: number): boolean {
    const rate = this.#rate.get(from);
    if (rate === undefined || now - rate.windowMs >= 1_000) {
      if (this.#rate.size > limits.members) this.#rate.clear();
      this.#rate.set(from, { windowMs: now, count: 1 });
      return true;
    }
    return ++rate.count <= limits.joinFramesPerSecond;
  }

  #onKnock(from: CellId, frame: Frame & { t: 'knock' }, now: number): void {
    if (this.trust === undefined && from < this.#deps.self) this.#elderMs = now;
    if (this.trust === undefined || this.phase === 'revoked') return;
    if (this.#founding !== undefined) return this.#onFellow(from, frame, now);
    if (this.phase === 'joining' && now - this.#joiningMs < youngMs) return;
    // Nor does a newcomer open whom those refused who live here.
    const isNewcomer = this.#own !== undefined && this.join.refused === undefined;
    if (!isNewcomer && !this.isAdmitted(this.#deps.self)) return;
    if (frame.app !== undefined && frame.app !== this.appliance) {
      this.#send(from, {
        t: 'refuse',
        app: this.appliance,
        reason: `this is appliance ${this.appliance}, not ${frame.app}`,
      });
    } else if (this.isAdmitted(from)) this.#welcome(from, frame.sv);
    else if (frame.chain === undefined) this.#toStep(from, frame.name, now);
    else this.#admit(from, frame.chain, frame.sv, now);
  }

  /** Somebody else with a ticket, while nobody has begun: the first by id does. */
  #onFellow(from: CellId, { chain }: Frame & { t: 'knock' }, now: number): void {
    if (from < this.#deps.self && chain?.at(-1)?.sub === from && this.trust?.judge(chain).ok) this.#elderMs = now;
  }

  #admit(from: CellId, chain: Link[], sv: string | undefined, now: number): void {
    const verdict = this.trust!.judge(chain, this.#deps.wallMs(now));
    if (chain.at(-1)?.sub !== from || !verdict.ok) {
      const reason = verdict.ok ? 'the chain admits another cell' : verdict.reason;
      this.#send(from, { t: 'refuse', app: this.appliance, reason });
      return;
    }
    this.#deps.append({ kind: 'admit', chain }, floorOf(chain));
    this.#welcome(from, sv);
  }

  #toStep(from: CellId, name: string, now: number): void {
    const code = shortCode(this.appliance, from);
    const known = this.#pending.has(from);
    const told = now - (this.#toldMs.get(from) ?? Number.NEGATIVE_INFINITY) < 60_000;
    if (!known && this.#pending.size >= limits.pendingJoins) return;
    const clean = name.replace(/[^\w.-]/g, '').slice(0, limits.nameLength) || from.slice(-6);
    this.#pending.set(from, { id: from, name: clean, code, sinceMs: now });
    this.#send(from, { t: 'wait', app: this.appliance, code });
    if (known) return;
    this.version++;
    if (told) return;
    if (this.#toldMs.size > limits.members) this.#toldMs.clear();
    this.#toldMs.set(from, now);
    const message = `${clean} asks to join; if it shows the code ${code}: osca cell approve ${clean}`;
    this.#deps.out.push({ type: 'event', event: { level: 'info', kind: 'cell.waiting', message } });
  }

  /** A person vouches for a waiting cell. */
  approve(cell: CellId, now: number): boolean {
    const pending = this.#pending.get(cell);
    const mine = this.trust?.chainOf(this.#deps.self);
    if (pending === undefined || mine === undefined) return false;
    const at = Math.round(this.#deps.wallMs(now));
    const body = { kind: 'cell', app: this.appliance, sub: cell, name: pending.name, at } as const;
    this.#deps.append({ kind: 'admit', chain: [...mine, signLink(this.#deps.sealer, body)] });
    this.#welcome(cell, undefined);
    return true;
  }

  #welcome(to: CellId, sv: string | undefined): void {
    const trust = this.trust!;
    const chain = this.#own ?? trust.chainOf(this.#deps.self) ?? [];
    const doc = this.#deps.document(sv);
    const sealed = this.#deps.records();
    this.#send(to, { t: 'welcome', app: this.appliance, founder: trust.founder, chain, doc, sealed });
  }

  #onWelcome(from: CellId, frame: Frame & { t: 'welcome' }, now: number): void {
    const expected =
      this.phase === 'listening' || this.phase === 'waiting' || this.phase === 'joining' || this.phase === 'member';
    if (!expected || (this.trust !== undefined && this.trust.founder !== frame.founder)) return;
    if (this.phase === 'waiting' && frame.app !== this.join.appliance) return;
    const trust = this.trust ?? new Trust(this.#deps.sealer, frame.founder);
    const nowMs = this.phase === 'member' ? this.#deps.wallMs(now) : undefined;
    if (!this.isAdmitted(from)) {
      const verdict = trust.judge(frame.chain, nowMs);
      if (frame.chain.at(-1)?.sub !== from || !verdict.ok) {
        const reason = verdict.ok ? 'the chain admits another cell' : verdict.reason;
        const spent = trust.spentOf(frame.chain);
        if (this.phase === 'member') this.#send(from, { t: 'refuse', app: this.appliance, reason, spent });
        return;
      }
    }
    if (!this.#deps.mergeDocument(frame.doc)) return;
    if (this.trust === undefined) {
      this.trust = trust;
      this.#deps.out.push({ type: 'appliance', id: this.appliance, founder: frame.founder });
    }
    this.join = {};
    this.#doorMs = now + strangerMs;
    const own = this.#own;
    const opens = own !== undefined || this.phase === 'member';
    // Let in by this chain, or by somebody who compared its code, it was no member before.
    const isMember = this.phase === 'member';
    const isWaiting = this.phase === 'waiting';
    this.refresh();
    const mine = this.trust.chainOf(this.#deps.self);
    if (!isMember && !isWaiting && mine !== undefined && mine.at(-1)?.sig !== this.#signed) this.#deps.onKnown(now);
    // A newcomer that opened to me is written down by me: so it stands after all that my ticket's maker knew.
    if (opens && !this.isAdmitted(from))
      this.#deps.append({ kind: 'admit', chain: frame.chain }, Math.max(floorOf(frame.chain), floorOf(own ?? [])));
    this.#deps.mergeRecords(frame.sealed, now);
    if (this.isAdmitted(this.#deps.self)) this.#to('member');
    if (frame.sealed.length === 0 && this.isAdmitted(from)) this.#deps.compareWith(from);
  }

  #onWait(from: CellId, frame: Frame & { t: 'wait' }): void {
    if (this.trust !== undefined) return;
    if (frame.code !== shortCode(frame.app, this.#deps.self)) return;
    if (this.join.code !== frame.code) {
      this.join = { code: frame.code, appliance: frame.app };
      const message = `heard appliance ${frame.app}; approve this cell there, code ${frame.code}: osca cell approve ${this.#deps.name()}`;
      this.#deps.out.push({ type: 'event', event: { level: 'info', kind: 'cell.waiting', message } });
    }
    if (!this.#strangers.has(from)) this.#strangers.set(from, { nextMs: 0 });
    this.#to('waiting');
  }

  #onRefuse(from: CellId, frame: Frame & { t: 'refuse' }, now: number): void {
    const stranger = this.#strangers.get(from);
    if (stranger !== undefined) stranger.nextMs = now + knockRefusedEveryMs;
    if (frame.app !== this.appliance) return;
    // Only what I came in by makes me go: one member's word may be older than my ticket, or its clock ahead.
    if (this.isAdmitted(from) && this.trust?.cameBy(this.#deps.self, frame.spent ?? [])) {
      this.#deps.append({ kind: 'revoke', sub: this.#deps.self, by: from });
    } else if (this.phase === 'joining' && this.join.refused !== frame.reason) {
      this.join = { refused: frame.reason };
      this.version++;
      const message = `appliance ${frame.app} refused this cell: ${frame.reason}`;
      this.#deps.out.push({ type: 'event', event: { level: 'error', kind: 'cell.refused', message } });
    }
  }

  #send(to: CellId, frame: Frame): void {
    this.#deps.out.push({ type: 'send', to, text: encodeFrame(frame), door: true });
  }
}

const yearOf = (wallMs: number): number => 1970 + Math.floor(wallMs / 31_556_952_000);

/** After everything that the signers of a chain knew when they signed. The last link may be the newcomer's own. */
const floorOf = (chain: readonly Link[]): number => Math.max(0, ...chain.slice(0, -1).map(({ at }) => at)) + 1;
