/** Jobs: run one, see how they ended and when they come next, end one. */
import type { Command } from 'commander';
import type { RunRow, RunStep, ScheduleRow } from '../../api/running.ts';
import { OscaError } from '../../core/errors.ts';
import { collect } from '../files.ts';
import { ago, bold, dim, green, red, say, span, table, warn, yellow } from '../render.ts';
import type { Changed } from '../shared.ts';
import { appPath, clientOf, show, twoWords } from '../shared.ts';

export function addRunCommands(osca: Command): void {
  osca
    .command('run <target> [command...]')
    .description('run a command once, in a container of its own like those of APP/SERVICE; without one, a job')
    .option('-e, --env <NAME=value>', 'one more variable; can be repeated', collect, [] as string[])
    .option('--detach', 'return as soon as it is accepted')
    .option('--json', 'print lines of JSON')
    .passThroughOptions()
    .addHelpText(
      'after',
      '\nIt ends with the exit code of the command.\n\nExamples:\n  osca run shop/web -- ./manage.py migrate\n  osca run shop/backup',
    )
    .action(async (target: string, words: string[], options: RunOptions, command: Command) => {
      const { app, service } = serviceOf(target, 'osca run APP/SERVICE -- COMMAND');
      const argv = words[0] === '--' ? words.slice(1) : words;
      const body = {
        ...{ service, detach: options.detach ?? false, environment: pairsOf(options.env) },
        ...(argv.length === 0 ? {} : { command: argv }),
      };
      const steps = clientOf(command).lines<RunStep>('POST', `${appPath(app)}/run`, body);
      await tell(steps, options);
    });
  osca
    .command('runs [target]')
    .description('runs of jobs, newest first, and when schedules come next: APP, APP/SERVICE, or all')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  osca runs shop/backup')
    .action(async (target: string | undefined, _options: unknown, command: Command) => {
      const search = target === undefined ? '' : `?target=${encodeURIComponent(target)}`;
      const found = await clientOf(command).call<Found>('GET', `/v1/runs${search}`);
      show(command, found, () => runsText(found));
    });
  osca
    .command('cancel <run>')
    .description('end a run of a job: APP/SERVICE.ID, as osca runs shows it')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  osca cancel shop/backup.20261121T030000Z')
    .action(async (run: string, _options: unknown, command: Command) => {
      const { app, service } = serviceOf(run, 'osca cancel APP/SERVICE.ID');
      const changed = await clientOf(command).call<Changed>('POST', `${appPath(app)}/cancel`, { run: service });
      show(command, changed, () => `${run} is cancelled`);
    });
}

interface RunOptions {
  env: string[];
  detach?: boolean;
  json?: boolean;
}

interface Found {
  runs: RunRow[];
  schedules: ScheduleRow[];
}

function serviceOf(target: string, usage: string): { app: string; service: string } {
  const { app, service } = twoWords(target);
  if (service === undefined) throw new OscaError('bad-request', `'${target}' names no service`, usage);
  return { app, service };
}

function pairsOf(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new OscaError('bad-request', `'${text}' sets no variable`, 'write --env NAME=value');
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/** Its output goes where the command's would, and all else to stderr. */
async function tell(steps: AsyncGenerator<RunStep>, { json = false, detach = false }: RunOptions): Promise<void> {
  let hasEnded = detach;
  for await (const step of steps) {
    if (json) say(JSON.stringify(step));
    if (step.type === 'ended') {
      hasEnded = true;
      process.exitCode = step.exitCode;
      if (!json && !step.ok) warn(red(`${step.run} on ${step.cell}: ${step.reason}`));
    }
    if (json) continue;
    if (step.type === 'accepted') {
      if (detach) say(step.run);
      else warn(dim(`${step.run} accepted`));
    } else if (step.type === 'log') (step.stream === 'stderr' ? warn : say)(step.text);
    else if (step.type === 'replica' && !['ready', 'running', 'exited'].includes(step.row.state)) {
      const { cell, state, reason } = step.row;
      warn(dim([cell, state, reason].filter((text) => text !== '').join('  ')));
    }
  }
  if (!hasEnded) throw new OscaError('daemon-away', 'the daemon broke off', 'osca runs shows what became of it');
}

const colours = { running: green, open: yellow, done: green, failed: red, skipped: dim };
const causes = { deploy: 'deploy', schedule: 'schedule', request: 'osca run', pre_deploy: 'pre_deploy' };

function runsText({ runs, schedules }: Found): string {
  const times = schedules.map(({ app, service, cron, timezone, nextMs }) => [
    `${app}/${service}`,
    `${cron} (${timezone})`,
    nextMs === undefined ? dim('stopped') : `in ${span(nextMs - Date.now())}`,
  ]);
  const rows = runs.map(({ run, state, cause, atMs, cells, startMs, endMs, done, of, reason }) => [
    ...[bold(run), (colours[state] ?? dim)(state === 'open' ? 'waiting' : state), causes[cause], ago(atMs)],
    startMs === undefined || endMs === undefined ? '-' : span(endMs - startMs),
    ...[of > 1 ? `${done}/${of}` : '', cells.join(',') || '-', dim(reason)],
  ]);
  const parts = [
    ...(times.length === 0 ? [] : [table(['SCHEDULE', 'TIMES', 'NEXT'], times)]),
    ...(rows.length === 0 ? [] : [table(['RUN', 'STATE', 'BY', 'BEGAN', 'TOOK', 'DONE', 'CELL', ''], rows)]),
  ];
  return parts.length === 0 ? 'no jobs ran yet; osca run APP/SERVICE runs one' : parts.join('\n\n');
}
