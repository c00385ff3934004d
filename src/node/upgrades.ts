/** The upgrade of the appliance: what this cell orders as the owner of that duty, and whether it is its own turn. */
import type { Outbox } from '../core/events.ts';
import type { Sealer } from '../core/frames.ts';
import type { CellId, MemberView, Order, Release, Upgrade } from '../core/model.ts';
import type { WantedDocument } from '../crdt/document.ts';
import type { Admission } from '../gossip/admission.ts';
import type { Given } from '../placement/duties.ts';
import { epochOf, newest, obeyed, ownerOf } from '../placement/duties.ts';
import { isSigned } from '../release/release.ts';
import { Turns } from '../release/turns.ts';

export interface UpgradesDeps {
  self: CellId;
  document: WantedDocument;
  masters(): readonly CellId[];
  isMajority(): boolean;
  write(edit: () => void): void;
  wallMs(now: number): number;
  admission: Admission;
  sealer: Sealer;
  /** That runs here. */
  version(): string;
  out: Outbox;
}

export class Upgrades {
  readonly #deps: UpgradesDeps;
  readonly #turns = new Turns();
  #edits: (() => void)[] = [];
  orders: Order[] = [];
  /** Something is to be decided then, even if nothing happens. */
  dueMs = Number.POSITIVE_INFINITY;
  /** The release that it is this cell's turn to take. */
  #mine: Release | undefined;
  /** Where it stands with that. */
  #stands: Upgrade | undefined;
  /** Grows when there is something new to say. */
  version = 0;

  constructor(deps: UpgradesDeps) {
    this.#deps = deps;
  }

  command(members: readonly MemberView[], now: number): void {
    const { self, document } = this.#deps;
    const release = document.release();
    this.orders = [];
    this.#mine = undefined;
    this.dueMs = Number.POSITIVE_INFINITY;
    if (release === undefined) return;
    const duty = `upgrade/${release.id}`;
    const last = newest(members).get(duty);
    // A minority orders nothing, and concludes nothing; who runs an older version knows no such duty.
    const able = new Set(members.filter(({ facts }) => facts.upgrades === true).map(({ id }) => id));
    const masters = this.#deps.masters();
    const owners = masters.some((id) => able.has(id)) ? masters.filter((id) => able.has(id)) : masters;
    if (ownerOf(duty, owners) === self && this.#deps.isMajority()) this.#lead(release, members, last, now);
    // It stands until a successor has spoken: an epoch that was forgotten would be used again.
    else if (last?.by === self) this.orders = [{ duty, epoch: last.epoch, go: last.go }];
    const said = obeyed(members.map((member) => (member.self ? { ...member, orders: this.orders } : member)));
    if (said.get(duty)?.go.includes(self) === true) this.#mine = release;
  }

  #lead(release: Release, members: readonly MemberView[], last: Given | undefined, now: number): void {
    const { self, document, wallMs } = this.#deps;
    const duty = `upgrade/${release.id}`;
    const { go, outcome, dueMs } = this.#turns.lead(release, members, last?.go[0], now);
    this.dueMs = dueMs;
    if (go.length > 0 || last !== undefined) this.orders = [{ duty, epoch: epochOf(self, last), go }];
    if (outcome === undefined) return;
    const ended = { ...outcome, atMs: Math.round(wallMs(now)) };
    this.#edits.push(() => document.concludeRelease(release.id, ended));
  }

  /** Begins with what it is my turn to take, where a member signed it. */
  take(): void {
    const { admission, sealer, out } = this.#deps;
    const release = this.#mine;
    if (release === undefined || release.id === this.#stands?.release || release.version === this.#deps.version())
      return;
    // One after the other: it is this cell's turn still when the former has ended.
    if (this.#stands !== undefined && this.#stands.state !== 'failed') return;
    if (admission.isAdmitted(release.by) && isSigned(sealer, admission.appliance, release)) {
      this.stands({ release: release.id, state: 'fetching' });
      out.push({ type: 'upgrade', release });
    } else this.stands({ release: release.id, state: 'failed', reason: 'no member of this appliance signed it' });
  }

  stands(upgrade: Upgrade | undefined): void {
    this.#stands = upgrade;
    this.version++;
  }

  /** Its part of the cell's record. */
  told(): { upgrade?: Upgrade } {
    return this.#stands === undefined ? {} : { upgrade: this.#stands };
  }

  /** Writes down what was decided. */
  write(): void {
    for (const edit of this.#edits.splice(0)) this.#deps.write(edit);
  }
}
