/** The lives that npm test runs: some fixed seeds, and every life that once failed (seeds.txt, one a line). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from './deeds.ts';
import type { LifeOptions } from './life.ts';
import { drawn } from './life.ts';

const strictFaults: readonly Fault[] = ['crash', 'partition', 'rolling', 'pause'];
const dutyFaults: readonly Fault[] = ['crash', 'partition', 'heavy'];

const doorFaults: readonly Fault[] = ['strangers', 'leavers', 'wipe', 'join', 'partition', 'crash'];

const seaFaults: readonly Fault[] = ['gulf', 'lag', 'storm', 'sick', 'tight', 'bad', 'partition', 'wifi'];

export const seedsFile = join(import.meta.dirname, 'seeds.txt');

/** All that it was, whatever is drawn by the same seed later. */
export function keptLine(options: LifeOptions): string {
  const { seed, cells, deeds, faults } = drawn(options);
  return `${seed} ${cells} ${deeds} ${faults.join() || 'none'}\n`;
}

export function fixedLives(): LifeOptions[] {
  const kept = readFileSync(seedsFile, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line): LifeOptions => {
      const [seed, cells, deeds, faults] = line.split(' ') as [string, string, string, string];
      const on = faults.split(',').filter((fault) => fault !== 'none') as Fault[];
      return { seed, cells: Number(cells), deeds: Number(deeds), faults: on };
    });
  const small = Array.from({ length: 40 }, (_, i): LifeOptions => ({ seed: `fault-${i}` }));
  // Strict services through restarts, cuts and pauses: seeds that find each bug of mutations.ts.
  const strict = [1, 4, 25, 66, 138].map((i): LifeOptions => ({ seed: `strict-${i}`, faults: strictFaults }));
  // Rollouts that take long, while those who lead them come and go.
  const duties = [4, 7, 25, 46, 79].map((i): LifeOptions => ({ seed: `duty-${i}`, faults: dutyFaults, cells: 5 }));
  const large = Array.from({ length: 3 }, (_, i): LifeOptions => ({ seed: `many-${i}`, between: [30, 60], deeds: 25 }));
  // Cells come on both sides of a cut.
  const growing = [15, 40].map((i): LifeOptions => ({ seed: `grow-${i}`, faults: ['join', 'partition'], cells: 3 }));
  // One that hears nobody and is heard, and one that was stopped.
  const deaf = [1, 21, 24].map((i): LifeOptions => ({ seed: `deaf-${i}`, faults: ['oneway', 'pause'], cells: 5 }));
  // Who comes without leave, who goes, and whose card is new.
  const doors = Array.from({ length: 12 }, (_, i): LifeOptions => ({ seed: `door-${i}`, faults: doorFaults }));
  // Cuts in one direction, slow lines, flocks of newcomers, and replicas that are ill.
  const sea = Array.from({ length: 12 }, (_, i): LifeOptions => ({ seed: `sea-${i}`, faults: seaFaults }));
  return [...kept, ...sea, ...growing, ...strict, ...duties, ...deaf, ...doors, ...small, ...large];
}
