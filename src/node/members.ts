/** Members as people and placement see them: what they say of themselves, joined with what the document says of them. */

import type { CellFacts, CellId, MemberView } from '../core/model.ts';
import type { WantedDocument } from '../crdt/document.ts';
import type { Admission } from '../gossip/admission.ts';
import type { Membership } from '../gossip/membership.ts';
import type { Member } from '../gossip/roster.ts';
import type { Told } from '../runtime/reconcile.ts';

export const unknownFacts: CellFacts = {
  version: '',
  os: 'linux',
  arch: '',
  cpuMilli: 0,
  memoryBytes: 0,
  engine: '',
  hostname: '',
};

export interface MembersDeps {
  self: CellId;
  membership: Membership;
  admission: Admission;
  document: WantedDocument;
}

export class Members {
  readonly #deps: MembersDeps;
  /** A member that did not change is shown as before. */
  readonly #shown = new WeakMap<Member, MemberView>();
  #heardFor = '';
  #heard: readonly MemberView[] = [];

  constructor(deps: MembersDeps) {
    this.#deps = deps;
  }

  /** Those whose record is known, sorted by id; the same list until something changes. */
  heard(): readonly MemberView[] {
    const { membership, document } = this.#deps;
    const state = `${membership.version} ${document.version}`;
    if (state === this.#heardFor) return this.#heard;
    this.#heardFor = state;
    this.#heard = membership.members().map((member) => this.#show(member));
    return this.#heard;
  }

  /** All; of a cell that was removed itself alone: what it knows of the others is of before. */
  shown(): readonly MemberView[] {
    const heard = this.heard();
    if (this.#deps.admission.phase === 'revoked') return heard.filter(({ self }) => self);
    return [...heard, ...this.absent()];
  }

  #show(member: Member): MemberView {
    const { membership, document, self } = this.#deps;
    const { id, record, state, inc, sinceMs } = member;
    const settings = document.cell(id);
    const rttMs = membership.rttOf(id);
    const before = this.#shown.get(member);
    if (before !== undefined && before.labels === settings.labels && before.rttMs === rttMs) return before;
    const { name = record.name, ...set } = settings;
    const seen = { id, self: id === self, state, incarnation: inc, ...set, sinceMs };
    const shown = { ...record, name, ...seen, ...(rttMs === undefined ? {} : { rttMs }) };
    this.#shown.set(member, shown);
    return shown;
  }

  /** Admitted, but never heard of since this start: as good as down. */
  absent(): MemberView[] {
    const { membership, admission, document, self } = this.#deps;
    const unheard = admission.admitted().filter((id) => membership.get(id) === undefined);
    return unheard.map((id) => {
      const { name = admission.trust!.nameOf(id), ...set } = document.cell(id);
      const record = {
        name,
        addrs: [],
        facts: unknownFacts,
        load: { cpuPercent: 0, memoryUsedBytes: 0 },
        units: [],
        vetoes: [],
      };
      // Of itself a cell knows before it has spoken.
      const state = id === self ? ('alive' as const) : ('down' as const);
      const seen = { id, self: id === self, state, incarnation: 0, ...set, sinceMs: 0 };
      return { ...record, master: 0, left: false, ...seen };
    });
  }
}

/** A cell that is back tells first what it had when it went. */
const backMs = 2_000;

/** replica -> units told of it, by cells that are up. */
export function toldBy(members: readonly MemberView[], now: number): Map<string, Told[]> {
  const told = new Map<string, Told[]>();
  for (const { id, self, state, sinceMs, units } of members) {
    if (state !== 'alive' && state !== 'suspect') continue;
    const isSure = self || (state === 'alive' && now - sinceMs >= backMs);
    const doubt = isSure ? {} : { suspect: true as const };
    for (const { replica, hash, state, restarts, reason } of units) {
      const list = told.get(replica) ?? [];
      list.push({ cell: id, ...doubt, replica, hash, state, restarts, ...(reason === undefined ? {} : { reason }) });
      told.set(replica, list);
    }
  }
  return told;
}

/** When the next of those that are only just back is believed. */
export function sureFrom(members: readonly MemberView[], now: number): number {
  let first = Number.POSITIVE_INFINITY;
  for (const { self, state, sinceMs } of members)
    if (!self && state === 'alive' && now - sinceMs < backMs) first = Math.min(first, sinceMs + backMs);
  return first;
}
