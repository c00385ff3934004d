/**
 * Who decides on leases, the *voters*: a list that only one cell may lengthen, so that nobody has to merge two of them. That cell is
 * the voter of longest standing (at first the founder); where it is removed, the next.
 *
 * It goes from one list to a longer one only where every majority of the one shares a cell with every majority of the other, and
 * only after a majority has known the present list for the length of a lease: by then what was promised by still older ones has
 * ended (as with single-server changes in Raft, Ongaro, PhD thesis, Stanford '14, section 4.1). The first steps are at once
 * where nothing is promised. A new list counts once it is on the disk of the one who wrote it.
 */
import { compare, hash32 } from '../core/hash.ts';
import { limits } from '../core/limits.ts';
import type { CellId } from '../core/model.ts';
import type { Voters, WantedDocument } from '../crdt/document.ts';
import type { Admission } from '../gossip/admission.ts';
import type { Membership } from '../gossip/membership.ts';
import type { Electorate } from '../placement/leases.ts';
import { majorityOf, noElectorate } from '../placement/leases.ts';

export interface QuorumDeps {
  self: CellId;
  membership: Membership;
  admission: Admission;
  document: WantedDocument;
}

/** What the one who may lengthen the list has to know. */
export interface QuorumFacts {
  /** All that it wrote is on its disk. */
  isStored: boolean;
  /** Something that it promised may run now. */
  hasPromised(): boolean;
  /** A majority of the voters has known the list for the length of a lease; asks them. */
  isAgreed(): boolean;
}

export class Quorum {
  readonly #deps: QuorumDeps;
  #madeFor = '';
  #made = noElectorate;
  #voters: readonly CellId[] = [];
  /** Let in, and not on any list. */
  #newcomers: readonly CellId[] = [];
  /** The list that is written and does not count yet. */
  #pending: number | undefined;
  #number = 0;
  #isMine = false;

  constructor(deps: QuorumDeps) {
    this.#deps = deps;
  }

  /** The same object until something changes. */
  electorate(): Electorate {
    const { admission, document } = this.#deps;
    const state = `${admission.version} ${document.version} ${admission.phase}`;
    if (state !== this.#madeFor) {
      this.#madeFor = state;
      this.#made = this.#make();
    }
    return this.#made;
  }

  /** Cells that decide, how many of them are here, and how many are a majority. */
  seen(): { cells: number; seen: number; needed: number } {
    this.electorate();
    const cells = this.#voters.length;
    return { cells, seen: this.#seenOf(this.#voters), needed: majorityOf(cells) };
  }

  #seenOf(ids: readonly CellId[]): number {
    const { self, membership } = this.#deps;
    const isHere = (id: CellId): boolean => {
      const state = membership.get(id)?.state;
      return id === self || state === 'alive' || state === 'suspect';
    };
    return ids.filter(isHere).length;
  }

  /** What is to be written now, by this cell. */
  step({ isStored, hasPromised, isAgreed }: QuorumFacts): Voters | undefined {
    const { voters } = this.electorate();
    if (!this.#isMine) return undefined;
    if (this.#pending !== undefined) return isStored ? { counts: this.#pending } : undefined;
    const room = this.#room(hasPromised());
    // Asked also while nobody waits, so that the next who comes need not.
    const isSafe = voters.size === 0 || room === limits.voters || isAgreed();
    const ids = this.#newcomers.slice(0, Math.max(0, room - this.#voters.length));
    if (!isSafe || ids.length === 0) return undefined;
    // A list of which most are out of reach helps nobody.
    const next = [...this.#voters, ...ids];
    return this.#seenOf(next) >= majorityOf(next.length) ? { ids, number: this.#number + 1 } : undefined;
  }

  /** How long the next list may be. */
  #room(hasPromised: boolean): number {
    const { length } = this.#voters;
    // Every majority of one or two has me in it; who was removed may hold a lease by another.
    if (length <= 2 && !hasPromised && this.#deps.admission.trust?.hasRemoved === false) return limits.voters;
    let room = Math.max(1, length);
    while (room < limits.voters && majorityOf(length) + majorityOf(room + 1) > room + 1) room++;
    return room;
  }

  #make(): Electorate {
    const { admission, document, self } = this.#deps;
    this.#voters = this.#newcomers = [];
    this.#isMine = false;
    // Before its welcome a newcomer may know of itself alone.
    if (admission.phase !== 'member') return noElectorate;
    const all = admission.admitted().map((id) => ({ id, number: document.voterNumber(id) }));
    const standing = all.flatMap(({ id, number }) => (number === undefined ? [] : [{ id, number }]));
    standing.sort((a, b) => a.number - b.number || compare(a.id, b.id));
    const { votersCount } = document;
    this.#number = Math.max(votersCount, standing.at(-1)?.number ?? 0);
    this.#pending = this.#number > votersCount ? this.#number : undefined;
    this.#newcomers = all.filter(({ number }) => number === undefined).map(({ id }) => id);
    const counted = standing.filter(({ number }) => number <= votersCount);
    this.#voters = counted.map(({ id }) => id);
    const isFounder = admission.trust?.chainOf(self)?.length === 1;
    this.#isMine = counted.length === 0 ? isFounder : counted[0]!.id === self;
    // Who is about to change the list promises nothing by the present one.
    if (counted.length === 0 || (this.#isMine && this.#pending !== undefined)) return noElectorate;
    const voters = new Set(this.#voters);
    const hash = hash32([...voters].sort(compare).join());
    const alone = all.length === 1 && admission.trust?.hasRemoved === false;
    return { hash, voters, needed: majorityOf(voters.size), ask: this.#voters, alone };
  }
}
