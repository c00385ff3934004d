/**
 * The cells of a layout as columns, so that ten thousand replicas can draw straws among a thousand of them in a moment: one
 * number per cell and column, cells of equal weight side by side (of those the highest draw wins, and no logarithm is needed).
 */
import { compare, hash32 } from '../core/hash.ts';
import type { PlacementCell } from './filter.ts';

/** The label that says which cells are likely to fail together. */
const zoneLabel = 'zone';

export class Fleet {
  /** By id. */
  readonly cells: readonly PlacementCell[];
  readonly hashes: Int32Array;
  readonly weights: Int32Array;
  /** Rows of one weight and zone each. */
  readonly buckets: readonly { weight: number; zone: number; rows: Int32Array }[];
  /** Which zone each cell is in; those without a label are one. */
  readonly zones: Int32Array;
  readonly zoneCount: number;

  constructor(cells: readonly PlacementCell[], likeness?: Fleet) {
    this.cells = cells;
    if (likeness !== undefined) {
      this.hashes = likeness.hashes;
      this.weights = likeness.weights;
      this.buckets = likeness.buckets;
      this.zones = likeness.zones;
      this.zoneCount = likeness.zoneCount;
      return;
    }
    this.hashes = Int32Array.from(cells, ({ id }) => hash32(id));
    this.weights = Int32Array.from(cells, ({ weight }) => weight);
    const zones = [...new Set(cells.map(({ labels }) => labels[zoneLabel] ?? ''))].sort(compare);
    this.zones = Int32Array.from(cells, ({ labels }) => zones.indexOf(labels[zoneLabel] ?? ''));
    this.zoneCount = zones.length;
    const buckets = new Map<string, { weight: number; zone: number; rows: number[] }>();
    cells.forEach(({ weight }, row) => {
      const zone = this.zones[row]!;
      const bucket = buckets.get(`${weight} ${zone}`) ?? { weight, zone, rows: [] };
      buckets.set(`${weight} ${zone}`, bucket);
      bucket.rows.push(row);
    });
    this.buckets = [...buckets.values()].map(({ rows, ...kind }) => ({ ...kind, rows: Int32Array.from(rows) }));
  }

  /** `cells` in the same columns where nothing differs that a home depends on, else in new ones. */
  with(given: readonly PlacementCell[]): Fleet {
    if (this.#isLikeMine(given)) return new Fleet(given, this);
    const cells = [...given].sort((a, b) => compare(a.id, b.id));
    return new Fleet(cells, this.#isLikeMine(cells) ? this : undefined);
  }

  #isLikeMine(cells: readonly PlacementCell[]): boolean {
    return cells.length === this.cells.length && cells.every((cell, row) => isAlike(cell, this.cells[row]!));
  }

  isLike(other: Fleet): boolean {
    return this.hashes === other.hashes;
  }
}

function isAlike(a: PlacementCell, b: PlacementCell): boolean {
  if (a === b) return true;
  if (a.id !== b.id || a.name !== b.name || a.weight !== b.weight || a.labels !== b.labels) return false;
  const [now, then] = [a.facts, b.facts];
  if (now === then) return true;
  return (
    now.os === then.os &&
    now.arch === then.arch &&
    now.cpuMilli === then.cpuMilli &&
    now.memoryBytes === then.memoryBytes &&
    now.gpus === then.gpus &&
    now.devices?.join() === then.devices?.join()
  );
}
