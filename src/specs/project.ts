/**
 * The files of one app: one, or several that are merged, and what they include. Each part keeps its own folder, variables and
 * places, so that paths and complaints are those of the file in which something stands.
 */

import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { SpecProblem } from '../core/errors.ts';
import { OscaError, SpecError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { checkSpec } from './check.ts';
import { readEnv } from './dotenv.ts';
import type { Loaded, Raw } from './extend.ts';
import { isRaw, mergeRaw, without } from './extend.ts';
import type { Environment } from './interpolate.ts';
import { interpolate, UnmetDemand } from './interpolate.ts';
import { readSome } from './reading.ts';
import type { Path, Places } from './source.ts';
import { Source } from './source.ts';

export interface Part extends Loaded {
  folder: string;
  env: Environment;
}

/** A service of the files. */
export interface Chosen {
  part: Part;
  /** As its file has it, and as it is called here. */
  service: string;
  name: string;
  /** With all that it extends. */
  whole: Raw;
}

/** Depth of includes: more is a circle, or nobody can follow it. */
const deepest = 16;
const topLevel = ['services', 'volumes', 'networks', 'configs', 'secrets'] as const;

export class Reader {
  readonly #shell: Environment;
  readonly #called: string;
  readonly warnings: string[] = [];
  /** Of keys that can't be had, in files that are sound else. */
  readonly problems: SpecProblem[] = [];
  /** By file and line, the variables there that are not set. */
  readonly #empty = new Map<string, Set<string>>();

  /** `called`: the app, where neither the files nor their variables say. */
  constructor(shell: Environment, called: string) {
    this.#shell = shell;
    this.#called = called;
  }

  /** The files merged into one, each over those before it, and what they include: the merged one first. Throws SpecError. */
  read(files: readonly string[]): Part[] {
    const folder = dirname(files[0]!);
    const env = { ...this.#env(join(folder, '.env'), this.#shell), ...definedOnly(this.#shell) };
    return this.#parts(files, folder, env, []);
  }

  #parts(files: readonly string[], folder: string, env: Environment, trail: readonly string[]): Part[] {
    const sources = files.map((file) => this.#source(file));
    const called = env.COMPOSE_PROJECT_NAME || named(sources, env) || this.#called;
    const whole = { ...env, COMPOSE_PROJECT_NAME: called };
    const main: Part = { ...merged(sources.map((source) => this.#loaded(source, whole))), folder, env: whole };
    const items = Array.isArray(main.value.include) ? main.value.include : [];
    const parts = items.flatMap((item: unknown, i) => this.#included(main, item, ['include', i], [...trail, ...files]));
    refuseTwice([main, ...parts]);
    return [main, ...parts];
  }

  #env(path: string, around: Environment): Record<string, string> {
    const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() === true;
    return isFile ? readEnv({ path, text: readSome(path, limits.specBytes).toString() }, around, this.unset) : {};
  }

  /** A name without a value was asked for. */
  readonly unset = (name: string): void => {
    this.warnings.push(`variable ${name} is not set; it is empty`);
  };

  #included(from: Part, item: unknown, path: Path, trail: readonly string[]): Part[] {
    const given = isRaw(item) ? item : { path: item };
    const fail = (message: string, hint: string): never => {
      throw new SpecError([from.source.problem(path, message, hint)]);
    };
    const files = [given.path].flat().map((one) => resolve(from.folder, String(one)));
    const circle = files.find((file) => trail.includes(file));
    if (circle !== undefined || trail.length > deepest)
      fail(`${circle ?? files[0]} includes itself`, 'take one of the links out');
    const missing = files.find((file) => !existsSync(file));
    if (missing !== undefined) fail(`${missing} can't be read`, 'the path is relative to this file');
    const folder =
      given.project_directory === undefined
        ? dirname(files[0]!)
        : resolve(from.folder, String(given.project_directory));
    const envFiles =
      given.env_file === undefined
        ? [join(folder, '.env')]
        : [given.env_file].flat().map((one) => resolve(from.folder, String(one)));
    const own = envFiles.map((file) => this.#env(file, from.env));
    return this.#parts(files, folder, Object.assign({}, ...own, definedOnly(from.env)) as Environment, trail);
  }

  /** One file, variables filled in, held against the key table. `asked`: who named it, where that is another file. */
  load(file: string, env: Environment, asked?: SpecProblem): Loaded {
    return this.#loaded(this.#source(file, asked), env);
  }

  #source(file: string, asked?: SpecProblem): Source {
    let text: string;
    try {
      text = readSome(file, limits.specBytes).toString();
    } catch (error) {
      if (asked !== undefined) throw new SpecError([asked]);
      throw new OscaError(
        'not-found',
        `${file} can't be read: ${(error as Error).message}`,
        'check the path and its permissions',
      );
    }
    return Source.one(file, text);
  }

  #loaded(source: Source, env: Environment): Loaded {
    const problems: SpecProblem[] = [];
    const value = this.#interpolated(source, source.value, [], env, problems);
    if (problems.length > 0) throw this.failure(problems);
    const checked = checkSpec(source, value);
    // What is only not supported keeps nothing else from being looked at: all is said at once.
    if (!checked.isSound) throw this.failure(checked.problems);
    this.problems.push(...checked.problems);
    return { source, cleared: source.cleared, value: value as Raw, services: servicesOf(value as Raw) };
  }

  /** With the variables that are not set, where they stand in what is wrong. */
  failure(problems: readonly SpecProblem[]): SpecError {
    return new SpecError(
      problems.map((problem) => {
        const names = [...(this.#empty.get(`${problem.file}:${problem.line}`) ?? [])];
        if (names.length === 0) return problem;
        const unset = `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} not set: set it in the shell or in .env beside the file`;
        return { ...problem, hint: problem.hint === '' ? unset : `${unset}; else ${problem.hint}` };
      }),
    );
  }

  #interpolated(source: Source, value: unknown, path: Path, env: Environment, problems: SpecProblem[]): unknown {
    if (typeof value === 'string') {
      if (!value.includes('$')) return value;
      try {
        const { text, unset } = interpolate(value, env);
        for (const name of unset) {
          this.unset(name);
          const { file, line } = source.problem(path, '');
          const key = `${file}:${line}`;
          this.#empty.set(key, (this.#empty.get(key) ?? new Set()).add(name));
        }
        return text;
      } catch (error) {
        const hint = error instanceof UnmetDemand ? 'set it in the shell or in .env beside the file' : '';
        problems.push(source.problem(path, (error as Error).message, hint));
        return value;
      }
    }
    if (Array.isArray(value))
      return value.map((item, i) => this.#interpolated(source, item, [...path, i], env, problems));
    if (!isRaw(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, child]) => [
        key,
        this.#interpolated(source, child, [...path, key], env, problems),
      ]),
    );
  }
}

const servicesOf = ({ services }: Raw): Record<string, Raw> =>
  isRaw(services) ? (services as Record<string, Raw>) : {};

/** As the last that says so calls the app. What its variables are is told where all are filled in. */
function named(sources: readonly Source[], env: Environment): string | undefined {
  const said = sources
    .flatMap(({ value }) => (isRaw(value) && typeof value.name === 'string' ? [value.name] : []))
    .at(-1);
  try {
    return said === undefined ? undefined : interpolate(said, env).text;
  } catch {
    return undefined;
  }
}

/** Several files as one; what stands in a later one goes before. */
function merged(all: readonly Loaded[]): Loaded {
  const [first, ...others] = all as [Loaded, ...Loaded[]];
  if (others.length === 0) return first;
  const value = others.reduce((whole, over) => {
    const below = over.cleared.reduce(without, whole);
    const { services: _own, ...top } = over.value;
    // A service may be called as a key is.
    const services = { ...servicesOf(below) };
    for (const [name, own] of Object.entries(over.services))
      services[name] = services[name] === undefined ? own : mergeRaw(services[name], own);
    return { ...mergeRaw(below, top), services };
  }, first.value);
  const lastFirst = [...all].reverse().map(({ source }) => source);
  const source: Places = {
    file: first.source.file,
    has: (path) => lastFirst.some((one) => one.has(path)),
    problem: (path, message, hint) =>
      (lastFirst.find((one) => one.has(path)) ?? first.source).problem(path, message, hint),
  };
  return { source, value, services: servicesOf(value), cleared: all.flatMap(({ cleared }) => cleared) };
}

/** A name that two parts give to different things. */
function refuseTwice([main, ...parts]: readonly Part[]): void {
  const problems: SpecProblem[] = [];
  for (const kind of topLevel) {
    const owners = new Map<string, Part>();
    for (const part of [main!, ...parts]) {
      for (const [name, value] of Object.entries(isRaw(part.value[kind]) ? part.value[kind] : {})) {
        const owner = owners.get(name);
        owners.set(name, part);
        if (owner === undefined || JSON.stringify((owner.value[kind] as Raw)[name]) === JSON.stringify(value)) continue;
        const message = `is in ${owner.source.file} too, and differs`;
        problems.push(part.source.problem([kind, name], message, 'give one of them another name'));
      }
    }
  }
  if (problems.length > 0) throw new SpecError(problems);
}

function definedOnly(env: Environment): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
