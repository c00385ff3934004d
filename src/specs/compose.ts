/**
 * Reads a Compose file: parse, interpolate, check against the key table, extend, normalise. Nothing is deployed from a file
 * in which anything is wrong; all that is wrong is said at once, with its place.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import type { SpecProblem } from '../core/errors.ts';
import { OscaError, SpecError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { AppSpec, FileSource, ServiceSpec } from '../core/model.ts';
import { checkSpec } from './check.ts';
import type { Loaded, Raw } from './extend.ts';
import { extended, isRaw } from './extend.ts';
import { fileMounts, fileSources } from './files.ts';
import type { Environment } from './interpolate.ts';
import { interpolate } from './interpolate.ts';
import type { BuildSpec } from './normalise.ts';
import { normaliseService } from './normalise.ts';
import { circleOf, dependenciesOf, networksOf } from './relations.ts';
import type { Path } from './source.ts';
import { Source } from './source.ts';

export interface ComposeRequest {
  /** Absolute path of the file. */
  file: string;
  /** The shell's variables; they go before `.env`. */
  env: Environment;
  profiles: string[];
  /** Goes before `name:` of the file. */
  name?: string;
  /** Where the file names itself not; without it, the folder's name. */
  fallbackName?: string;
}

export interface ComposeResult {
  app: AppSpec;
  /** service -> what to build before the deploy; its `image` is filled in afterwards. */
  builds: Record<string, BuildSpec>;
  /** What configs and secrets hold, by the names that services have in the place of their ids. */
  files: Record<string, FileSource>;
  warnings: string[];
}

const namePattern = /^[a-z0-9][a-z0-9_-]*$/;

/** Throws SpecError with every problem, or OscaError not-found. */
export function readCompose(request: ComposeRequest): ComposeResult {
  const { file } = request;
  const warnings: string[] = [];
  if (!existsSync(file))
    throw new OscaError('not-found', `there is no file ${file}`, 'give the path of a Compose file');
  const env = { ...dotEnv(dirname(file)), ...definedOnly(request.env) };
  const load = (path: string, asked?: SpecProblem): Loaded => loadFile(path, env, warnings, asked);
  const loaded = load(file);
  const raw = loaded.value;
  const name = request.name ?? (typeof raw.name === 'string' ? raw.name : (request.fallbackName ?? folderName(file)));
  const problems: SpecProblem[] = [];
  if (!namePattern.test(name) || name.length > limits.nameLength) {
    problems.push(
      loaded.source.problem(['name'], `'${name}' is no name for an app`, 'use a-z, 0-9, - and _, at most 63 letters'),
    );
  }
  const profiles = new Set([...request.profiles, ...(env.COMPOSE_PROFILES ?? '').split(',').filter(Boolean)]);
  const builds: Record<string, BuildSpec> = {};
  const wholes = new Map<string, Raw>();
  for (const service of Object.keys(loaded.services)) {
    if (!namePattern.test(service) || service.length > limits.nameLength) {
      problems.push(loaded.source.problem(['services', service], 'is no name for a service', 'use a-z, 0-9, - and _'));
    }
    const whole = extended(loaded, service, load);
    const wanted = Array.isArray(whole.profiles) ? (whole.profiles as string[]) : [];
    if (wanted.length === 0 || wanted.some((profile) => profiles.has(profile))) wholes.set(service, whole);
  }
  const [all, wanted] = [new Set(Object.keys(loaded.services)), new Set(wholes.keys())];
  const services = [...wholes].map(([service, whole]): ServiceSpec => {
    const context = {
      source: loaded.source,
      app: name,
      service,
      folder: dirname(file),
      volumes: volumesOf(raw),
      env,
      problems,
    };
    const { spec, build } = normaliseService(whole, context);
    if (build !== undefined) builds[service] = build;
    if (whole.develop !== undefined) warnings.push(`${service}: develop is for docker compose watch; it is ignored`);
    const report = (path: Path, message: string, hint: string): void => {
      problems.push(loaded.source.problem(['services', service, ...path], message, hint));
    };
    const dependsOn = dependenciesOf(whole, all, wanted, report);
    const mounts = fileMounts(whole, raw, report);
    return {
      ...spec,
      ...(mounts.length === 0 ? {} : { files: mounts }),
      ...(dependsOn.length === 0 ? {} : { dependsOn }),
    };
  });
  const used = new Set(services.flatMap(({ files = [] }) => files.map(({ blob }) => blob)));
  const files = fileSources(raw, used, { source: loaded.source, folder: dirname(file), env, problems });
  untilTheyEnd(services, wholes);
  const circle = circleOf(services);
  if (circle !== undefined)
    problems.push(
      loaded.source.problem(
        ['services', circle[0]!, 'depends_on'],
        `waits for itself: ${circle.join(' → ')}`,
        'remove one of the links',
      ),
    );
  problems.push(...manyNetworks(loaded.source, wholes));
  if (services.length > 1 && [raw, ...wholes.values()].some((one) => one.networks !== undefined))
    warnings.push('services reach each other by published ports for now, not by name');
  if (services.length === 0 && problems.length === 0) {
    const hint =
      Object.keys(loaded.services).length > 0 ? 'all have profiles; name one with --profile' : 'add services:';
    problems.push(loaded.source.problem(['services'], 'no service is left to run', hint));
  }
  if (services.length > limits.services)
    problems.push(loaded.source.problem(['services'], `more than ${limits.services} services`, 'split the app'));
  if (problems.length > 0) throw new SpecError(problems);
  return { app: { name, services }, builds, files, warnings: [...new Set(warnings)] };
}

