/**
 * Reads a Compose file: parse, interpolate, check against the key table, extend, normalise. Nothing is deployed from a file
 * in which anything is wrong; all that is wrong is said at once, with its place.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { SpecProblem } from '../core/errors.ts';
import { OscaError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { AppSpec, BuildSpec, FileSource, ServiceSpec } from '../core/spec.ts';
import type { Loaded, Raw } from './extend.ts';
import { extended, isRaw } from './extend.ts';
import { fileMounts, fileSources, refuseSameNames } from './files.ts';
import type { Environment } from './interpolate.ts';
import { joined } from './joined.ts';
import { driversRefused } from './mounts.ts';
import { normaliseService } from './normalise.ts';
import type { Chosen, Part } from './project.ts';
import { Reader } from './project.ts';
import { circleOf, dependenciesOf, networksOf } from './relations.ts';
import type { Path } from './source.ts';
import { withVolumesFrom } from './volumes-from.ts';
import { ofAddresses, ofNetworks, ofService } from './warnings.ts';

export interface ComposeRequest {
  /** Absolute path of the file. */
  file: string;
  /** The shell's variables; they go before `.env`. */
  env: Environment;
  profiles: string[];
  /** Files that are merged over it, in order; their paths are relative to its folder. */
  over?: string[];
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
  const files = [request.file, ...(request.over ?? [])];
  const absent = files.find((path) => !existsSync(path));
  if (absent !== undefined)
    throw new OscaError('not-found', `there is no file ${absent}`, 'give the path of a Compose file');
  const { name: given, fallbackName = folderName(files[0]!) } = request;
  const around = given === undefined ? request.env : { ...request.env, COMPOSE_PROJECT_NAME: given };
  const reader = new Reader(around, fallbackName);
  const parts = reader.read(files);
  const [main] = parts as [Part];
  const name = main.env.COMPOSE_PROJECT_NAME!;
  const problems: SpecProblem[] = [...reader.problems];
  if (!namePattern.test(name) || name.length > limits.nameLength) {
    problems.push(
      main.source.problem(['name'], `'${name}' is no name for an app`, 'use a-z, 0-9, - and _, at most 63 letters'),
    );
  }
  const found = parts.flatMap((part) => Object.keys(part.services).map((service) => ({ part, service })));
  const chosen = byService(withVolumesFrom(wantedOf(found, request.profiles, reader, problems), problems));
  const all = new Set(found.map(({ service }) => service));
  const wanted = new Set(chosen.map(({ service }) => service));
  const top = Object.assign(
    {},
    ...['volumes', 'configs', 'secrets'].map((kind) => ({ [kind]: unionOf(parts, kind) })),
  ) as Raw;
  const { warnings } = reader;
  const builds: Record<string, BuildSpec> = {};
  const own = chosen.map((one): ServiceSpec => {
    const { part, service, name: called, whole } = one;
    const { source, folder, env } = part;
    const { unset } = reader;
    const warn = (text: string): void => void warnings.push(text);
    const context = { source, app: name, service, folder, volumes: volumesOf(top), env, unset, warn, problems };
    const { spec, build } = normaliseService(whole, context);
    if (build !== undefined) builds[called] = build;
    const report = (path: Path, message: string, hint: string): void => {
      problems.push(source.problem(['services', service, ...path], message, hint));
    };
    const dependsOn = dependenciesOf(whole, all, wanted, report);
    const mounts = fileMounts(whole, top, report);
    if (spec.driver === 'process') refuseSameNames(mounts, report);
    warnings.push(...ofService(one, spec));
    return {
      ...spec,
      name: called,
      ...(mounts.length === 0 ? {} : { files: mounts }),
      ...(dependsOn.length === 0
        ? {}
        : { dependsOn: dependsOn.map((one) => ({ ...one, service: slugOf(one.service) })) }),
    };
  });
  const used = new Set(own.flatMap(({ files = [] }) => files.map(({ blob }) => blob)));
  const contents = fileSources(parts, used, problems);
  const wholes = new Map(chosen.map(({ name: called, whole }) => [called, whole]));
  /** A problem of a service that is known by its name here. */
  const fail = (called: string, path: Path, message: string, hint: string): void => {
    const { part, service } = chosen.find((one) => one.name === called)!;
    problems.push(part.source.problem(['services', service, ...path], message, hint));
  };
  for (const { part, service, name: called } of chosen)
    if (chosen.some((one) => one.name === called && one.service !== service))
      problems.push(
        part.source.problem(
          ['services', service],
          'another service has the same name in small letters',
          'rename one of them',
        ),
      );
  untilTheyEnd(own, wholes);
  const { services, warnings: together } = joined(own, hostsOf(wholes), new Set(Object.keys(builds)), fail);
  warnings.push(...together);
  for (const { name: waiter, dependsOn = [] } of own)
    for (const { service, condition } of dependsOn)
      if (condition === 'healthy' && own.some((one) => one.name === service && one.healthcheck === undefined))
        warnings.push(
          `${waiter} waits until ${service} is healthy, which has no healthcheck in the file: it waits until it runs`,
        );
  const circle = circleOf(services);
  if (circle !== undefined)
    fail(circle[0]!, ['depends_on'], `waits for itself: ${circle.join(' → ')}`, 'remove one of the links');
  problems.push(...manyNetworks(chosen), ...parts.flatMap(driversRefused));
  warnings.push(...ofNetworks(parts, chosen, services), ...ofAddresses(chosen, problems));
  if (services.length === 0 && problems.length === 0) {
    const profiles = [
      ...new Set(parts.flatMap(({ services: some }) => Object.values(some).flatMap((one) => one.profiles ?? []))),
    ];
    const hint = all.size > 0 ? `all have profiles; name one with --profile: ${profiles.join(', ')}` : 'add services:';
    problems.push(main.source.problem(['services'], 'no service is left to run', hint));
  }
  if (services.length > limits.services)
    problems.push(main.source.problem(['services'], `more than ${limits.services} services`, 'split the app'));
  if (problems.length > 0) throw reader.failure(problems);
  return { app: { name, services }, builds, files: contents, warnings: [...new Set(warnings)] };
}

