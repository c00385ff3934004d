/**
 * A layout while it is made: what each cell has taken, and the choice of the next replica's cell. One service after the other:
 * `open` tells which cells may have it, then its replicas choose one by one.
 *
 * A replica goes to a cell with the fewest replicas of its service, of those to one that is not full, of those to a zone with the
 * fewest of the service, of those to the longest straw. Full is a cell with a tenth more than its fair share by weight: consistent hashing
 * with bounded loads (Mirrokni, Thorup, Zadimoghaddam, SODA '18) with c = 1.1.
 */
import { reservationOf } from '../core/service.ts';
import type { ServiceSpec } from '../core/spec.ts';
import type { Taken } from './filter.ts';
import { hostPorts, nothingTaken, reserves } from './filter.ts';
import type { Fleet } from './fleet.ts';
import { draw, straw } from './straw2.ts';

const closed = 0x7fffffff;

export class Layout {
  readonly #fleet: Fleet;
  /** Replicas per cell. */
  readonly load: Int32Array;
  readonly full: Int32Array;
  readonly #cpuMilli: Float64Array;
  readonly #memoryBytes: Float64Array;
  readonly #ports: Map<number, Map<string, string>>;
  /** Of the service at hand. */
  #spec: ServiceSpec | undefined;
  #reserves = false;
  /** Cells with at most so many of its replicas are asked; -1 before the first. */
  #level = -1;
  #most = 0;
  /** Its replicas by row; `closed` where it may not be. */
  readonly #count: Int32Array;
  readonly #inZone: Int32Array;
  /** By bucket of the fleet: rows that may have the next replica and have room. */
  readonly #free: Int32Array[];
  readonly #freeCount: Int32Array;

  constructor(fleet: Fleet, full: Int32Array, from?: Layout) {
    const { length } = fleet.cells;
    this.#fleet = fleet;
    this.full = full;
    this.load = from === undefined ? new Int32Array(length) : from.load.slice();
    this.#cpuMilli = from === undefined ? new Float64Array(length) : from.#cpuMilli.slice();
    this.#memoryBytes = from === undefined ? new Float64Array(length) : from.#memoryBytes.slice();
    this.#ports = new Map(from === undefined ? [] : [...from.#ports].map(([row, ports]) => [row, new Map(ports)]));
    this.#count = new Int32Array(length);
    this.#inZone = new Int32Array(fleet.zoneCount);
    this.#free = fleet.buckets.map(({ rows }) => new Int32Array(rows.length));
    this.#freeCount = new Int32Array(fleet.buckets.length);
  }

