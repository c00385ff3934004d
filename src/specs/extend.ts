/**
 * `extends`: a service takes over another, of this file or of one beside it, and adds to it: mappings are joined, lists
 * are appended, and what says what runs (command, entrypoint, a health check's test) is replaced.
 */
import { dirname, resolve } from 'node:path';
import type { SpecProblem } from '../core/errors.ts';
import { SpecError } from '../core/errors.ts';
import type { Path, Places } from './source.ts';

export type Raw = Record<string, unknown>;

export interface Loaded {
  source: Places;
  /** The whole file, variables filled in. */
  value: Raw;
  services: Record<string, Raw>;
  /** Of what it is merged onto, these go. */
  cleared: readonly Path[];
}

const replaced = new Set(['command', 'entrypoint', 'test']);

/** A mapping, or a list of NAME=value. */
const paired = new Set(['environment', 'labels', 'sysctls', 'args', 'annotations']);
/** A list, or one of its items. */
const listed = new Set(['dns', 'dns_search', 'tmpfs', 'env_file', 'label_file']);

export const isRaw = (value: unknown): value is Raw =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Joins `over` onto `base` by the specification's rules. */
export function mergeRaw(base: Raw, over: Raw): Raw {
  const out: Raw = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = out[key];
    if (replaced.has(key) || below === undefined) out[key] = value;
    else if (value === null) continue;
    else if (paired.has(key)) out[key] = { ...pairs(below), ...pairs(value) };
    else if (isNamed(key)) out[key] = mergeRaw(byName(key, below), byName(key, value));
    else if (key === 'extra_hosts') out[key] = [...hostList(below), ...hostList(value)];
    else if (listed.has(key)) out[key] = [below, value].flat();
    else if (key === 'build') out[key] = mergeRaw(contextOf(below), contextOf(value));
    else if (key === 'logging' && isOther(below, value)) out[key] = value;
    else if (isRaw(below) && isRaw(value)) out[key] = mergeRaw(below, value);
    else if (Array.isArray(below) && Array.isArray(value)) out[key] = joined(key, below, value);
    else out[key] = value;
  }
  return out;
}

/** Without what stands at `path`. */
export function without(base: Raw, [part, ...rest]: Path): Raw {
  const key = String(part);
  if (base[key] === undefined) return base;
  const { [key]: below, ...others } = base;
  if (rest.length === 0) return others;
  const inner = paired.has(key) ? pairs(below) : isNamed(key) ? byName(key, below) : below;
  return isRaw(inner) ? { ...base, [key]: without(inner, rest) } : base;
}

/** A list of names, or a mapping of them. */
const isNamed = (key: string): boolean => key === 'depends_on' || key === 'networks';

/** Appended; what is the same thing once more takes the place of what was there. */
function joined(key: string, below: readonly unknown[], over: readonly unknown[]): unknown[] {
  const names = new Set(over.map((item) => nameOf(key, item)));
  return [...below.filter((item) => !names.has(nameOf(key, item))), ...over];
}

/** Mounts are told apart by where they are in the container. */
function nameOf(key: string, item: unknown): string {
  if (key === 'volumes') return targetOf(item);
  if (key === 'configs' || key === 'secrets') return String(isRaw(item) ? (item.target ?? item.source) : item);
  return JSON.stringify(item);
}

/** Where a mount is in the container. */
export const targetOf = (item: unknown): string =>
  isRaw(item) ? String(item.target) : (String(item).split(':')[1] ?? String(item));

/** A list of names as a mapping of them. */
function byName(key: string, value: unknown): Raw {
  const nothingMore = key === 'depends_on' ? { condition: 'service_started' } : {};
  if (Array.isArray(value)) return Object.fromEntries(value.map((name) => [String(name), nothingMore]));
  return isRaw(value) ? value : {};
}

/** A folder, or a mapping with it. */
const contextOf = (build: unknown): Raw => (isRaw(build) ? build : { context: build });

/** Options of another driver are of no use to this one. */
const isOther = (below: unknown, over: unknown): boolean =>
  isRaw(below) &&
  isRaw(over) &&
  below.driver !== undefined &&
  over.driver !== undefined &&
  below.driver !== over.driver;

