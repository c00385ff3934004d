/** The downward API: what a pod is told of itself, as far as it stands in the file. */
import type { Raw } from '../extend.ts';
import type { Path } from '../source.ts';
import type { Report } from './objects.ts';
import { labelsOf, list, quantity, raw } from './objects.ts';

/** The value of `fieldPath`; undefined where only a cell, or a cluster, knows it. */
export function fieldOf(path: string, metadata: unknown, app: string): string | undefined {
  if (path === 'metadata.namespace') return app;
  if (path === 'spec.serviceAccountName') return 'default';
  const [, of, key] = /^metadata\.(labels|annotations)\[['"]?([^'"\]]+)['"]?\]$/.exec(path) ?? [];
  if (of === undefined) return undefined;
  const all: Raw = of === 'labels' ? labelsOf(metadata) : raw(raw(metadata).annotations);
  return isOfCluster(key!, all) ? undefined : String(all[key!] ?? '');
}

/** It would be written on the pod by a cluster. */
const isOfCluster = (key: string, all: Raw): boolean =>
  !Object.hasOwn(all, key) &&
  /^(batch|apps|statefulset)\.kubernetes\.io\/|^(pod-template-hash|controller-revision-hash|controller-uid|job-name)$/.test(
    key,
  );

/** What a file of a downwardAPI volume holds; undefined where that was reported. */
export function fileOf(
  { fieldRef, resourceFieldRef }: Raw,
  { spec, metadata, app }: { spec: Raw; metadata: unknown; app: string },
  at: Path,
  report: Report,
): string | undefined {
  if (resourceFieldRef !== undefined) {
    const ref = raw(resourceFieldRef);
    const container = list(spec.containers)
      .map(raw)
      .find(({ name }) => name === ref.containerName);
    return resourceOf(ref, container ?? {}, [...at, 'resourceFieldRef'], report);
  }
  const path = String(raw(fieldRef).fieldPath ?? '');
  const all = { 'metadata.labels': labelsOf(metadata), 'metadata.annotations': raw(raw(metadata).annotations) }[path];
  const text =
    all === undefined
      ? fieldOf(path, metadata, app)
      : Object.entries(all)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, value]) => `${key}=${JSON.stringify(String(value))}\n`)
          .join('');
  if (text === undefined)
    report(
      [...at, 'fieldRef', 'fieldPath'],
      `'${path}' is not known here`,
      'of a file labels, annotations and the namespace are; others can stand in a variable (env with fieldRef)',
    );
  return text;
}

/** 'limits.memory' in bytes, 'requests.cpu' in cores, each in whole divisors. */
export function resourceOf({ resource, divisor }: Raw, container: Raw, at: Path, report: Report): string {
  const [kind = '', key = ''] = String(resource ?? '').split('.');
  const given = raw(raw(container.resources)[kind])[key];
  const [value, unit] = [quantity(given ?? ''), quantity(divisor === undefined || divisor === '0' ? 1 : divisor)];
  if (value !== undefined && unit !== undefined && unit > 0) return String(Math.ceil(value / unit));
  report(
    [...at, 'resource'],
    given === undefined
      ? `the container says nothing of '${String(resource)}'`
      : `can't be divided by '${String(divisor)}'`,
    'set it in its resources, or write the number as value',
  );
  return '';
}
