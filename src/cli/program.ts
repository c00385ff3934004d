/** All commands, and which module has which. */
import { Command } from 'commander';
import { version } from '../node/version.ts';

const exitCodes = `
Exit codes:
  0  done                         2  wrong usage, spec or request
  1  it failed; plan: changes     3  no daemon answers
  exec and run end with the exit code of their command.`;

/** What each module adds: one that is not asked for is not read, which spares every command a tenth of its time. */
export const modules: readonly (readonly [names: string, add: () => Promise<(osca: Command) => void>])[] = [
  ['up join demo', async () => (await import('./commands/daemon.ts')).addDaemonCommands],
  ['deploy', async () => (await import('./commands/deploy.ts')).addDeployCommand],
  ['plan', async () => (await import('./commands/plan.ts')).addPlanCommand],
  ['convert', async () => (await import('./commands/plan.ts')).addConvertCommand],
  ['ls ps inspect why stop start restart scale rm', async () => (await import('./commands/apps.ts')).addAppCommands],
  ['history rollback pause resume', async () => (await import('./commands/revisions.ts')).addRevisionCommands],
  ['run runs cancel', async () => (await import('./commands/runs.ts')).addRunCommands],
  ['logs events status', async () => (await import('./commands/logs.ts')).addLogCommands],
  ['exec', async () => (await import('./commands/exec.ts')).addExec],
  ['cell settings ticket', async () => (await import('./commands/cells.ts')).addCellCommands],
  ['upgrade', async () => (await import('./commands/upgrade.ts')).addUpgradeCommand],
  ['board image', async () => (await import('./commands/board.ts')).addBoardCommands],
  ['completion', async () => (await import('./commands/completion.ts')).addCompletion],
];

/** With the commands of one module, or with all where `word` is none of them, or has to know all. */
export async function program(word?: string): Promise<Command> {
  const osca = new Command('osca')
    .description('OSCA: a handful of small machines as one cloud that nobody has to run')
    .version(version, '-V, --version')
    .option('--data <dir>', 'data folder of the daemon (or OSCA_DATA)')
    .showHelpAfterError('(osca COMMAND --help shows how)')
    .addHelpText('after', exitCodes)
    .enablePositionalOptions()
    .exitOverride();
  const one = word === 'completion' ? undefined : modules.find(([names]) => names.split(' ').includes(word ?? ''));
  for (const [, add] of one === undefined ? modules : [one]) (await add())(osca);
  for (const command of osca.commands) for (const each of [command, ...command.commands]) each.exitOverride();
  return osca;
}
