/** Many machines become cells, some at once, and images for more: in a bundle of its own, so that commands start fast. */

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import ssh2 from 'ssh2';
import { OscaError, reasonOf } from '../core/errors.ts';
import { createSealer } from '../gossip/libp2p/seal.ts';
import { applianceId, encodeTicket, foundersTicket } from '../gossip/trust.ts';
import type { AddStep, Appliance } from './add.ts';
import { addCell } from './add.ts';
import type { Target } from './hosts.ts';
import { targetOf, targetsOf } from './hosts.ts';
import type { ImageMade, ImageRequest } from './image.ts';
import { makeImage } from './image.ts';
import type { Arch } from './package.ts';
import { archOf, makePackage, packageName } from './package.ts';
import type { Serving } from './serve.ts';
import { serveNetboot } from './serve.ts';
import type { Login } from './ssh.ts';

export interface ProvisionRequest {
  /** [USER@]HOST[:PORT] */
  machines: readonly string[];
  /** A file with more of them, and their passwords. */
  list?: string;
  /** Of those that have none of their own. */
  password?: string;
  /** Files of private keys; without any, the usual ones of `home`. */
  keys: readonly string[];
  home: string;
  agent?: string;
  /** Packages for other architectures than this one's. */
  packages: readonly string[];
  engine: boolean;
  /** File of a public key. */
  authorize?: string;
  noPasswords: boolean;
  /** The host key that is expected, of the one machine that is named. */
  fingerprint?: string;
  atOnce: number;
  /** Where the keys of hosts are remembered, and packages kept. */
  dataFolder: string;
  version: string;
}

const root = join(import.meta.dirname, import.meta.url.endsWith('.ts') ? '../..' : '..');

/** How many machines could not be made cells. Throws OscaError before anything is done, where the request is wrong. */
export async function provision(
  request: ProvisionRequest,
  appliance: Appliance,
  tell: (step: AddStep) => void,
): Promise<number> {
  const targets = allTargets(request);
  const keys = keysOf(request);
  const known = new KnownHosts(join(request.dataFolder, 'known_hosts'));
  checkPackages(request.packages);
  const packages = new Packages(request);
  const authorize = request.authorize === undefined ? {} : { authorize: publicKey(request.authorize) };
  const waiting = [...targets];
  let failed = 0;
  const work = async (): Promise<void> => {
    for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) {
      const { host, port } = target;
      const password = target.password ?? request.password;
      const login: Login = {
        ...{ ...target, keys },
        ...(password === undefined ? {} : { password }),
        ...(request.agent === undefined ? {} : { agent: request.agent }),
      };
      const isDone = await addCell(
        {
          ...{ login, root, engine: request.engine, noPasswords: request.noPasswords, ...authorize },
          packageFor: (arch) => packages.of(arch),
          trusts: (seen) => known.trusts(`${host}:${port}`, seen, request.fingerprint),
        },
        appliance,
        tell,
      );
      if (!isDone) failed++;
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.max(1, Math.min(request.atOnce, targets.length)) }, work));
  } finally {
    packages.tidy();
  }
  return failed;
}

export interface NewAppliance {
  appliance: string;
  /** For the boards: with it one of them begins the appliance. */
  foundersTicket: string;
  /** For all others. */
  ticket: string;
}

/** What boards need that begin an appliance among themselves. `expiresInMs`: undefined for never. */
export function newAppliance(uses: number, expiresInMs?: number): NewAppliance {
  const fresh = (): string => randomBytes(32).toString('base64url');
  const seeds = { seed: fresh(), ticketSeed: fresh() };
  const at = Date.now();
  const terms = { uses, at, ...(expiresInMs === undefined ? {} : { exp: at + expiresInMs }) };
  const made = foundersTicket(createSealer(randomBytes(32)), { ...seeds, ...terms })!;
  const { founding: _, ...plain } = made;
  return {
    appliance: applianceId(made.founder),
    foundersTicket: encodeTicket(made),
    ticket: encodeTicket(plain),
  };
}

/** An image for cards. Throws OscaError. */
export async function buildImage(request: ImageRequest, tell: (text: string) => void): Promise<ImageMade> {
  checkPackages(request.packages);
  const packages = new Packages(request);
  try {
    const recipe = join(root, 'images/pi-flash');
    return await makeImage(request, { recipe, packageFor: (arch) => packages.of(arch) }, tell);
  } finally {
    packages.tidy();
  }
}

/** What that made for machines without a card, until it is ended. Throws OscaError. */
export async function serveImage(folder: string, serving: Serving): Promise<void> {
  await serveNetboot(folder, serving);
}

/** A checkout makes packages for every architecture. */
async function packed(script: string, arch: Arch, file: string): Promise<string> {
  try {
    await promisify(execFile)(process.execPath, [script, '--arch', arch, '--fast', '--out', dirname(file)], {
      cwd: root,
    });
  } catch (error) {
    const hint = `npm run package -- --arch ${arch} says more; or give one with --package`;
    throw new OscaError('not-found', `no package for ${arch} could be made: ${reasonOf(error)}`, hint);
  }
  return file;
}

