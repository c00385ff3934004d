/** Volumes, binds and tmpfs of a service, short form and long. */
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { SpecProblem } from '../core/errors.ts';
import { contentHash } from '../core/hash.ts';
import type { Mount } from '../core/spec.ts';
import type { Report, ServiceContext } from './context.ts';
import type { Raw } from './extend.ts';
import { isRaw } from './extend.ts';
import type { Part } from './project.ts';
import type { Path } from './source.ts';
import { fileMode, parseBytes } from './values.ts';

export function mountsOf(service: Raw, context: ServiceContext, report: Report): Mount[] {
  const items = Array.isArray(service.volumes) ? service.volumes : [];
  const mounts = items.flatMap((item: unknown, i) => {
    const complain = (message: string, hint: string): void => report(['volumes', i], message, hint);
    return isRaw(item) ? longMount(item, context, complain) : shortMount(String(item), context, complain);
  });
  // At one place the last is meant.
  const last = new Map(mounts.map((mount) => [mount.target, mount]));
  const tmpfs = Array.isArray(service.tmpfs) ? service.tmpfs : service.tmpfs === undefined ? [] : [service.tmpfs];
  return [...last.values(), ...tmpfs.map((item) => tmpfsMount(String(item)))];
}

/** What an engine does with a bind; and what only matters to desktops, or is so anyway. */
const engineFlags = ['z', 'Z', 'shared', 'rshared', 'slave', 'rslave', 'private', 'rprivate'];
const idle = ['cached', 'delegated', 'consistent', 'default'];
const optionsOf = (options: string[]): { options?: string[] } => (options.length === 0 ? {} : { options });

type Complain = (message: string, hint: string) => void;

function shortMount(text: string, context: ServiceContext, complain: Complain): Mount[] {
  const parts = text.split(':');
  if (parts.length === 1) return absolute(text, complain) ? [{ kind: 'volume', target: text }] : [];
  const [source, target, mode] = parts as [string, string, string?];
  if (/^[A-Za-z]:(\\|\/.*:\/)/.test(text)) {
    complain(`'${text}' is a path of Windows`, 'cells run Linux: name a path of the cell, or a volume');
    return [];
  }
  if (parts.length > 3) {
    complain(
      `'${text}' has too many colons`,
      'write SOURCE:/PATH[:ro]; a path with a colon needs the long form: source:, target:',
    );
    return [];
  }
  if (!absolute(target, complain)) return [];
  const flags = (mode ?? '').split(',').filter(Boolean);
  for (const one of flags)
    if (!['ro', 'rw', 'nocopy', ...engineFlags, ...idle].includes(one))
      context.warn(`${context.service}: mode '${one}' of ${target} is not known, and ignored`);
  const readOnly = flags.includes('ro') ? { readOnly: true as const } : {};
  if (/^[./~]/.test(source)) {
    const bind = { kind: 'bind' as const, source: hostPath(source, context.folder), target, createPath: true };
    return [{ ...bind, ...readOnly, ...optionsOf(flags.filter((one) => engineFlags.includes(one))) }];
  }
  return named(
    source,
    target,
    { ...readOnly, ...optionsOf(flags.filter((one) => one === 'nocopy')) },
    context,
    complain,
  );
}

function longMount(item: Raw, context: ServiceContext, complain: Complain): Mount[] {
  const kind = String(item.type ?? 'volume');
  const target = String(item.target ?? '');
  if (kind !== 'volume' && kind !== 'bind' && kind !== 'tmpfs') {
    complain(`type '${kind}' is not supported`, 'use volume, bind or tmpfs');
    return [];
  }
  if (!absolute(target, complain)) return [];
  const readOnly = item.read_only === true || item.read_only === 'true' ? { readOnly: true as const } : {};
  if (kind === 'tmpfs') {
    const tmpfs = isRaw(item.tmpfs) ? item.tmpfs : {};
    const size = tmpfs.size === undefined ? undefined : parseBytes(tmpfs.size as string | number);
    const mode = tmpfs.mode === undefined ? undefined : fileMode(tmpfs.mode as string | number);
    if (Number.isNaN(mode)) complain(`mode '${String(tmpfs.mode)}' is no mode`, 'write it in octal: 0700');
    const said = { ...(size === undefined ? {} : { sizeBytes: size }), ...(mode === undefined ? {} : { mode }) };
    return [{ kind, target, ...said, ...readOnly }];
  }
  if (kind === 'bind') {
    if (item.source === undefined) complain('a bind needs a source', 'add source: a path on the cell');
    const bind = isRaw(item.bind) ? item.bind : {};
    const source = hostPath(String(item.source ?? '.'), context.folder);
    // What the engine is to make it is told in a form that colons part.
    const hasColon = `${source}${target}`.includes(':');
    if (hasColon && String(bind.create_host_path) === 'true')
      complain("a path with a colon can't be created", 'create it on the cells, and leave out create_host_path');
    const create = hasColon || String(bind.create_host_path) === 'false' ? {} : { createPath: true };
    const said = [bind.selinux, bind.propagation].filter((one) => one !== undefined).map(String);
    const odd = said.find((one) => !engineFlags.includes(one));
    if (odd !== undefined) complain(`'${odd}' is not known`, `use one of ${engineFlags.join(', ')}`);
    return [{ kind, source, target, ...create, ...readOnly, ...optionsOf(said) }];
  }
  if (item.source === undefined) return [{ kind, target, ...readOnly }];
  const isEmpty = isRaw(item.volume) && (item.volume.nocopy === true || item.volume.nocopy === 'true');
  return named(
    String(item.source),
    target,
    { ...readOnly, ...optionsOf(isEmpty ? ['nocopy'] : []) },
    context,
    complain,
  );
}

