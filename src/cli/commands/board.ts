/** osca board: what the image's first start does with osca.yaml. osca image: cards for boards. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { Option } from 'commander';
import { applyBoard } from '../../board/files/apply.ts';
import type { CellStatus, TurnCell } from '../../board/turn.ts';
import { turnHindrance, unwell } from '../../board/turn.ts';
import { OscaError, reasonOf, wordsOf } from '../../core/errors.ts';
import type { ClusterView } from '../../core/model.ts';
import type { Before } from '../../core/well.ts';
import { beforeOf, lackingOf } from '../../core/well.ts';
import { version } from '../../node/version.ts';
import type { ImageRequest } from '../../provision/image.ts';
import type { NewAppliance } from '../../provision/main.ts';
import type { Given } from '../../provision/serve.ts';
import { provisionBundle } from '../bundles.ts';
import { dim, green, say, warn } from '../render.ts';
import type { Changed } from '../shared.ts';
import { clientOf, duration, show, wholeNumber } from '../shared.ts';
import { throwOwn } from './add.ts';

interface BuildOptions {
  arch: ImageRequest['arch'];
  output: string;
  ticket?: string | true;
  newAppliance?: string;
  uses?: string;
  expires?: string;
  name?: string;
  hostnamePrefix?: string;
  wifi?: string;
  wifiPassword?: string;
  wifiOpen?: boolean;
  mesh?: string;
  country?: string;
  sshKey?: string[];
  timezone?: string;
  staticIp?: string;
  gateway?: string;
  netboot?: string;
  cache?: string;
  package: string[];
  json?: boolean;
}

interface WellOptions {
  for: string;
  wait: string;
  note?: string;
  as?: string;
}

/** Throws OscaError where it was not written by `--note`. */
function beforeIn(file: string): Before {
  const hint = `write it first: osca board well --note ${file}`;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new OscaError('not-found', `${file} can't be read: ${reasonOf(error)}`, hint);
  }
  try {
    const { others, ready } = JSON.parse(text) as Before;
    return { others, ready: [...ready] };
  } catch {
    throw new OscaError('data-unusable', `${file} does not say what ran`, hint);
  }
}

