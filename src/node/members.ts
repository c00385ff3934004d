/** Members as people and placement see them: what they say of themselves, joined with what the document says of them. */

import type { CellFacts, CellId, MemberView } from '../core/model.ts';
import type { WantedDocument } from '../crdt/document.ts';
import type { Admission } from '../gossip/admission.ts';
import type { Membership } from '../gossip/membership.ts';
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

  constructor(deps: MembersDeps) {
    this.#deps = deps;
  }

  /** Those whose record is known, sorted by id. */
  heard(): MemberView[] {
    const { membership, document, self } = this.#deps;
    return membership.members().map(({ id, record, state, inc, sinceMs }) => {
      const { labels, drain, name } = document.cell(id);
      const rttMs = membership.rttOf(id);
      const seen = { id, self: id === self, state, incarnation: inc, labels, drain, sinceMs };
      return { ...record, name: name ?? record.name, ...seen, ...(rttMs === undefined ? {} : { rttMs }) };
    });
  }

  /** Admitted, but never heard of since this start: as good as down. */
  absent(): MemberView[] {
    const { membership, admission, document, self } = this.#deps;
    const unheard = admission.admitted().filter((id) => membership.get(id) === undefined);
    return unheard.map((id) => {
      const { name = admission.trust!.nameOf(id), labels, drain } = document.cell(id);
      const record = {
        name,
        addrs: [],
        facts: unknownFacts,
        load: { cpuPercent: 0, memoryUsedBytes: 0 },
        units: [],
        vetoes: [],
      };
      const seen = { id, self: id === self, state: 'down' as const, incarnation: 0, labels, drain, sinceMs: 0 };
      return { ...record, master: 0, left: false, ...seen };
    });
  }
}

/** replica -> units told of it, by cells that are up. */
export function toldBy(members: readonly MemberView[]): Map<string, Told[]> {
  const told = new Map<string, Told[]>();
  for (const { id, state, units } of members) {
    if (state !== 'alive' && state !== 'suspect') continue;
    for (const { replica, hash, state } of units) {
      const list = told.get(replica) ?? [];
      list.push({ cell: id, replica, hash, state });
      told.set(replica, list);
    }
  }
  return told;
}
