/**
 * The `specs/` folder: a file copied in is deployed, edited it is deployed again, deleted its app is removed. A file with a
 * mistake changes nothing; what is wrong stands in an event and in a `.error` file beside it.
 */

import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { OscaError, reasonOf } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { LogEvent } from '../core/model.ts';
import { readSome } from '../specs/reading.ts';

export interface SpecsFolderDeps {
  folder: string;
  /** `check` throws where an app of that name may not come from this file. */
  deploy(file: string, check: (app: string) => void): Promise<string>;
  remove(app: string): Promise<void>;
  tell(event: Omit<LogEvent, 'seq' | 'atMs'>): void;
  /** What was deployed from here before, kept over restarts. */
  load(): Record<string, Deployed>;
  save(files: Record<string, Deployed>): void;
}

export interface Deployed {
  app: string;
  digest: string;
}

/** A file must have been left alone for this long: it may still be being copied. */
const restMs = 200;

export class SpecsFolder {
  readonly #deps: SpecsFolderDeps;
  #files: Record<string, Deployed>;
  #failed = new Map<string, string>();
  #watcher: ReturnType<typeof watch> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #scanning = false;
  #again = false;

  constructor(deps: SpecsFolderDeps) {
    this.#deps = deps;
    this.#files = deps.load();
  }

  start(): void {
    this.#watcher = watch(this.#deps.folder, () => this.#soon());
    this.#watcher.on('error', () => {});
    this.#soon();
  }

  stop(): void {
    this.#watcher?.close();
    clearTimeout(this.#timer);
  }

  #soon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#scan(), restMs);
  }

  async #scan(): Promise<void> {
    if (this.#scanning) {
      this.#again = true;
      return;
    }
    this.#scanning = true;
    try {
      await this.#compare();
    } catch (error) {
      this.#deps.tell({ level: 'error', kind: 'specs', message: `${this.#deps.folder}: ${reasonOf(error)}` });
    }
    this.#scanning = false;
    if (this.#again) {
      this.#again = false;
      this.#soon();
    }
  }

  async #compare(): Promise<void> {
    const names = readdirSync(this.#deps.folder).filter(
      (name) => ['.yaml', '.yml'].includes(extname(name)) && !name.startsWith('.'),
    );
    for (const name of names.sort()) await this.#look(name);
    for (const name of Object.keys(this.#files)) if (!names.includes(name)) await this.#remove(name);
    for (const name of readdirSync(this.#deps.folder)) {
      if (name.endsWith('.error') && !names.includes(name.slice(0, -6)))
        rmSync(join(this.#deps.folder, name), { force: true });
    }
  }

  /** One odd entry must not keep the others waiting. */
  async #look(name: string): Promise<void> {
    const path = join(this.#deps.folder, name);
    let digest: string;
    try {
      const { mtimeMs } = statSync(path);
      if (Date.now() - mtimeMs < restMs && Date.now() >= mtimeMs) {
        this.#again = true;
        return;
      }
      digest = createHash('sha256').update(readSome(path, limits.specBytes)).digest('hex');
    } catch (error) {
      if (this.#failed.get(name) === reasonOf(error)) return;
      this.#failed.set(name, reasonOf(error));
      const message = `${name} can't be read: ${reasonOf(error)}`;
      tellBeside(path, `${message}\n`);
      this.#deps.tell({ level: 'error', kind: 'specs.refused', message });
      return;
    }
    if (this.#files[name]?.digest === digest || this.#failed.get(name) === digest) return;
    await this.#deploy(name, path, digest);
  }

  async #deploy(name: string, path: string, digest: string): Promise<void> {
    const errorFile = `${path}.error`;
    try {
      const app = await this.#deps.deploy(path, (app) => this.#refuseTwice(name, app));
      const former = this.#files[name];
      this.#keep({ ...this.#files, [name]: { app, digest } });
      this.#failed.delete(name);
      rmSync(errorFile, { force: true });
      this.#deps.tell({ level: 'info', kind: 'specs.deployed', message: `${name}: deployed ${app}` });
      if (former !== undefined && former.app !== app && !this.#isUsed(former.app)) await this.#deps.remove(former.app);
    } catch (error) {
      // Not a member yet, or no engine: not the file's fault, so it is tried again.
      if (error instanceof OscaError && (error.code === 'not-member' || error.code === 'engine-away')) {
        setTimeout(() => this.#soon(), 2_000).unref();
        return;
      }
      this.#failed.set(name, digest);
      const hint = error instanceof OscaError && error.hint !== '' ? `\n${error.hint}` : '';
      const message = `${reasonOf(error)}${hint}\n`;
      tellBeside(path, message);
      this.#deps.tell({
        level: 'error',
        kind: 'specs.refused',
        message: `${name}: ${message.trim()} What runs is left alone.`,
      });
    }
  }

  async #remove(name: string): Promise<void> {
    const { app } = this.#files[name]!;
    const { [name]: _gone, ...rest } = this.#files;
    const isUsed = Object.values(rest).some((other) => other.app === app);
    try {
      if (!isUsed) await this.#deps.remove(app);
      this.#keep(rest);
      // Another that says the same app may have its turn.
      this.#failed.clear();
      this.#again = true;
      if (isUsed) return;
      this.#deps.tell({ level: 'info', kind: 'specs.removed', message: `${basename(name)}: removed ${app}` });
    } catch (error) {
      // Gone already is as good as removed; anything else is tried again at the next look.
      if (error instanceof OscaError && error.code === 'not-found') this.#keep(rest);
      else this.#deps.tell({ level: 'warn', kind: 'specs.removed', message: `${name}: ${reasonOf(error)}` });
    }
  }

  /** What runs would match the file that was looked at last, and no file once that is gone. */
  #refuseTwice(name: string, app: string): void {
    const others = Object.keys(this.#files).filter((file) => file !== name && this.#files[file]!.app === app);
    // One that is gone had another name.
    const other = others.find((file) => existsSync(join(this.#deps.folder, file)));
    if (other !== undefined)
      throw new OscaError(
        'conflict',
        `app ${app} is what ${other} says already`,
        'name it otherwise (name: at its top), or remove one',
      );
  }

  #isUsed(app: string): boolean {
    return Object.values(this.#files).some((other) => other.app === app);
  }

  #keep(files: Record<string, Deployed>): void {
    this.#files = files;
    this.#deps.save(files);
  }
}

/** What is wrong with a file, beside it. A folder that can't be written to keeps nobody waiting: it stands in the events too. */
function tellBeside(path: string, text: string): void {
  try {
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) writeFileSync(`${path}.error`, text);
  } catch {}
}