export function addBoardCommands(osca: Command): void {
  const board = osca.command('board').description('boards that start from an OSCA image');
  board
    .command('turn')
    .description(
      'may this board start anew now? One after the other does, each in ten minutes of its own, while all cells are up',
    )
    .option('--wait <time>', 'until it may, so long', '0s')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  sudo osca board turn --wait 2h && sudo reboot')
    .action(async (options: { wait: string }, command: Command) => {
      const check = async (): Promise<string> =>
        turnHindrance((await clientOf(command).call<{ cells: TurnCell[] }>('GET', '/v1/cells')).cells, Date.now());
      await untilNothing(check, { waitMs: duration(options.wait), holdMs: 0 });
      show(command, { turn: true }, () => "it is this board's turn");
    });
  board
    .command('well')
    .description('is this cell well: a member, with its engine, that hears others, and runs what it ran?')
    .option('--for <time>', 'it has to stay so, so long', '0s')
    .option('--wait <time>', 'until it is, so long', '0s')
    .option('--note <file>', 'write down what runs here, to be held against later')
    .option('--as <file>', 'all that was written down runs again')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Example:
  sudo osca board well --note /run/before && sudo systemctl restart docker && sudo osca board well --as /run/before --for 1m --wait 15m`,
    )
    .action(async (options: WellOptions, command: Command) => {
      const before = options.as === undefined ? undefined : beforeIn(options.as);
      const view = async (): Promise<ClusterView> => await clientOf(command).call<ClusterView>('GET', '/v1/view');
      const check = async (): Promise<string> => {
        const lacks = unwell(await clientOf(command).call<CellStatus>('GET', '/v1/status'));
        return lacks === '' && before !== undefined ? lackingOf(before, await view()) : lacks;
      };
      await untilNothing(check, { waitMs: duration(options.wait), holdMs: duration(options.for) });
      if (options.note !== undefined) writeFileSync(options.note, JSON.stringify(beforeOf(await view())));
      show(command, { well: true }, () => 'this cell is well');
    });
  board
    .command('apply')
    .description('put in place what /boot/firmware/osca.yaml says; done at each start')
    .option('--root <dir>', 'of the system', '/')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  sudo osca board apply')
    .action((options: { root: string }, command: Command) => {
      const { name, changed } = applyBoard(options.root);
      show(command, { name, changed }, () =>
        changed.length === 0 ? `${name}: as before` : `${name}: ${changed.join(' ')}`,
      );
    });
  const image = osca
    .command('image')
    .description('images for cards and disks, and for machines that start over the network');
  image
    .command('serve <folder>')
    .description('machines of this network that start over it become cells, while this runs; needs root, and dnsmasq')
    .option('--json', 'print JSON, a line for each thing that a machine is given')
    .addHelpText(
      'after',
      `
It answers beside the DHCP server that is there. Only empty disks take the image, or those of which somebody says so on the machine's screen.

Example:
  sudo osca image build --arch amd64 --ticket --uses 20 --netboot 192.168.1.10 -o osca-netboot
  sudo osca image serve osca-netboot`,
    )
    .action(async (folder: string, options: { json?: boolean }) => await serve(folder, options));
  image
    .command('build')
    .description(
      'an image for every 64-bit Raspberry Pi, or for PCs, from which machines start as cells; needs root, on Debian or Ubuntu',
    )
    .requiredOption('-o, --output <file>', 'osca.img, or osca.img.zst; with --netboot a folder')
    .addOption(
      new Option('--arch <arch>', 'arm64 for Raspberry Pis; amd64 for PCs, by UEFI or BIOS')
        .choices(['arm64', 'amd64'])
        .default('arm64'),
    )
    .option('--ticket [ticket]', 'boards join by it; without a value a new one of this appliance')
    .option(
      '--new-appliance <name>',
      'boards of this image begin an appliance among themselves; their names begin with it',
    )
    .option('--uses <n>', 'of a new ticket (10; of a new appliance 1000)')
    .option('--expires <time>', 'of a new ticket (30d; of a new appliance never)')
    .option('--name <name>', 'of the one board that gets this image')
    .option('--hostname-prefix <prefix>', 'names of boards begin with it')
    .option('--wifi <ssid>', 'network without a cable; also --country, --wifi-password')
    .option('--wifi-password <password>', 'of that network (or OSCA_WIFI_PASSWORD)')
    .option('--wifi-open', 'that network, or mesh, has no password')
    .option(
      '--mesh <id>',
      'boards of this name make a Wi-Fi among themselves; with --wifi-password, else one is made and printed',
    )
    .option('--country <code>', 'two capitals: which channels are allowed')
    .option('--ssh-key <file...>', 'public keys that may log in as root')
    .option('--timezone <zone>', 'as Europe/Berlin')
    .option('--static-ip <address>', 'as 192.168.1.20/24; also --gateway')
    .option('--gateway <address>', 'to other networks, and for names')
    .option(
      '--netboot <address>',
      'machines start over the network: a folder with all they need, for osca image serve on the machine with this address',
    )
    .option('--package <file...>', 'package for that architecture, where this is no checkout and no cell of it', [])
    .option('--cache <dir>', 'where the base is kept that takes a quarter of an hour', join(homedir(), '.cache/osca'))
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
What is yours is a file on the image's first partition, osca.yaml, which any computer can edit.

Examples:
  sudo osca image build --new-appliance attic --ssh-key ~/.ssh/id_ed25519.pub -o osca.img.zst
  sudo osca image build --ticket --ssh-key ~/.ssh/id_ed25519.pub -o osca.img.zst
  sudo osca image build --arch amd64 --ticket --ssh-key ~/.ssh/id_ed25519.pub -o osca-pc.img.zst
  sudo osca image build --wifi attic --wifi-password 'correct horse' --country DE -o osca.img.zst
  sudo osca image build --mesh attic --ticket -o osca.img.zst
  sudo osca image build --arch amd64 --ticket --uses 20 --netboot 192.168.1.10 -o osca-netboot && sudo osca image serve osca-netboot`,
    )
    .action(async (options: BuildOptions, command: Command) => await build(options, command));
}

/** Asks until nothing is in the way, for `holdMs` without a break. Throws OscaError with what is after `waitMs`. */
async function untilNothing(
  check: () => Promise<string>,
  { waitMs, holdMs }: { waitMs: number; holdMs: number },
): Promise<void> {
  const endMs = performance.now() + waitMs;
  for (let since: number | undefined; ; ) {
    const lacks = await check().catch(wordsOf);
    const now = performance.now();
    since = lacks === '' ? (since ?? now) : undefined;
    if (since !== undefined && now - since >= holdMs) return;
    if (since === undefined && now >= endMs)
      throw new OscaError('timeout', lacks, 'look at osca status and osca cell ls');
    await delay(Math.min(2_000, Math.max(100, endMs - now)));
  }
}

