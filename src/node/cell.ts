/**
 * One cell: the composition of its machines, and the switch that hands each event to the one that owns it.
 *
 * It never waits, reads a clock, draws a global random number or touches a socket: Host (host.ts) and World
 * (test/sim) do. The same events at the same times give the same effects.
 */

import type { Effect, Event, TimerName, UnitSpec } from '../core/events.ts';
import type { Decoded, Frame, FrameFault, Sealer } from '../core/frames.ts';
import { decodeFrame, isJoinFrame } from '../core/frames.ts';
import { canonical } from '../core/hash.ts';
import { limits } from '../core/limits.ts';
import type { AppState, Assignment, CellId, ClusterView, Load, MemberRecord } from '../core/model.ts';
import type { Random } from '../core/random.ts';
import { WantedDocument } from '../crdt/document.ts';
import { Replication } from '../crdt/replication.ts';
import { Admission } from '../gossip/admission.ts';
import { AntiEntropy } from '../gossip/antientropy.ts';
import type { MembershipOptions } from '../gossip/membership.ts';
import { Membership, membershipDefaults } from '../gossip/membership.ts';
import { decodeTicket } from '../gossip/trust.ts';
import { Voice } from '../gossip/voice.ts';
import { placementInput, servicesOf } from '../placement/input.ts';
import { Masters, mastersOf } from '../placement/masters.ts';
import { place } from '../placement/place.ts';
import { Supervisor } from '../runtime/supervise.ts';
import { Conflicts } from './conflicts.ts';
import { Members, toldBy, unknownFacts } from './members.ts';
import { Requests } from './requests.ts';

export interface CellDeps {
  sealer: Sealer;
  random: Random;
}

export interface CellOptions {
  membership: MembershipOptions;
  tickMs: number;
  /** Placement and records are brought up to date at most this often. */
  settleMs: number;
  /** Load is published when it moved notably, and at most this often. */
  loadEveryMs: number;
  /** After a start, nothing is started or stopped until every member was heard of, or for this long. */
  listenMs: number;
}

export const cellDefaults: CellOptions = {
  membership: membershipDefaults,
  tickMs: 100,
  settleMs: 20,
  loadEveryMs: 15_000,
  listenMs: 3_000,
};

export class Cell {
  readonly id: CellId;
  readonly #sealer: Sealer;
  readonly #options: CellOptions;
  readonly #out: Effect[] = [];
  readonly #voice: Voice;
  readonly #membership: Membership;
  readonly #admission: Admission;
  readonly #supervisor: Supervisor;
  readonly #masters: Masters;
  readonly #requests: Requests;
  readonly #conflicts: Conflicts;
  readonly #members: Members;
  readonly #epochs: Record<TimerName, number> = { tick: 0, settle: 0 };
  readonly #counters: Record<string, number> = {};
  #document = new WantedDocument(1);
  #replication: Replication;
  #antiEntropy: AntiEntropy;
  #name = '';
  #addrs: string[] = [];
  #facts = unknownFacts;
  #load: Load = { cpuPercent: 0, memoryUsedBytes: 0 };
  #loadMs = Number.NEGATIVE_INFINITY;
  #clockOffsetMs = 0;
  #leaving = false;
  /** When this cell begins to act on its view even if it has not heard of everyone. */
  #actMs = Number.POSITIVE_INFINITY;
  #mature = false;
  #spoken = '';
  #settledMs = Number.NEGATIVE_INFINITY;
  #settleSet = false;
  #placedFor = '';
  #shownFor = '';
  /** The apps as placement last saw them, and where it put them: a view shows both of one moment. */
  #apps: AppState[] = [];
  #assignments: Assignment[] = [];
  #view: ClusterView | undefined;

