/**
 * Who may stay. A layout made anew puts many replicas elsewhere when the list of cells or services has changed; a replica that
 * runs should not care. So it stays where it runs, unless it can't, or its place is needed for an even load, and when it moves
 * it moves to where the layout has it: every move makes the appliance more like its layout, and none goes back and forth.
 *
 * All cells know the same of what runs as soon as they have the same records. Until then one may start what another keeps, and
 * nothing is stopped before its successor is ready; so a late record costs a start, never a replica.
 */
import type { ServiceSpec } from '../core/spec.ts';
import { isStateful } from './filter.ts';
import type { Fleet } from './fleet.ts';
import type { Layout } from './layout.ts';

/** A replica that runs elsewhere than at home. */
export interface Stray {
  replica: string;
  /** What is needed where it runs, for it and for those that are with it there; `least` for it alone. */
  spec: ServiceSpec;
  least: ServiceSpec;
  /** What is taken for it at home. */
  asked: ServiceSpec;
  service: Spread;
  /** Where it runs, and may. */
  here: number;
  /** Its home; -1 where that can't have it now. */
  home: number;
}

/** How a service lies: rows of its homes, and of its replicas as they are, with all strays staying. */
export interface Spread {
  homes(): number[];
  lie(): number[];
}

/**
 * The strays that must leave, of `strays` in replica order. `layout` has taken all homes that can be taken, and afterwards the
 * places of those that stay instead. `makeRoom` sends those elsewhere that run nowhere yet, before any that runs has to go.
 */
export function leaving(
  strays: readonly Stray[],
  fleet: Fleet,
  layout: Layout,
  shares: Float64Array,
  makeRoom: () => void,
): Set<Stray> {
  const gone = new Set<Stray>();
  for (const stray of strays) {
    // Room for it where it runs, beside all that is at home there. It goes for nobody that is with it.
    if (!layout.fits(stray.here, stray.spec)) stray.spec = stray.least;
    if (!layout.fits(stray.here, stray.spec)) {
      gone.add(stray);
      continue;
    }
    if (stray.home >= 0) layout.take(stray.home, stray.asked, stray.replica, -1);
    layout.take(stray.here, stray.spec, stray.replica);
  }
  const go = (stray: Stray): void => {
    if (!layout.fits(stray.home, stray.asked)) return;
    gone.add(stray);
    layout.take(stray.here, stray.spec, stray.replica, -1);
    layout.take(stray.home, stray.asked, stray.replica);
  };
  const isBound = ({ spec, here }: Stray): boolean => isStateful(spec) || fleet.cells[here]!.cordon;
  const free = (): Stray[] => strays.filter((stray) => stray.home >= 0 && !gone.has(stray) && !isBound(stray));
  unpack(free(), fleet, go);
  fill(free(), layout, shares, go);
  makeRoom();
  relieve(free(), layout, go);
  return gone;
}

/** Two of a service on one cell, or in one zone, while the layout has them apart. Strays of a service stand together. */
function unpack(strays: readonly Stray[], fleet: Fleet, go: (stray: Stray) => void): void {
  const tallies = [new Tally(undefined, fleet.cells.length)];
  if (fleet.zoneCount > 1) tallies.push(new Tally(fleet.zones, fleet.zoneCount));
  let at: Spread | undefined;
  for (const stray of strays) {
    if (at !== stray.service) {
      at = stray.service;
      const [homes, lie] = [at.homes(), at.lie()];
      for (const tally of tallies) tally.begin(homes, lie);
    }
    if (!tallies.some((tally) => tally.isOver(stray.here))) continue;
    go(stray);
    for (const tally of tallies) tally.move(stray.here, stray.home);
  }
}

/** How many replicas of one service are on each cell, or in each zone, and how many its layout has there at most. */
class Tally {
  readonly #zones: Int32Array | undefined;
  readonly #now: Int32Array;
  #counted: number[] = [];
  #most = 0;

  constructor(zones: Int32Array | undefined, size: number) {
    this.#zones = zones;
    this.#now = new Int32Array(size);
  }

  begin(homes: readonly number[], lie: readonly number[]): void {
    const most = this.#count(homes);
    // In a zone one more than laid out is no reason to move, unless they were to be apart.
    this.#most = this.#zones === undefined || most === 1 ? most : most + 1;
    this.#count(lie);
  }

  /** The most in one place. */
  #count(rows: readonly number[]): number {
    for (const place of this.#counted) this.#now[place] = 0;
    this.#counted = this.#zones === undefined ? [...rows] : rows.map((row) => this.#zones![row]!);
    let most = 0;
    for (const place of this.#counted) most = Math.max(most, ++this.#now[place]!);
    return most;
  }

  isOver(row: number): boolean {
    return this.#now[this.#zones?.[row] ?? row]! > this.#most;
  }

  move(from: number, to: number): void {
    const place = this.#zones?.[to] ?? to;
    this.#now[this.#zones?.[from] ?? from]!--;
    this.#now[place]!++;
    this.#counted.push(place);
  }
}

/** To cells with less than nine tenths of their share (and a tenth of a replica, as in fullAt), from those that have most. */
function fill(strays: readonly Stray[], { load }: Layout, shares: Float64Array, go: (stray: Stray) => void): void {
  const poor = new Map<number, Stray[]>();
  for (const stray of strays) {
    if (load[stray.home]! >= Math.floor(shares[stray.home]! * 0.9 - 0.1)) continue;
    const bound = poor.get(stray.home) ?? [];
    poor.set(stray.home, bound);
    bound.push(stray);
  }
  // Relative to the share, so that a big machine gives before a small one.
  const wealth = (row: number): number => load[row]! / shares[row]!;
  for (const [row, bound] of poor) {
    for (const stray of bound.sort((a, b) => wealth(b.here) - wealth(a.here))) {
      if (load[row]! >= Math.floor(shares[row]!)) break;
      if (wealth(stray.here) > wealth(row)) go(stray);
    }
  }
}

/** From cells with too much. */
function relieve(strays: readonly Stray[], { load, full }: Layout, go: (stray: Stray) => void): void {
  for (const stray of strays) {
    if (load[stray.here]! > full[stray.here]! && load[stray.home]! < full[stray.home]!) go(stray);
  }
}
