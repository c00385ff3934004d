/**
 * What an engine gets to build from: the folder as a tar, without what .dockerignore leaves out, and with the Dockerfile where that is
 * elsewhere, or in the spec itself. dockerode packs a folder too, and sends all of it.
 */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import dockerIgnore from '@balena/dockerignore';
import { pack } from 'tar-fs';
import type { BuildSpec } from '../../core/spec.ts';

const addedName = '.osca.Dockerfile';

/** `dockerfile`: its path in the tar. Throws where the folder, or a Dockerfile outside of it, can't be read. */
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
  const keeps = keeper(rules, added === undefined ? [dockerfile, name] : []);
  // The engine goes by the one that it finds; that of another Dockerfile is not meant.
  const isReplaced = (one: string): boolean => one === '.dockerignore' && (added !== undefined || name !== one);
  const stream = pack(context, {
    ignore: (one) => isReplaced(relative(context, one)) || !keeps(relative(context, one)),
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
  return { stream: stream as unknown as Readable, dockerfile };
}

async function firstOf(folder: string, names: readonly string[]): Promise<[string, string] | undefined> {
  for (const name of names) {
    const text = await readFile(join(folder, name), 'utf8').catch(() => undefined);
    if (text !== undefined) return [name, text];
  }
  return undefined;
}

/** By path in the folder. One that is left out is looked into where a later line brings something back that is in it, as `docker build` does. */
function keeper(rules: string, always: readonly string[]): (path: string) => boolean {
  const isIn = dockerIgnore.default({ ignorecase: false }).add(rules).createFilter();
  const back = rules.split('\n').flatMap((line) => /^!\s*\/?(.+?)\/?\s*$/.exec(line.trim())?.[1] ?? []);
  const named = [...always, ...back];
  return (path) => always.includes(path) || named.some((one) => one.startsWith(`${path}/`)) || isIn(path);
}
