/** Apps and their replicas: ls, ps, inspect, why, stop, start, restart, scale, rm. */
import type { Command } from 'commander';
import type { AppRow, ReplicaRow } from '../../api/rows.ts';
import { OscaError } from '../../core/errors.ts';
import type { Assignment } from '../../core/model.ts';
import { ago, bold, dim, green, red, say, stateColour, table } from '../render.ts';
import type { Changed } from '../shared.ts';
import { appPath, clientOf, show, twoWords, wholeNumber } from '../shared.ts';

export function addAppCommands(osca: Command): void {
  osca
    .command('ls')
    .addHelpText('after', '\nExample:\n  osca ls')
    .description('list the apps')
    .option('--json', 'print JSON')
    .action(async (_options: unknown, command: Command) => {
      const apps = await clientOf(command).call<AppRow[]>('GET', '/v1/apps');
      const rows = apps.map(({ app, state, ready, wanted, revision, by, atMs, trouble }) => [
        bold(app),
        stateColour(state),
        `${ready}/${wanted}`,
        revision,
        `${by} ${ago(atMs)}`,
        red(trouble),
      ]);
      show(command, apps, () =>
        rows.length === 0
          ? 'no apps yet; deploy one: osca deploy FILE'
          : table(['APP', 'STATE', 'READY', 'REVISION', 'DEPLOYED', ''], rows),
      );
    });
  osca
    .command('ps [target]')
    .description('list the replicas of an app, a service, or all')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  osca ps shop/web')
    .action(async (target: string | undefined, _options: unknown, command: Command) => {
      const search = target === undefined ? '' : `?target=${encodeURIComponent(target)}`;
      const replicas = await clientOf(command).call<ReplicaRow[]>('GET', `/v1/replicas${search}`);
      show(command, replicas, () =>
        replicas.length === 0
          ? 'no replicas'
          : table(['REPLICA', 'CELL', 'STATE', 'PORTS', 'RESTARTS', ''], replicas.map(psRow)),
      );
    });
  osca
    .command('inspect <target>')
    .addHelpText('after', '\nExample:\n  osca inspect shop')
    .description('everything about an app or a cell, as JSON')
    .option('--json', 'print JSON, as it does anyway')
    .action(async (target: string, _options: unknown, command: Command) => {
      const client = clientOf(command);
      const { cells } = await client.call<{ cells: { name: string; id: string }[] }>('GET', '/v1/cells');
      const named = cells.filter(({ name, id }) => name === target || id === target);
      if (named.length > 1)
        throw new OscaError(
          'conflict',
          `${named.length} cells are called ${target}`,
          `say which: ${named.map(({ id }) => id).join(' or ')}`,
        );
      const [cell] = named;
      const app = await client.call('GET', appPath(target.split('/')[0]!)).catch((error: unknown) => {
        if (cell === undefined) throw error;
        return undefined;
      });
      say(JSON.stringify(app ?? cell, null, 2));
    });
  osca
    .command('why <target>')
    .description('where each replica of APP[/SERVICE[/N]] is, and why not elsewhere')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  osca why shop/web')
    .action(async (target: string, _options: unknown, command: Command) => {
      const client = clientOf(command);
      const search = `?target=${encodeURIComponent(target)}`;
      const assignments = await client.call<Assignment[]>('GET', `/v1/explain${search}`);
      const rows = await client.call<ReplicaRow[]>('GET', `/v1/replicas${search}`);
      show(command, assignments, () =>
        assignments.length === 0
          ? 'it is stopped: no cell should run it'
          : assignments.map((one) => whyText(one, rows)).join('\n'),
      );
    });
  addChanges(osca);
}

const psRow = ({ replica, cell, state, ports, restarts, reason, current }: ReplicaRow): string[] => [
  ...[replica, cell === '' ? '-' : cell, current ? stateColour(state) : dim(`${state} (leaving)`)],
  ...[ports.join(',') || '-', String(restarts), dim(reason)],
];

function whyText({ replica, cell, verdicts }: Assignment, replicas: readonly ReplicaRow[]): string {
  const at = verdicts.find((verdict) => verdict.cell === cell)?.name;
  const head = cell === undefined ? `${bold(replica)} ${red('pending')}` : `${bold(replica)} on ${green(at ?? cell)}`;
  const rows = verdicts.map(({ name, fits, reason, cell: id }) => {
    const row = replicas.find((one) => one.current && one.replica === replica && one.cellId === id);
    const mark = id === cell ? green('runs it') : fits ? 'could' : red('can’t');
    const how = row === undefined ? '' : `${row.state}${row.reason === '' ? '' : `: ${row.reason}`}`;
    return [`  ${name}`, mark, id === cell ? how : fits ? 'fits; the longest straw is elsewhere' : reason];
  });
  return `${head}\n${table(['  CELL', '', ''], rows).split('\n').slice(1).join('\n')}`;
}

function addChanges(osca: Command): void {
  const done = { stop: 'stopped', start: 'started', restart: 'restarting' } as const;
  for (const verb of ['stop', 'start', 'restart'] as const) {
    const command = osca
      .command(`${verb} <target>`)
      .addHelpText('after', `\nExample:\n  osca ${verb} shop/web`)
      .description(
        `${verb} an app, or one service: APP[/SERVICE]${verb === 'restart' ? '; one replica after the other, as update_config says' : ''}`,
      );
    if (verb === 'restart') command.option('--rolling', 'as it is done anyway');
    command.option('--json', 'print JSON').action(async (target: string, _options: unknown, command: Command) => {
      const { app, service } = twoWords(target);
      const changed = await clientOf(command).call<Changed>(
        'POST',
        `${appPath(app)}/${verb}`,
        service === undefined ? {} : { service },
      );
      show(command, changed, () => `${target} ${done[verb]}${warningOf(changed)}`);
    });
  }
  osca
    .command('scale <target> [replicas]')
    .description('set how many replicas a service has: APP/SERVICE=N')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  osca scale shop/web=5')
    .action(async (given: string, number: string | undefined, _options: unknown, command: Command) => {
      const [target, count] = given.includes('=') ? (given.split('=') as [string, string]) : [given, number];
      const { app, service } = twoWords(target);
      if (service === undefined || count === undefined)
        throw new OscaError('bad-request', 'a service and a number are needed', 'osca scale APP/SERVICE=N');
      const replicas = wholeNumber(count);
      const changed = await clientOf(command).call<Changed>('POST', `${appPath(app)}/scale`, { service, replicas });
      show(command, changed, () => `${target} has ${replicas} replicas now${warningOf(changed)}`);
    });
  osca
    .command('rm <app>')
    .addHelpText('after', '\nExample:\n  osca rm shop')
    .description('remove an app: its replicas stop everywhere; named volumes are kept')
    .option('--json', 'print JSON')
    .action(async (app: string, _options: unknown, command: Command) => {
      const changed = await clientOf(command).call<Changed>('DELETE', appPath(app));
      show(command, changed, () => `${app} removed${warningOf(changed)}`);
    });
}

const warningOf = ({ warning }: Changed): string => (warning === undefined ? '' : ` (${warning})`);
