/**
 * Who decides on leases: every cell that was let in while a majority of those who decided before knew of it. A master notes
 * it in the document when a majority has said that they know the same list (`Leases.isAgreed`), and a lease has ended since.
 */
import { hash32 } from '../core/hash.ts';
import type { CellId } from '../core/model.ts';
import type { WantedDocument } from '../crdt/document.ts';
import type { Admission } from '../gossip/admission.ts';
import type { Membership } from '../gossip/membership.ts';
import type { Electorate } from '../placement/leases.ts';
import { noElectorate } from '../placement/leases.ts';
import { byStraw } from '../placement/straw2.ts';

export interface QuorumDeps {
  self: CellId;
  membership: Membership;
  admission: Admission;
  document: WantedDocument;
}

/** Up to so many are all asked; of more, a majority and a few. */
const askAll = 15;
const askSpare = 4;

export class Quorum {
  readonly #deps: QuorumDeps;
  #madeFor = '';
  #made = noElectorate;
  #newcomers: readonly CellId[] = [];

  constructor(deps: QuorumDeps) {
    this.#deps = deps;
  }

  /** The same object until something changes. */
  electorate(): Electorate {
    const { membership, admission, document } = this.#deps;
    const state = `${membership.version} ${admission.version} ${document.version} ${admission.phase}`;
    if (state !== this.#madeFor) {
      this.#madeFor = state;
      this.#made = this.#make();
    }
    return this.#made;
  }

  /** Who does not decide yet. */
  get newcomers(): readonly CellId[] {
    this.electorate();
    return this.#newcomers;
  }

  /** Cells of the appliance, how many of them are here, and how many are a majority. */
  seen(): { cells: number; seen: number; needed: number } {
    const { membership, admission, self } = this.#deps;
    const present = new Set([self, ...membership.peers()]);
    const { needed, voters } = this.electorate();
    return { cells: admission.admitted().length, seen: [...voters].filter((id) => present.has(id)).length, needed };
  }

  #make(): Electorate {
    const { self, membership, admission } = this.#deps;
    // Before its welcome a newcomer may know of itself alone.
    this.#newcomers = [];
    if (admission.phase !== 'member') return noElectorate;
    const all = admission.admitted();
    const voters = this.#voters(all);
    this.#newcomers = all.filter((id) => !this.#deps.document.isVoter(id));
    const needed = Math.floor(all.length / 2) + 1;
    const present = membership.peers().filter((id) => voters.has(id));
    const ranked = byStraw(
      `leases/${self}`,
      present.map((id) => ({ id, weight: 1 })),
    ).map(({ id }) => id);
    const ask = all.length <= askAll ? [...voters] : ranked.slice(0, needed + askSpare);
    return { hash: hash32(all.join()), voters, needed, ask };
  }

  #voters(all: readonly CellId[]): Set<CellId> {
    const { document } = this.#deps;
    const marked = all.filter((id) => document.isVoter(id));
    return new Set(marked.length === 0 ? all : marked);
  }
}
