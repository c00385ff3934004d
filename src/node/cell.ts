/**
 * One cell: the composition of its machines, and the switch that hands each event to the one that owns it.
 *
 * It never waits, reads a clock, draws a global random number or touches a socket: Host (host.ts) and World
 * (test/sim) do. The same events at the same times give the same effects.
 */

import type { Effect, Event, TimerName } from '../core/events.ts';
import type { Frame, Sealer } from '../core/frames.ts';
import { canonical } from '../core/hash.ts';
import type { AppState, Assignment, CellId, CellsChange, ClusterView, MemberRecord } from '../core/model.ts';
import type { Random } from '../core/random.ts';
import type { AppSpec, FileSource } from '../core/spec.ts';
import type { Vault } from '../core/vault.ts';
import type { DocumentOptions } from '../crdt/document.ts';
import { documentDefaults, WantedDocument } from '../crdt/document.ts';
import { Replication } from '../crdt/replication.ts';
import { Admission } from '../gossip/admission.ts';
import { AntiEntropy } from '../gossip/antientropy.ts';
import type { MembershipOptions } from '../gossip/membership.ts';
import { Membership, membershipDefaults } from '../gossip/membership.ts';
import { Voice } from '../gossip/voice.ts';
import { Leases } from '../placement/leases.ts';
import type { MasterCandidate } from '../placement/masters.ts';
import { Masters, mastersOf } from '../placement/masters.ts';
import { Supervisor } from '../runtime/supervise.ts';
import { AppNews } from './app-news.ts';
import { Hearing } from './hearing.ts';
import { Machine } from './machine.ts';
import { Members } from './members.ts';
import { Quorum } from './quorum.ts';
import { Requests } from './requests.ts';
import { Scheduling } from './scheduling.ts';
import { Secrets } from './secrets.ts';
import { Standing } from './standing.ts';
import { Upgrades } from './upgrades.ts';

export interface CellDeps {
  sealer: Sealer;
  vault: Vault;
  random: Random;
}

export interface CellOptions {
  membership: MembershipOptions;
  tickMs: number;
  /** Placement and records are brought up to date at most this often; with more than 200 members, in proportion less often. */
  settleMs: number;
  /** Load is published when it moved notably, and at most this often. */
  loadEveryMs: number;
  /** After a start, nothing is started or stopped until every member was heard of, or for this long. */
  listenMs: number;
  document: DocumentOptions;
}

export const cellDefaults: CellOptions = {
  membership: membershipDefaults,
  tickMs: 100,
  settleMs: 10,
  loadEveryMs: 15_000,
  listenMs: 3_000,
  document: documentDefaults,
};

export class Cell {
  readonly id: CellId;
  readonly #options: CellOptions;
  readonly #out: Effect[] = [];
  readonly #voice: Voice;
  readonly #membership: Membership;
  readonly #admission: Admission;
  readonly #supervisor: Supervisor;
  readonly #masters: Masters;
  readonly #requests: Requests;
  readonly #news: AppNews;
  readonly #members: Members;
  readonly #hearing: Hearing;
  readonly #scheduling: Scheduling;
  readonly #leases: Leases;
  readonly #quorum: Quorum;
  readonly #secrets: Secrets;
  readonly #box: string;
  readonly #standing: Standing;
  readonly #upgrades: Upgrades;
  readonly #epochs: Record<TimerName, number> = { tick: 0, settle: 0 };
  readonly #document: WantedDocument;
  readonly #replication: Replication;
  readonly #antiEntropy: AntiEntropy;
  readonly #machine: Machine;
  #clockOffsetMs = 0;
  #spoken = '';
  #settledMs = Number.NEGATIVE_INFINITY;
  #settleSet = false;
  #livedFor = '';
  #liveNow: MasterCandidate[] = [];
  #shownFor = '';
  #view: ClusterView | undefined;

