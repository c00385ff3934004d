/** The file that a command names, and what the daemon needs to read it. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { OscaError } from '../core/errors.ts';

export interface FileOptions {
  name?: string;
  profile: string[];
  json?: boolean;
}

const names = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];

/** Folders whose names say nothing of what is in them. */
const plain = ['k8s', 'kubernetes', 'kube', 'manifests', 'manifest', 'deploy', 'deployment', 'base', 'config'];

/** A file; of a folder its Compose file, else its manifests, by name, which are one app that is called like it. */
function specFiles(given: string): { files: string[]; app?: string } {
  const path = resolve(given);
  if (!existsSync(path))
    throw new OscaError('not-found', `there is no file ${given}`, 'give the path of a Compose file');
  if (!statSync(path).isDirectory()) return { files: [path] };
  const file = names.map((name) => resolve(path, name)).find((one) => existsSync(one));
  if (file !== undefined) return { files: [file] };
  const kustomization = readdirSync(path).find((name) => /^kustomization(\.ya?ml)?$/i.test(name));
  if (kustomization !== undefined)
    throw new OscaError(
      'bad-request',
      `${join(given, kustomization)} changes the manifests, and is not read here`,
      `kubectl kustomize ${given} >app.yaml, then: osca deploy app.yaml`,
    );
  const files = readdirSync(path)
    .sort()
    .map((name) => join(path, name))
    .filter((one) => /\.(ya?ml|json)$/.test(one) && statSync(one, { throwIfNoEntry: false })?.isFile() === true)
    .filter((one) => isManifest(readFileSync(one, 'utf8')));
  if (files.length === 0)
    throw new OscaError(
      'not-found',
      `there is no ${names[0]} in ${given}, and no Kubernetes manifest`,
      'give the path of a Compose file, or of a folder with manifests',
    );
  const name = [basename(path), basename(dirname(path))].find((one) => !plain.includes(one)) ?? 'app';
  const app = name
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '-')
    .replace(/^[_-]+/, '');
  return { files, ...(app === '' ? {} : { app }) };
}

/** As far as can be seen without reading it: that is the daemon's part. */
const isManifest = (text: string): boolean =>
  /(^|[\s{,"])kind"?:\s*\S/.test(text) && /(^|[\s{,"])apiVersion"?:\s*\S/.test(text);

/** Those after the first are merged over it. */
export function bodyOf(given: readonly string[], { name, profile }: FileOptions) {
  const all = given.map(specFiles);
  const [file, ...over] = all.flatMap(({ files }) => files);
  const called = name ?? all[0]!.app;
  return {
    ...{ file: file!, over, profiles: profile, env: shellEnvironment() },
    ...(called === undefined ? {} : { name: called }),
  };
}

const shellEnvironment = (): Record<string, string> =>
  Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));

/** An option that may be given again. */
export const collect = (value: string, before: string[]): string[] => [...before, value];
