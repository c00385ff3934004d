/**
 * npm run sim -- [--seeds N] [--seed NAME] [--cells N] [--faults a,b|none] [--deeds N]: random lives with fresh seeds. A
 * failure prints its seed, what broke, the last events, the command that replays it, and the smallest life that still fails.
 */
import { parseArgs } from 'node:util';
import type { Fault, LifeOptions } from './life.ts';
import { Broken, faults, live, reduced } from './life.ts';

function usage(problem: string): never {
  console.error(
    `${problem}\n  npm run sim -- [--seeds 100] [--seed NAME] [--cells 5] [--faults ${faults.join()}] [--deeds 40]`,
  );
  process.exit(2);
}

function parsed(): ReturnType<typeof parseArgs>['values'] {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({ options: { seeds: text, seed: text, cells: text, faults: text, deeds: text } }).values;
  } catch (error) {
    return usage((error as Error).message);
  }
}

function count(name: string, value: unknown, least: number): number {
  const number = Number(value);
  return Number.isInteger(number) && number >= least ? number : usage(`--${name} needs a number of at least ${least}`);
}

const { seeds, seed, cells, faults: chosen, deeds } = parsed();
const named = chosen === undefined ? undefined : chosen === 'none' ? [] : String(chosen).split(',');
const unknown = named?.find((name) => !(faults as readonly string[]).includes(name));
if (unknown !== undefined) usage(`there is no fault '${unknown}'`);
const base: Omit<LifeOptions, 'seed'> = {
  ...(cells === undefined ? {} : { cells: count('cells', cells, 2) }),
  ...(deeds === undefined ? {} : { deeds: count('deeds', deeds, 0) }),
  ...(named === undefined ? {} : { faults: named as Fault[] }),
};
const run = Date.now().toString(36);
const list =
  seed === undefined
    ? Array.from({ length: count('seeds', seeds ?? 100, 1) }, (_, i) => `${run}-${i}`)
    : [String(seed)];

let failed = 0;
for (const [i, one] of list.entries()) {
  try {
    live({ ...base, seed: one });
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    failed++;
    console.log(`\nseed ${one}: ${error.message}`);
    const { cells: fewest, deeds: least, faults: needed } = reduced({ ...base, seed: one });
    console.log(
      `  smallest: npm run sim -- --seed ${one} --cells ${fewest} --deeds ${least} --faults ${needed.join() || 'none'}`,
    );
  }
  if (process.stdout.isTTY) process.stdout.write(`\r${i + 1} of ${list.length} lives, ${failed} broken `);
}
console.log(`${process.stdout.isTTY ? '\n' : ''}${list.length} lives, ${failed} broken`);
process.exit(failed === 0 ? 0 : 1);
