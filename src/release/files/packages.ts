/** Packages of releases as this cell keeps them: a file each, named by its SHA-256. What is not whole is never there under its name. */
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { OscaError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import type { PackageSum } from '../../core/model.ts';

const run = promisify(execFile);

export interface PackageFacts extends PackageSum {
  version: string;
  /** As Debian calls it. */
  arch: string;
}

export class Packages {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Where it is, or undefined where it is not here. */
  pathOf(sha256: string): string | undefined {
    const path = join(this.folder, `${sha256}.deb`);
    return /^[0-9a-f]{64}$/.test(sha256) && existsSync(path) ? path : undefined;
  }

  /** The same, where it still is what it was; else it goes. */
  async checked(sha256: string): Promise<string | undefined> {
    const path = this.pathOf(sha256);
    if (path === undefined) return undefined;
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    if (hash.digest('hex') === sha256) return path;
    rmSync(path, { force: true });
    return undefined;
  }

  read(sha256: string): Readable | undefined {
    const path = this.pathOf(sha256);
    return path === undefined ? undefined : createReadStream(path);
  }

  /** Throws where so many bytes are too many, for a package or for the disk. */
  checkRoom(bytes: number): void {
    if (bytes > limits.packageBytes) throw tooLarge();
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    checkSpace(this.folder, bytes);
  }

  /** Takes one in. Throws bad-request where it is not `wanted`, or no package of ours; data-unusable where there is no space. */
  async put(bytes: Readable, wanted?: PackageSum): Promise<PackageFacts> {
    this.checkRoom(wanted?.bytes ?? 0);
    const part = join(this.folder, `${randomUUID()}.part`);
    const hash = createHash('sha256');
    let length = 0;
    const count = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        length += chunk.length;
        hash.update(chunk);
        done(length > limits.packageBytes ? tooLarge() : null, chunk);
      },
    });
    try {
      await pipeline(bytes, count, createWriteStream(part, { mode: 0o600, flush: true }));
      const sum = { sha256: hash.digest('hex'), bytes: length };
      if (wanted !== undefined && (sum.sha256 !== wanted.sha256 || sum.bytes !== wanted.bytes))
        throw new OscaError(
          'bad-request',
          `the package is not the one that was signed: ${sum.bytes} bytes, SHA-256 ${sum.sha256}`,
          'it was changed or cut on its way',
        );
      const facts = { ...sum, ...(await factsOf(part)) };
      renameSync(part, join(this.folder, `${sum.sha256}.deb`));
      return facts;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw noSpace(this.folder, length);
      throw error;
    } finally {
      rmSync(part, { force: true });
    }
  }

  /** All others go. */
  keep(sums: readonly string[]): void {
    if (!existsSync(this.folder)) return;
    for (const name of readdirSync(this.folder))
      if (!sums.includes(name.replace(/\.deb$/, ''))) rmSync(join(this.folder, name), { force: true });
  }
}

const tooLarge = (): OscaError =>
  new OscaError('bad-request', `it is larger than ${limits.packageBytes / 1_048_576} MB`, 'is it a package of OSCA?');

/** What it says of itself. Throws bad-request where it is no package of ours. */
async function factsOf(path: string): Promise<{ version: string; arch: string }> {
  let stdout: string;
  try {
    ({ stdout } = await run('dpkg-deb', ['-f', path, 'Package', 'Version', 'Architecture']));
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (isMissing) throw new OscaError('bad-request', 'dpkg-deb is missing', 'packages are for Debian and its kin');
    throw new OscaError('bad-request', 'it is no Debian package, or not whole', 'take one that npm run package made');
  }
  const field = (name: string): string => new RegExp(`^${name}: *(.+)$`, 'm').exec(stdout)?.[1] ?? '';
  if (field('Package') !== 'osca')
    throw new OscaError('bad-request', `it is a package of ${field('Package')}`, 'take one that npm run package made');
  return { version: field('Version'), arch: field('Architecture') };
}

/** Room for it, and for what it holds. Throws data-unusable. */
export function checkSpace(folder: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < bytes * unpackedFactor) throw noSpace(folder, bytes * unpackedFactor);
}

/** A package of 30 MB holds 130. */
const unpackedFactor = 6;

const noSpace = (folder: string, bytes: number): OscaError =>
  new OscaError(
    'data-unusable',
    `the disk of ${folder} is full: ${Math.ceil(bytes / 1_048_576)} MB are needed`,
    'make room, and ask for the upgrade again',
  );
