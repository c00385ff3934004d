/**
 * npm run sim -- [--seeds 100] [--seed NAME] [--scenario NAME] [--cells 5|30-100] [--faults swarm|a,b|none] [--deeds 40] [--minutes 30] [--keep] [--fixed]
 *
 * Random lives with fresh seeds (as many as --seeds says, or as fit into --minutes). A failure prints its seed, what broke, the last
 * events of the cells involved, the command that replays it, and the smallest life that still fails. `--keep` writes failing
 * seeds to test/sim/seeds.txt, which npm test replays from then on. `--fixed` runs the seeds of npm test and stops at the first failure.
 */
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Fault } from './deeds.ts';
import { allFaults } from './deeds.ts';
import type { Broken, LifeOptions } from './life.ts';
import { commandOf, live, reduced } from './life.ts';
import { scenarios } from './scenarios.ts';
import { fixedLives, keptLine, seedsFile } from './seeds.ts';

function usage(problem: string): never {
  console.error(
    `${problem}
  npm run sim -- [--seeds 100 | --minutes 30] [--seed NAME] [--scenario NAME] [--cells 5|30-100] [--deeds 40] [--keep]
    [--faults swarm|none|${allFaults.join()}]
  scenarios:
${Object.entries(scenarios)
  .map(([name, { what }]) => `    ${name.padEnd(16)} ${what}`)
  .join('\n')}`,
  );
  process.exit(2);
}

function parsed() {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const options = {
    seeds: text,
    seed: text,
    cells: text,
    faults: text,
    scenario: text,
    deeds: text,
    minutes: text,
    keep: flag,
    fixed: flag,
  };
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return usage((error as Error).message);
  }
}

function count(name: string, value: unknown, least: number): number {
  const number = Number(value);
  return Number.isInteger(number) && number >= least ? number : usage(`--${name} needs a number of at least ${least}`);
}

function cellsOf(text: string): Pick<LifeOptions, 'cells' | 'between'> {
  const [fewest, most] = text.split('-');
  if (most === undefined) return { cells: count('cells', text, 2) };
  return { between: [count('cells', fewest, 2), count('cells', most, Number(fewest))] };
}

const given = parsed();
const listed = given.faults === undefined || given.faults === 'swarm' ? undefined : given.faults.split(',');
const chosen = listed?.filter((name) => name !== 'none');
const unknown = chosen?.find((name) => !allFaults.includes(name));
if (unknown !== undefined) usage(`there is no fault '${unknown}'`);
const scenario = given.scenario === undefined ? undefined : scenarios[given.scenario];
if (given.scenario !== undefined && scenario === undefined) usage(`there is no scenario '${given.scenario}'`);
const { what: _, ...named } = scenario ?? { what: '' };
const base: Omit<LifeOptions, 'seed'> = {
  ...named,
  ...(given.cells === undefined ? {} : cellsOf(given.cells)),
  ...(given.deeds === undefined ? {} : { deeds: count('deeds', given.deeds, 0) }),
  ...(chosen === undefined ? {} : { faults: chosen as Fault[] }),
};

const run = Date.now().toString(36);
const untilMs = given.minutes === undefined ? undefined : Date.now() + count('minutes', given.minutes, 1) * 60_000;
const most = untilMs === undefined ? count('seeds', given.seeds ?? 100, 1) : Number.POSITIVE_INFINITY;

function* lives(): Generator<LifeOptions> {
  if (given.fixed === true) yield* fixedLives();
  else if (given.seed !== undefined) yield { ...base, seed: given.seed };
  else for (let i = 0; i < most && Date.now() < (untilMs ?? Infinity); i++) yield { ...base, seed: `${run}-${i}` };
}

let [lived, failed] = [0, 0];
for (const life of lives()) {
  try {
    live(life);
  } catch (error) {
    const broken = error as Broken;
    failed++;
    console.log(`\nseed ${life.seed}: ${broken.message}`);
    if (given.fixed === true) process.exit(1);
    console.log(`  smallest: ${commandOf(reduced(life, broken))}`);
    if (given.keep === true) appendFileSync(seedsFile, keptLine(life));
  }
  lived++;
  if (process.stdout.isTTY) process.stdout.write(`\r${lived} lives, ${failed} broken `);
}
console.log(`${process.stdout.isTTY ? '\n' : ''}${lived} lives, ${failed} broken`);
process.exit(failed === 0 ? 0 : 1);
