/**
 * Placement alone: how long it takes, how even it is, how much it moves. Everything runs where it is placed before the next
 * thing happens. Moves are counted against the least that the change asks for: the replicas of the cell that went, or the share
 * of the cell that came.
 */
import { mix32 } from '../src/core/hash.ts';
import type { Assignment } from '../src/core/model.ts';
import type { PlacementCell, PlacementInput } from '../src/placement/filter.ts';
import { weightOf } from '../src/placement/filter.ts';
import { Placement } from '../src/placement/place.ts';
import { simService } from '../test/sim/makers.ts';
import { median } from './measure.ts';

const gibibyte = 2 ** 30;

export const benchCells = (count: number): PlacementCell[] => Array.from({ length: count }, (_, i) => cellOf(i, 4));

function cellOf(number: number, cpus: number): PlacementCell {
  const name = `cell-${number}`;
  const facts = {
    ...{ version: '', os: 'linux', arch: 'arm64', engine: 'Docker', hostname: name },
    ...{ cpuMilli: cpus * 1_000, memoryBytes: cpus * gibibyte },
  };
  const labels = { zone: `zone-${number % 4}` };
  return {
    id: `id-${mix32(number)}`,
    name,
    facts,
    labels,
    drain: false,
    cordon: false,
    up: true,
    held: false,
    leaving: false,
    vetoes: new Map(),
    ...{ units: [], weight: weightOf(facts) },
  };
}

/** An appliance in which everything that is placed runs. */
class Fleet {
  readonly placement = new Placement();
  cells: PlacementCell[];
  readonly services: PlacementInput['services'];
  #where = new Map<string, string>();

  constructor(cells: PlacementCell[], services: number, replicas: number) {
    this.cells = cells;
    this.services = Array.from({ length: services }, (_, i) => ({
      app: `app-${i}`,
      spec: simService('web', replicas),
      hash: 'h',
    }));
  }

  input(): PlacementInput {
    return { cells: this.cells, services: this.services };
  }

  /** Places, starts what moved, and says how many did. */
  settle(): { moved: number; ms: number } {
    const start = performance.now();
    const placed = this.placement.place(this.input());
    const ms = performance.now() - start;
    let moved = 0;
    for (const { replica, cell } of placed) {
      if (this.#where.get(replica) !== cell) moved++;
      this.#where.set(replica, cell!);
    }
    this.#run(placed);
    return { moved, ms };
  }

  #run(placed: readonly Assignment[]): void {
    const units = new Map<string, string[]>();
    for (const { replica, cell } of placed) units.set(cell!, [...(units.get(cell!) ?? []), replica]);
    this.cells = this.cells.map((cell) => {
      const now = units.get(cell.id) ?? [];
      return now.join() === cell.units.join() ? cell : { ...cell, units: now };
    });
    this.placement.place(this.input());
  }

  /** The heaviest, as a part of the mean of its weight. */
  heaviest(): number {
    const up = this.cells.filter((cell) => cell.up);
    const replicas = up.reduce((sum, { units }) => sum + units.length, 0);
    const weights = up.reduce((sum, { weight }) => sum + weight, 0);
    return Math.max(...up.map(({ units, weight }) => units.length / ((replicas * weight) / weights)));
  }
}

export function benchPlacement(tell: (text: string) => void): object {
  const cells = Array.from({ length: 1_000 }, (_, i) => cellOf(i, 4));
  const scratch: number[] = [];
  const floor: number[] = [];
  for (let i = 0; i < 6; i++) {
    const fleet = new Fleet(cells, 1_000, 10);
    const start = performance.now();
    fleet.placement.place(fleet.input());
    scratch.push(performance.now() - start);
    floor.push(drawAll(10_000, 1_000));
  }
  const fleet = new Fleet(cells, 1_000, 10);
  fleet.settle();
  const changes = { death: [] as number[], return: [] as number[], join: [] as number[], removal: [] as number[] };
  const [deathMs, returnMs, joinMs]: [number[], number[], number[]] = [[], [], []];
  let heaviest = fleet.heaviest();
  const flip = (victim: string, up: boolean): void => {
    fleet.cells = fleet.cells.map((cell) => (cell.id === victim ? { ...cell, up, units: [] } : cell));
  };
  for (let i = 0; i < 30; i++) {
    const victim = fleet.cells[(i * 37) % fleet.cells.length]!;
    flip(victim.id, false);
    const death = fleet.settle();
    changes.death.push(death.moved / victim.units.length);
    deathMs.push(death.ms);
    heaviest = Math.max(heaviest, fleet.heaviest());
    flip(victim.id, true);
    const back = fleet.settle();
    changes.return.push(back.moved / 10);
    returnMs.push(back.ms);
    fleet.cells = [...fleet.cells, cellOf(1_000 + i, 4)];
    const least = Math.floor(10_000 / fleet.cells.length);
    const join = fleet.settle();
    changes.join.push(join.moved / least);
    joinMs.push(join.ms);
    const gone = fleet.cells[(i * 91) % fleet.cells.length]!;
    fleet.cells = fleet.cells.filter(({ id }) => id !== gone.id);
    changes.removal.push(fleet.settle().moved / Math.max(1, gone.units.length));
    heaviest = Math.max(heaviest, fleet.heaviest());
    tell(`  ${i}: death ${death.ms.toFixed(1)} ms, heaviest ${fleet.heaviest().toFixed(3)}`);
  }
  const mean = (list: number[]): number =>
    Math.round((list.reduce((sum, one) => sum + one, 0) / list.length) * 1_000) / 1_000;
  const ms = (list: number[]): number => Math.round(median(list) * 10) / 10;
  return {
    what: '10,000 replicas on 1,000 cells',
    scratchMs: ms(scratch.slice(1)),
    drawFloorMs: ms(floor.slice(1)),
    afterDeathMs: ms(deathMs),
    afterDeathWorstMs: Math.round(Math.max(...deathMs) * 10) / 10,
    afterReturnMs: ms(returnMs),
    afterJoinMs: ms(joinMs),
    heaviestOfMean: Math.round(heaviest * 1_000) / 1_000,
    movedOfLeast: Object.fromEntries(Object.entries(changes).map(([name, list]) => [name, mean(list)])),
    target: { scratchMs: 100, afterDeathMs: 5, heaviestOfMean: 1.1, movedOfLeast: 1.05 },
  };
}

/** The floor: every replica draws a straw for every cell, and nothing else. */
function drawAll(replicas: number, cells: number): number {
  const hashes = Int32Array.from({ length: cells }, (_, i) => mix32(i));
  const start = performance.now();
  let best = 0;
  for (let replica = 0; replica < replicas; replica++) {
    const key = Math.imul(replica, 0x9e3779b1);
    for (let i = 0; i < cells; i++) best = Math.max(best, mix32(key ^ hashes[i]!));
  }
  return best > 0 ? performance.now() - start : 0;
}

if (process.argv[1] === import.meta.filename) console.log(JSON.stringify(benchPlacement(() => {})));
