/** `osca`: what people type. Every command talks to the API of the local daemon, and to nothing else. */
import { Command, CommanderError } from 'commander';
import { OscaError, reasonOf, SpecError } from '../core/errors.ts';
import { version } from '../node/version.ts';
import { addAppCommands } from './commands/apps.ts';
import { addBoardCommands } from './commands/board.ts';
import { addCellCommands } from './commands/cells.ts';
import { addCompletion } from './commands/completion.ts';
import { addDaemonCommands } from './commands/daemon.ts';
import { addDeployCommand } from './commands/deploy.ts';
import { addExec } from './commands/exec.ts';
import { addLogCommands } from './commands/logs.ts';
import { addConvertCommand, addPlanCommand } from './commands/plan.ts';
import { addRevisionCommands } from './commands/revisions.ts';
import { addRunCommands } from './commands/runs.ts';
import { addUpgradeCommand } from './commands/upgrade.ts';
import { warn } from './render.ts';
import { exitCodeOf } from './shared.ts';

export const exitCodes = `
Exit codes:
  0  done                         2  wrong usage, spec or request
  1  it failed; plan: changes     3  no daemon answers
  exec and run end with the exit code of their command.`;

export function program(): Command {
  const osca = new Command('osca')
    .description('OSCA: a handful of small machines as one cloud that nobody has to run')
    .version(version, '-V, --version')
    .option('--data <dir>', 'data folder of the daemon (or OSCA_DATA)')
    .showHelpAfterError('(osca COMMAND --help shows how)')
    .addHelpText('after', exitCodes)
    .enablePositionalOptions()
    .exitOverride();
  addDaemonCommands(osca);
  addDeployCommand(osca);
  addPlanCommand(osca);
  addConvertCommand(osca);
  addAppCommands(osca);
  addRevisionCommands(osca);
  addRunCommands(osca);
  addLogCommands(osca);
  addExec(osca);
  addCellCommands(osca);
  addUpgradeCommand(osca);
  addBoardCommands(osca);
  addCompletion(osca);
  for (const command of osca.commands) for (const one of [command, ...command.commands]) one.exitOverride();
  return osca;
}

/** --data may stand anywhere before a --: what follows that is somebody else's. */
function dataFirst(words: readonly string[]): string[] {
  const end = words.indexOf('--');
  const at = words.findIndex((word, i) => /^--data(=|$)/.test(word) && (end < 0 || i < end));
  if (at < 0) return [...words];
  const count = words[at] === '--data' ? 2 : 1;
  return [...words.slice(at, at + count), ...words.slice(0, at), ...words.slice(at + count)];
}

async function main(): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  try {
    await program().parseAsync(dataFirst(process.argv.slice(2)), { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
    warn(`osca: ${reasonOf(error)}`);
    const hint = error instanceof OscaError ? error.hint : '';
    if (hint !== '') warn(error instanceof SpecError ? hint : `  ${hint}`);
    if (!(error instanceof OscaError) && process.env.OSCA_DEBUG !== undefined) warn(String((error as Error).stack));
    process.exitCode = exitCodeOf(error instanceof OscaError ? error.code : 'internal');
  }
}

if (process.env.OSCA_CLI_LIBRARY === undefined) void main();
