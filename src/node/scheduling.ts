/** From the members and the document to what should run here: placement, kept until something that it depends on changes. */
import type { UnitSpec } from '../core/events.ts';
import type { AppState, Assignment, CellId, CellsChange, MemberView } from '../core/model.ts';
import type { WantedDocument } from '../crdt/document.ts';
import type { Admission } from '../gossip/admission.ts';
import type { Membership } from '../gossip/membership.ts';
import { placementInput, servicesOf, withChange } from '../placement/input.ts';
import { Placement, place } from '../placement/place.ts';
import type { Supervisor } from '../runtime/supervise.ts';
import type { Members } from './members.ts';
import { toldBy } from './members.ts';

export interface SchedulingDeps {
  self: CellId;
  membership: Membership;
  admission: Admission;
  document: WantedDocument;
  supervisor: Supervisor;
  members: Members;
}

export class Scheduling {
  readonly #deps: SchedulingDeps;
  readonly #placement = new Placement();
  #placedFor = '';
  /** When this cell begins to act on its view even if it has not heard of everyone. */
  #actMs = Number.POSITIVE_INFINITY;
  /** After a start, nothing is started or stopped until every member was heard of, or for a while. */
  #mature = false;
  /** The apps as placement last saw them, and where it put them: a view shows both of one moment. */
  apps: AppState[] = [];
  assignments: Assignment[] = [];

  constructor(deps: SchedulingDeps) {
    this.#deps = deps;
  }

  listenUntil(actMs: number): void {
    this.#actMs = actMs;
  }

  get mature(): boolean {
    return this.#mature;
  }

  tick(now: number): void {
    if (now >= this.#actMs) this.#mature = true;
  }

  place(leaving: boolean, now: number): void {
    const { self, membership, admission, document, supervisor } = this.#deps;
    const members = this.#deps.members.heard();
    const known = admission.admitted();
    this.#mature ||= now >= this.#actMs || (known.length > 0 && known.every((id) => membership.get(id) !== undefined));
    const state = `${membership.version} ${document.version} ${admission.version} ${this.#mature}`;
    if (state === this.#placedFor) return;
    this.#placedFor = state;
    this.apps = document.apps();
    const input = placementInput(members, admission.isAdmitted(self) ? this.apps : []);
    this.assignments = this.#placement.place(input);
    const services = new Map(input.services.map((service) => [`${service.app}/${service.spec.name}`, service]));
    const wanted = new Map<string, UnitSpec>();
    for (const { replica, app, service, index, hash, cell } of this.assignments) {
      if (cell !== self) continue;
      wanted.set(replica, { replica, app, index, hash, service: services.get(`${app}/${service}`)!.spec });
    }
    const assigned = new Map(this.assignments.map((assignment) => [assignment.replica, assignment]));
    if (leaving) wanted.clear();
    if (!this.#mature) return;
    const { maxMoves } = document.settings();
    supervisor.want({ self, wanted, assigned, told: toldBy(members), maxMoves }, now);
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
    const members: MemberView[] = this.#deps.members.heard();
    return placementInput(members, apps);
  }
}
