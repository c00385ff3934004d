/** Volumes, binds and tmpfs of a service, short form and long. */
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { Mount } from '../core/spec.ts';
import type { Raw } from './extend.ts';
import { isRaw } from './extend.ts';
import type { ServiceContext } from './normalise.ts';
import type { Path } from './source.ts';
import { parseBytes } from './values.ts';

type Report = (path: Path, message: string, hint: string) => void;

export function mountsOf(service: Raw, context: ServiceContext, report: Report): Mount[] {
  const items = Array.isArray(service.volumes) ? service.volumes : [];
  const mounts = items.flatMap((item: unknown, i) => {
    const complain = (message: string, hint: string): void => report(['volumes', i], message, hint);
    return isRaw(item) ? longMount(item, context, complain) : shortMount(String(item), context, complain);
  });
  const tmpfs = Array.isArray(service.tmpfs) ? service.tmpfs : service.tmpfs === undefined ? [] : [service.tmpfs];
  return [...mounts, ...tmpfs.map((item) => tmpfsMount(String(item)))];
}

type Complain = (message: string, hint: string) => void;

function shortMount(text: string, context: ServiceContext, complain: Complain): Mount[] {
  const parts = text.split(':');
  if (parts.length === 1) return absolute(text, complain) ? [{ kind: 'volume', target: text }] : [];
  const [source, target, mode] = parts as [string, string, string?];
  if (parts.length > 3 || !absolute(target, complain)) return [];
  const flags = (mode ?? '').split(',').filter(Boolean);
  const odd = flags.find((one) => !['ro', 'rw', 'z', 'Z'].includes(one));
  if (odd !== undefined) complain(`mode '${odd}' is not supported`, 'use ro or rw');
  const readOnly = flags.includes('ro') ? { readOnly: true } : {};
  if (/^[./~]/.test(source))
    return [{ kind: 'bind', source: hostPath(source, context.folder), target, createPath: true, ...readOnly }];
  const volume = volumeName(source, context, complain);
  return volume === undefined ? [] : [{ kind: 'volume', source: volume, target, ...readOnly }];
}

function longMount(item: Raw, context: ServiceContext, complain: Complain): Mount[] {
  const kind = String(item.type ?? 'volume');
  const target = String(item.target ?? '');
  if (kind !== 'volume' && kind !== 'bind' && kind !== 'tmpfs') {
    complain(`type '${kind}' is not supported`, 'use volume, bind or tmpfs');
    return [];
  }
  if (!absolute(target, complain)) return [];
  const readOnly = item.read_only === true || item.read_only === 'true' ? { readOnly: true } : {};
  if (kind === 'tmpfs') {
    const size =
      isRaw(item.tmpfs) && item.tmpfs.size !== undefined ? parseBytes(item.tmpfs.size as string | number) : undefined;
    return [{ kind, target, ...(size === undefined ? {} : { sizeBytes: size }), ...readOnly }];
  }
  if (kind === 'bind') {
    if (item.source === undefined) complain('a bind needs a source', 'add source: a path on the cell');
    const bind = isRaw(item.bind) ? item.bind : {};
    const create = bind.create_host_path === true || bind.create_host_path === 'true' ? { createPath: true } : {};
    return [{ kind, source: hostPath(String(item.source ?? '.'), context.folder), target, ...create, ...readOnly }];
  }
  if (item.source === undefined) return [{ kind, target, ...readOnly }];
  const volume = volumeName(String(item.source), context, complain);
  return volume === undefined ? [] : [{ kind, source: volume, target, ...readOnly }];
}

function tmpfsMount(text: string): Mount {
  const [target, options] = text.split(':') as [string, string?];
  const size = /size=([^,]+)/.exec(options ?? '')?.[1];
  const bytes = size === undefined ? undefined : parseBytes(size);
  return { kind: 'tmpfs', target, ...(bytes === undefined ? {} : { sizeBytes: bytes }) };
}

function absolute(target: string, complain: Complain): boolean {
  if (target.startsWith('/')) return true;
  complain(`'${target}' is no absolute path in the container`, 'write SOURCE:/PATH[:ro]');
  return false;
}

const hostPath = (path: string, folder: string): string =>
  path.startsWith('~') ? resolve(homedir(), path.slice(path.startsWith('~/') ? 2 : 1)) : resolve(folder, path);

/** The engine's name of a declared volume. */
function volumeName(name: string, { app, volumes }: ServiceContext, complain: Complain): string | undefined {
  const declared = volumes[name];
  if (declared === undefined) {
    complain(
      `volume '${name}' is not declared`,
      `add it under volumes: at the end of the file, or write ./${name} for a folder`,
    );
    return undefined;
  }
  const external = declared.external === true || declared.external === 'true';
  return typeof declared.name === 'string' ? declared.name : external ? name : `${app}_${name}`;
}
