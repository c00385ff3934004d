/** What an app was, and the way between: history, rollback, pause, resume. */
import type { Command } from 'commander';
import type { DeployStep } from '../../api/deploying.ts';
import type { RevisionRow } from '../../api/rows.ts';
import { ago, bold, dim, green, red, table, yellow } from '../render.ts';
import type { Changed } from '../shared.ts';
import { appPath, clientOf, duration, show } from '../shared.ts';
import { tellSteps } from '../steps.ts';

export function addRevisionCommands(osca: Command): void {
  osca
    .command('history <app>')
    .description('the revisions of an app, newest first, and how the rollout of each ended')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  osca history shop')
    .action(async (app: string, _options: unknown, command: Command) => {
      const rows = await clientOf(command).call<RevisionRow[]>('GET', `${appPath(app)}/history`);
      show(command, rows, () => table(['NUMBER', 'REVISION', 'MADE', 'BY WHAT', 'ROLLOUT', ''], rows.map(revisionRow)));
    });
  osca
    .command('rollback <app> [revision]')
    .description('run an earlier revision again: the last that was done, or the one with this number or id')
    .option('--json', 'print JSON')
    .option('--detach', 'return as soon as it is accepted')
    .option('--timeout <time>', 'give up waiting after this long', '5m')
    .addHelpText('after', '\nExamples:\n  osca rollback shop\n  osca rollback shop 3')
    .action(async (app: string, revision: string | undefined, options: RollbackOptions, command: Command) => {
      const body = {
        ...{ detach: options.detach ?? false, timeoutMs: duration(options.timeout) },
        ...(revision === undefined ? {} : { revision }),
      };
      const steps = clientOf(command).lines<DeployStep>('POST', `${appPath(app)}/rollback`, body);
      await tellSteps(steps, options.json === true);
    });
  const said = {
    pause: 'is paused: nothing that runs changes its form until',
    resume: 'goes on; failures don’t stop this revision again',
  };
  for (const verb of ['pause', 'resume'] as const) {
    osca
      .command(`${verb} <app>`)
      .description(verb === 'pause' ? 'stop a rollout where it is' : 'let a rollout go on')
      .option('--json', 'print JSON')
      .addHelpText('after', `\nExample:\n  osca ${verb} shop`)
      .action(async (app: string, _options: unknown, command: Command) => {
        const changed = await clientOf(command).call<Changed>('POST', `${appPath(app)}/${verb}`, {});
        show(command, changed, () => `${app} ${said[verb]}${verb === 'pause' ? ` osca resume ${app}` : ''}`);
      });
  }
}

interface RollbackOptions {
  json?: boolean;
  detach?: boolean;
  timeout: string;
}

function revisionRow({ number, revision, running, state, reason, by, atMs, note }: RevisionRow): string[] {
  const colour = { done: green, 'rolled back': red, 'on its way': yellow, paused: yellow, '': dim }[state];
  return [
    ...[running ? bold(`${number} *`) : String(number), revision, `${ago(atMs)}`, `${note} (${by})`],
    ...[colour(state), dim(reason)],
  ];
}
