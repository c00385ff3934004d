/**
 * Who is here. Every cell publishes one record about itself; its observers say when it no longer answers; a majority of
 * them makes it down; and whoever hears of its own death says, one incarnation higher, that it lives (SWIM, Das et
 * al., DSN '02; the majority of observers follows Rapid, Suresh et al., USENIX ATC '18).
 *
 * Nothing here depends on a single frame arriving: alerts are repeated while they hold, and records are compared by
 * digest (antientropy.ts). Hearsay of a death is checked by knocking myself.
 */

import type { Outbox } from '../core/events.ts';
import type { Frame, Sealed } from '../core/frames.ts';
import { encodeFrame } from '../core/frames.ts';
import { hash32 } from '../core/hash.ts';
import { limits } from '../core/limits.ts';
import type { CellId, MemberRecord, MemberState } from '../core/model.ts';
import type { Random } from '../core/random.ts';
import { Alerts } from './alerts.ts';
import type { DetectorOptions, Verdict } from './detector.ts';
import { Detector, detectorDefaults } from './detector.ts';
import { Errands } from './errands.ts';
import { Observers } from './observers.ts';
import type { Member } from './roster.ts';
import { Roster } from './roster.ts';
import type { Voice } from './voice.ts';

export interface MembershipOptions {
  observers: number;
  detector: DetectorOptions;
  /** An alert not repeated for this long counts no more. */
  alertLifeMs: number;
  alertEveryMs: number;
  /** A suspect is no longer counted as a live observer after this long, so that a minority can go on alone. */
  suspectFitMs: number;
  /** Other cells that are asked to knock where I heard nothing. */
  indirect: number;
}

export const membershipDefaults: MembershipOptions = {
  observers: 5,
  detector: detectorDefaults,
  alertLifeMs: 3_500,
  alertEveryMs: 1_000,
  suspectFitMs: 5_000,
  indirect: 2,
};

export interface MembershipDeps {
  self: CellId;
  voice: Voice;
  out: Outbox;
  random: Random;
  isAdmitted(id: CellId): boolean;
  /** I was held down, and am not. */
  onFell(now: number): void;
}

export class Membership {
  readonly #deps: MembershipDeps;
  readonly #options: MembershipOptions;
  readonly #members = new Roster();
  readonly #suspects = new Set<CellId>();
  readonly #alerts: Alerts;
  /** Held down by others, at this incarnation, before I knew of it. */
  readonly #rumoured = new Map<CellId, number>();
  readonly #mine = new Map<CellId, number>();
  /** Of those that start anew: until when they are not missed. */
  readonly #returning = new Map<CellId, number>();
  /** Who said of late that I don't answer. */
  readonly #accusers = new Map<CellId, number>();
  readonly #errands = new Errands();
  readonly #observers: Observers;
  readonly #detector: Detector;
  #retarget = true;
  #near: ReadonlySet<CellId> | undefined;
  #lastTickMs: number | undefined;
  /** Grows with every change of what the view shows. */
  version = 0;

  constructor(deps: MembershipDeps, options: MembershipOptions = membershipDefaults) {
    this.#deps = deps;
    this.#options = options;
    this.#alerts = new Alerts(options.alertLifeMs);
    this.#observers = new Observers(options.observers);
    this.#detector = new Detector(options.detector);
  }

  /** Sorted by id. */
  members(): readonly Member[] {
    return this.#members.sorted;
  }

  /** Why it is down, as its observers sealed it; nothing where I only heard of it. */
  proofOf(id: CellId): readonly string[] {
    return this.#alerts.proofOf(id);
  }

  /** Of n drawers, each one's hash: equal where the same records lie in it. */
  sums(n: number): number[] {
    return this.#members.sums(n);
  }