/** What others wait for until it has ended is not started again when it has, unless its file says so. */
function untilTheyEnd(services: ServiceSpec[], wholes: ReadonlyMap<string, Raw>): void {
  const awaited = new Set(
    services.flatMap(({ dependsOn = [] }) =>
      dependsOn.flatMap(({ service, condition }) => (condition === 'completed' ? [service] : [])),
    ),
  );
  for (const spec of services) {
    const { restart, deploy } = wholes.get(spec.name)!;
    const isSaid = restart !== undefined || (isRaw(deploy) && deploy.restart_policy !== undefined);
    if (awaited.has(spec.name) && !isSaid) spec.restart = { condition: 'on-failure' };
  }
}

/** One network for all is what the engine gives; two would have to keep services apart. */
function manyNetworks(source: Source, services: ReadonlyMap<string, Raw>): SpecProblem[] {
  const seen = new Set<string>();
  return [...services].flatMap(([service, whole]) => {
    for (const name of networksOf(whole)) seen.add(name);
    if (seen.size < 2) return [];
    const names = [...seen].join(', ');
    seen.clear();
    const hint = 'put all services on one, or remove networks: they can not be kept apart yet';
    return [source.problem(['services', service, 'networks'], `more than one network: ${names}`, hint)];
  });
}

function loadFile(file: string, env: Environment, warnings: string[], asked?: SpecProblem): Loaded {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (asked !== undefined) throw new SpecError([asked]);
    throw new OscaError(
      'not-found',
      `${file} can't be read: ${(error as Error).message}`,
      'check the path and its permissions',
    );
  }
  const source = new Source(file, text);
  const problems: SpecProblem[] = [];
  const value = interpolated(source, source.value, [], env, problems, warnings);
  if (problems.length === 0) problems.push(...checkSpec(source, value));
  if (problems.length > 0) throw new SpecError(problems);
  const services = (value as Raw).services;
  return { source, value: value as Raw, services: isRaw(services) ? (services as Record<string, Raw>) : {} };
}

function interpolated(
  source: Source,
  value: unknown,
  path: Path,
  env: Environment,
  problems: SpecProblem[],
  warnings: string[],
): unknown {
  if (typeof value === 'string') {
    if (!value.includes('$')) return value;
    try {
      const { text, unset } = interpolate(value, env);
      for (const name of unset) warnings.push(`variable ${name} is not set; it is empty`);
      return text;
    } catch (error) {
      problems.push(source.problem(path, (error as Error).message, 'set it in the shell or in .env beside the file'));
      return value;
    }
  }
  if (Array.isArray(value))
    return value.map((item, i) => interpolated(source, item, [...path, i], env, problems, warnings));
  if (!isRaw(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [
      key,
      interpolated(source, child, [...path, key], env, problems, warnings),
    ]),
  );
}

function dotEnv(folder: string): Record<string, string> {
  const file = join(folder, '.env');
  return existsSync(file) ? definedOnly(parseEnv(readFileSync(file, 'utf8'))) : {};
}

function definedOnly(env: Environment): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** Compose's rule: the folder's name, lower case, without what a name may not have. */
function folderName(file: string): string {
  const name = basename(dirname(resolve(file)))
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '');
  return name === '' ? 'app' : name;
}

function volumesOf(raw: Raw): Record<string, Raw> {
  if (!isRaw(raw.volumes)) return {};
  return Object.fromEntries(Object.entries(raw.volumes).map(([name, value]) => [name, isRaw(value) ? value : {}]));
}