async function build(options: BuildOptions, command: Command): Promise<void> {
  const { buildImage, newAppliance } = await provisionBundle();
  const tell = (text: string): void => {
    if (options.json !== true) warn(dim(text));
  };
  const begun = options.newAppliance === undefined ? undefined : begin(options, newAppliance);
  const mesh = meshOf(options);
  const made = await buildImage(requestOf(options, command, mesh, begun?.foundersTicket), tell).catch(throwOwn);
  const { appliance, ticket } = begun ?? {};
  const shown = { ...made, ...(begun === undefined ? {} : { appliance, ticket }), ...(mesh && { mesh }) };
  show(command, shown, () =>
    green(`${made.file}: ${(made.bytes / 1e6).toFixed(0)} MB in ${Math.round(made.ms / 1_000)} s`),
  );
  if (options.json === true) return;
  if (options.netboot !== undefined)
    say(dim(`serve it, and let machines start over the network: sudo osca image serve ${made.file}`));
  else if (made.file.endsWith('.zst'))
    say(
      dim(
        `write it to a ${options.arch === 'arm64' ? 'card' : 'stick or disk, of which all is lost'}: zstd -dc ${made.file} | sudo dd of=/dev/sdX bs=4M conv=fsync`,
      ),
    );
  if (begun !== undefined) say(dim(`appliance ${appliance}; other machines join it with: osca up --ticket ${ticket}`));
  if (mesh?.password !== undefined)
    say(dim(`other images for this mesh: --mesh ${mesh.id} --wifi-password '${mesh.password}'`));
}

async function serve(folder: string, { json: isJson }: { json?: boolean }): Promise<void> {
  const { serveImage } = await provisionBundle();
  const end = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => end.abort());
  const tell = (given: Given): void => {
    const { machine, file, percent } = given;
    if (isJson === true) say(JSON.stringify(given));
    else say(`${machine}: ${percent === undefined ? file : `the image, ${percent} %`}`);
  };
  const ready = (): void => {
    if (isJson !== true)
      warn(dim('machines of this network can start over it now, as long as this runs: end it with Ctrl-C'));
  };
  await serveImage(folder, { ready, tell, signal: end.signal }).catch(throwOwn);
}

function begin(
  { newAppliance: name, ticket, uses, expires }: BuildOptions,
  make: (uses: number, expiresInMs?: number) => NewAppliance,
): NewAppliance {
  if (ticket !== undefined)
    throw new OscaError(
      'bad-request',
      'boards join an appliance or begin one',
      'leave out --ticket or --new-appliance',
    );
  if (!/^[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?$/.test(name!))
    throw new OscaError('bad-request', `'${name}' is no name for boards`, 'use a-z, 0-9 and -, at most 50 letters');
  return make(wholeNumber(uses ?? '1000'), expires === undefined ? undefined : duration(expires));
}

/** Throws OscaError where what is said of a network without a cable does not go together. */
function meshOf(options: BuildOptions): { id: string; password?: string } | undefined {
  const { mesh: id, wifi, wifiOpen, wifiPassword: given = process.env.OSCA_WIFI_PASSWORD } = options;
  if (id === undefined) return undefined;
  if (wifi !== undefined)
    throw new OscaError(
      'bad-request',
      'a board is a client of a network or one of a mesh',
      'leave out --wifi or --mesh',
    );
  if (wifiOpen === true) return { id };
  return { id, password: given ?? randomBytes(12).toString('base64url') };
}

function requestOf(
  options: BuildOptions,
  command: Command,
  mesh: { id: string; password?: string } | undefined,
  founders?: string,
): ImageRequest {
  const ticket = async (): Promise<string> => {
    const body = { uses: wholeNumber(options.uses ?? '10'), expiresInMs: duration(options.expires ?? '30d') };
    const { value } = await clientOf(command).call<Changed>('POST', '/v1/tickets', body);
    return String(value.ticket);
  };
  const password = options.wifiPassword ?? process.env.OSCA_WIFI_PASSWORD;
  if (options.wifi !== undefined && password === undefined && options.wifiOpen !== true)
    throw new OscaError(
      'bad-request',
      `the password of '${options.wifi}' is missing`,
      '--wifi-password PASSWORD, or --wifi-open',
    );
  if (options.netboot !== undefined && (options.name ?? options.staticIp) !== undefined)
    throw new OscaError(
      'bad-request',
      'many machines start from one folder, which can not all have one name or address',
      'leave out --name and --static-ip; --hostname-prefix is for many',
    );
  const { gateway } = options;
  const settings = {
    ...{ name: options.name, prefix: options.hostnamePrefix ?? options.newAppliance, timezone: options.timezone },
    wifi: options.wifi === undefined ? undefined : { ssid: options.wifi, password, country: options.country },
    mesh: mesh && { ...mesh, country: options.country },
    network:
      options.staticIp === undefined
        ? undefined
        : { address: options.staticIp, gateway, dns: gateway === undefined ? undefined : [gateway] },
  };
  return {
    arch: options.arch,
    settings,
    sshKeys: options.sshKey ?? [],
    output: options.output,
    ...(options.netboot === undefined ? {} : { netboot: options.netboot }),
    cache: options.cache!,
    packages: options.package,
    dataFolder: clientOf(command).folder,
    version,
    ...(founders === undefined ? {} : { ticket: founders }),
    ...(options.ticket === undefined ? {} : { ticket: options.ticket === true ? ticket : options.ticket }),
  };
}
