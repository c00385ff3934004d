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

export interface QuorumDeps {
  self: CellId;
  membership: Membership;
  admission: Admission;
  document: WantedDocument;
}

/**
 * In a large appliance so many decide for all: a thousand cells can't ask five hundred every two seconds. They are noted in the
 * document like the others, and one is replaced only after it was removed and a majority of the rest knows.
 */
const most = 15;

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

  /**
   * May newcomers decide at once? The founder says so while it decides alone and has promised nothing, or where everyone who
   * decided before is needed for a majority of before, and one of them for every majority with the newcomers: two majorities
   * that share a cell can't both promise. It alone, so that no two cells let in two different ones.
   */
  mayDecideAtOnce(hasPromised: boolean): boolean {
    const { needed, voters } = this.electorate();
    const { admission, self } = this.#deps;
    const { trust } = admission;
    if (trust?.chainOf(self)?.length !== 1 || !voters.has(self) || voters.size > 2) return false;
    if (voters.size === 1 && !hasPromised) return true;
    // Who was removed may hold a lease by a majority of other cells.
    return !trust.hasRemoved && voters.size + needed > admission.admitted().length;
  }

  /** Who does not decide yet. */
  get newcomers(): readonly CellId[] {
    this.electorate();
    return this.#newcomers;
  }

  /** Cells that decide, how many of them are here, and how many are a majority. */
  seen(): { cells: number; seen: number; needed: number } {
    const { membership, admission, self } = this.#deps;
    const present = new Set([self, ...membership.peers()]);
    const { needed, voters } = this.electorate();
    const cells = Math.min(admission.admitted().length, most);
    return { cells, seen: [...voters].filter((id) => present.has(id)).length, needed };
  }

  #make(): Electorate {
    const { admission, document } = this.#deps;
    // Before its welcome a newcomer may know of itself alone.
    this.#newcomers = [];
    if (admission.phase !== 'member') return noElectorate;
    const all = admission.admitted();
    const marked = all.filter((id) => document.isVoter(id));
    const voters = new Set(marked.length === 0 ? all.slice(0, most) : marked);
    this.#newcomers = all.filter((id) => !document.isVoter(id)).slice(0, Math.max(0, most - marked.length));
    const needed = Math.floor(Math.min(all.length, most) / 2) + 1;
    return { hash: hash32(all.join()), voters, needed, ask: [...voters] };
  }
}
