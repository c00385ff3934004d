/** The settings of one daemon: defaults with small deltas, checked once, then frozen. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { OscaError } from '../core/errors.ts';

export interface Config {
  dataDir: string;
  name: string;
  /** libp2p addresses to listen on. */
  listen: string[];
  /** Port of the HTTP API on 127.0.0.1; 0 for any free one. */
  apiPort: number;
  mdns: boolean;
  /** Engine socket; '' for none, undefined to look in the usual places. */
  engine: string | undefined;
  ticket: string | undefined;
  /** It came with the system, and nobody asks for it now. */
  isBaked: boolean;
  /** Found an appliance at once, without listening for others. */
  found: boolean;
  /** How long a fresh cell listens before it founds one. */
  listenMs: number;
  /** Everything that this daemon starts ends with it, and it ends when its standard input closes. */
  lifeline: boolean;
  /** The folder of versions that the appliance agreed on; undefined where this daemon can't take one: a checkout, or nobody would start it again. */
  versions: string | undefined;
}

export const defaultPort = 4470;
export const defaultApiPort = 4477;

/** /var/lib/osca for root, ~/.local/share/osca for others; OSCA_DATA goes before both. */
export function defaultDataDir(env: NodeJS.ProcessEnv = process.env): string {
  if (env.OSCA_DATA !== undefined && env.OSCA_DATA !== '') return resolve(env.OSCA_DATA);
  if (process.getuid?.() === 0) return '/var/lib/osca';
  return join(env.XDG_DATA_HOME ?? join(homedir(), '.local/share'), 'osca');
}

/** A host name as a cell's name: a DNS label. */
export function cellName(text: string = hostname()): string {
  const name = text
    .toLowerCase()
    .split('.')[0]!
    .replace(/[^a-z0-9-]/g, '-')
    .replace(/^-+|-+$/g, '');
  return name === '' ? 'cell' : name.slice(0, 63);
}

export function makeConfig(given: Partial<Config>): Config {
  const dataDir = resolve(given.dataDir ?? defaultDataDir());
  const config: Config = {
    ...{ dataDir, name: cellName(given.name), listen: given.listen ?? [`/ip4/0.0.0.0/tcp/${defaultPort}`] },
    ...{ apiPort: given.apiPort ?? defaultApiPort, mdns: given.mdns ?? true, engine: given.engine },
    ...{
      ticket: given.ticket ?? bakedTicket(dataDir),
      isBaked: given.ticket === undefined,
      found: given.found ?? false,
      listenMs: given.listenMs ?? aloneAfterMs(),
    },
    ...{ lifeline: given.lifeline ?? false, versions: given.versions ?? versionsFolder() },
  };
  if (Buffer.byteLength(join(dataDir, 'osca.sock')) > 107) {
    throw new OscaError(
      'bad-request',
      `the path ${dataDir} is too long for a socket in it`,
      'give a folder with a path of at most 97 letters',
    );
  }
  for (const addr of config.listen) {
    if (!/^\/(ip4|ip6)\/[^/]+\/tcp\/\d+$/.test(addr))
      throw new OscaError('bad-request', `'${addr}' is no address to listen on`, 'write /ip4/0.0.0.0/tcp/4470');
  }
  for (const port of [config.apiPort]) {
    if (!Number.isSafeInteger(port) || port < 0 || port > 65_535)
      throw new OscaError('bad-request', `${port} is no port`, 'give 0 to 65535');
  }
  return Object.freeze(config);
}

function versionsFolder(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const { OSCA_INSTALLED: installed, OSCA_SUPERVISED: supervised, OSCA_VERSIONS: versions } = env;
  return installed === undefined || supervised === undefined ? undefined : (versions ?? '/var/lib/osca/versions');
}

/** OSCA_ALONE_AFTER, in seconds: a slow board hears others late. */
function aloneAfterMs({ OSCA_ALONE_AFTER: given }: NodeJS.ProcessEnv = process.env): number {
  if (given === undefined || given === '') return 3_000;
  if (!/^\d{1,4}$/.test(given))
    throw new OscaError('bad-request', `OSCA_ALONE_AFTER is '${given}'`, 'write seconds, as OSCA_ALONE_AFTER=60');
  return Number(given) * 1_000;
}

/** A ticket from the environment, or from a file that an image brought along. */
function bakedTicket(dataDir: string): string | undefined {
  const env = process.env.OSCA_TICKET;
  if (env !== undefined && env !== '') return env;
  const file = join(dataDir, 'ticket');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}
