/**
 * Configs and secrets of units as files in memory: a folder for each unit on a tmpfs of the cell, written before each start (a board that
 * was without power has lost them) and removed with the unit.
 */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fromBase64 } from '../../core/base64.ts';
import { OscaError, reasonOf } from '../../core/errors.ts';
import type { UnitSpec } from '../../core/events.ts';
import { contentHash } from '../../core/hash.ts';

export interface PlacedFile {
  /** On the cell, and in the container. */
  source: string;
  target: string;
  writable?: true;
}

/** What replicas may know of the cell that they are on. */
export interface CellFacts {
  name: string;
  /** Of the machine; '' where it has none. */
  address: string;
}

/** What a file or a variable holds, as base64; undefined where this cell can't know it (yet). */
export type Reveal = (app: string, blob: string) => string | undefined;

/** A place in memory that this user may write to. `dataDir` tells the daemons of one machine apart. */
export function memoryFolder(dataDir: string): string {
  const own = `osca-${contentHash(dataDir, 8)}`;
  const places = [process.env.XDG_RUNTIME_DIR, process.getuid?.() === 0 ? '/run' : undefined, '/dev/shm'];
  const place = places.find((one) => one !== undefined && one !== '' && existsSync(one));
  return join(place ?? dataDir, own);
}

export class UnitFiles {
  readonly #folder: string;
  readonly #reveal: Reveal;
  readonly #cell: () => CellFacts;

  constructor(folder: string, reveal: Reveal, cell: () => CellFacts) {
    this.#folder = folder;
    this.#reveal = reveal;
    this.#cell = cell;
  }

  #of(key: string): string {
    return join(this.#folder, key.replaceAll('/', '_'));
  }

  /** Writes what the unit `key` needs, or one of its containers. Throws start-failed. */
  place(key: string, { app, replica, service }: UnitSpec, part = ''): PlacedFile[] {
    const { files = [], mounts } = service;
    const shared = mounts.filter(({ inMemory }) => inMemory === true);
    if (files.length === 0 && shared.length === 0) return [];
    const folder = this.#of(key);
    try {
      // Others on the cell can't look; the container's user can, through its mount.
      mkdirSync(this.#folder, { recursive: true, mode: 0o711 });
      mkdirSync(folder, { recursive: true, mode: 0o711 });
      const folders = shared.map(({ source: name, target, readOnly }): PlacedFile => {
        const source = join(folder, `scratch-${contentHash(name ?? '', 16)}`);
        mkdirSync(source, { recursive: true });
        chmodSync(source, 0o1777);
        return { source, target, ...(readOnly === true ? {} : { writable: true as const }) };
      });
      const placed = files.map(({ target, blob, uid, gid, mode, folder: within }): PlacedFile => {
        const whole = within === undefined ? undefined : join(folder, contentHash(`${part}folder${within}`, 16));
        const source =
          whole === undefined
            ? join(folder, contentHash(part + target, 16))
            : join(whole, target.slice(within!.length));
        if (whole !== undefined && !source.startsWith(`${whole}/`))
          throw new OscaError('start-failed', `${replica}: ${target} leads out of its folder`, 'leave out ..');
        mkdirSync(dirname(source), { recursive: true, mode: 0o755 });
        const bytes = this.#bytes(app, blob, replica);
        if (!existsSync(source) || !readFileSync(source).equals(bytes)) writeFileSync(source, bytes, { mode: 0o600 });
        chmodSync(source, mode ?? 0o444);
        if (process.getuid?.() === 0) chownSync(source, uid ?? 0, gid ?? 0);
        return whole === undefined ? { source, target } : { source: whole, target: within! };
      });
      return [...folders, ...new Map(placed.map((one) => [one.target, one])).values()];
    } catch (error) {
      if (error instanceof OscaError) throw error;
      const message = `${replica}: its files can't be written: ${reasonOf(error)}`;
      throw new OscaError('start-failed', message, `is there space in ${this.#folder}?`, error);
    }
  }

  /**
   * The unit with what is known only where it runs: variables that are secrets, or hold the name of the replica or the cell, also where $(NAME) of
   * them stands in other variables and in its command.
   */
  bind(unit: UnitSpec): UnitSpec {
    const { app, replica, index, service } = unit;
    const { sealedEnvironment = {}, ownVariables = {}, environment, command, entrypoint } = service;
    const late: Record<string, string> = {};
    const { name: cell, address } = this.#cell();
    const own = { cell, address, replica: nameOf(unit), completion: String(Number(index) - 1) };
    for (const [name, what] of Object.entries(ownVariables)) late[name] = own[what];
    for (const [name, blob] of Object.entries(sealedEnvironment))
      late[name] = this.#bytes(app, blob, replica).toString();
    if (Object.keys(late).length === 0) return unit;
    const fill = (text: string): string =>
      // $$(NAME) is text.
      text.replace(/(\$?)\$\(([A-Za-z_][\w.-]*)\)/g, (whole, dollar: string, name: string) =>
        !Object.hasOwn(late, name) ? whole : dollar === '' ? late[name]! : `$(${name})`,
      );
    const filled = Object.entries(environment).map(([name, value]) => [name, fill(value)]);
    return {
      ...unit,
      service: {
        ...service,
        environment: { ...(Object.fromEntries(filled) as Record<string, string>), ...late },
        ...(command === undefined ? {} : { command: command.map(fill) }),
        ...(entrypoint === undefined ? {} : { entrypoint: entrypoint.map(fill) }),
      },
    };
  }

  #bytes(app: string, blob: string, replica: string): Buffer {
    const text = this.#reveal(app, blob);
    const bytes = text === undefined ? undefined : fromBase64(text);
    if (bytes !== undefined) return Buffer.from(bytes);
    const message = `${replica}: the key to its secrets has not come to this cell yet`;
    throw new OscaError(
      'start-failed',
      message,
      'it comes from another cell as soon as one of those that have it is there',
    );
  }

  remove(key: string): void {
    try {
      rmSync(this.#of(key), { recursive: true, force: true });
    } catch {
      // What a container wrote as root a daemon without rights can't remove: it is in memory, and goes with the power.
    }
  }

  placed(key: string): boolean {
    return existsSync(this.#of(key));
  }
}

/** What the replica is called in its variables. */
export const nameOf = ({ replica, index, service }: UnitSpec): string =>
  service.ordinals === true ? `${service.name}-${Number(index) - 1}` : replica.replaceAll('/', '-');
