/** Cells and tickets. */
import type { Command } from 'commander';
import type { DrainStep } from '../../api/draining.ts';
import type { CellRow } from '../../api/rows.ts';
import { OscaError } from '../../core/errors.ts';
import type { ApplianceSettings, PendingCell, TicketView } from '../../core/model.ts';
import { ago, bold, bytes, dim, green, red, say, span, stateColour, table, warn, yellow } from '../render.ts';
import type { Changed } from '../shared.ts';
import { cellPath, clientOf, duration, exitCodeOf, show, wholeNumber } from '../shared.ts';
import { addAddCommand } from './add.ts';

export function addCellCommands(osca: Command): void {
  const cell = osca.command('cell').description('cells of the appliance');
  addCells(cell);
  addAddCommand(cell);
  addSettings(osca);
  addTickets(osca.command('ticket').description('tickets: what lets new cells in'));
}

function addCells(cell: Command): void {
  cell
    .command('ls')
    .addHelpText('after', '\nExample:\n  osca cell ls')
    .description('list the cells, and those that wait for approval')
    .option('--json', 'print JSON')
    .action(async (_options: unknown, command: Command) => {
      const all = await clientOf(command).call<{ cells: CellRow[]; pending: PendingCell[] }>('GET', '/v1/cells');
      show(command, all, () => cellsText(all.cells, all.pending));
    });
  cell
    .command('drain <cell>')
    .description('move its replicas to other cells, wait until they run there, and give it none')
    .option('--json', 'print JSON')
    .option('--detach', 'return at once')
    .option('--timeout <time>', 'give up waiting after this long', '5m')
    .addHelpText('after', '\nExample:\n  osca cell drain pi-3')
    .action(async (given: string, options: { json?: boolean; detach?: boolean; timeout: string }, command: Command) => {
      const body = { detach: options.detach ?? false, timeoutMs: duration(options.timeout) };
      const steps = clientOf(command).lines<DrainStep>('POST', `${cellPath(given)}/drain`, body);
      await tellDrain(steps, options);
    });
  cell
    .command('cordon <cell>')
    .description('give it nothing more; what runs there stays')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  osca cell cordon pi-3')
    .action(async (given: string, _options: unknown, command: Command) => {
      const changed = await clientOf(command).call<Changed>('PATCH', cellPath(given), { cordon: true });
      show(command, changed, () => `${given} gets nothing more (osca cell resume ${given})`);
    });
  cell
    .command('replace <old>')
    .description('put another cell in its place: that one gets its name and labels, and what is bound to them')
    .requiredOption('--with <new>', 'the cell that takes its place')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nWhat the old machine kept in volumes stays there: bring it over before its services start, where it matters.\n\nExample:\n  osca cell replace pi-3 --with pi-7',
    )
    .action(async (old: string, options: { with: string }, command: Command) => {
      const changed = await clientOf(command).call<Changed>('POST', `${cellPath(old)}/replace`, { by: options.with });
      const { name, former } = changed.value as { name: string; former: string };
      show(command, changed, () =>
        former === ''
          ? `${options.with} is ${name} now; the old one was down, and is removed`
          : `${options.with} is ${name} now; the old one is called ${former} and is drained: osca cell rm ${former} when it is empty`,
      );
    });
  cell
    .command('resume <cell>')
    .addHelpText('after', '\nExample:\n  osca cell resume pi-3')
    .description('give it replicas again')
    .option('--json', 'print JSON')
    .action(async (given: string, _options: unknown, command: Command) => {
      const changed = await clientOf(command).call<Changed>('PATCH', cellPath(given), { drain: false, cordon: false });
      show(command, changed, () => `${given} takes replicas again`);
    });
  cell
    .command('approve <cell>')
    .addHelpText('after', '\nExample:\n  osca cell approve pi-3')
    .description('let a waiting cell in; compare the code that both sides show')
    .option('--json', 'print JSON')
    .action(async (given: string, _options: unknown, command: Command) => {
      const changed = await clientOf(command).call<Changed>('POST', `${cellPath(given)}/approve`, {});
      show(command, changed, () => `${given} is admitted`);
    });
  cell
    .command('rm <cell>')
    .addHelpText('after', '\nExample:\n  osca cell rm pi-3')
    .description('remove a cell for good; it needs a new ticket to come back')
    .option('--json', 'print JSON')
    .action(async (given: string, _options: unknown, command: Command) => {
      const changed = await clientOf(command).call<Changed>('DELETE', cellPath(given));
      show(command, changed, () => `${given} is removed; its replicas move to other cells`);
    });
  cell
    .command('label <cell> [labels...]')
    .description('set labels: zone=attic; take one off: zone-; name=NEW renames the cell')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  osca cell label pi-2 zone=attic disk=ssd')
    .action(async (given: string, labels: string[], _options: unknown, command: Command) => {
      const body = labelsOf(labels);
      const changed = await clientOf(command).call<Changed>('PATCH', cellPath(given), body);
      show(command, changed, () => `${given} labelled ${labels.join(' ')}`);
    });
}

