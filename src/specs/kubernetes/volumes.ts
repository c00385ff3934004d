/** Volumes of a pod as mounts and files of a container. */
import type { FileMount, Mount } from '../../core/spec.ts';
import type { Raw } from '../extend.ts';
import type { Path } from '../source.ts';
import { fileMode } from '../values.ts';
import { shareLacks, shareOf } from './claims.ts';
import { fileOf } from './downward.ts';
import type { PodAround, PodContext } from './objects.ts';
import { list, quantity, raw } from './objects.ts';

export function volumesOf(
  container: Raw,
  place: Path,
  { spec, metadata, at, isShared }: PodAround,
  context: PodContext,
): { mounts: Mount[]; files: FileMount[] } {
  const { app, claims, report } = context;
  const volumes = new Map(list(spec.volumes).map((item, i) => [String(raw(item).name), { volume: raw(item), i }]));
  const mounts: Mount[] = [];
  const files: FileMount[] = [];
  for (const [name, { i }] of volumes)
    if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name))
      report([...at, 'volumes', i, 'name'], `'${name}' is no name`, 'use a-z, 0-9 and -');
  for (const [i, item] of list(container.volumeMounts).entries()) {
    const { name, mountPath, subPath, readOnly, mountPropagation } = raw(item);
    const sub = subPath === undefined ? '' : String(subPath).replace(/^\/+|\/+$/g, '');
    const here: Path = [...place, 'volumeMounts', i];
    const target = String(mountPath ?? '').replace(/(.)\/+$/, '$1');
    if (!target.startsWith('/')) report([...here, 'mountPath'], `'${target}' is no absolute path`, 'begin it with /');
    const flags = readOnly === true ? { readOnly: true } : {};
    const claim = claims.get(String(name));
    const found = volumes.get(String(name));
    /** A folder of a volume is a volume of its own, unless the whole is seen too. */
    const whole = (mount: Mount): void => {
      const { kind, source, driverOptions } = mount;
      if (sub.split('/').includes('..')) report([...here, 'subPath'], 'leads out of the volume', 'leave out ..');
      if (sub !== '' && (kind === 'volume' || kind === 'scratch') && isSeenWhole(spec, String(name)))
        report(
          [...here, 'subPath'],
          `'${String(name)}' is mounted as a whole too`,
          'use a claim of its own for each subPath',
        );
      const apart = `${source}_${sub.replaceAll('/', '_')}`;
      const inside = { source: apart, driverOptions: { ...driverOptions, device: `${driverOptions?.device}/${sub}` } };
      const folder =
        sub === '' || source === undefined
          ? {}
          : kind === 'remote'
            ? inside
            : { source: kind === 'bind' ? `${source}/${sub}` : apart };
      const spread = propagations[String(mountPropagation ?? 'None')];
      if (spread === undefined)
        report(
          [...here, 'mountPropagation'],
          `'${String(mountPropagation)}' is not known`,
          'use None, HostToContainer or Bidirectional',
        );
      const options = kind === 'bind' && spread !== undefined && spread !== '' ? { options: [spread] } : {};
      mounts.push({ ...mount, ...folder, ...flags, ...options });
    };
    if (claim !== undefined) {
      whole({ kind: 'volume', source: `${app}_${claim}`, target });
      continue;
    }
    if (found === undefined) {
      report(
        [...here, 'name'],
        `there is no volume '${String(name)}'`,
        `the pod has: ${[...volumes.keys(), ...claims.keys()].join(', ') || 'none'}`,
      );
      continue;
    }
    const { volume } = found;
    const path: Path = [...at, 'volumes', found.i];
    if (volume.persistentVolumeClaim !== undefined) {
      const { claimName, readOnly: sealed } = raw(volume.persistentVolumeClaim);
      whole({ ...context.kept.of(String(claimName)), target, ...(sealed === true ? { readOnly: true } : {}) });
      continue;
    }
    if (volume.hostPath !== undefined) {
      const { path: source, type = '' } = raw(volume.hostPath);
      const isLoose = type === 'DirectoryOrCreate' || (type === '' && !String(source).startsWith('/dev/'));
      const create = isLoose ? { createPath: true } : {};
      whole({ kind: 'bind', source: String(source), target, ...create });
      continue;
    }
    if (volume.nfs !== undefined) {
      const lacks = shareLacks(raw(volume.nfs));
      if (lacks !== undefined) report([...path, 'nfs'], `nfs has no ${lacks}`, 'write server and path');
      whole({ ...shareOf(raw(volume.nfs)), target });
      continue;
    }
    const { sources: projected, defaultMode: mode } = raw(volume.projected);
    const parts = projected === undefined ? [volume] : list(projected).map(raw);
    if (parts.some((part) => ['configMap', 'secret', 'downwardAPI'].some((kind) => part[kind] !== undefined))) {
      for (const [p, part] of parts.entries()) {
        if (part.downwardAPI !== undefined) {
          const from = [...path, ...(projected === undefined ? [] : ['projected', 'sources', p]), 'downwardAPI'];
          const only = subPath === undefined ? undefined : sub;
          files.push(...selfOf(raw(part.downwardAPI), target, { volume, only, spec, metadata, from, mode }, context));
          continue;
        }
        files.push(...filesOf(part, target, subPath === undefined ? undefined : sub, { path, here, mode }, context));
      }
      continue;
    }
    const { medium, sizeLimit } = raw(volume.emptyDir);
    const size = sizeLimit === undefined ? {} : { sizeBytes: quantity(sizeLimit) ?? 0 };
    if (isShared) {
      const inMemory = medium === 'Memory' ? { inMemory: true } : {};
      whole({ kind: 'scratch', source: String(name), target, ...inMemory });
    } else
      whole(medium === 'Memory' ? { kind: 'tmpfs', target, ...size } : { kind: 'volume', target, options: ['nocopy'] });
  }
  return { mounts, files };
}

