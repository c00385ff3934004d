/** The data folder and the secrets in it: the cell's key and the API token, made on first start, readable by the owner only. */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { OscaError, reasonOf } from '../core/errors.ts';

/** Makes the folder. Throws data-unusable with the remedy. */
export function prepareFolder(dataDir: string): void {
  try {
    for (const folder of [dataDir, join(dataDir, 'specs')]) makeFolder(folder);
  } catch (error) {
    const hint = 'make it writable for this user, or give another folder with --data DIR';
    throw new OscaError('data-unusable', `${dataDir} can't be used: ${reasonOf(error)}`, hint, error);
  }
}

/** With all above it. (mkdirSync's own recursion never ends below a folder like /proc, where nothing can be made.) */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

/** Written to a new name, fsynced, renamed: whole or not at all. */
export function writeSecret(path: string, text: string): void {
  try {
    const file = openSync(`${path}.new`, 'w', 0o600);
    writeSync(file, text);
    fsyncSync(file);
    closeSync(file);
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw new OscaError(
      'data-unusable',
      `${path} can't be written: ${reasonOf(error)}`,
      'free some space or make the folder writable',
      error,
    );
  }
}

/** The cell's 32-byte seed. Throws data-unusable where the file is damaged: a new key would be another cell. */
export function cellSeed(dataDir: string): Uint8Array {
  const path = join(dataDir, 'cell.key');
  if (!existsSync(path)) writeSecret(path, `${randomBytes(32).toString('base64')}\n`);
  const seed = Buffer.from(readFileSync(path, 'utf8').trim(), 'base64');
  if (seed.length === 32) return seed;
  throw new OscaError(
    'data-unusable',
    `${path} is damaged; the cell's identity can't be read`,
    'restore it from a copy, or move the folder away to start as a new cell',
  );
}

export function apiToken(dataDir: string): string {
  const path = join(dataDir, 'token');
  if (!existsSync(path)) writeSecret(path, `${randomBytes(24).toString('base64url')}\n`);
  return readFileSync(path, 'utf8').trim();
}

export const freshSeed = (): string => randomBytes(32).toString('base64url');
