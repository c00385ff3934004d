/** The rollouts of the appliance: what this cell orders as the owner of some, and what it obeys of all. */

import { limits } from '../core/limits.ts';
import type { AppState, Assignment, CellId, MemberView, Order } from '../core/model.ts';
import { lastDone } from '../crdt/catalogue.ts';
import type { WantedDocument } from '../crdt/document.ts';
import type { Given } from '../placement/duties.ts';
import { epochOf, newest, obeyed, ownerOf } from '../placement/duties.ts';
import { Progress } from '../runtime/progress.ts';
import type { Told } from '../runtime/reconcile.ts';
import type { Rollout } from '../runtime/rollouts.ts';
import { needsLeader, rolloutsOf, turnsOf } from '../runtime/rollouts.ts';

export interface RolloutsDeps {
  self: CellId;
  document: WantedDocument;
  masters(): readonly CellId[];
  write(edit: () => void): void;
  wallMs(now: number): number;
}

export interface Seen {
  apps: readonly AppState[];
  assignments: readonly Assignment[];
  members: readonly MemberView[];
  told: ReadonlyMap<string, readonly Told[]>;
}

const isHere = ({ state }: MemberView): boolean => state === 'alive' || state === 'suspect';

export class Rollouts {
  readonly #deps: RolloutsDeps;
  readonly #progress = new Progress();
  #now: readonly Rollout[] = [];
  /** Of the duties that this cell owns. */
  orders: Order[] = [];
  #edits: (() => void)[] = [];
  /** Something is to be decided then, even if nothing happens. */
  dueMs = Number.POSITIVE_INFINITY;

  constructor(deps: RolloutsDeps) {
    this.#deps = deps;
  }

  /** Gives the orders that are mine to give; the units whose turn it is by those that I obey. */
  command({ apps, assignments, members, told }: Seen, now: number): Set<string> {
    const vetoes = members.filter(isHere).flatMap((member) => member.vetoes);
    const rollouts = rolloutsOf(apps, assignments, told, vetoes);
    this.#now = rollouts;
    this.orders = [];
    this.dueMs = Number.POSITIVE_INFINITY;
    if (rollouts.length === 0) {
      this.#progress.keep(new Set());
      return new Set();
    }
    const [last, masters] = [newest(members), this.#deps.masters()];
    const mine = rollouts.filter(({ duty }) => ownerOf(duty, masters) === this.#deps.self);
    this.#progress.keep(new Set(mine.map(({ duty }) => duty)));
    const owned = new Map(mine.map((rollout) => [rollout.duty, this.#lead(rollout, now)]));
    this.orders = rollouts
      .filter(needsLeader)
      .flatMap(({ duty }): Order[] => {
        const [given, go] = [last.get(duty), owned.get(duty)];
        if (go !== undefined) return [{ duty, epoch: epochOf(this.#deps.self, given), go }];
        // It stands until a successor has spoken: an epoch that was forgotten would be used again.
        return given?.by === this.#deps.self ? [{ duty, epoch: given.epoch, go: given.go }] : [];
      })
      // Those that stand still must not keep others from going on.
      .sort((a, b) => Number(b.go.length > 0) - Number(a.go.length > 0))
      .slice(0, limits.orders);
    // What I have just said holds for me at once.
    const said = obeyed(members.map((member) => (member.self ? { ...member, orders: this.orders } : member)));
    return turnsOf(rollouts, (duty) => said.get(duty)?.go ?? []);
  }

  /** Who may change now; writes down how it ended. */
  #lead(rollout: Rollout, now: number): string[] {
    const { app } = rollout;
    const { catalogue } = this.#deps.document;
    const isOpen = app.revision.outcome === undefined;
    const canGoBack =
      isOpen &&
      app.undone === undefined &&
      app.revision.back !== true &&
      lastDone(app.history, app.revision) !== undefined;
    const { go, outcome, pause, dueMs } = this.#progress.lead(rollout, canGoBack, now);
    this.dueMs = Math.min(this.dueMs, dueMs);
    if (outcome !== undefined && isOpen)
      this.#edits.push(() =>
        catalogue.conclude(app.name, app.revision, { ...outcome, atMs: Math.round(this.#deps.wallMs(now)) }),
      );
    else if (pause !== undefined) {
      const { seq } = app.undone ?? app.revision;
      this.#edits.push(() => catalogue.pause(app.name, { ...pause, seq }));
    }
    return go;
  }

  /** Writes down what was decided: apart from `command`, whose answer is of the document as it was. */
  write(): void {
    for (const edit of this.#edits.splice(0)) this.#deps.write(edit);
  }

  /** The orders that are obeyed here. */
  obeyedOf(members: readonly MemberView[]): Given[] {
    if (this.#now.length === 0) return [];
    const last = obeyed(members);
    return this.#now.flatMap(({ duty }) => last.get(duty) ?? []);
  }
}
