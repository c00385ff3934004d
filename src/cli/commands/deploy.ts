/** `osca deploy` and `osca plan`. */

import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { DeployStep } from '../../api/follow.ts';
import type { MovesPlan, Plan } from '../../api/plan.ts';
import type { ReplicaRow } from '../../api/rows.ts';
import { OscaError, reasonOf } from '../../core/errors.ts';
import { bold, dim, green, LiveBlock, red, say, stateColour, table, warn, yellow } from '../render.ts';
import { clientOf, duration, exitCodeOf, show, wholeNumber } from '../shared.ts';

interface FileOptions {
  name?: string;
  profile: string[];
  json?: boolean;
}

const names = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];

/** A file, or a folder with a Compose file in it. */
function composeFile(given: string): string {
  const path = resolve(given);
  if (!existsSync(path))
    throw new OscaError('not-found', `there is no file ${given}`, 'give the path of a Compose file');
  if (!statSync(path).isDirectory()) return path;
  const file = names.map((name) => resolve(path, name)).find((one) => existsSync(one));
  if (file === undefined)
    throw new OscaError('not-found', `there is no ${names[0]} in ${given}`, 'give the path of a Compose file');
  return file;
}

const bodyOf = (file: string, { name, profile }: FileOptions) => ({
  ...{ file: composeFile(file), profiles: profile, env: shellEnvironment() },
  ...(name === undefined ? {} : { name }),
});

const shellEnvironment = (): Record<string, string> =>
  Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));

const collect = (value: string, before: string[]): string[] => [...before, value];

export function addDeployCommands(osca: Command): void {
  osca
    .command('deploy <file>')
    .description('run what a Compose file describes, and wait until it runs')
    .option('--name <app>', 'name of the app, before name: of the file')
    .option('--profile <name>', 'also run services of this profile', collect, [] as string[])
    .option('--json', 'print JSON')
    .option('--detach', 'return as soon as it is accepted')
    .option('--timeout <time>', 'give up waiting after this long', '5m')
    .option('--ack <n>', 'other cells that must have it on disk', '1')
    .addHelpText('after', '\nExample:\n  osca deploy examples/hello/compose.yaml')
    .action(
      async (
        file: string,
        options: FileOptions & { detach?: boolean; timeout: string; ack: string },
        command: Command,
      ) => {
        const body = {
          ...bodyOf(file, options),
          detach: options.detach ?? false,
          timeoutMs: duration(options.timeout),
          acks: wholeNumber(options.ack),
        };
        const steps = clientOf(command).lines<DeployStep>('POST', '/v1/deploy', body);
        await (options.json ? printSteps(steps) : drawSteps(steps));
      },
    );
  osca
    .command('plan [file]')
    .description('show what would change; exits 0 for nothing, 1 for changes, 2 for an error')
    .option('--name <app>', 'name of the app, before name: of the file')
    .option('--profile <name>', 'also run services of this profile', collect, [] as string[])
    .option('--remove-cell <cell>', 'instead of a file: what would move if this cell went')
    .option('--add-cell [machine]', 'instead of a file: what would move to a new cell; CPUS,MEMORY, e.g. 4,8g')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  osca plan compose.yaml\n  osca plan --remove-cell pi-3\n  osca plan --add-cell 4,8g',
    )
    .action(async (file: string | undefined, options: PlanOptions, command: Command) => {
      try {
        const isMoves = options.removeCell !== undefined || options.addCell !== undefined;
        process.exitCode = await (isMoves ? planMoves(options, command) : planFile(file, options, command));
      } catch (error) {
        // 1 means changes: whatever goes wrong here is a 2.
        const known = error instanceof OscaError;
        throw new OscaError('bad-request', reasonOf(error), known ? error.hint : '', error);
      }
    });
}

interface PlanOptions extends FileOptions {
  removeCell?: string;
  addCell?: string | true;
}

async function planFile(file: string | undefined, options: FileOptions, command: Command): Promise<number> {
  if (file === undefined)
    throw new OscaError('bad-request', 'no file was given', 'osca plan FILE, or --remove-cell CELL, or --add-cell');
  const plan = await clientOf(command).call<Plan>('POST', '/v1/plan', bodyOf(file, options));
  show(command, plan, () => planText(plan));
  return plan.changes ? 1 : 0;
}

