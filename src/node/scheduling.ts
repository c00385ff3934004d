/** From the members and the document to what should run here: placement, kept until something that it depends on changes. */
import type { Outbox, UnitSpec } from '../core/events.ts';
import { unitKey } from '../core/events.ts';
import { limits } from '../core/limits.ts';
import type { AppState, Assignment, CellId, CellsChange, MemberView, Order, Run } from '../core/model.ts';
import { replicaId } from '../core/model.ts';
import type { DriverKind } from '../core/spec.ts';
import type { WantedDocument } from '../crdt/document.ts';
import type { Admission } from '../gossip/admission.ts';
import type { Membership } from '../gossip/membership.ts';
import type { Given } from '../placement/duties.ts';
import type { PlacementService } from '../placement/filter.ts';
import { placementInput, servicesOf, withChange } from '../placement/input.ts';
import type { Leases } from '../placement/leases.ts';
import { leaseDefaults } from '../placement/leases.ts';
import { Placement, place } from '../placement/place.ts';
import type { Awaited } from '../runtime/depends.ts';
import { waitsFor } from '../runtime/depends.ts';
import type { Told } from '../runtime/reconcile.ts';
import type { Supervisor } from '../runtime/supervise.ts';
import { Jobs } from './jobs.ts';
import type { Members } from './members.ts';
import { sureFrom, toldBy } from './members.ts';
import { Rollouts } from './rollouts.ts';
import type { Upgrades } from './upgrades.ts';

export interface SchedulingDeps {
  self: CellId;
  membership: Membership;
  admission: Admission;
  document: WantedDocument;
  supervisor: Supervisor;
  members: Members;
  leases: Leases;
  upgrades: Upgrades;
  masters(): readonly CellId[];
  isMajority(): boolean;
  /** Writes into the document, without anybody waiting for it. */
  write(edit: () => void): void;
  wallMs(now: number): number;
  out: Outbox;
}

/** In this time the dead are found, also where a good part of the frames is lost. */
const freshMs = 7_000;

export class Scheduling {
  readonly #deps: SchedulingDeps;
  readonly #placement = new Placement();
  #placedFor = '';
  #version = 0;
  /** Replicas that need a lease. */
  #strict: ReadonlySet<string> = new Set();
  #litFor = 0;
  /** Until then a strict unit that was found running is not stopped for want of a lease. */
  #adoptMs = Number.NEGATIVE_INFINITY;
  /** When this cell begins to act on its view even if it has not heard of everyone. */
  #actMs = Number.POSITIVE_INFINITY;
  /** After a start, nothing is started or stopped until every member was heard of, or for a while. */
  #mature = false;
  /** Until then a record that was passed on may be of a cell that is dead, and nobody has found that out yet. */
  #isFresh = true;
  #freshUntilMs = Number.POSITIVE_INFINITY;
  /** When more is believed of what others tell. */
  #sureMs = Number.POSITIVE_INFINITY;
  /** The apps as placement last saw them, and where it put them: a view shows both of one moment. */
  apps: AppState[] = [];
  assignments: Assignment[] = [];
  /** 'APP/SERVICE' of those that wait for others, and for what. */
  waits: ReadonlyMap<string, string> = new Map();
  readonly #rollouts: Rollouts;
  readonly #jobs: Jobs;

  constructor(deps: SchedulingDeps) {
    this.#deps = deps;
    this.#rollouts = new Rollouts(deps);
    this.#jobs = new Jobs(deps);
  }

