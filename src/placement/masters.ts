/**
 * Masters on demand. Nobody is born a master: when too few are left in a view that has been calm for a while, the
 * best-ranked others step up; when there are too many, the worst-ranked step down. Every cell decides for itself, from
 * the same view, so no vote is needed to agree on who; a wrong view heals and the surplus steps down.
 *
 * Rank is rendezvous for the appliance, so masters do not follow the order in which machines were bought.
 */
import { compare } from '../core/hash.ts';
import type { CellId } from '../core/model.ts';
import { byStraw } from './straw2.ts';

/** The set of live cells and masters must have been the same for this long. */
export const calmMs = 2_000;

export interface MastersWanted {
  /** Step up below this many. */
  threshold: number;
  /** Step down above this many. */
  maximum: number;
}

export interface MasterCandidate {
  id: CellId;
  /** 0, or the epoch in which it stepped up. */
  epoch: number;
}

export class Masters {
  readonly #self: CellId;
  #live: readonly MasterCandidate[] = [];
  #wanted: MastersWanted = { threshold: 0, maximum: 0 };
  #seen = '';
  #sinceMs = 0;
  #decided = false;
  epoch = 0;

  constructor(self: CellId) {
    this.#self = self;
  }

  /** `live` are the cells that are up, the same array until something changed. True where my own epoch changed. */
  consider(appliance: string, live: readonly MasterCandidate[], wanted: MastersWanted, now: number): boolean {
    if (live !== this.#live || wanted.threshold !== this.#wanted.threshold || wanted.maximum !== this.#wanted.maximum) {
      this.#live = live;
      this.#wanted = wanted;
      const picture = `${wanted.threshold} ${wanted.maximum} ${live.map(({ id, epoch }) => `${id}:${epoch}`).join()}`;
      if (picture !== this.#seen) {
        this.#seen = picture;
        this.#sinceMs = now;
        this.#decided = false;
      }
    }
    if (this.#decided || now - this.#sinceMs < calmMs) return false;
    this.#decided = true;
    const epoch = this.#decide(appliance, live);
    if (epoch === this.epoch) return false;
    this.epoch = epoch;
    return true;
  }

  #decide(appliance: string, live: readonly MasterCandidate[]): number {
    const ranked = byStraw(
      `masters/${appliance}`,
      live.map(({ id }) => ({ id, weight: 1 })),
    ).map(({ id }) => id);
    const masters = live.filter(({ epoch }) => epoch > 0).map(({ id }) => id);
    const highest = live.reduce((top, { epoch }) => Math.max(top, epoch), this.epoch);
    if (this.epoch === 0) {
      const missing = this.#wanted.threshold - masters.length;
      const others = ranked.filter((id) => !masters.includes(id));
      return missing > 0 && others.slice(0, missing).includes(this.#self) ? highest + 1 : 0;
    }
    const surplus = masters.length - this.#wanted.maximum;
    const worst = ranked.filter((id) => masters.includes(id)).slice(-Math.max(0, surplus));
    return surplus > 0 && worst.includes(this.#self) ? 0 : this.epoch;
  }
}

/** The masters of a view, sorted. */
export function mastersOf(live: readonly MasterCandidate[]): CellId[] {
  return live
    .filter(({ epoch }) => epoch > 0)
    .map(({ id }) => id)
    .sort(compare);
}