interface SelfPlace {
  volume: Raw;
  /** Of its files, at `target` itself. */
  only: string | undefined;
  spec: Raw;
  metadata: unknown;
  from: Path;
  /** What the volume says for all. */
  mode: unknown;
}

/** Files in which the pod is told of itself. */
function selfOf(
  { items, defaultMode }: Raw,
  target: string,
  { volume, only, spec, metadata, from, mode: ofAll }: SelfPlace,
  { app, service, contents, report }: PodContext,
): FileMount[] {
  return list(items).flatMap((given, i): FileMount[] => {
    const item = raw(given);
    const text = fileOf(item, { spec, metadata, app }, [...from, 'items', i], report);
    if (text === undefined) return [];
    const name = String(item.path ?? '');
    if (name === '' || name.startsWith('/') || name.split('/').includes('..')) {
      report(
        [...from, 'items', i, 'path'],
        'a file in the folder is meant',
        'write its name, without / before it or ..',
      );
      return [];
    }
    if (only !== undefined && name !== only) return [];
    const mode = fileMode((item.mode ?? defaultMode ?? ofAll ?? 0o644) as string | number);
    const blob = contents.use(
      'ConfigMap',
      `downwardAPI of ${service}`,
      `${String(volume.name)}/${name}`,
      Buffer.from(text),
    );
    return [only === undefined ? { target: `${target}/${name}`, folder: target, blob, mode } : { target, blob, mode }];
  });
}

const propagations: Record<string, string> = { None: '', HostToContainer: 'rslave', Bidirectional: 'rshared' };

/** Some container of the pod has all of the volume. */
const isSeenWhole = (spec: Raw, volume: string): boolean =>
  ['containers', 'initContainers'].some((key) =>
    list(spec[key]).some((one) =>
      list(raw(one).volumeMounts).some((mount) => raw(mount).name === volume && raw(mount).subPath === undefined),
    ),
  );

function filesOf(
  part: Raw,
  target: string,
  only: string | undefined,
  { path, here, mode: ofAll }: { path: Path; here: Path; mode: unknown },
  { contents, report }: PodContext,
): FileMount[] {
  const kind = part.configMap === undefined ? 'Secret' : 'ConfigMap';
  const ref = raw(part.configMap ?? part.secret);
  const name = String(ref.name ?? ref.secretName);
  const keys = contents.of(kind, name);
  if (keys === undefined) {
    const asked = list(ref.items).map((item) => String(raw(item).key));
    if (ref.optional !== true)
      report(path, ...contents.missing(kind, name, only === undefined || asked.length > 0 ? asked : [only]));
    return [];
  }
  const items =
    ref.items === undefined ? [...keys.keys()].map((key) => ({ key, path: key }) as Raw) : list(ref.items).map(raw);
  const chosen = only === undefined ? items : items.filter((item) => item.path === only);
  if (only !== undefined && chosen.length === 0)
    report(
      [...here, 'subPath'],
      `${kind} '${name}' has no '${only}'`,
      `it has: ${items.map((item) => String(item.path)).join(', ')}`,
    );
  return chosen.flatMap((item): FileMount[] => {
    if (String(item.path).startsWith('/') || String(item.path).split('/').includes('..')) {
      report(path, `'${String(item.path)}' leads out of the folder`, 'write a path in it, without ..');
      return [];
    }
    const bytes = keys.get(String(item.key));
    if (bytes === undefined) {
      report(path, `${kind} '${name}' has no key '${String(item.key)}'`, `it has: ${[...keys.keys()].join(', ')}`);
      return [];
    }
    const given = item.mode ?? ref.defaultMode ?? ofAll;
    const mode = given === undefined ? 0o644 : fileMode(given as string | number);
    if (Number.isNaN(mode)) report(path, `a file mode is not ${String(given)}`, 'write one as 0440');
    return [
      {
        target: only === undefined ? `${target}/${String(item.path)}` : target,
        ...(only === undefined ? { folder: target } : {}),
        blob: contents.use(kind, name, String(item.key), bytes),
        mode,
      },
    ];
  });
}