  /** Of the duties that this cell owns. */
  get orders(): Order[] {
    return [...this.#rollouts.orders, ...this.#deps.upgrades.orders];
  }

  /** Grows when something is to be said or done only because time went by. */
  get version(): number {
    return this.#version;
  }

  /** The wall clock was set: what is due has to be found anew. */
  clockSet(): void {
    this.#version++;
  }

  listenUntil(actMs: number): void {
    this.#actMs = actMs;
    this.#freshUntilMs = actMs + freshMs;
    this.#adoptMs = actMs + leaseDefaults.leaseMs;
  }

  get mature(): boolean {
    return this.#mature;
  }

  tick(now: number): void {
    if (now >= this.#actMs) this.#mature = true;
    if (this.#isFresh && now >= this.#freshUntilMs) {
      this.#isFresh = false;
      this.#version++;
    }
    if (now >= Math.min(this.#rollouts.dueMs, this.#jobs.dueMs, this.#deps.upgrades.dueMs, this.#sureMs))
      this.#version++;
  }

  place(now: number): void {
    const { self, membership, admission, document, supervisor, leases } = this.#deps;
    this.#mature ||= now >= this.#actMs || this.#hasHeardOfAll();
    const state = `${membership.version} ${document.version} ${admission.version} ${this.#mature} ${leases.version} ${this.#version}`;
    if (state === this.#placedFor) return;
    this.#placedFor = state;
    const members = this.#deps.members.heard();
    this.apps = document.apps();
    const input = placementInput(members, admission.isAdmitted(self) ? this.apps : []);
    this.assignments = this.#placement.place(input);
    const services = new Map(input.services.map((service) => [`${service.app}/${service.spec.name}`, service]));
    const strict = this.#seek(services, now);
    const told = toldBy(members, now);
    this.#sureMs = sureFrom(members, now);
    this.waits = this.#waits(services, told);
    const here = new Set(this.waits.size === 0 ? [] : supervisor.held().map(({ replica }) => replica));
    const wanted = new Map<string, UnitSpec>();
    for (const { replica, app, service, index, hash, cell } of this.assignments) {
      if (cell !== self || strict.get(replica) === false) continue;
      if (this.waits.has(`${app}/${service}`) && !here.has(replica)) continue;
      wanted.set(replica, { replica, app, index, hash, service: services.get(`${app}/${service}`)!.spec });
    }
    const assigned = new Map(this.assignments.map((assignment) => [assignment.replica, assignment]));
    if (!this.#mature) return;
    for (const replica of strict.keys()) {
      const unit = wanted.get(replica);
      if (unit !== undefined) this.#fuse(unitKey(replica, unit.hash), replica, '', unit.service.driver, now);
    }
    const { maxMoves } = document.settings();
    const turns = this.#rollouts.command({ apps: this.apps, assignments: this.assignments, members, told }, now);
    this.#deps.upgrades.command(members, now);
    const kept = keptOf(this.apps);
    const forms = this.#formsOf(services, assigned);
    const picture = { self, wanted, forms, assigned, told, turns, strict, isFresh: this.#isFresh, kept, maxMoves };
    supervisor.want(picture, now);
    this.#jobs.look(this.apps, supervisor.held(), now);
  }

  #hasHeardOfAll(): boolean {
    const { admission, membership } = this.#deps;
    const known = admission.admitted();
    return known.length > 0 && known.every((id) => membership.get(id) !== undefined);
  }

  /** What is here in the form that is wanted: what was found running away from home is asked how it is too. */
  #formsOf(
    services: ReadonlyMap<string, PlacementService>,
    assigned: ReadonlyMap<string, Assignment>,
  ): Map<string, UnitSpec> {
    return new Map(
      this.#deps.supervisor.held().flatMap(({ key, replica, hash }): [string, UnitSpec][] => {
        const placed = assigned.get(replica);
        if (placed?.hash !== hash) return [];
        const { app, service, index } = placed;
        return [[key, { replica, app, index, hash, service: services.get(`${app}/${service}`)!.spec }]];
      }),
    );
  }

  /** Of the services that wait for others, why. */
  #waits(
    services: ReadonlyMap<string, PlacementService>,
    told: ReadonlyMap<string, readonly Told[]>,
  ): Map<string, string> {
    const withheld = this.apps.flatMap(({ name, withheld }) =>
      Object.entries(withheld).map(([service, why]) => [`${name}/${service}`, why] as const),
    );
    const waits = new Map<string, string>(withheld);
    const waiting = [...services].filter(([, { spec }]) => spec.dependsOn !== undefined);
    if (waiting.length === 0) return waits;
    const replicas = new Map<string, Awaited[]>();
    for (const { app, service, replica, hash } of this.assignments) {
      const list = replicas.get(`${app}/${service}`) ?? [];
      replicas.set(`${app}/${service}`, list);
      list.push({ hash, units: told.get(replica) ?? [] });
    }
    const runs = new Map(this.apps.map((app) => [app.name, app.runs.filter(({ cause }) => cause === 'deploy')]));
    const awaited = (app: string, service: string): readonly Awaited[] => {
      const run = runs.get(app)!.find((one) => one.service === service && one.work !== undefined);
      if (run === undefined) return replicas.get(`${app}/${service}`) ?? [];
      const left = this.assignments.filter((one) => one.app === app && one.service === run.name);
      return awaitedOf(app, run, left, told);
    };
    for (const [key, { app, spec }] of waiting) {
      const why = waitsFor(spec, (service) => awaited(app, service));
      if (why !== undefined) waits.set(key, why);
    }
    return waits;
  }

  /** Writes down how rollouts and runs ended, and which runs began. */
  write(): void {
    this.#rollouts.write();
    this.#jobs.write();
    this.#deps.upgrades.write();
  }

  /** Asks for leases of the strict replicas that belong here or are here still; replica -> may it run here. */
  #seek(services: ReadonlyMap<string, PlacementService>, now: number): Map<string, boolean> {
    const { self, leases, supervisor } = this.#deps;
    const keys = new Set([...services].flatMap(([key, { spec }]) => (spec.strict === true ? [key] : [])));
    const strict = keys.size === 0 ? [] : this.assignments.filter(({ app, service }) => keys.has(`${app}/${service}`));
    this.#strict = new Set(strict.map(({ replica }) => replica));
    const mine = strict.filter(({ cell }) => cell === self);
    const held = supervisor.held().filter(({ key, replica, handle, driver }) => {
      if (this.#strict.has(replica)) return true;
      if (!leases.seeks(replica)) return false;
      if (!this.assignments.some((placed) => placed.replica === replica)) return true;
      // It runs on, and is strict no more.
      this.#deps.out.push({ type: 'unit.fuse', key, handle, driver, forMs: Number.POSITIVE_INFINITY });
      return false;
    });
    leases.seek(new Set([...(this.#mature ? mine : []), ...held].map(({ replica }) => replica)), now);
    const may = new Map([...this.#strict].map((replica) => [replica, leases.holds(replica, now)]));
    // After a start its lease has to be asked for again; until then its fuse of before holds for what runs.
    if (now < this.#adoptMs) for (const { replica } of held) if (may.get(replica) === false) may.delete(replica);
    return may;
  }

  /** What runs by a lease ends with it, also where this daemon can't see to it: said again with each renewal. */
  light(now: number): void {
    const { leases, supervisor } = this.#deps;
    if (leases.renewals === this.#litFor) return;
    this.#litFor = leases.renewals;
    for (const { key, replica, handle, driver } of supervisor.held()) {
      if (this.#strict.has(replica)) this.#fuse(key, replica, handle, driver, now);
    }
  }

  #fuse(key: string, replica: string, handle: string, driver: DriverKind, now: number): void {
    const forMs = this.#deps.leases.killInMs(replica, now);
    if (forMs > 0) this.#deps.out.push({ type: 'unit.fuse', key, handle, driver, forMs });
  }

  /** The orders that are obeyed here. */
  duties(members: readonly MemberView[]): Given[] {
    return this.#rollouts.obeyedOf(members);
  }

  /** Placement with another set of apps: what a deploy would do. */
  whatIf(apps: readonly AppState[]): { assignments: Assignment[]; hashes: Map<string, string> } {
    const hashes = new Map(apps.flatMap(servicesOf).map(({ app, spec, hash }) => [`${app}/${spec.name}`, hash]));
    return { assignments: place(this.#input(apps)), hashes };
  }

  /** Placement with another list of cells: what would move. */
  whatIfCells(change: CellsChange): Assignment[] {
    const input = this.#input(this.apps);
    return place({ ...input, cells: withChange(input.cells, change) });
  }

  /** The verdict of every cell about one replica. */
  explain(replica: string): Assignment | undefined {
    return this.#placement.explain(replica);
  }

  #input(apps: readonly AppState[]): ReturnType<typeof placementInput> {
    return placementInput(this.#deps.members.heard(), apps);
  }
}

/** Replicas of runs that have ended, of each service as many as keep what they wrote. */
function keptOf(apps: readonly AppState[]): Set<string> {
  const kept = new Set<string>();
  for (const { name: app, runs } of apps) {
    const seen = new Map<string, number>();
    for (const { name, service, results } of runs) {
      const indices = Object.keys(results);
      if (indices.length === 0) continue;
      const count = (seen.get(service) ?? 0) + 1;
      seen.set(service, count);
      if (count <= limits.runLogs) for (const index of indices) kept.add(replicaId(app, name, index));
    }
  }
  return kept;
}

/** A job that is waited for: those of its replicas that have ended are told of by the document. */
function awaitedOf(
  app: string,
  { name, work, results }: Run,
  left: readonly Assignment[],
  told: ReadonlyMap<string, readonly Told[]>,
): Awaited[] {
  const { spec, hash } = work!;
  const numbers = Array.from({ length: spec.replicas }, (_, i) => String(i + 1));
  const cells = [...Object.keys(results), ...left.map(({ index }) => index)];
  return (spec.mode === 'global' ? cells : numbers).map((index): Awaited => {
    const replica = replicaId(app, name, index);
    const result = results[index];
    if (result === undefined)
      return { hash, units: (told.get(replica) ?? []).filter(({ state }) => state !== 'exited') };
    const { cell, reason } = result;
    return { hash, units: [{ cell, replica, hash, state: 'exited', restarts: 0, reason }] };
  });
}