function allTargets({ machines, list, fingerprint }: ProvisionRequest): Target[] {
  const listed = list === undefined ? [] : targetsOf(readOr(list), list);
  if (
    list !== undefined &&
    listed.some(({ password }) => password !== undefined) &&
    (statSync(list).mode & 0o077) !== 0
  )
    throw new OscaError('bad-request', `${list} holds passwords that others can read`, `chmod 600 ${list}`);
  const all = [...machines.map(targetOf), ...listed];
  if (all.length === 0)
    throw new OscaError('bad-request', 'no machine is named', 'osca cell add root@192.168.1.20, or --hosts FILE');
  if (fingerprint !== undefined && all.length > 1)
    throw new OscaError(
      'bad-request',
      'one host key belongs to one machine',
      'add machines with --fingerprint one by one',
    );
  return all;
}

function keysOf({ keys, home }: ProvisionRequest): Login['keys'] {
  const usual = ['id_ed25519', 'id_ecdsa', 'id_rsa'].map((name) => join(home, '.ssh', name)).filter(existsSync);
  return (keys.length === 0 ? usual : keys).flatMap((name) => {
    const text = Buffer.from(readOr(name));
    const parsed = ssh2.utils.parseKey(text);
    if (!(parsed instanceof Error)) return [{ name, text }];
    if (keys.length === 0) return [];
    throw new OscaError(
      'bad-request',
      `${name} is no key that can be used: ${parsed.message}`,
      'a key with a passphrase comes by ssh-agent: ssh-add FILE',
    );
  });
}

function checkPackages(files: readonly string[]): void {
  for (const file of files) {
    if (!existsSync(file))
      throw new OscaError('not-found', `there is no file ${file}`, 'npm run package makes packages');
    if (!/_(amd64|arm64)\.deb$/.test(file))
      throw new OscaError(
        'bad-request',
        `${file} says not for which architecture it is`,
        'its name ends in _amd64.deb or _arm64.deb',
      );
  }
}

function publicKey(file: string): string {
  const text = readOr(file).trim();
  if (!/^(ssh-|ecdsa-|sk-)\S+ \S+/.test(text) || text.includes('\n'))
    throw new OscaError('bad-request', `${file} is no public key`, 'give the file that ends in .pub');
  return text;
}

function readOr(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new OscaError('not-found', `${file} can't be read: ${reasonOf(error)}`, 'check the path and its permissions');
  }
}

/** Keys of hosts, as they were when they were seen first: lines of HOST:PORT SHA256:… */
class KnownHosts {
  readonly #file: string;
  readonly #keys: Map<string, string>;

  constructor(file: string) {
    this.#file = file;
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
    this.#keys = new Map(lines.filter(Boolean).map((line) => line.split(' ') as [string, string]));
  }

  trusts(host: string, seen: string, expected: string | undefined): boolean {
    const known = expected ?? this.#keys.get(host);
    if (known !== undefined && known !== seen) return false;
    if (this.#keys.get(host) === seen) return true;
    this.#keys.set(host, seen);
    const text = [...this.#keys].map((pair) => `${pair.join(' ')}\n`).join('');
    writeFileSync(this.#file, text, { mode: 0o600 });
    return true;
  }
}

/** Each is made once, of what runs here and not of what was packed some time ago; one that was given comes first. */
class Packages {
  readonly #request: Pick<ProvisionRequest, 'packages' | 'dataFolder' | 'version'>;
  readonly #made = new Map<Arch, Promise<string>>();
  readonly #folder = mkdtempSync(join(tmpdir(), 'osca-add-'));

  constructor(request: Pick<ProvisionRequest, 'packages' | 'dataFolder' | 'version'>) {
    this.#request = request;
  }

  async of(arch: Arch): Promise<string> {
    const found = this.#made.get(arch) ?? this.#find(arch);
    this.#made.set(arch, found);
    return await found;
  }

  async #find(arch: Arch): Promise<string> {
    const { version, packages, dataFolder } = this.#request;
    const name = packageName(version, arch);
    const given = packages.find((file) => file.endsWith(`_${arch}.deb`));
    if (given !== undefined) return given;
    const folder = this.#folder;
    if (archOf(process.arch) === arch)
      return await makePackage({ root, arch, node: process.execPath, version, folder, small: false });
    const script = join(root, 'scripts/package.ts');
    if (existsSync(script)) return await packed(script, arch, join(folder, name));
    const kept = join(dataFolder, 'packages', name);
    if (existsSync(kept)) return kept;
    throw new OscaError(
      'not-found',
      `there is no package for ${arch} here`,
      `npm run package makes it where the checkout is: give it with --package ${name}, or put it into ${join(dataFolder, 'packages')}`,
    );
  }

  tidy(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