/** NAME:IP items. */
export function hostList(value: unknown): string[] {
  if (Array.isArray(value)) return value.map((one) => String(one).replace(/^([^:=]+)=/, '$1:'));
  return Object.entries(isRaw(value) ? value : {}).flatMap(([name, ips]) => [ips].flat().map((ip) => `${name}:${ip}`));
}

/** NAME=value items, or a mapping, as a mapping. A name without a value is null: taken from outside. */
export function pairs(value: unknown): Raw {
  if (!Array.isArray(value)) return isRaw(value) ? value : {};
  return Object.fromEntries(
    value.map((one: unknown) => {
      const item = String(one);
      const at = item.indexOf('=');
      return at < 0 ? [item, null] : [item.slice(0, at), item.slice(at + 1)];
    }),
  );
}

/** A service with all that it extends. `load` reads and checks another file. Throws SpecError for a cycle or a missing one. */
export function extended(
  from: Loaded,
  name: string,
  load: (file: string, asked: SpecProblem) => Loaded,
  trail: string[] = [],
): Raw {
  const service = from.services[name]!;
  const mark = `${from.source.file}:${name}`;
  const path: Path = ['services', name, 'extends'];
  const { extends: target, ...own } = service;
  if (target === undefined) return own;
  if (trail.includes(mark)) {
    const cycle = [...trail.slice(trail.indexOf(mark)), mark].map((one) => one.slice(one.lastIndexOf(':') + 1));
    throw new SpecError([
      from.source.problem(path, `extends itself: ${cycle.join(' → ')}`, 'take one of the links out'),
    ]);
  }
  const wanted = isRaw(target) ? String(target.service ?? '') : String(target);
  const file =
    isRaw(target) && target.file !== undefined
      ? resolve(dirname(from.source.file), String(target.file))
      : from.source.file;
  const problem = from.source.problem(path, `${file} can't be read`, 'the path is relative to this file');
  const base = file === from.source.file ? from : load(file, problem);
  if (!Object.hasOwn(base.services, wanted)) {
    const has = Object.keys(base.services).join(', ');
    throw new SpecError([
      from.source.problem(path, `there is no service '${wanted}' in ${base.source.file}`, `it has: ${has}`),
    ]);
  }
  const whole = extended(base, wanted, load, [...trail, mark]);
  const inherited = base === from ? whole : rebased(whole, dirname(file));
  const gone = from.cleared.filter(([top, of]) => top === 'services' && of === name).map((path) => path.slice(2));
  return mergeRaw(gone.filter(({ length }) => length > 0).reduce(without, inherited), own);
}

export function rebasedVolumes(volumes: readonly unknown[], folder: string): unknown[] {
  const absolute = (path: string): string =>
    /^\.{0,2}\//.test(path) || path === '.' || path === '..' ? resolve(folder, path) : path;
  return volumes.map((item) => {
    if (!isRaw(item)) return String(item).replace(/^[^:]+/, absolute);
    const source = String(item.source ?? '~');
    return item.type === 'bind' && !source.startsWith('~') ? { ...item, source: resolve(folder, source) } : item;
  });
}

/** Relative paths of another file stay relative to that file. */
function rebased(service: Raw, folder: string): Raw {
  const out: Raw = { ...service };
  const { env_file: envFile, label_file: labelFile, volumes, build } = service;
  if (labelFile !== undefined) out.label_file = [labelFile].flat().map((item) => resolve(folder, String(item)));
  if (envFile !== undefined) {
    const items = Array.isArray(envFile) ? envFile : [envFile];
    out.env_file = items.map((item) =>
      isRaw(item) ? { ...item, path: resolve(folder, String(item.path)) } : resolve(folder, String(item)),
    );
  }
  if (Array.isArray(volumes)) out.volumes = rebasedVolumes(volumes, folder);
  if (typeof build === 'string') out.build = resolve(folder, build);
  else if (isRaw(build) && build.context !== undefined)
    out.build = { ...build, context: resolve(folder, String(build.context)) };
  return out;
}