  #put(member: Member): void {
    this.#members.put(member);
    if (member.state === 'suspect') this.#suspects.add(member.id);
    else this.#suspects.delete(member.id);
    this.version++;
  }

  get(id: CellId): Member | undefined {
    return this.#members.get(id);
  }

  /** Of all records and of who is down: equal on cells that know the same. */
  get hash(): number {
    return this.#members.hash;
  }

  get isAlarmed(): boolean {
    return this.#detector.isAlarmed;
  }

  rttOf(id: CellId): number | undefined {
    return this.#detector.rttOf(id);
  }

  /** Members that are here and not me, sorted. */
  peers(): CellId[] {
    return this.#members.sorted
      .filter(({ id, state }) => id !== this.#deps.self && (state === 'alive' || state === 'suspect'))
      .map(({ id }) => id);
  }

  /**
   * With whom a connection is kept: all in a small appliance (undefined); in a large one whom I watch, who watches me, and some that
   * the hash picks, so that gossip crosses the appliance in a few hops.
   */
  neighbours(): ReadonlySet<CellId> | undefined {
    if (this.#members.size <= limits.connectAll) return undefined;
    if (this.#near !== undefined) return this.#near;
    const { self } = this.#deps;
    const drawn = this.peers().map((id) => ({ id, at: hash32(id + self, 5) }));
    drawn.sort((a, b) => a.at - b.at);
    const some = drawn.slice(0, someNeighbours).map(({ id }) => id);
    this.#near = new Set([...this.#observers.subjectsOf(self), ...this.#observers.of(self), ...some]);
    return this.#near;
  }

  /** Others are here than before: whom I watch and whom I know best is to be found anew. */
  #reshaped(): void {
    this.#retarget = true;
    this.#near = undefined;
  }

  /** Publishes my record, to everybody. */
  speak(record: MemberRecord, now: number): void {
    const sealed = this.#deps.voice.seal({ t: 'rec', rec: record });
    this.#take(sealed, now);
    this.#deps.out.push({ type: 'publish', text: sealed.text });
  }

  /** Takes a record in, wherever it came from. True where it was news. */
  accept(sealed: Sealed, now: number): boolean {
    if (sealed.origin !== this.#deps.self) return this.#take(sealed, now);
    const mine = this.#members.get(sealed.origin);
    // Of an earlier life of mine that had raised its incarnation too: it counts as newer than what I say now.
    if (mine === undefined || isNewer(sealed.inc, sealed.seq, mine)) this.#refute(sealed.inc);
    return false;
  }

  #take(sealed: Sealed, now: number): boolean {
    if (sealed.frame.t !== 'rec' || !this.#deps.isAdmitted(sealed.origin)) return false;
    const { origin: id, inc, seq, text } = sealed;
    const known = this.#members.get(id);
    if (known !== undefined && !isNewer(inc, seq, known)) return false;
    if (known === undefined && this.#members.size >= limits.members) return false;
    const record = sealed.frame.rec;
    const revived = known === undefined || inc > known.inc || (known.state === 'left') !== record.left;
    const dead = known === undefined && this.#rumoured.get(id) === inc;
    this.#rumoured.delete(id);
    if (record.returns === undefined) this.#returning.delete(id);
    else this.#returning.set(id, now + Math.min(record.returns, limits.returnMs));
    const state = record.left ? 'left' : dead ? 'down' : revived ? 'alive' : known.state;
    this.#put({
      ...{ id, record, sealed: text, inc, seq, state },
      sinceMs: known?.state === state ? known.sinceMs : now,
      suspectMs: state === 'suspect' ? known?.suspectMs : undefined,
    });
    if (known?.state !== state) this.#moved(id, known?.state, state);
    if (revived) this.#clearAlerts(id);
    return true;
  }

  /** A cell that was removed from the appliance: forget it. */
  expel(id: CellId): void {
    if (!this.#members.delete(id)) return;
    this.#suspects.delete(id);
    this.#observers.setFit(id, false);
    this.#observers.removeSubject(id);
    this.#detector.forget(id);
    this.#alerts.clear(id);
    this.#mine.delete(id);
    this.#returning.delete(id);
    this.#deps.voice.forget(id);
    this.#reshaped();
    this.version++;
  }

  #refute(inc: number): void {
    const { voice } = this.#deps;
    if (inc >= voice.incarnation) voice.raise(inc + 1);
    const mine = this.#members.get(this.#deps.self);
    if (mine !== undefined) this.speak(mine.record, mine.sinceMs);
  }

  #moved(id: CellId, from: MemberState | undefined, to: MemberState): void {
    const present = to === 'alive' || to === 'suspect';
    if (to === 'left') this.#observers.removeSubject(id);
    else if (id !== this.#deps.self) this.#observers.addSubject(id);
    this.#observers.setFit(id, present);
    this.#detector.setDown(id, to === 'down');
    this.#reshaped();
    if (id === this.#deps.self || from === to) return;
    if ((from === 'suspect' && to === 'alive') || to === 'suspect') return;
    const name = this.#members.get(id)?.record.name ?? id;
    const words = { alive: from === undefined ? 'is a member' : 'is back', down: 'is down', left: 'left', suspect: '' };
    const level = to === 'down' ? 'warn' : 'info';
    this.#deps.out.push({ type: 'event', event: { level, kind: `cell.${to}`, message: `${name} ${words[to]}` } });
  }

  #setState(member: Member, state: MemberState, now: number): void {
    if (member.state === state) return;
    const from = member.state;
    const suspectMs = state === 'suspect' ? now : undefined;
    this.#put({ ...member, state, sinceMs: now, suspectMs });
    this.#moved(member.id, from, state);
  }

  // -- time ------------------------------------------------------------------------------------------------------

  tick(now: number, everyMs: number): void {
    const last = this.#lastTickMs;
    this.#lastTickMs = now;
    if (last !== undefined && now - last > everyMs * 3) this.#detector.stalled(now);
    this.#expireSuspects(now);
    if (this.#retarget) this.#aim(now);
    this.#obey(this.#detector.tick(now), now);
    this.#repeatAlerts(now);
    this.#errands.fade(now);
  }

  #aim(now: number): void {
    this.#retarget = false;
    const subjects = this.#observers.subjectsOf(this.#deps.self);
    const spread = this.#detector.pace(subjects.length);
    this.#detector.retarget(subjects, (subject) => now + (hash32(subject + this.#deps.self) % spread));
    for (const subject of subjects) this.#detector.setDown(subject, this.#members.get(subject)?.state === 'down');
    for (const subject of [...this.#mine.keys()]) if (!this.#detector.watches(subject)) this.#mine.delete(subject);
  }

  #expireSuspects(now: number): void {
    for (const subject of this.#alerts.fade(now)) this.#judge(subject, now);
    for (const id of this.#suspects) {
      const { suspectMs } = this.#members.get(id)!;
      if (suspectMs === undefined || now - suspectMs < this.#options.suspectFitMs) continue;
      if (this.#observers.setFit(id, false)) this.#reshaped();
    }
  }

  #repeatAlerts(now: number): void {
    for (const [subject, lastMs] of this.#mine) {
      const member = this.#members.get(subject);
      if (member === undefined) continue;
      const everyMs = this.#options.alertEveryMs * (member.state === 'down' ? 10 : 1);
      if (now - lastMs >= everyMs) this.#raiseAlert(member, now);
    }
  }

  // -- verdicts of the detector ------------------------------------------------------------------------------------

  #obey(verdicts: Verdict[], now: number): void {
    for (const verdict of verdicts) {
      const member = this.#members.get(verdict.subject);
      if (member === undefined) continue;
      if (verdict.kind === 'probe') {
        this.#send(verdict.subject, { t: 'ping', q: verdict.probe, inc: this.#deps.voice.incarnation });
      } else if (verdict.kind === 'look') {
        this.#deps.out.push({ type: 'look', to: verdict.subject });
      } else if (verdict.kind === 'ask') {
        const helpers = this.#deps.random.shuffle(this.peers().filter((id) => id !== verdict.subject));
        for (const helper of helpers.slice(0, this.#options.indirect)) {
          this.#send(helper, { t: 'ask', q: verdict.probe, who: verdict.subject });
        }
      } else if (verdict.kind === 'back') this.#back(member, now);
      else if (this.#returnsBy(member.id) > now)
        this.#mine.set(member.id, this.#returnsBy(member.id) - this.#options.alertEveryMs);
      else if (verdict.hearsay) this.#setState(member, 'down', now);
      else this.#raiseAlert(member, now);
    }
  }

  /** Until then its silence is what it said it would be (graceful restart: RFC 4724, section 4). */
  #returnsBy(id: CellId): number {
    return this.#returning.get(id) ?? Number.NEGATIVE_INFINITY;
  }

  #back(member: Member, now: number): void {
    if (this.#mine.delete(member.id)) this.#sayAlert(member, false, now);
    if (member.state === 'down') this.#send(member.id, { t: 'dispute', inc: member.inc });
  }

  #raiseAlert(member: Member, now: number): void {
    this.#mine.set(member.id, now);
    this.#sayAlert(member, true, now);
  }

  #sayAlert({ id, inc }: Member, on: boolean, now: number): void {
    const { self, voice, out } = this.#deps;
    const sealed = voice.seal({ t: 'alert', who: id, inc, on });
    out.push({ type: 'publish', text: sealed.text });
    // Those who decide with me hear it directly too: a line that broke a moment ago may carry no gossip yet.
    const deciding = this.#members.get(id)?.state === 'down' ? [] : this.#observers.of(id);
    for (const to of deciding) if (to !== self) this.#send(to, { t: 'give', sealed: [sealed.text] });
    this.#onAlert(sealed, now);
  }

  // -- alerts ------------------------------------------------------------------------------------------------------

  #onAlert({ origin: observer, frame, text }: Sealed, now: number): void {
    if (frame.t !== 'alert') return;
    const { who, inc, on } = frame;
    if (who === this.#deps.self) {
      if (on) this.#onAccused(observer, inc, now);
      return;
    }
    const member = this.#members.get(who);
    if (member === undefined || inc < member.inc || member.state === 'left') return;
    if (on) {
      this.#alerts.raise(who, observer, text, now);
      this.#detector.hurry(who, now);
    } else this.#alerts.withdraw(who, observer);
    this.#judge(who, now);
  }

  /** I live. Where so many say otherwise that I was down in the eyes of all, that was a fall. */
  #onAccused(observer: CellId, inc: number, now: number): void {
    const { self, voice } = this.#deps;
    for (const [other, atMs] of this.#accusers)
      if (now - atMs > this.#options.alertLifeMs) this.#accusers.delete(other);
    this.#accusers.set(observer, now);
    if (inc >= voice.incarnation) this.#refute(inc);
    const observers = this.#observers.of(self);
    if (observers.filter((id) => this.#accusers.has(id)).length < majorityOf(observers.length)) return;
    this.#accusers.clear();
    this.#deps.onFell(now);
  }

  /** Down by a majority of the live observers; suspect by fewer. */
  #judge(who: CellId, now: number): void {
    const member = this.#members.get(who);
    if (member === undefined || !this.#alerts.concerns(who)) return;
    if (member.state === 'down' || member.state === 'left') return;
    const observers = this.#observers.of(who);
    const raised = this.#alerts.of(who, observers);
    if (observers.length > 0 && raised.length >= majorityOf(observers.length)) {
      this.#alerts.prove(who, raised);
      this.#setState(member, 'down', now);
    } else this.#setState(member, raised.length > 0 ? 'suspect' : 'alive', now);
  }

  #clearAlerts(id: CellId): void {
    this.#alerts.clear(id);
    this.#mine.delete(id);
    this.#detector.setDown(id, true);
    this.#detector.setDown(id, false);
  }

  // -- frames ------------------------------------------------------------------------------------------------------

  onSealed(sealed: Sealed, now: number): boolean {
    if (sealed.frame.t === 'rec') return this.accept(sealed, now);
    this.#onAlert(sealed, now);
    return false;
  }

  onFrame(from: CellId, frame: Frame, now: number): void {
    if (frame.t === 'ping') this.#onPing(from, frame.q, frame.inc);
    else if (frame.t === 'pong') this.#onPong(from, frame.q, frame.inc, now);
    else if (frame.t === 'ask') this.#onAsk(from, frame.q, frame.who, now);
    else if (frame.t === 'told') this.#obey(this.#detector.answered(frame.who, frame.q, now, false), now);
    else if (frame.t === 'dispute') {
      this.#onDispute(frame.inc, now);
      // Who asks is told directly: it may hear none of my gossip.
      const mine = this.#members.get(this.#deps.self);
      if (mine !== undefined) this.#send(from, { t: 'give', sealed: [mine.sealed] });
    }
  }

  /** Somebody holds me down. */
  #onDispute(inc: number, now: number): void {
    if (inc < this.#deps.voice.incarnation) return;
    this.#deps.onFell(now);
    this.#refute(inc);
  }

  #onPing(from: CellId, q: number, inc: number): void {
    this.#send(from, { t: 'pong', q, inc: this.#deps.voice.incarnation });
    this.#doubt(from, inc);
  }

  #onPong(from: CellId, q: number, inc: number, now: number): void {
    this.#doubt(from, inc);
    const errand = this.#errands.end(from, q);
    if (errand === undefined) this.#obey(this.#detector.answered(from, q, now, true), now);
    else for (const asker of errand.askers) this.#send(asker, { t: 'told', q: errand.q, who: from });
  }

  /** It is here, and I hold it down, or never heard its record: it says so itself. */
  #doubt(from: CellId, inc: number): void {
    const member = this.#members.get(from);
    if (member === undefined ? this.#deps.isAdmitted(from) : member.state === 'down' && inc <= member.inc)
      this.#send(from, { t: 'dispute', inc: member?.inc ?? 0 });
  }

  #onAsk(from: CellId, q: number, who: CellId, now: number): void {
    if (this.#members.get(who) === undefined) return;
    const number = this.#errands.begin(from, who, q, now);
    if (number !== undefined) this.#send(who, { t: 'ping', q: number, inc: this.#deps.voice.incarnation });
  }

  onDisconnected(peer: CellId, now: number): void {
    this.#detector.suspectNow(peer, now);
    this.#obey(this.#detector.tick(now), now);
  }

  onRefused(peer: CellId, now: number): void {
    this.#obey(this.#detector.refused(peer), now);
  }

  onThere(peer: CellId): void {
    this.#detector.there(peer);
  }

  /** Somebody holds this member down: see for myself, and let it know, so that it can say that it lives. */
  onHearsay(id: CellId, inc: number, now: number): void {
    const member = this.#members.get(id);
    if (id === this.#deps.self) {
      this.#onDispute(inc, now);
      return;
    }
    if (member === undefined && this.#deps.isAdmitted(id)) this.#rumoured.set(id, inc);
    if (member === undefined || member.inc !== inc) return;
    if (member.state !== 'alive' && member.state !== 'suspect') return;
    this.#detector.verify(id, now);
    this.#send(id, { t: 'dispute', inc });
  }

  #send(to: CellId, frame: Frame): void {
    this.#deps.out.push({ type: 'send', to, text: encodeFrame(frame) });
  }
}

const majorityOf = (count: number): number => Math.floor(count / 2) + 1;

/** As many again choose me; with five each way to watch that is below limits.connections. */
const someNeighbours = 8;

function isNewer(inc: number, seq: number, known: Member): boolean {
  return inc > known.inc || (inc === known.inc && seq > known.seq);
}
