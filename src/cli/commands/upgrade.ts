/** osca upgrade: another version for all cells, one at a time. */
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { CellRow } from '../../api/rows.ts';
import type { UpgradeRow, UpgradeStatus } from '../../api/upgrade-routes.ts';
import { OscaError, reasonOf } from '../../core/errors.ts';
import type { PackageFacts } from '../../release/files/packages.ts';
import type { Client } from '../client.ts';
import { bold, dim, green, LiveBlock, red, say, table, warn, yellow } from '../render.ts';
import type { Changed } from '../shared.ts';
import { clientOf, duration, show } from '../shared.ts';

interface UpgradeOptions {
  url?: string;
  detach?: boolean;
  well: string;
  json?: boolean;
}

/** While the daemon that is asked starts anew itself. */
const awayMs = 180_000;

export function addUpgradeCommand(osca: Command): void {
  osca
    .command('upgrade [packages...]')
    .description('have all cells take another version, one at a time; without packages: where the last one stands')
    .option('--url <url>', 'fetch the packages of a version from there (or OSCA_URL)')
    .option('--well <time>', 'so long a cell must be well with it before the next one tries', '30s')
    .option('--detach', 'return when it is told to all')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Name the package of each architecture that the appliance has; npm run package makes them. Each cell gets its own from the others, starts anew with it
while what it runs goes on, and goes back by itself where it is not what it was before; then no other tries.

Examples:
  osca upgrade osca_0.2.0_arm64.deb osca_0.2.0_amd64.deb
  osca upgrade 0.2.0 --url https://example.org/osca
  osca upgrade`,
    )
    .action(async (given: string[], options: UpgradeOptions, command: Command) => {
      const client = clientOf(command);
      if (given.length === 0) {
        const status = await client.call<UpgradeStatus>('GET', '/v1/upgrade');
        return show(command, status, () => statusText(status));
      }
      const folder = mkdtempSync(join(tmpdir(), 'osca-upgrade-'));
      try {
        const files = isVersion(given) ? await fetchAll(client, given[0]!, options, folder) : given;
        await upgrade(client, files, options);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
}

const isVersion = (given: readonly string[]): boolean =>
  given.length === 1 && /^\d[\w.+~-]*$/.test(given[0]!) && !given[0]!.endsWith('.deb') && !existsSync(given[0]!);

async function upgrade(client: Client, files: readonly string[], options: UpgradeOptions): Promise<void> {
  const none = files.find((file) => statSync(file, { throwIfNoEntry: false })?.isFile() !== true);
  if (none !== undefined)
    throw new OscaError('bad-request', `there is no file ${none}`, 'npm run package makes packages in out/');
  const packages: PackageFacts[] = [];
  for (const file of files) {
    const facts = await client.upload<PackageFacts>('/v1/packages', file).catch((error: unknown) => {
      throw error instanceof OscaError
        ? new OscaError(error.code, `${basename(file)}: ${error.message}`, error.hint)
        : error;
    });
    if (options.json !== true) warn(dim(`${basename(file)}: ${facts.version}, ${facts.arch}`));
    packages.push(facts);
  }
  const { value } = await client.call<Changed>('POST', '/v1/upgrade', { packages, wellMs: duration(options.well) });
  const release = String(value.release);
  if (options.detach === true) {
    if (options.json === true) say(JSON.stringify(value));
    else say(`all cells are told of version ${String(value.version)} (osca upgrade shows how it goes)`);
    return;
  }
  await follow(client, release, options.json === true);
}

/** Until it is done or halted. The daemon that is asked goes away for a moment itself. */
async function follow(client: Client, release: string, asJson: boolean): Promise<void> {
  const block = new LiveBlock();
  const told = new Map<string, string>();
  const startMs = performance.now();
  let heardMs = startMs;
  let isKnown = false;
  for (;;) {
    const status = await client.call<UpgradeStatus>('GET', '/v1/upgrade').catch((error: unknown) => {
      const isAway = error instanceof OscaError && error.code === 'daemon-away';
      if (!isAway || performance.now() - heardMs > awayMs) throw error;
      return undefined;
    });
    if (status !== undefined) {
      heardMs = performance.now();
      for (const row of status.cells) {
        const text = rowText(row);
        // A daemon that has just started knows nothing of those that it has not heard.
        if (told.get(row.cell) === text || row.version === '') continue;
        told.set(row.cell, text);
        if (asJson) say(JSON.stringify({ type: 'cell', ...row }));
        else if (!process.stdout.isTTY) say(text);
      }
      if (!asJson) block.draw(status.cells.map(rowText));
      const isOf = status.release?.id === release;
      isKnown ||= isOf;
      if (isKnown && !isOf)
        throw new OscaError('conflict', 'somebody asked for another upgrade meanwhile', 'osca upgrade shows it');
      // The view may be of the moment before.
      if (isOf && status.release?.outcome !== undefined)
        return conclude(status, asJson, Math.round(performance.now() - startMs));
    }
    await delay(300);
  }
}

function conclude({ release, cells }: UpgradeStatus, asJson: boolean, ms: number): void {
  const { outcome, version } = release!;
  if (asJson) say(JSON.stringify({ type: outcome!.state, version, reason: outcome!.reason, ms }));
  const has = cells.filter((row) => row.version === version).length;
  if (outcome!.state === 'done') {
    if (!asJson) say(green(`${has} of ${cells.length} cells run ${version} (${(ms / 1_000).toFixed(1)} s)`));
    return;
  }
  process.exitCode = 1;
  if (asJson) return;
  warn(red(`halted: ${outcome!.reason}`));
  warn(
    `  ${has} of ${cells.length} cells run ${version}, and go on with it; mend it and ask again, or go back with the packages of the version before`,
  );
}

const colours = { done: green, waiting: dim, fetching: yellow, trying: yellow, failed: red, away: dim, 'by hand': dim };

const rowText = ({ cell, version, state, reason }: UpgradeRow): string =>
  `  ${cell.padEnd(16)} ${version.padEnd(12)} ${colours[state](state)}${reason === '' ? '' : dim(`  ${reason}`)}`;

function statusText({ release, cells }: UpgradeStatus): string {
  const rows = table(
    ['CELL', 'VERSION', 'STATE', ''],
    cells.map(({ cell, version, state, reason }) => [cell, version, colours[state](state), dim(reason)]),
  );
  if (release === undefined) return `${rows}\n${dim('no upgrade was asked for yet: osca upgrade FILE…')}`;
  const { version, by, outcome } = release;
  const words = outcome === undefined ? 'under way' : outcome.state === 'done' ? 'done' : `halted: ${outcome.reason}`;
  return `${bold(version)}, asked for on ${by}: ${words}\n${rows}`;
}

/** The packages of a version for all architectures of the appliance, held against their checksums. */
async function fetchAll(
  client: Client,
  version: string,
  { url = process.env.OSCA_URL }: UpgradeOptions,
  folder: string,
): Promise<string[]> {
  if (url === undefined || url === '')
    throw new OscaError(
      'bad-request',
      `it is not known where version ${version} is`,
      'say it: --url URL, or name the packages',
    );
  const { cells } = await client.call<{ cells: CellRow[] }>('GET', '/v1/cells');
  const arches = [...new Set(cells.map(({ arch }) => arch))].filter((arch) => arch !== '');
  const sums = (await bytesOf(`${url}/SHA256SUMS`)).toString();
  // Loaded where it is needed: each command would wait 4 ms for it.
  const { createHash } = await import('node:crypto');
  const files: string[] = [];
  for (const arch of arches) {
    const name = `osca_${version}_${arch}.deb`;
    warn(dim(`fetching ${name}`));
    const bytes = await bytesOf(`${url}/${name}`);
    const sum = createHash('sha256').update(bytes).digest('hex');
    if (!sums.split('\n').some((line) => line.startsWith(sum) && line.endsWith(` ${name}`)))
      throw new OscaError(
        'bad-request',
        `${name} is not what its checksum says`,
        'fetch it again; if it stays so, somebody changed it on its way',
      );
    writeFileSync(join(folder, name), bytes);
    files.push(join(folder, name));
  }
  return files;
}

async function bytesOf(url: string): Promise<Buffer> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(600_000) });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    return Buffer.from(await answer.arrayBuffer());
  } catch (error) {
    const cause = (error as { cause?: unknown }).cause;
    throw new OscaError(
      'bad-request',
      `${url} can't be had: ${reasonOf(cause ?? error)}`,
      'is the machine online, and the version there?',
      error,
    );
  }
}
