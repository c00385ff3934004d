/** configs and secrets: what the file says they hold, and where services have them. */

import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { toBase64 } from '../core/base64.ts';
import type { SpecProblem } from '../core/errors.ts';
import { reasonOf } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { FileMount, FileSource } from '../core/spec.ts';
import type { Report } from './context.ts';
import type { Raw } from './extend.ts';
import { isRaw } from './extend.ts';
import type { Part } from './project.ts';
import { readSome } from './reading.ts';
import type { Path } from './source.ts';
import { fileMode } from './values.ts';

export type FileKind = 'configs' | 'secrets';

/** Where short names lead. */
const roots: Record<FileKind, string> = { configs: '/', secrets: '/run/secrets/' };

export const fileName = (kind: FileKind, name: string): string => `#${kind}/${name}`;

/** What is used of the top level of all parts, by name; problems where it can't be read. */
export function fileSources(
  parts: readonly Part[],
  used: ReadonlySet<string>,
  problems: SpecProblem[],
): Record<string, FileSource> {
  const sources: Record<string, FileSource> = {};
  let total = 0;
  for (const part of parts) {
    for (const kind of ['configs', 'secrets'] as const) {
      for (const [name, given] of Object.entries(isRaw(part.value[kind]) ? part.value[kind] : {})) {
        const key = fileName(kind, name);
        if (!used.has(key)) continue;
        const report = (path: Path, message: string, hint: string): void => {
          problems.push(part.source.problem([kind, name, ...path], message, hint));
        };
        const bytes = contentOf(isRaw(given) ? given : {}, part, report);
        if (bytes === undefined) continue;
        total += bytes.length;
        if (bytes.length > limits.fileBytes)
          report([], `is larger than ${limits.fileBytes / 1_024} KiB`, 'put it into the image, or into a volume');
        sources[key] = { data: toBase64(bytes), ...(kind === 'secrets' ? { secret: true as const } : {}) };
      }
    }
  }
  if (total > limits.filesBytes) {
    const message = `configs and secrets hold more than ${limits.filesBytes / 1_024} KiB together`;
    problems.push(parts[0]!.source.problem(['services'], message, 'put large ones into the image, or into a volume'));
  }
  return sources;
}

function contentOf(given: Raw, { folder, env }: Part, report: Report): Uint8Array | undefined {
  const ways = ['file', 'content', 'environment'].filter((way) => given[way] !== undefined);
  if (given.external === true || given.external === 'true' || isRaw(given.external)) {
    report(
      ['external'],
      'is kept apart from the file, and OSCA keeps none apart',
      'in its place say file: PATH, or environment: NAME with the value in .env',
    );
    return undefined;
  }
  if (ways.length !== 1) {
    report(
      [],
      ways.length === 0 ? 'says not what it holds' : `says twice what it holds: ${ways.join(', ')}`,
      'say one of file: PATH, content: TEXT and environment: NAME',
    );
    return undefined;
  }
  if (given.content !== undefined) return Buffer.from(String(given.content));
  if (given.environment !== undefined) {
    const value = env[String(given.environment)];
    if (value === undefined)
      report(
        ['environment'],
        `variable ${String(given.environment)} is not set`,
        'set it in the shell or in .env beside the file',
      );
    return value === undefined ? undefined : Buffer.from(value);
  }
  const path = resolve(folder, String(given.file));
  try {
    return readSome(path, limits.fileBytes);
  } catch (error) {
    const isThere = existsSync(path);
    report(
      ['file'],
      isThere ? `${path} can't be read: ${reasonOf(error)}` : `there is no file ${path}`,
      isThere ? 'the path is relative to this file' : 'make it; the path is relative to this file',
    );
    return undefined;
  }
}

/** Those of one service. */
export function fileMounts(service: Raw, top: Raw, report: Report): FileMount[] {
  const mounts: FileMount[] = [];
  const seen = new Set<string>();
  for (const kind of ['configs', 'secrets'] as const) {
    const items = Array.isArray(service[kind]) ? service[kind] : [];
    items.forEach((item: unknown, i) => {
      const given = isRaw(item) ? item : { source: item };
      const name = String(given.source ?? '');
      const all = isRaw(top[kind]) ? Object.keys(top[kind]) : [];
      if (!all.includes(name)) {
        const hint =
          all.length === 0 ? `describe it under ${kind}: at the top of the file` : `the file has: ${all.join(', ')}`;
        report([kind, i], `there is no ${kind === 'configs' ? 'config' : 'secret'} '${name}'`, hint);
        return;
      }
      const target = String(given.target ?? name);
      const path = target.startsWith('/') ? target : roots[kind] + target;
      if (seen.has(path)) report([kind, i], `there is another file at ${path}`, 'give one of them another target');
      seen.add(path);
      const number = (key: 'uid' | 'gid' | 'mode'): Partial<FileMount> => {
        if (given[key] === undefined) return {};
        const value = key === 'mode' ? fileMode(given[key] as string | number) : Number(given[key]);
        if (Number.isSafeInteger(value) && value >= 0) return { [key]: value };
        report([kind, i, key], `'${String(given[key])}' is none`, key === 'mode' ? "write '0440'" : 'write a number');
        return {};
      };
      mounts.push({ target: path, blob: fileName(kind, name), ...number('uid'), ...number('gid'), ...number('mode') });
    });
  }
  return mounts;
}

/** A process has its files side by side in one folder. */
export function refuseSameNames(mounts: readonly FileMount[], report: Report): void {
  const names = mounts.map(({ target }) => basename(target));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    report(
      ['configs'],
      `two files are called ${twice}`,
      'a plain process has its files in one folder: give one another target',
    );
}
