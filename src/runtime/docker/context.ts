/**
 * What an engine gets to build from: the folder as a tar, without what .dockerignore leaves out, and with a Dockerfile that stands in
 * no file where the spec has one. dockerode packs a folder too, and sends all of it.
 */
import { readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, normalize, relative } from 'node:path';
import type { Readable } from 'node:stream';
import dockerIgnore from '@balena/dockerignore';
import { pack } from 'tar-fs';
import type { BuildSpec } from '../../core/spec.ts';

const inlineName = '.osca.Dockerfile';

/** `dockerfile`: its path in the tar. Throws where the folder can't be read. */
export async function packContext({
  context,
  dockerfile: given = 'Dockerfile',
  inline,
}: Pick<BuildSpec, 'context' | 'dockerfile' | 'inline' | 'args'>): Promise<{ stream: Readable; dockerfile: string }> {
  readdirSync(context);
  const dockerfile = inline === undefined ? normalize(given) : inlineName;
  const [name, rules] = (await firstOf(context, [`${dockerfile}.dockerignore`, '.dockerignore'])) ?? ['', ''];
  const keeps = keeper(context, rules, inline === undefined ? [dockerfile, name] : []);
  const isReplaced = (path: string): boolean => inline !== undefined && path === '.dockerignore';
  const stream = pack(context, {
    ignore: (path) => isReplaced(relative(context, path)) || !keeps(relative(context, path)),
    finalize: false,
    finish: (made) => {
      if (inline !== undefined) {
        made.entry({ name: inlineName }, inline);
        // The engine takes out what is none of theirs, as it does for `docker build -f -`.
        made.entry({ name: '.dockerignore' }, `${rules}\n.dockerignore\n${inlineName}\n`);
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

/** By path in the folder. One that is left out stays where a later line brings something back that is in it. */
function keeper(context: string, rules: string, always: readonly string[]): (path: string) => boolean {
  const isIn = dockerIgnore.default({ ignorecase: false }).add(rules).createFilter();
  const bringsBack = /^\s*!/m.test(rules);
  const isFolder = (path: string): boolean =>
    statSync(join(context, path), { throwIfNoEntry: false })?.isDirectory() === true;
  const holds = (path: string): boolean => always.some((one) => one.startsWith(`${path}/`));
  const keeps = (path: string): boolean => {
    if (always.includes(path) || holds(path) || isIn(path)) return true;
    if (!bringsBack || !isFolder(path)) return false;
    return readdirSync(join(context, path)).some((name) => keeps(join(path, name)));
  };
  return keeps;
}
