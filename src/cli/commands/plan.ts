/** `osca plan`: what would change, before it does. */
import type { Command } from 'commander';
import type { MovesPlan, Plan } from '../../api/plan.ts';
import { OscaError, reasonOf } from '../../core/errors.ts';
import type { FileOptions } from '../files.ts';
import { bodyOf, collect } from '../files.ts';
import { bold, dim, green, red, say, table, warn, yellow } from '../render.ts';
import { clientOf, show } from '../shared.ts';

export function addPlanCommand(osca: Command): void {
  osca
    .command('plan [files...]')
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
    .action(async (files: string[], options: PlanOptions, command: Command) => {
      try {
        const isMoves = options.removeCell !== undefined || options.addCell !== undefined;
        process.exitCode = await (isMoves ? planMoves(options, command) : planFile(files, options, command));
      } catch (error) {
        // 1 means changes: whatever goes wrong here is a 2.
        const known = error instanceof OscaError;
        throw new OscaError('bad-request', reasonOf(error), known ? error.hint : '', error);
      }
    });
}

export function addConvertCommand(osca: Command): void {
  osca
    .command('convert <files...>')
    .description('print what a Compose file or Kubernetes manifest means here, as JSON; nothing is deployed')
    .option('--name <app>', 'name of the app, before name: of the file')
    .option('--profile <name>', 'also services of this profile', collect, [] as string[])
    .option('--json', 'print JSON, as it does anyway')
    .addHelpText(
      'after',
      '\nWhat configs and secrets hold is not printed. It needs no daemon.\n\nExample:\n  osca convert deployment.yaml',
    )
    .action(async (files: string[], options: FileOptions) => {
      // Loaded where it is needed: other commands start without it.
      const { readSpec } = await import('../../specs/read.ts');
      const { app, builds, files: contents, warnings } = readSpec(bodyOf(files, options));
      for (const text of warnings) warn(yellow(`warning: ${text}`));
      say(JSON.stringify({ app, builds, files: Object.keys(contents), warnings }, null, 2));
    });
}

interface PlanOptions extends FileOptions {
  removeCell?: string;
  addCell?: string | true;
}

async function planFile(files: string[], options: FileOptions, command: Command): Promise<number> {
  if (files.length === 0)
    throw new OscaError('bad-request', 'no file was given', 'osca plan FILE, or --remove-cell CELL, or --add-cell');
  const plan = await clientOf(command).call<Plan>('POST', '/v1/plan', bodyOf(files, options));
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
