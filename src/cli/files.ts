/** The file that a command names, and what the daemon needs to read it. */
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { OscaError } from '../core/errors.ts';

export interface FileOptions {
  name?: string;
  profile: string[];
  json?: boolean;
}

const names = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];

/** A file, or a folder with a Compose file in it. */
function composeFile(given: string): string {
  const path = resolve(given);
  if (!existsSync(path))
    throw new OscaError('not-found', `there is no file ${given}`, 'give the path of a Compose file');
  if (!statSync(path).isDirectory()) return path;
  const file = names.map((name) => resolve(path, name)).find((one) => existsSync(one));
  if (file === undefined)
    throw new OscaError('not-found', `there is no ${names[0]} in ${given}`, 'give the path of a Compose file');
  return file;
}

/** Those after the first are merged over it. */
export const bodyOf = ([file, ...over]: readonly string[], { name, profile }: FileOptions) => ({
  ...{ file: composeFile(file!), over: over.map(composeFile), profiles: profile, env: shellEnvironment() },
  ...(name === undefined ? {} : { name }),
});

const shellEnvironment = (): Record<string, string> =>
  Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));

/** An option that may be given again. */
export const collect = (value: string, before: string[]): string[] => [...before, value];
