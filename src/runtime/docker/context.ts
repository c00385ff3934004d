/**
 * What an engine gets to build from: the folder as a tar, without what .dockerignore leaves out, and with the Dockerfile where that is
 * elsewhere, or in the spec itself. dockerode packs a folder too, and sends all of it.
 */
import { lstatSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, posix, relative, resolve } from 'node:path';
import { PassThrough, pipeline, type Readable } from 'node:stream';
import dockerIgnore from '@balena/dockerignore';
import { pack } from 'tar-fs';
import { reasonOf } from '../../core/errors.ts';
import type { BuildSpec } from '../../core/spec.ts';

const addedName = '.osca.Dockerfile';

/**
 * `dockerfile`: its path in the tar. Throws where the folder, or a Dockerfile outside of it, can't be read, and where a line of
 * .dockerignore is no pattern; the stream ends with an error where a file can't be read, or has become shorter meanwhile.
 */
export async function packContext({
  context,
  dockerfile: given = 'Dockerfile',
  inline,
}: Pick<BuildSpec, 'context' | 'dockerfile' | 'inline'>): Promise<{ stream: Readable; dockerfile: string }> {
  readdirSync(context);
  const path = relative(context, resolve(context, given));
  const isOutside = path.startsWith('../');
  const added = inline ?? (isOutside ? await readFile(resolve(context, given), 'utf8') : undefined);
  const dockerfile = added === undefined ? path : addedName;
  const [name, rules] = (await firstOf(context, [`${path}.dockerignore`, '.dockerignore'])) ?? ['', ''];
  const keeps = keeper(context, patternsOf(name, rules), added === undefined ? [dockerfile, name] : []);
  // The engine goes by the one that it finds; that of another Dockerfile is not meant.
  const isReplaced = (one: string): boolean => one === '.dockerignore' && (added !== undefined || name !== one);
  const files = pack(context, {
    ignore: (one) => isReplaced(relative(context, one)) || !keeps(relative(context, one)),
    // Of an error in a file tar-fs says nothing: its tar would never end.
    mapStream: (file) => file.once('error', (error) => files.destroy(error)),
    finalize: false,
    finish: (made) => {
      if (added !== undefined) {
        made.entry({ name: addedName }, added);
        // It takes out what is none of theirs, as it does for `docker build -f -`.
        made.entry({ name: '.dockerignore' }, `${rules}\n.dockerignore\n${addedName}\n`);
      }
      made.finalize();
    },
  });
  const stream = new PassThrough();
  pipeline(files as unknown as Readable, stream, () => {});
  return { stream, dockerfile };
}

async function firstOf(folder: string, names: readonly string[]): Promise<[string, string] | undefined> {
  for (const name of names) {
    const text = await readFile(join(folder, name), 'utf8').catch(() => undefined);
    if (text !== undefined) return [name, text];
  }
  return undefined;
}

/** The lines of a .dockerignore. Throws where one is no pattern. */
function patternsOf(name: string, rules: string): string[] {
  const lines = rules.split(/\r?\n/);
  for (const [i, line] of lines.entries())
    try {
      ignoring([line])('x');
    } catch (error) {
      throw new Error(
        `${name}:${i + 1}: "${line}" is no pattern: ${reasonOf(error)}; a "[" needs its "]", or a "\\" before it`,
      );
    }
  return lines;
}

/** Of what means something in a regular expression, only this does in a line of the file too: * ? [a-c] \\. */
function ignoring(lines: readonly string[]): (path: string) => boolean {
  const escaped = lines.map((line) =>
    line.replace(/\\.|[+(){}|]|(?<!\[)\^/g, (one) => (one.length > 1 ? one : `\\${one}`)),
  );
  return dockerIgnore.default({ ignorecase: false }).add(escaped).createFilter();
}

/**
 * By path in the folder. One that is left out is looked into where a later line may bring something back that is in it, as `docker build`
 * does.
 */
function keeper(context: string, lines: readonly string[], always: readonly string[]): (path: string) => boolean {
  const isIn = ignoring(lines);
  const back = lines.flatMap((line) => /^!\s*\/*(.+?)\s*$/.exec(line.trim())?.[1] ?? []);
  const named = [...always, ...back].map((one) => posix.normalize(one).split('/'));
  const isOnTheWay = (path: string): boolean =>
    named.some((parts) => mayBeIn(path.split('/'), parts)) &&
    lstatSync(join(context, path), { throwIfNoEntry: false })?.isDirectory() === true;
  return (path) => always.includes(path) || isIn(path) || isOnTheWay(path);
}

/** May what a pattern names be in that folder? */
function mayBeIn(folder: readonly string[], pattern: readonly string[]): boolean {
  for (const [i, name] of folder.entries()) {
    const part = pattern[i];
    if (part?.includes('**')) return true;
    if (part === undefined || !isGlob(part).test(name)) return false;
  }
  return pattern.length > folder.length;
}

/** Which names may be meant: of brackets and escapes all may. */
const isGlob = (part: string): RegExp =>
  /[[\\]/.test(part)
    ? /^/
    : new RegExp(
        `^${part
          .replace(/[.+(){}|^$]/g, '\\$&')
          .replaceAll('*', '.*')
          .replaceAll('?', '.')}$`,
      );