  constructor({ sealer, vault, random }: CellDeps, options: CellOptions = cellDefaults) {
    this.id = sealer.id;
    this.#options = options;
    this.#document = new WantedDocument(1, options.document);
    this.#machine = new Machine(options.loadEveryMs);
    this.#voice = new Voice(sealer);
    const out = { push: (effect: Effect) => void this.#out.push(effect) };
    const self = sealer.id;
    this.#standing = new Standing(out);
    this.#membership = new Membership(
      {
        self,
        voice: this.#voice,
        out,
        random: random.fork('membership'),
        isAdmitted: (id) => this.#admission.isAdmitted(id),
        onFell: (now) => this.#standing.fell(now),
      },
      options.membership,
    );
    this.#supervisor = new Supervisor(out);
    this.#masters = new Masters(self);
    this.#admission = new Admission({
      ...{ self, sealer, out, name: () => this.#machine.name, wallMs: (now) => now + this.#clockOffsetMs },
      log: () => this.#document.trustLog(),
      append: (entry, floor) => this.#replication.note(() => this.#document.addTrust(entry, floor)),
      document: (sv) => (sv === undefined ? this.#document.whole() : (this.#document.missingOf(sv) ?? '')),
      stateVector: () => this.#document.stateVector(),
      // Empty where I have all of it already.
      mergeDocument: (doc) => doc === '' || this.#replication.receive(doc),
      records: () => (this.#antiEntropy.isLarge() ? [] : this.#membership.members().map(({ sealed }) => sealed)),
      compareWith: (peer) => this.#antiEntropy.compareWith(peer),
      onKnown: (now) => this.#leases.known(now),
      mergeRecords: (sealed, now) => this.#hearing.takeRecords(sealed, now),
    });
    this.#replication = new Replication({
      ...{ out, document: this.#document, options: options.document, onChange: () => this.#onDocument() },
      ...{ seal: (frame: Frame) => this.#voice.seal(frame), peers: () => this.#membership.peers() },
    });
    this.#antiEntropy = new AntiEntropy({
      ...{ self, out, random: random.fork('antientropy'), membership: this.#membership },
      notes: {
        hash: () => this.#document.hash(),
        stateVector: () => this.#document.stateVector(),
        missingOf: (sv) => this.#document.missingOf(sv),
      },
    });
    this.#news = new AppNews(out);
    const known = { self, membership: this.#membership, admission: this.#admission, document: this.#document };
    this.#members = new Members(known);
    this.#quorum = new Quorum(known);
    this.#leases = new Leases(self, out, () => this.#quorum.electorate());
    const duties = {
      ...known,
      masters: () => mastersOf(this.#live()),
      isMajority: () => {
        const { seen, needed } = this.#quorum.seen();
        return seen >= needed;
      },
      write: (edit: () => void) => this.#replication.note(edit),
      wallMs: (now: number) => now + this.#clockOffsetMs,
    };
    this.#upgrades = new Upgrades({ ...duties, sealer, out, version: () => this.#machine.facts.version });
    this.#scheduling = new Scheduling({
      ...{ ...duties, out, upgrades: this.#upgrades },
      ...{ supervisor: this.#supervisor, members: this.#members, leases: this.#leases },
    });
    this.#hearing = new Hearing({
      ...{ ...known, voice: this.#voice, antiEntropy: this.#antiEntropy },
      ...{ replication: this.#replication, leases: this.#leases },
    });
    this.#box = vault.box;
    this.#secrets = new Secrets({
      ...{ self, vault, document: this.#document, members: () => this.#membership.members() },
      write: (edit) => this.#replication.note(edit),
    });
    this.#requests = new Requests({
      secrets: this.#secrets,
      ...{ self, sealer, out, admission: this.#admission, membership: this.#membership },
      document: () => this.#document,
      write: (edit, request, now) => this.#replication.write(edit, request, now),
      wallMs: (now) => Math.round(now + this.#clockOffsetMs),
      addrs: () => [...this.#machine.addrs],
      leave: (gone) => this.#standing.leave(gone),
      return: (withinMs) => this.#standing.return(withinMs),
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
        return event.sealed ? this.#hearing.sealed(event.text, now) : this.#hearing.direct(event.from, event.text, now);
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
      case 'peer.there':
        return this.#membership.onThere(event.peer);
      case 'clock':
        if (Math.abs(event.offsetMs - this.#clockOffsetMs) >= 1_000) this.#scheduling.clockSet();
        this.#clockOffsetMs = event.offsetMs;
        return;
      case 'facts':
        return this.#onFacts(event, now);
      case 'load':
        return this.#machine.measure(event.load, now);
      case 'units.observed':
        return this.#supervisor.observed(event.driver, event.units, now);
      case 'unit.started':
        return this.#supervisor.started(event.key, event.observed, now);
      case 'unit.progress':
        return this.#supervisor.progress(event.key, event.text, now);
      case 'unit.failed':
        return this.#supervisor.failed(event.key, event.code, event.message, now);
      case 'unit.exited':
        return this.#supervisor.exited(event.key, event, now);
      case 'unit.stopped':
        return this.#supervisor.stopped(event.key, now);
      case 'unit.probed':
        return this.#supervisor.probed(event.key, event, now);
      case 'persist.failed':
        return this.#replication.onPersistFailed(event.reason);
      case 'persisted':
        return this.#replication.onPersisted(event.token);
      case 'upgrade':
        return this.#upgrades.stands(event.upgrade);
      case 'request':
        return this.#requests.handle(event.id, event.request, now);
    }
  }

  #boot(event: Event & { type: 'boot' }, now: number): void {
    this.#voice.raise(event.incarnation);
    this.#scheduling.listenUntil(now + this.#options.listenMs);
    this.#standing.boot(event.startsAgoMs ?? [], now);
    this.#leases.boot(event.incarnation, now);
    this.#upgrades.stands(event.upgrade);
    this.#document.reset(event.clientId);
    this.#replication.boot(event.updates);
    this.#news.look(this.#document.apps());
    if (event.founder !== undefined) this.#admission.resume(event.founder);
    else if (event.ticket === undefined) this.#admission.listen();
    if (event.ticket !== undefined) this.#admission.use(event.ticket, now);
    this.#setTimer('tick', this.#options.tickMs);
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
    this.#setTimer('tick', this.#membership.isAlarmed ? this.#options.tickMs / 4 : this.#options.tickMs);
    this.#scheduling.tick(now);
    this.#admission.tick(now);
    this.#supervisor.tick(now);
    if (!this.#admission.isAdmitted(this.id)) return;
    this.#membership.tick(now, this.#options.tickMs);
    this.#antiEntropy.tick(now);
    this.#replication.tick(now);
    this.#standing.tick(now);
    this.#leases.tick(now);
    this.#scheduling.light(now);
    const { mastersThreshold: threshold, mastersMaximum: maximum } = this.#document.settings();
    this.#masters.consider(this.#admission.appliance, this.#live(), { threshold, maximum }, now);
    this.#admitVoters(now);
  }

  #admitVoters(now: number): void {
    const voters = this.#quorum.step({
      isStored: this.#replication.isStored,
      hasPromised: () => this.#leases.hasPromised(now),
      isAgreed: () => this.#leases.isAgreed(now),
    });
    if (voters !== undefined) this.#replication.note(() => this.#document.setVoters(voters));
  }

  #onDocument(): void {
    for (const gone of this.#admission.refresh()) {
      if (gone === this.id) continue;
      const name = this.#membership.get(gone)?.record.name ?? gone.slice(-6);
      const message = `${name} was removed from the appliance`;
      this.#out.push({ type: 'event', event: { level: 'info', kind: 'cell.removed', message } });
      this.#membership.expel(gone);
      this.#out.push({ type: 'expel', peer: gone });
    }
    const name = this.#document.cell(this.id).name;
    if (name !== undefined) this.#machine.rename(name);
    this.#news.look(this.#document.apps());
  }

  // -- what this cell says of itself -------------------------------------------------------------------------------

  #onFacts({ name, facts, addrs }: Event & { type: 'facts' }, now: number): void {
    if (this.#machine.facts.engine !== '' && facts.engine === '') this.#supervisor.engineAway(now);
    this.#machine.describe(facts, addrs);
    this.#machine.rename(this.#document.cell(this.id).name ?? name);
  }

  #record(): MemberRecord {
    return {
      ...this.#machine.told(),
      ...{ units: this.#supervisor.statuses(), vetoes: this.#supervisor.vetoes() },
      ...{ ...this.#standing.told(), ...this.#upgrades.told(), master: this.#masters.epoch, box: this.#box },
      ...(this.#scheduling.orders.length > 0 ? { orders: this.#scheduling.orders } : {}),
    };
  }

  // -- bringing everything up to date ------------------------------------------------------------------------------

  /** After each event: place and speak again where something changed, but not more often than settleMs. */
  #settle(now: number): void {
    this.#hearing.early(now);
    if (this.#settleSet) return;
    const calmer = Math.max(1, this.#membership.members().length / 200);
    const wait = this.#settledMs + this.#options.settleMs * calmer - now;
    if (wait > 0) {
      if (!this.#isStale()) return;
      this.#settleSet = true;
      this.#setTimer('settle', wait);
      return;
    }
    if (!this.#isStale()) return;
    this.#settledMs = now;
    if (this.#admission.isAdmitted(this.id)) this.#speak(now);
    this.#scheduling.place(now);
    this.#upgrades.take();
    if (this.#admission.isAdmitted(this.id)) this.#speak(now);
    this.#shownFor = this.#state();
    this.#view = undefined;
    this.#scheduling.write();
    if (this.#admission.isAdmitted(this.id))
      this.#secrets.tend(`${this.#membership.version} ${this.#document.version}`);
    this.#out.push({ type: 'changed' });
  }

  #state(): string {
    const { version } = this.#supervisor;
    const own = `${this.#machine.version} ${this.#masters.epoch} ${this.#standing.version} ${this.#upgrades.version}`;
    const placed = `${this.#scheduling.mature} ${this.#scheduling.version} ${this.#leases.version}`;
    return `${this.#membership.version} ${this.#document.version} ${this.#admission.version} ${version} ${own} ${placed}`;
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

  #live(): readonly MasterCandidate[] {
    const state = `${this.#membership.version} ${this.#masters.epoch}`;
    if (state !== this.#livedFor) {
      this.#livedFor = state;
      this.#liveNow = this.#membership
        .members()
        .filter(({ state }) => state === 'alive' || state === 'suspect')
        .map(({ id, record }) => ({ id, epoch: id === this.id ? this.#masters.epoch : record.master }));
    }
    return this.#liveNow;
  }

  // -- what others read --------------------------------------------------------------------------------------------

  view(nowMs?: number): ClusterView {
    if (this.#view !== undefined) return this.#view;
    const release = this.#document.release();
    this.#view = {
      ...(release === undefined ? {} : { release }),
      ...{ phase: this.#admission.phase, mature: this.#scheduling.mature },
      ...{ self: this.id, appliance: this.#admission.appliance },
      ...{
        members: this.#members.shown(),
        apps: this.#scheduling.apps,
        assignments: this.#scheduling.assignments,
        waits: Object.fromEntries(this.#scheduling.waits),
      },
      ...{ settings: this.#document.settings(), quorum: this.#quorum.seen() },
      ...{
        masters: mastersOf(this.#live()),
        duties: this.#scheduling.duties(this.#members.heard()),
        pending: this.#admission.pending(),
        join: this.#admission.join,
      },
      ...{
        tickets: this.#admission.trust?.tickets((nowMs ?? 0) + this.#clockOffsetMs) ?? [],
        counters: this.#hearing.counters(),
      },
    };
    return this.#view;
  }

  /** Placement with another set of apps: what a deploy would do. */
  whatIf(apps: readonly AppState[]): ReturnType<Scheduling['whatIf']> {
    return this.#scheduling.whatIf(apps);
  }

  /** Placement with another list of cells: what would move. */
  whatIfCells(change: CellsChange): Assignment[] {
    return this.#scheduling.whatIfCells(change);
  }

  /** The verdict of every cell about one replica. */
  explain(replica: string): Assignment | undefined {
    return this.#scheduling.explain(replica);
  }

  /** Frames that were dropped, by fault. */
  counters(): Record<string, number> {
    return this.#hearing.counters();
  }

  /** What a file or a variable of a service holds, as base64; undefined where this cell can't know it (yet). */
  reveal(app: string, blob: string): string | undefined {
    return this.#secrets.reveal(app, blob);
  }

  /** An app as the document would have it. */
  resolved(spec: AppSpec, files: Readonly<Record<string, FileSource>>): AppSpec {
    return this.#secrets.prepare(spec, files, undefined).spec;
  }

  handleOf(key: string): ReturnType<Supervisor['handleOf']> {
    return this.#supervisor.handleOf(key);
  }

  /** Should a fresh cell leave founding to another? */
  defers(now: number): boolean {
    return this.#admission.defers(now);
  }

  /** With whom a connection is kept; with all where undefined. */
  neighbours(): ReadonlySet<CellId> | undefined {
    return this.#membership.neighbours();
  }

  isAdmitted(id: CellId): boolean {
    return this.#admission.isAdmitted(id);
  }
}