/** A declared volume; one that is bound to a path of the cell is that path. */
function named(
  name: string,
  target: string,
  flags: Pick<Mount, 'readOnly' | 'options'>,
  context: ServiceContext,
  complain: Complain,
): Mount[] {
  const source = volumeName(name, context, complain);
  if (source === undefined) return [];
  const path = boundTo(context.volumes[name] ?? {});
  const { options: _, ...ofBind } = flags;
  if (path !== undefined) return [{ kind: 'bind', source: hostPath(path, context.folder), target, ...ofBind }];
  const memory = memoryOf(context.volumes[name] ?? {});
  if (memory !== undefined) {
    context.warn(`${context.service}: volume ${name} is memory, of each container alone, and gone with it`);
    return [{ ...tmpfsMount(`${target}${memory}`), ...(flags.readOnly === true ? { readOnly: true } : {}) }];
  }
  const driverOptions = remoteOptions(context.volumes[name] ?? {});
  if (driverOptions !== undefined) {
    // An engine keeps a volume as it was made: other options, another volume.
    const made = `${source}-${contentHash(driverOptions, 6)}`;
    return [{ kind: 'remote', source: made, target, ...flags, driverOptions }];
  }
  return [{ kind: 'volume', source, target, ...flags }];
}

function tmpfsMount(text: string): Mount {
  const [target, said = ''] = text.split(':') as [string, string?];
  const options = said.split(',').filter((one) => one !== '' && one !== 'rw');
  const size = options.length === 1 ? /^size=(.+)$/.exec(options[0]!)?.[1] : undefined;
  const bytes = size === undefined ? undefined : parseBytes(size);
  return { kind: 'tmpfs', target, ...(bytes === undefined ? optionsOf(options) : { sizeBytes: bytes }) };
}

function absolute(target: string, complain: Complain): boolean {
  if (target.startsWith('/')) return true;
  complain(`'${target}' is no absolute path in the container`, 'write SOURCE:/PATH[:ro]');
  return false;
}

const hostPath = (path: string, folder: string): string =>
  path.startsWith('~') ? resolve(homedir(), path.slice(path.startsWith('~/') ? 2 : 1)) : resolve(folder, path);

/** The path that it stands for: type none, bound. */
export function boundTo({ driver, driver_opts: opts }: Raw): string | undefined {
  const { type, o, device } = isRaw(opts) ? opts : {};
  const isBind = String(o ?? '')
    .split(',')
    .some((one) => one === 'bind' || one === 'rbind');
  return (driver ?? 'local') === 'local' && type === 'none' && isBind ? String(device) : undefined;
}

const remoteTypes = ['nfs', 'nfs4', 'cifs', 'smb3'];

/** What its data is reached by, where that is on another machine. */
function remoteOptions({ driver, driver_opts: opts }: Raw): Record<string, string> | undefined {
  if ((driver ?? 'local') !== 'local' || !isRaw(opts) || !remoteTypes.includes(String(opts.type))) return undefined;
  return Object.fromEntries(Object.entries(opts).map(([key, value]) => [key, String(value)]));
}

/** ':OPTIONS' of one that is a tmpfs. */
function memoryOf({ driver, driver_opts: opts }: Raw): string | undefined {
  if ((driver ?? 'local') !== 'local' || !isRaw(opts) || opts.type !== 'tmpfs') return undefined;
  return opts.o === undefined ? '' : `:${String(opts.o)}`;
}

/** The engine's name of a declared volume. */
function volumeName(name: string, { app, volumes }: ServiceContext, complain: Complain): string | undefined {
  const declared = Object.hasOwn(volumes, name) ? volumes[name] : undefined;
  if (declared === undefined) {
    complain(
      `volume '${name}' is not declared`,
      `add it under volumes: at the end of the file, or write ./${name} for a folder`,
    );
    return undefined;
  }
  const { external } = declared;
  const known = isRaw(external) ? (external.name ?? name) : external === true || external === 'true' ? name : undefined;
  return String(declared.name ?? known ?? `${app}_${name}`);
}

/** Volumes that only another driver could make. */
export function driversRefused({ value, source }: Part): SpecProblem[] {
  return Object.entries(isRaw(value.volumes) ? value.volumes : {}).flatMap(([name, one]): SpecProblem[] => {
    if (!isRaw(one)) return [];
    const { driver, driver_opts: options } = one;
    const path: Path = ['volumes', name];
    if ((driver ?? 'local') !== 'local')
      return [
        source.problem(
          [...path, 'driver'],
          `'${String(driver)}' is not known`,
          "only local is; for a share write driver_opts: {type: nfs, o: 'addr=HOST', device: ':/path'}",
        ),
      ];
    const isSet = isRaw(options) && Object.keys(options).length > 0;
    if (!isSet || boundTo(one) !== undefined || memoryOf(one) !== undefined) return [];
    const remote = remoteOptions(one);
    if (remote !== undefined && (remote.device ?? '') !== '' && (remote.o ?? '') !== '') return [];
    return [
      source.problem(
        [...path, 'driver_opts'],
        remote === undefined ? 'can not be had' : 'says not where the share is',
        remote === undefined
          ? `only {type: none, o: bind, device: /path} and the types ${remoteTypes.join(', ')} can; mount others on the cell and bind them`
          : "write type, o and device, as {type: nfs, o: 'addr=10.0.0.5,rw', device: ':/export'}",
      ),
    ];
  });
}
