/** What happened: logs of replicas, events of the appliance, the state of this cell. */
import type { Command } from 'commander';
import type { MergedLine } from '../../api/follow.ts';
import { limits } from '../../core/limits.ts';
import type { LogEvent } from '../../core/model.ts';
import { bold, dim, green, red, say, yellow } from '../render.ts';
import { clientOf, duration, show, wholeNumber } from '../shared.ts';

export function addLogCommands(osca: Command): void {
  osca
    .command('logs <target>')
    .description('what APP[/SERVICE[/N]] wrote, from all cells')
    .option('-f, --follow', 'go on as it comes')
    .option('-n, --tail <n>', 'last lines only')
    .option('--since <time>', 'only of the last 10m, 2h, …')
    .option('-c, --container <name>', 'of pods: of one of their containers; the first has the name of the service')
    .option('--json', 'print lines of JSON')
    .addHelpText('after', '\nExample:\n  osca logs -f -n 20 shop/web')
    .action(
      async (
        target: string,
        options: { follow?: boolean; tail?: string; since?: string; container?: string; json?: boolean },
        command: Command,
      ) => {
        const search = new URLSearchParams({ target, follow: String(options.follow ?? false) });
        if (options.tail !== undefined) search.set('tail', String(wholeNumber(options.tail)));
        if (options.container !== undefined) search.set('container', options.container);
        if (options.since !== undefined) search.set('sinceMs', String(Date.now() - duration(options.since)));
        for await (const line of clientOf(command).lines<MergedLine>('GET', `/v1/logs?${search}`)) {
          if (options.json) say(JSON.stringify(line));
          else
            say(
              `${dim(`${line.replica.split('/').slice(1).join('/')}@${line.cell}${line.part === undefined ? '' : ` ${line.part}`} |`)} ${line.stream === 'stderr' ? yellow(line.text) : line.text}`,
            );
        }
      },
    );
  osca
    .command('events')
    .addHelpText('after', '\nExample:\n  osca events -f')
    .description('what happened on this cell and what it saw')
    .option('-f, --follow', 'go on as they come')
    .option('--json', 'print JSON')
    .action(async (options: { follow?: boolean; json?: boolean }, command: Command) => {
      const client = clientOf(command);
      if (options.follow) {
        for await (const event of client.events<LogEvent>('/v1/events?follow=true'))
          say(options.json ? JSON.stringify(event) : eventText(event));
        return;
      }
      const events = await client.call<LogEvent[]>('GET', '/v1/events');
      show(command, events, () => events.map(eventText).join('\n'));
    });
  osca
    .command('status')
    .addHelpText('after', '\nExample:\n  osca status')
    .description('what this cell is, and what it waits for')
    .option('--json', 'print JSON')
    .action(async (_options: unknown, command: Command) => {
      const status = await clientOf(command).call<Status>('GET', '/v1/status');
      show(command, status, () => statusText(status));
    });
}

function eventText({ atMs, level, kind, message }: LogEvent): string {
  const colour = { info: (text: string) => text, warn: yellow, error: red }[level];
  return `${dim(new Date(atMs).toISOString().replace('T', ' ').slice(0, 19))} ${dim(kind.padEnd(16))} ${colour(message)}`;
}

interface Status {
  phase: string;
  self: string;
  appliance: string;
  name: string;
  engine: string;
  version: string;
  cells: number;
  alive: number;
  waiting: number;
  apps: number;
  replicas: number;
  ready: number;
  pendingReplicas: number;
  strict: number;
  quorum: { cells: number; seen: number; needed: number };
  masters: string[];
  duties: { duty: string; by: string; epoch: number; go: string[] }[];
  join?: { code?: string; appliance?: string; refused?: string; note?: string };
}

/** Strict services run only where more than half of the cells (of those that decide, up to fifteen) see each other. */
function quorumLines({ phase, strict, cells: all, quorum: { cells, seen, needed } }: Status): string[] {
  if (phase !== 'member') return [];
  const lines: string[] = [];
  if (seen < needed)
    lines.push(`quorum     ${red('minority')}: strict services are held back, ${seen} of ${cells} cells seen`);
  if (strict > 0 && cells < Math.min(all, limits.voters))
    lines.push(
      `quorum     ${cells} of ${all} cells decide on strict services so far; the others follow a few at a time`,
    );
  else if (strict > 0 && cells === 2)
    lines.push(`quorum     ${yellow('two cells have no majority of one')}: add a third as a witness, however small`);
  return lines;
}

function statusText(status: Status): string {
  const { phase, join } = status;
  const lines = [`cell       ${bold(status.name)} ${dim(status.self)}  osca ${status.version}`];
  if (phase === 'listening')
    lines.push(
      `appliance  ${yellow('none yet')}: listening for others; it founds one if it hears none, once it has a network`,
    );
  else if (phase === 'waiting')
    lines.push(
      `appliance  ${yellow('waiting')} for approval by ${join?.appliance ?? ''}: compare code ${bold(join?.code ?? '')}, then there: osca cell approve ${status.name}`,
    );
  else if (phase === 'revoked') lines.push(`appliance  ${red('none')}: ${join?.refused ?? 'it was removed'}`);
  else if (phase === 'joining')
    lines.push(
      `appliance  ${status.appliance} ${yellow('joining')}${join?.refused === undefined ? ': looking for its members' : `: refused, ${join.refused}`}`,
    );
  else if (phase === 'member')
    lines.push(
      `appliance  ${bold(status.appliance)}, ${status.masters.length} master${status.masters.length === 1 ? '' : 's'}`,
    );
  else lines.push(`appliance  ${red('none')}: ${join?.refused ?? 'not started'}`);
  if (join?.note !== undefined) lines.push(`ticket     ${yellow(join.note)}`);
  const cells =
    status.alive === status.cells
      ? green(`${status.alive} of ${status.cells} up`)
      : yellow(`${status.alive} of ${status.cells} up`);
  lines.push(
    `cells      ${cells}${status.waiting > 0 ? yellow(`, ${status.waiting} waiting for approval (osca cell ls)`) : ''}`,
  );
  const replicas =
    status.ready === status.replicas
      ? green(`${status.ready} of ${status.replicas} ready`)
      : yellow(`${status.ready} of ${status.replicas} ready`);
  lines.push(
    `apps       ${status.apps}, replicas ${replicas}${status.pendingReplicas > 0 ? red(`, ${status.pendingReplicas} fit nowhere (osca why APP/SERVICE)`) : ''}`,
  );
  lines.push(...quorumLines(status));
  for (const { duty, by, go } of status.duties)
    lines.push(`duty       ${duty.replace(/@.*/, '')}: ${by} leads${go.length > 0 ? `, now ${go.join(' ')}` : ''}`);
  lines.push(`engine     ${status.engine === '' ? yellow('none: runs plain processes only') : status.engine}`);
  return lines.join('\n');
}