/** Those that no profile leaves out. */
function wantedOf(
  found: readonly Pick<Chosen, 'part' | 'service'>[],
  named: readonly string[],
  reader: Reader,
  problems: SpecProblem[],
): Chosen[] {
  return found.flatMap(({ part, service }): Chosen[] => {
    const name = slugOf(service);
    if (!namePattern.test(name) || service.length > limits.nameLength)
      problems.push(part.source.problem(['services', service], 'is no name for a service', 'use a-z, 0-9, - and _'));
    // As `docker compose`: those that are named, else those of the variable, of which there is an empty one where it is not set.
    const profiles = new Set(
      named.length > 0 ? named : (part.env.COMPOSE_PROFILES ?? '').split(',').map((one) => one.trim()),
    );
    const load = (path: string, asked?: SpecProblem): Loaded => reader.load(path, part.env, asked);
    const whole = extended(part, service, load);
    const own = Array.isArray(whole.profiles) ? (whole.profiles as string[]) : [];
    return own.length === 0 || profiles.has('*') || own.some((profile) => profiles.has(profile))
      ? [{ part, service, name, whole }]
      : [];
  });
}

/** Compose allows more in names than addresses do: 'Laravel.Test' is 'laravel-test'. */
const slugOf = (service: string): string => service.toLowerCase().replaceAll('.', '-');

/** In whose network services are that have none of their own. */
const hostsOf = (wholes: ReadonlyMap<string, Raw>): Map<string, string> =>
  new Map(
    [...wholes].flatMap(([name, { network_mode: mode }]) => {
      const host = /^service:(.+)$/.exec(String(mode ?? ''))?.[1];
      return host === undefined ? [] : [[name, slugOf(host)] as const];
    }),
  );

/** A container that a service of the files names is that service. */
function byService(chosen: readonly Chosen[]): Chosen[] {
  return chosen.map((one) => {
    const named = /^container:(.+)$/.exec(String(one.whole.network_mode ?? ''))?.[1];
    const other = named === undefined ? undefined : chosen.find(({ whole }) => whole.container_name === named);
    return other === undefined ? one : { ...one, whole: { ...one.whole, network_mode: `service:${other.service}` } };
  });
}

/** What all parts have of one kind. */
const unionOf = (parts: readonly Part[], kind: string): Raw =>
  Object.assign({}, ...parts.map(({ value }) => (isRaw(value[kind]) ? value[kind] : {}))) as Raw;

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
function manyNetworks(services: readonly Chosen[]): SpecProblem[] {
  let first: { service: string; name: string } | undefined;
  const named = new Set(services.flatMap(({ whole }) => (whole.networks === undefined ? [] : networksOf(whole))));
  for (const { service, whole, part } of services) {
    // Who names none may be with the others where there is one.
    if (whole.networks === undefined && named.size === 1) continue;
    for (const name of networksOf(whole)) {
      first ??= { service, name };
      if (name === first.name) continue;
      const said =
        service === first.service
          ? `more than one network: ${first.name}, ${name}`
          : `is on ${name}, and ${first.service} on ${first.name}: more than one network`;
      const hint = 'put all services on one, or remove networks: they can not be kept apart yet';
      return [part.source.problem(['services', service, 'networks'], said, hint)];
    }
  }
  return [];
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