  constructor({ sealer, random }: CellDeps, options: CellOptions = cellDefaults) {
    this.id = sealer.id;
    this.#sealer = sealer;
    this.#options = options;
    this.#voice = new Voice(sealer);
    const out = { push: (effect: Effect) => void this.#out.push(effect) };
    const self = sealer.id;
    this.#membership = new Membership(
      {
        self,
        voice: this.#voice,
        out,
        random: random.fork('membership'),
        isAdmitted: (id) => this.#admission.isAdmitted(id),
      },
      options.membership,
    );
    this.#supervisor = new Supervisor(out);
    this.#masters = new Masters(self);
    this.#admission = new Admission({
      ...{ self, sealer, out, name: () => this.#name, wallMs: (now) => now + this.#clockOffsetMs },
      log: () => this.#document.trustLog(),
      append: (entry) => this.#replication.note(() => this.#document.addTrust(entry)),
      document: () => this.#document.whole(),
      mergeDocument: (doc) => this.#replication.receive(doc),
      records: () => this.#membership.members().map(({ sealed }) => sealed),
      mergeRecords: (sealed, now) => this.#takeSealed(sealed, now),
    });
    this.#replication = new Replication({
      ...{ out, document: this.#document, seal: (frame: Frame) => this.#voice.seal(frame) },
      peers: () => this.#membership.peers(),
      onChange: () => this.#onDocument(),
    });
    this.#antiEntropy = new AntiEntropy({
      ...{ self, out, random: random.fork('antientropy'), membership: this.#membership },
      notes: {
        hash: () => this.#document.hash(),
        stateVector: () => this.#document.stateVector(),
        missingOf: (sv) => this.#document.missingOf(sv),
      },
    });
    this.#conflicts = new Conflicts(out);
    this.#members = new Members({
      self,
      membership: this.#membership,
      admission: this.#admission,
      document: this.#document,
    });
    this.#requests = new Requests({
      ...{ self, sealer, out, admission: this.#admission, membership: this.#membership },
      document: () => this.#document,
      write: (edit, request, now) => this.#replication.write(edit, request, now),
      wallMs: (now) => Math.round(now + this.#clockOffsetMs),
      addrs: () => this.#addrs,
      leave: () => void (this.#leaving = true),
    });
  }

  // -- the only way in ---------------------------------------------------------------------------------------------

  handle(event: Event, now: number): Effect[] {
    this.#dispatch(event, now);
    this.#settle(now);
    return this.#out.splice(0);
  }

  #dispatch(event: Event, now: number): void {
    switch (event.type) {
      case 'boot':
        return this.#boot(event, now);
      case 'timer':
        return this.#onTimer(event.name, event.epoch, now);
      case 'frame':
        return event.sealed ? this.#onSealed(event.text, now) : this.#onFrame(event.from, event.text, now);
      case 'peer.connected':
        this.#admission.met(event.peer, now);
        if (this.#admission.isAdmitted(event.peer)) this.#antiEntropy.greet(event.peer);
        return;
      case 'peer.disconnected':
        this.#admission.lost(event.peer);
        return this.#membership.onDisconnected(event.peer, now);
      case 'peer.refused':
        this.#admission.lost(event.peer);
        return this.#membership.onRefused(event.peer, now);
      case 'clock':
        this.#clockOffsetMs = event.offsetMs;
        return;
      case 'facts':
        return this.#onFacts(event, now);
      case 'load':
        return this.#onLoad(event.load, now);
      case 'units.observed':
        return this.#supervisor.observed(event.driver, event.units, now);
      case 'unit.started':
        return this.#supervisor.started(event.key, event.observed, now);
      case 'unit.progress':
        return this.#supervisor.progress(event.key, event.text, now);
      case 'unit.failed':
        return this.#supervisor.failed(event.key, event.code, event.message, now);
      case 'unit.exited':
        return this.#supervisor.exited(event.key, event.exitCode, event.oom, now);
      case 'unit.stopped':
        return this.#supervisor.stopped(event.key, now);
      case 'unit.probed':
        return this.#supervisor.probed(event.key, event.ok, event.output, now);
      case 'persist.failed':
        return this.#replication.onPersistFailed(event.reason);
      case 'persisted':
        return this.#replication.onPersisted(event.token);
      case 'request':
        return this.#requests.handle(event.id, event.request, now);
    }
  }

  #boot(event: Event & { type: 'boot' }, now: number): void {
    this.#voice.raise(event.incarnation);
    this.#actMs = now + this.#options.listenMs;
    this.#document.reset(event.clientId);
    for (const update of event.updates) this.#document.apply(update);
    if (event.founder !== undefined) this.#admission.resume(event.founder);
    else if (event.ticket === undefined) this.#admission.listen();
    if (event.ticket !== undefined) this.#useTicket(event.ticket, now);
    this.#setTimer('tick', this.#options.tickMs);
  }

  #useTicket(text: string, now: number): void {
    const decoded = decodeTicket(this.#sealer, text);
    const reason = decoded.ok ? this.#admission.redeem(decoded.ticket, text, now) : decoded.reason;
    if (reason === undefined) return;
    this.#admission.join = { refused: reason };
    this.#out.push({
      type: 'event',
      event: { level: 'error', kind: 'cell.refused', message: `the ticket can't be used: ${reason}` },
    });
  }

  #setTimer(name: TimerName, afterMs: number): void {
    this.#out.push({ type: 'timer', name, epoch: ++this.#epochs[name], afterMs });
  }

  #onTimer(name: TimerName, epoch: number, now: number): void {
    if (epoch !== this.#epochs[name]) return;
    if (name === 'settle') {
      this.#settleSet = false;
      return;
    }
    this.#setTimer('tick', this.#options.tickMs);
    if (now >= this.#actMs) this.#mature = true;
    this.#admission.tick(now);
    this.#supervisor.tick(now);
    if (!this.#admission.isAdmitted(this.id)) return;
    this.#membership.tick(now, this.#options.tickMs);
    this.#antiEntropy.tick(now);
    this.#replication.tick(now);
    this.#masters.consider(this.#admission.appliance, this.#live(), now);
  }

  // -- frames ------------------------------------------------------------------------------------------------------

  #count(code: FrameFault): void {
    this.#counters[code] = (this.#counters[code] ?? 0) + 1;
  }

  #checked<T>(decoded: Decoded<T>): T | undefined {
    if (decoded.ok) return decoded.value;
    this.#count(decoded.code);
    return undefined;
  }

  #onFrame(from: CellId, text: string, now: number): void {
    const frame = this.#checked(decodeFrame(text));
    if (frame === undefined) return;
    if (isJoinFrame(frame)) return this.#admission.onFrame(from, frame, now);
    if (!this.#admission.isAdmitted(from)) return this.#count('not-admitted');
    if (frame.t === 'push') this.#receiveDoc(frame.u, { to: from, ack: frame.ack });
    else if (frame.t === 'ack') this.#replication.onAck(from, frame.ack);
    else if (frame.t === 'digest' || frame.t === 'have') this.#antiEntropy.onFrame(from, frame, now);
    else if (frame.t === 'give') {
      if (frame.doc !== undefined) this.#receiveDoc(frame.doc);
      this.#takeSealed(frame.sealed, now);
    } else if (frame.t === 'rec' || frame.t === 'alert' || frame.t === 'doc') this.#count('unsigned');
    else this.#membership.onFrame(from, frame, now);
  }

  #onSealed(text: string, now: number): void {
    const sealed = this.#checked(this.#voice.open(text));
    if (sealed === undefined || sealed.origin === this.id) return;
    if (!this.#admission.isAdmitted(sealed.origin)) return this.#count('not-admitted');
    if (sealed.frame.t === 'doc') this.#receiveDoc(sealed.frame.u);
    else this.#membership.onSealed(sealed, now);
  }

  #takeSealed(texts: readonly string[], now: number): void {
    for (const text of texts.slice(0, limits.members)) {
      const sealed = this.#checked(this.#voice.open(text));
      if (sealed?.frame.t === 'rec') this.#membership.accept(sealed, now);
    }
  }

  #receiveDoc(u: string, receipt?: { to: CellId; ack: number }): void {
    const before = this.#document.apps();
    if (receipt !== undefined && !this.#document.isWhole()) this.#antiEntropy.greet(receipt.to);
    if (!this.#replication.receive(u, receipt)) this.#count('malformed');
    else this.#conflicts.look(before, this.#document.apps());
  }

  #onDocument(): void {
    for (const gone of this.#admission.refresh()) {
      if (gone === this.id) continue;
      this.#membership.expel(gone);
      this.#out.push({ type: 'expel', peer: gone });
    }
    const name = this.#document.cell(this.id).name;
    if (name !== undefined) this.#name = name;
  }

  // -- what this cell says of itself -------------------------------------------------------------------------------

  #onFacts({ name, facts, addrs }: Event & { type: 'facts' }, now: number): void {
    if (this.#facts.engine !== '' && facts.engine === '') this.#supervisor.engineAway(now);
    this.#facts = facts;
    this.#addrs = addrs;
    this.#name = this.#document.cell(this.id).name ?? name;
  }

  #onLoad(load: Load, now: number): void {
    const moved =
      Math.abs(load.cpuPercent - this.#load.cpuPercent) >= 10 ||
      Math.abs(load.memoryUsedBytes - this.#load.memoryUsedBytes) >= this.#facts.memoryBytes / 20;
    if (!moved || now - this.#loadMs < this.#options.loadEveryMs) return;
    this.#load = load;
    this.#loadMs = now;
  }

  #record(): MemberRecord {
    return {
      ...{ name: this.#name, addrs: this.#addrs, facts: this.#facts, load: this.#load },
      ...{ units: this.#supervisor.statuses(), vetoes: this.#supervisor.vetoes() },
      ...{ master: this.#masters.epoch, left: this.#leaving },
    };
  }

  // -- bringing everything up to date ------------------------------------------------------------------------------

  /** After each event: place and speak again where something changed, but not more often than settleMs. */
  #settle(now: number): void {
    if (this.#settleSet) return;
    const wait = this.#settledMs + this.#options.settleMs - now;
    if (wait > 0) {
      if (!this.#isStale()) return;
      this.#settleSet = true;
      this.#setTimer('settle', wait);
      return;
    }
    if (!this.#isStale()) return;
    this.#settledMs = now;
    if (this.#admission.isAdmitted(this.id)) this.#speak(now);
    this.#place(now);
    if (this.#admission.isAdmitted(this.id)) this.#speak(now);
    this.#shownFor = this.#state();
    this.#view = undefined;
    this.#out.push({ type: 'changed' });
  }

  #state(): string {
    const { version } = this.#supervisor;
    const machine = `${this.#name} ${this.#facts.engine} ${this.#addrs.join()} ${this.#masters.epoch} ${this.#leaving} ${this.#loadMs} ${this.#mature}`;
    return `${this.#membership.version} ${this.#document.version} ${this.#admission.version} ${version} ${machine}`;
  }

  #isStale(): boolean {
    return this.#state() !== this.#shownFor;
  }

  #speak(now: number): void {
    const record = this.#record();
    const text = canonical(record);
    if (text === this.#spoken) return;
    this.#spoken = text;
    this.#membership.speak(record, now);
  }

  #place(now: number): void {
    const members = this.#members.heard();
    const known = this.#admission.admitted();
    this.#mature ||=
      now >= this.#actMs || (known.length > 0 && known.every((id) => this.#membership.get(id) !== undefined));
    const state = `${this.#membership.version} ${this.#document.version} ${this.#admission.version} ${this.#mature}`;
    if (state === this.#placedFor) return;
    this.#placedFor = state;
    const belongs = this.#admission.isAdmitted(this.id);
    this.#apps = this.#document.apps();
    const input = placementInput(members, belongs ? this.#apps : []);
    this.#assignments = place(input);
    const services = new Map(input.services.map((service) => [`${service.app}/${service.spec.name}`, service]));
    const wanted = new Map<string, UnitSpec>();
    for (const { replica, app, service, index, hash, cell } of this.#assignments) {
      if (cell !== this.id) continue;
      wanted.set(replica, { replica, app, index, hash, service: services.get(`${app}/${service}`)!.spec });
    }
    const assigned = new Map(this.#assignments.map((assignment) => [assignment.replica, assignment]));
    if (this.#leaving) wanted.clear();
    if (!this.#mature) return;
    this.#supervisor.want({ self: this.id, wanted, assigned, told: toldBy(members) }, now);
  }

  #live(): { id: CellId; epoch: number }[] {
    return this.#membership
      .members()
      .filter(({ state }) => state === 'alive' || state === 'suspect')
      .map(({ id, record }) => ({ id, epoch: id === this.id ? this.#masters.epoch : record.master }));
  }

  // -- what others read --------------------------------------------------------------------------------------------

  view(nowMs?: number): ClusterView {
    this.#view ??= {
      ...{ phase: this.#admission.phase, self: this.id, appliance: this.#admission.appliance },
      ...{
        members: [...this.#members.heard(), ...this.#members.absent()],
        apps: this.#apps,
        assignments: this.#assignments,
      },
      ...{ masters: mastersOf(this.#live()), pending: this.#admission.pending(), join: this.#admission.join },
      ...{
        tickets: this.#admission.trust?.tickets((nowMs ?? 0) + this.#clockOffsetMs) ?? [],
        counters: this.counters(),
      },
    };
    return this.#view;
  }

  /** Placement with another set of apps: what a deploy would do. */
  whatIf(apps: ClusterView['apps']): { assignments: Assignment[]; hashes: Map<string, string> } {
    const input = placementInput(this.#members.heard(), apps);
    const hashes = new Map(apps.flatMap(servicesOf).map(({ app, spec, hash }) => [`${app}/${spec.name}`, hash]));
    return { assignments: place(input), hashes };
  }

  /** The verdict of every cell about one replica. */
  explain(replica: string): Assignment | undefined {
    const input = placementInput(this.#members.heard(), this.#apps);
    return place(input, replica).find((assignment) => assignment.replica === replica);
  }

  /** Frames that were dropped, by fault. */
  counters(): Record<string, number> {
    return { ...this.#counters };
  }

  handleOf(key: string): ReturnType<Supervisor['handleOf']> {
    return this.#supervisor.handleOf(key);
  }

  /** Should a fresh cell leave founding to another? */
  defers(now: number): boolean {
    return this.#admission.defers(now);
  }

  isAdmitted(id: CellId): boolean {
    return this.#admission.isAdmitted(id);
  }
}