async function tellDrain(
  steps: AsyncGenerator<DrainStep>,
  { json, detach }: { json?: boolean; detach?: boolean },
): Promise<void> {
  let ended = false;
  for await (const step of steps) {
    ended = step.type === 'done' || step.type === 'failed';
    if (step.type === 'failed') process.exitCode = exitCodeOf(step.code);
    if (json === true) say(JSON.stringify(step));
    else if (step.type === 'moving') {
      const why = step.reason === '' ? step.state : step.reason;
      say(`  ${step.replica} → ${step.to === 'nowhere' ? red(step.to) : step.to}${why === '' ? '' : dim(`  ${why}`)}`);
    } else if (step.type === 'moved')
      say(`  ${step.replica} ${step.to === 'stopped' ? 'is stopped' : `runs on ${green(step.to)}`}`);
    else if (step.type === 'done')
      say(
        detach === true
          ? `${step.cell} is being drained (osca ps shows its replicas go)`
          : green(`${step.cell} is drained`) + dim(` (osca cell resume ${step.cell} gives it work again)`),
      );
    else if (step.type === 'failed') warn(`${red(`failed: ${step.message}`)}\n  ${step.hint}`);
  }
  if (!ended) throw new OscaError('daemon-away', 'the daemon broke off', 'osca ps shows what became of it');
}

function labelsOf(words: readonly string[]): { name?: string; labels: Record<string, string | null> } {
  const labels: Record<string, string | null> = {};
  let name: string | undefined;
  if (words.length === 0) throw new OscaError('bad-request', 'no label was given', 'osca cell label CELL zone=attic');
  for (const word of words) {
    const set = /^([A-Za-z0-9_.-]+)=(.*)$/.exec(word);
    const off = /^([A-Za-z0-9_.-]+)-$/.exec(word);
    if (set !== null && set[1] === 'name') name = set[2]!;
    else if (set !== null) labels[set[1]!] = set[2]!;
    else if (off !== null) labels[off[1]!] = null;
    else throw new OscaError('bad-request', `'${word}' is no label`, 'write NAME=VALUE, or NAME- to take it off');
  }
  return name === undefined ? { labels } : { name, labels };
}

