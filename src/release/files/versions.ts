/**
 * Versions side by side, each in a folder, below the one that a system's package brought. `current` points to what runs; `trial` names one that
 * has to show itself first, `tries` counts its starts, and after the third the launcher turns `trial` into `failed` and starts what ran
 * before. Each step is one rename, so that power may go at any moment.
 */
import { execFile } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { OscaError, reasonOf } from '../../core/errors.ts';
import type { Before } from '../../core/well.ts';

const run = promisify(execFile);

/** What a version on trial has to come up to. */
export interface Trial extends Before {
  release: string;
  version: string;
  /** Its folder. */
  name: string;
  /** It must be well for so long. */
  wellMs: number;
  /** Why it was given up. */
  reason?: string;
}

export class Versions {
  readonly #folder: string;
  /** Where this daemon's own files are. */
  readonly #root: string;

  constructor(folder: string, root: string) {
    this.#folder = folder;
    this.#root = root;
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  /** Some version is on trial. */
  get isOpen(): boolean {
    return this.#noted('trial') !== undefined;
  }

  /** This daemon is the one on trial. */
  trial(): Trial | undefined {
    const trial = this.#noted('trial');
    return trial !== undefined && realpathSync(this.#root) === realpathOf(this.#path(trial.name)) ? trial : undefined;
  }

  /** The last that was tried here was given up. */
  failed(): Trial | undefined {
    return this.#noted('failed');
  }

  #noted(mark: 'trial' | 'failed'): Trial | undefined {
    try {
      const name = readFileSync(this.#path(mark), 'utf8').trim();
      const trial = JSON.parse(readFileSync(this.#path('trial.json'), 'utf8')) as Trial;
      return trial.name === name ? trial : undefined;
    } catch {
      return undefined;
    }
  }

  /** Unpacks a package beside the others, and sees that it starts. Its folder's name. Throws OscaError. */
  async add(path: string, version: string, sha256: string): Promise<string> {
    const name = `${version}-${sha256.slice(0, 8)}`;
    const to = this.#path(name);
    // Of what failed nothing is used again.
    this.prune();
    if (existsSync(to)) return name;
    const part = this.#path('.new');
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    rmSync(part, { recursive: true, force: true });
    try {
      await run('dpkg-deb', ['-x', path, part]);
      const lib = join(part, 'usr/lib/osca');
      const said = await this.#said(lib);
      if (said !== version)
        throw new OscaError(
          'bad-request',
          `it says that it is ${said || 'nothing'}, not ${version}`,
          'the package is wrong',
        );
      await run(join(lib, 'osca'), ['_warm'], { env: alone(), timeout: 120_000 }).catch(() => {});
      await run('sync', ['-f', part]);
      rmSync(to, { recursive: true, force: true });
      renameSync(lib, to);
      syncFolder(this.#folder);
      return name;
    } finally {
      rmSync(part, { recursive: true, force: true });
    }
  }

  async #said(lib: string): Promise<string> {
    try {
      const { stdout } = await run(join(lib, 'osca'), ['--version'], { env: alone(), timeout: 60_000 });
      return stdout.trim();
    } catch (error) {
      throw new OscaError(
        'bad-request',
        `it does not run on this machine: ${reasonOf(error).split('\n').slice(0, 2).join(' ')}`,
        'is it for this architecture and system?',
        error,
      );
    }
  }

  /** The next start is this one's, on trial. */
  begin(trial: Trial): void {
    for (const old of ['failed', 'trial']) rmSync(this.#path(old), { force: true });
    this.#write('trial.json', JSON.stringify(trial));
    this.#write('tries', '');
    this.#write('trial', `${trial.name}\n`);
  }

  /** It has shown itself: it is what starts from now on, and those before it go. */
  keep({ name }: Trial): void {
    const link = this.#path('current.new');
    rmSync(link, { force: true });
    symlinkSync(name, link);
    renameSync(link, this.#path('current'));
    syncFolder(this.#folder);
    for (const mark of ['trial', 'tries', 'trial.json', 'failed']) rmSync(this.#path(mark), { force: true });
    this.prune(name);
  }

  /** The next start is of what ran before. */
  giveUp(trial: Trial, reason: string): void {
    if (existsSync(this.#path('trial'))) renameSync(this.#path('trial'), this.#path('failed'));
    syncFolder(this.#folder);
    try {
      this.#write('trial.json', JSON.stringify({ ...trial, reason }));
    } catch {
      // There is no space for why.
    }
  }

  /** Folders of versions that neither run nor are to be tried go. */
  prune(...keep: string[]): void {
    if (!existsSync(this.#folder)) return;
    const named = [realpathOf(this.#path('current')), realpathOf(this.#root)].map((path) => basename(path ?? ''));
    const trial = this.#noted('trial')?.name;
    if (trial !== undefined) named.push(trial);
    for (const entry of readdirSync(this.#folder, { withFileTypes: true })) {
      if (!entry.isDirectory() || [...named, ...keep].includes(entry.name)) continue;
      rmSync(this.#path(entry.name), { recursive: true, force: true });
    }
  }

  #write(name: string, text: string): void {
    const part = this.#path(`${name}.new`);
    writeFileSync(part, text, { mode: 0o600, flush: true });
    renameSync(part, this.#path(name));
    syncFolder(this.#folder);
  }
}

/** Told to be itself, whatever `current` says, and nothing that is this daemon's. */
const alone = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH, HOME: process.env.HOME ?? '/', OSCA_CHOSEN: '1' });

function realpathOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** What was renamed in it is on the disk. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