async function planMoves({ removeCell, addCell }: PlanOptions, command: Command): Promise<number> {
  const body = {
    ...(removeCell === undefined ? {} : { remove: removeCell }),
    ...(addCell === undefined ? {} : { add: addCell === true ? {} : machineOf(addCell) }),
  };
  const plan = await clientOf(command).call<MovesPlan>('POST', '/v1/plan/cells', body);
  const rows = plan.moves.map(({ replica, from, to, reason }) => [
    `  ${replica}`,
    from === '' ? dim('nowhere') : from,
    to === '' ? red('nowhere') : to,
    reason,
  ]);
  show(command, plan, () =>
    [
      ...(rows.length === 0 ? [] : [table(['  REPLICA', 'FROM', 'TO', ''], rows), '']),
      `${plan.moves.length} would move, ${plan.stay} stay`,
    ].join('\n'),
  );
  return plan.moves.length === 0 ? 0 : 1;
}

/** '4,8g': cores and memory of a machine. */
function machineOf(text: string): { cpus: number; memoryBytes?: number } {
  const [cpus, memory] = text.split(',');
  const memoryBytes = memory === undefined ? undefined : sizeBytes(memory);
  if (!(Number(cpus) > 0) || (memory !== undefined && memoryBytes === undefined))
    throw new OscaError('bad-request', `'${text}' is no machine`, 'write CPUS or CPUS,MEMORY: --add-cell 4,8g');
  return { cpus: Number(cpus), ...(memoryBytes === undefined ? {} : { memoryBytes }) };
}

function sizeBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([mg])b?$/i.exec(text);
  return match === null
    ? undefined
    : Math.round(Number(match[1]) * (match[2]!.toLowerCase() === 'g' ? 2 ** 30 : 2 ** 20));
}

async function printSteps(steps: AsyncGenerator<DeployStep>): Promise<void> {
  let ended: DeployStep['type'] | undefined;
  for await (const step of steps) {
    say(JSON.stringify(step));
    ended = step.type;
    if (step.type === 'failed') process.exitCode = exitCodeOf(step.code);
  }
  if (ended !== 'done' && ended !== 'accepted' && ended !== 'failed') process.exitCode = 3;
}

async function drawSteps(steps: AsyncGenerator<DeployStep>): Promise<void> {
  const rows = new Map<string, ReplicaRow>();
  const block = new LiveBlock();
  let ended = false;
  for await (const step of steps) {
    if (step.type === 'failed') return fail(step);
    if (step.type === 'progress') say(dim(step.text));
    else if (step.type === 'warning') warn(yellow(`warning: ${step.text}`));
    if (step.type === 'accepted') {
      ended = true;
      say(`${bold(step.app)} revision ${step.revision} accepted`);
    } else if (step.type === 'replica') {
      ended = false;
      rows.set(step.row.replica, step.row);
      if (!process.stdout.isTTY) say(rowText(step.row));
      block.draw([...rows.values()].map(rowText));
    } else if (step.type === 'done') {
      ended = true;
      say(green(`${step.app}: ${step.replicas} of ${step.replicas} replicas run (${(step.ms / 1_000).toFixed(2)} s)`));
    }
  }
  if (!ended) throw new OscaError('daemon-away', 'the daemon broke off', 'osca ps shows what became of it');
}

const rowText = ({ service, index, cell, state, reason }: ReplicaRow): string =>
  `  ${`${service}/${index}`.padEnd(16)} ${cell.padEnd(12)} ${stateColour(state)}${reason === '' ? '' : dim(`  ${reason}`)}`;

function fail(step: DeployStep & { type: 'failed' }): void {
  warn(red(`failed: ${step.message}`));
  if (step.log.length > 0) warn(`last lines of its log:\n${step.log.map((line) => `  | ${line}`).join('\n')}`);
  if (step.hint !== '') warn(`  ${step.hint}`);
  process.exitCode = exitCodeOf(step.code);
}

function planText(plan: Plan): string {
  const marks = {
    add: green('+ add'),
    remove: red('- remove'),
    replace: yellow('~ replace'),
    scale: yellow('~ change'),
    keep: dim('  keep'),
  };
  const steps = plan.steps.map(
    ({ service, change, detail }) => `  ${marks[change]} ${service}${detail === '' ? '' : `  ${detail}`}`,
  );
  const moved = plan.replicas.filter(({ change }) => change !== 'keep');
  const replicas =
    moved.length === 0
      ? []
      : [
          '',
          table(
            ['  REPLICA', 'CELL', 'CHANGE', ''],
            moved.map((row) => [`  ${row.replica}`, row.cell, row.change, row.reason]),
          ),
        ];
  const warnings = plan.warnings.map((text) => yellow(`  note: ${text}`));
  return [`${bold(plan.app)}: ${plan.changes ? 'changes' : 'no changes'}`, ...steps, ...replicas, ...warnings].join(
    '\n',
  );
}