  takenOn(row: number): Taken {
    const [cpuMilli, memoryBytes] = [this.#cpuMilli[row]!, this.#memoryBytes[row]!];
    return { cpuMilli, memoryBytes, ports: this.#ports.get(row) ?? nothingTaken.ports };
  }

  take(row: number, spec: ServiceSpec, replica: string, sign: 1 | -1 = 1): void {
    this.load[row]! += sign;
    if (!reserves(spec)) return;
    const { cpuMilli, memoryBytes } = reservationOf(spec);
    this.#cpuMilli[row]! += sign * cpuMilli;
    this.#memoryBytes[row]! += sign * memoryBytes;
    for (const port of hostPorts(spec.ports)) {
      const ports = this.#ports.get(row) ?? new Map<string, string>();
      this.#ports.set(row, ports);
      if (sign === 1) ports.set(port, replica);
      else if (ports.get(port) === replica) ports.delete(port);
    }
  }

  /** Is there room for it, after what is taken? */
  fits(row: number, spec: ServiceSpec): boolean {
    if (!reserves(spec)) return true;
    const { facts } = this.#fleet.cells[row]!;
    const { cpuMilli: cpu, memoryBytes: memory } = reservationOf(spec);
    if (cpu > 0 && cpu > facts.cpuMilli - this.#cpuMilli[row]!) return false;
    if (memory > 0 && memory > facts.memoryBytes - this.#memoryBytes[row]!) return false;
    const ports = this.#ports.get(row);
    return ports === undefined || hostPorts(spec.ports).every((port) => !ports.has(port));
  }

  /** Begins with the replicas of a service; `isOpen` by row. */
  open(spec: ServiceSpec, isOpen: (row: number) => boolean): void {
    this.#spec = spec;
    this.#reserves = reserves(spec);
    this.#level = -1;
    this.#freeCount.fill(0);
    this.#most = 0;
    this.#inZone.fill(0);
    for (let row = 0; row < this.#count.length; row++) this.#count[row] = isOpen(row) ? 0 : closed;
  }

  /** A replica of the service at hand is here already. */
  has(row: number): void {
    if (this.#count[row] !== closed) this.#most = Math.max(this.#most, ++this.#count[row]!);
    this.#inZone[this.#fleet.zones[row]!]!++;
  }

  /** The row of the cell for a replica, which it takes; -1 where none fits. */
  choose(keyHash: number, replica: string): number {
    const most = Math.min(this.#most, (this.#spec?.maxPerCell ?? Number.POSITIVE_INFINITY) - 1);
    for (; this.#level <= most; this.#rise()) {
      let row = this.#longest(keyHash);
      if (row < 0 && this.#level >= 0) row = this.#leastOver(keyHash);
      if (row < 0) continue;
      this.has(row);
      this.take(row, this.#spec!, replica);
      return row;
    }
    return -1;
  }

  /** Cells with one more of the service may have the next. */
  #rise(): void {
    this.#level++;
    const { buckets } = this.#fleet;
    for (let b = 0; b < buckets.length; b++) {
      const [{ rows }, free] = [buckets[b]!, this.#free[b]!];
      let length = 0;
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i]!;
        if (this.#count[row]! <= this.#level && this.load[row]! < this.full[row]!) free[length++] = row;
      }
      this.#freeCount[b] = length;
    }
  }

  /** Of the cells with room, in a zone with the fewest. */
  #longest(keyHash: number): number {
    const { buckets, hashes } = this.#fleet;
    const key = Math.imul(keyHash, 0x9e3779b1);
    const best = { row: -1, draw: -1, straw: Number.NEGATIVE_INFINITY, bucket: -1, at: -1 };
    let fewest = 0x7fffffff;
    for (let b = 0; b < buckets.length; b++) {
      const { weight, zone } = buckets[b]!;
      const inZone = this.#inZone[zone]!;
      if (inZone > fewest) continue;
      const free = this.#free[b]!;
      const count = this.#freeCount[b]!;
      let at = -1;
      let top = -1;
      for (let i = 0; i < count; i++) {
        // draw() of straw2.ts, written out: this line runs millions of times.
        let drawn = key ^ hashes[free[i]!]!;
        drawn = Math.imul(drawn ^ (drawn >>> 16), 0x85ebca6b);
        drawn = Math.imul(drawn ^ (drawn >>> 13), 0xc2b2ae35);
        drawn = (drawn ^ (drawn >>> 16)) >>> 1;
        if (drawn < top || (drawn === top && free[i]! > free[at]!)) continue;
        if (this.#reserves && !this.fits(free[i]!, this.#spec!)) continue;
        at = i;
        top = drawn;
      }
      if (at < 0) continue;
      const row = free[at]!;
      const length = straw(top, weight);
      if (inZone === fewest && !isLonger(length, top, row, best)) continue;
      fewest = inZone;
      Object.assign(best, { row, draw: top, straw: length, bucket: b, at });
    }
    if (best.row < 0) return -1;
    const free = this.#free[best.bucket]!;
    free[best.at] = free[--this.#freeCount[best.bucket]!]!;
    return best.row;
  }

  /** Where all are full: of those that are least over it, in a zone with the fewest. */
  #leastOver(keyHash: number): number {
    const { hashes, weights, zones } = this.#fleet;
    const best = { row: -1, draw: -1, straw: Number.NEGATIVE_INFINITY };
    let [least, fewest] = [0x7fffffff, 0x7fffffff];
    for (let row = 0; row < hashes.length; row++) {
      const over = this.load[row]! - this.full[row]!;
      const inZone = this.#inZone[zones[row]!]!;
      if (this.#count[row]! > this.#level || over > least || (over === least && inZone > fewest)) continue;
      if (!this.fits(row, this.#spec!)) continue;
      const drawn = draw(keyHash, hashes[row]!);
      const length = straw(drawn, weights[row]!);
      if (over === least && inZone === fewest && !isLonger(length, drawn, row, best)) continue;
      [least, fewest] = [over, inZone];
      Object.assign(best, { row, draw: drawn, straw: length });
    }
    return best.row;
  }
}

const isLonger = (length: number, drawn: number, row: number, best: { straw: number; draw: number; row: number }) =>
  length > best.straw || (length === best.straw && (drawn > best.draw || (drawn === best.draw && row < best.row)));

/** What each cell may have of `total` replicas: its share by weight among those present. */
export function sharesOf(fleet: Fleet, total: number, isPresent: (row: number) => boolean): Float64Array {
  let all = 0;
  for (let row = 0; row < fleet.cells.length; row++) if (isPresent(row)) all += fleet.weights[row]!;
  return Float64Array.from(fleet.weights, (weight, row) => (isPresent(row) ? (total * weight) / all : 0));
}

/** What fills a cell when homes are laid out: its share, in whole replicas. */
export const sharesAt = (shares: Float64Array): Int32Array => Int32Array.from(shares, (share) => Math.ceil(share));

/** What fills it while things happen: a tenth more, and a tenth of a replica, so that one cell more or less changes nothing. */
export const fullAt = (shares: Float64Array): Int32Array =>
  Int32Array.from(shares, (share) => Math.max(Math.ceil(share), Math.floor(share * 1.1 + 0.1)));
