/**
 * Whose turn it is to take a release: one cell at a time, and the next only when the last runs it and is well. Where one can't, nobody
 * else tries. Cells that were away take it when they are back.
 */
import type { CellId, MemberView, Release } from '../core/model.ts';
import { compareVersions } from './release.ts';

export interface Turn {
  /** The cell whose turn it is. */
  go: CellId[];
  outcome?: { state: 'done' | 'halted'; reason: string };
  /** Something is to be decided then, even if nothing happens. */
  dueMs: number;
}

/** A slow board fetches, starts, and goes back by itself where that fails, within this time. */
export const turnMs = 600_000;

const isHere = ({ state }: MemberView): boolean => state === 'alive' || state === 'suspect';

/** What the owner of the duty remembers of it. */
export class Turns {
  #release = '';
  #cell: CellId | undefined;
  #sinceMs = 0;
  /** Whose time was up. */
  readonly #missed = new Set<CellId>();

  /** `last`: whose turn it was by the orders so far, this owner's or its predecessor's. */
  lead(release: Release, members: readonly MemberView[], last: CellId | undefined, now: number): Turn {
    if (release.id !== this.#release) {
      this.#release = release.id;
      this.#cell = undefined;
      this.#missed.clear();
    }
    const none = { go: [], dueMs: Number.POSITIVE_INFINITY };
    const { outcome } = release;
    if (outcome?.state === 'halted') return none;
    const failed = outcome === undefined ? members.find((member) => hasFailed(member, release)) : undefined;
    if (failed !== undefined)
      return { ...none, outcome: { state: 'halted', reason: `${failed.name}: ${failed.upgrade!.reason ?? ''}` } };
    const busy = members.find((member) => !this.#missed.has(member.id) && isBusy(member, release, last));
    if (busy !== undefined) {
      if (this.#cell !== busy.id) [this.#cell, this.#sinceMs] = [busy.id, now];
      if (now - this.#sinceMs < turnMs) return { go: [busy.id], dueMs: this.#sinceMs + turnMs };
      this.#missed.add(busy.id);
      const reason = `${busy.name} did not come back with it within ${turnMs / 60_000} minutes`;
      if (outcome === undefined) return { ...none, outcome: { state: 'halted', reason } };
    }
    const next = members.filter((one) => wants(one, release) && !this.#missed.has(one.id)).sort(selfLast)[0];
    if (next === undefined) return outcome === undefined ? { ...none, outcome: { state: 'done', reason: '' } } : none;
    [this.#cell, this.#sinceMs] = [next.id, now];
    return { go: [next.id], dueMs: now + turnMs };
  }
}

/** It was told to, or has begun, and is not through; or it is gone since it has it. */
function isBusy(member: MemberView, release: Release, last: CellId | undefined): boolean {
  const { id, upgrade, facts } = member;
  if (release.outcome === undefined && facts.version === release.version && member.state === 'down') return true;
  const hasBegun = upgrade?.release === release.id && upgrade.state !== 'failed';
  return hasBegun || (id === last && facts.version !== release.version && !hasFailed(member, release));
}

const hasFailed = ({ upgrade }: MemberView, { id }: Release): boolean =>
  upgrade?.release === id && upgrade.state === 'failed';

/** Once all had it, a newer one that somebody installed by hand is left alone. */
function wants(member: MemberView, release: Release): boolean {
  const { facts } = member;
  if (!isHere(member) || !canTake(member, release) || facts.version === release.version) return false;
  if (hasFailed(member, release)) return false;
  return release.outcome === undefined || compareVersions(facts.version, release.version) < 0;
}

const canTake = ({ facts }: MemberView, { packages }: Pick<Release, 'packages'>): boolean =>
  facts.upgrades === true && packages[facts.arch] !== undefined;

const selfLast = (a: MemberView, b: MemberView): number => Number(a.self) - Number(b.self);