function cellsText(cells: readonly CellRow[], pending: readonly PendingCell[]): string {
  const rows = cells.map((cell) => [
    `${bold(cell.name)}${cell.self ? dim(' (here)') : ''}`,
    ...[
      `${stateColour(cell.state)}${cell.state === 'down' ? dim(` ${ago(cell.sinceMs)}`) : ''}${cell.drain ? yellow(' drained') : cell.cordon ? yellow(' cordoned') : ''}${cell.leaving ? yellow(' leaving') : ''}${cell.falls > 0 ? yellow(` held back for ${Math.ceil(cell.heldMs / 1_000)} s: fell ${cell.falls} times`) : ''}${cell.master ? dim(' master') : ''}`,
      String(cell.replicas),
    ],
    ...[
      `${cell.arch} ${cell.cpus} cores ${bytes(cell.memoryBytes)}`,
      `${cell.cpuPercent} % ${bytes(cell.memoryUsedBytes)}`,
    ],
    ...[
      cell.engine === '' ? dim('processes only') : cell.engine,
      Object.entries(cell.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(' '),
    ],
  ]);
  const waiting = pending.map(
    ({ name, code }) => `${bold(name)} waits for approval, code ${bold(code)}: osca cell approve ${name}`,
  );
  const list =
    rows.length === 0
      ? 'no cells: this one belongs to no appliance yet (osca status)'
      : table(['CELL', 'STATE', 'REPLICAS', 'MACHINE', 'LOAD', 'ENGINE', 'LABELS'], rows);
  return [list, ...waiting].join('\n');
}

function addSettings(osca: Command): void {
  osca
    .command('settings')
    .description('show or change what holds for the whole appliance')
    .option('--masters-threshold <n>', 'cells step up as masters below this many')
    .option('--masters-maximum <n>', 'masters step down above this many')
    .option('--max-moves <n>', 'replicas that one cell takes in at once while their old copies still run')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  osca settings --max-moves 2')
    .action(async (options: Record<keyof ApplianceSettings, string | undefined>, command: Command) => {
      const given = (['mastersThreshold', 'mastersMaximum', 'maxMoves'] as const).flatMap((name) =>
        options[name] === undefined ? [] : [[name, wholeNumber(options[name])] as const],
      );
      const client = clientOf(command);
      if (given.length > 0) await client.call<Changed>('PATCH', '/v1/settings', Object.fromEntries(given));
      const settings = await client.call<ApplianceSettings>('GET', '/v1/settings');
      show(command, settings, () =>
        table(
          ['SETTING', 'VALUE', ''],
          [
            ['masters-threshold', String(settings.mastersThreshold), dim('cells step up as masters below this many')],
            ['masters-maximum', String(settings.mastersMaximum), dim('masters step down above this many')],
            ['max-moves', String(settings.maxMoves), dim('moving replicas that one cell takes in at once')],
          ],
        ),
      );
    });
}

function addTickets(ticket: Command): void {
  ticket
    .command('create')
    .description('make a ticket; whoever holds it can bring a cell in')
    .option('--uses <n>', 'how many cells it admits', '1')
    .option('--expires <time>', 'how long it is good for', '1h')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  osca ticket create --uses 5 --expires 1h')
    .action(async (options: { uses: string; expires: string }, command: Command) => {
      const body = { uses: wholeNumber(options.uses), expiresInMs: duration(options.expires) };
      const changed = await clientOf(command).call<Changed>('POST', '/v1/tickets', body);
      if (command.optsWithGlobals<{ json?: boolean }>().json === true) say(JSON.stringify(changed.value, null, 2));
      else {
        say(String(changed.value.ticket));
        warn(
          dim(
            `admits ${body.uses} cell${body.uses === 1 ? '' : 's'} within ${span(body.expiresInMs)}; on a new machine: osca up --ticket TICKET (or, where its cell runs: osca join TICKET)`,
          ),
        );
      }
    });
  ticket
    .command('ls')
    .addHelpText('after', '\nExample:\n  osca ticket ls')
    .description('list the tickets')
    .option('--json', 'print JSON')
    .action(async (_options: unknown, command: Command) => {
      const tickets = await clientOf(command).call<TicketView[]>('GET', '/v1/tickets');
      const rows = tickets.map(({ id, state, used, uses, expiresMs }) => [
        id,
        stateColour(state),
        `${used} of ${uses}`,
        expiresMs > Date.now() ? `in ${span(expiresMs - Date.now())}` : ago(expiresMs),
      ]);
      show(command, tickets, () =>
        rows.length === 0 ? 'no tickets' : table(['TICKET', 'STATE', 'USED', 'EXPIRES'], rows),
      );
    });
  ticket
    .command('revoke <ticket>')
    .addHelpText('after', '\nExample:\n  osca ticket revoke 3fK9xQ2a')
    .description('make a ticket worthless; cells that it let in stay')
    .option('--json', 'print JSON')
    .action(async (given: string, _options: unknown, command: Command) => {
      const changed = await clientOf(command).call<Changed>('DELETE', `/v1/tickets/${encodeURIComponent(given)}`);
      show(command, changed, () => `ticket ${String(changed.value.id)} is revoked`);
    });
}
