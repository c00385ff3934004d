/** `volumes_from`: a service has what another of the files has mounted, at the same places; its own mounts go before. */
import type { SpecProblem } from '../core/errors.ts';
import type { Raw } from './extend.ts';
import { isRaw, rebasedVolumes, targetOf } from './extend.ts';
import type { Chosen } from './project.ts';

/** The services that it names, without containers of elsewhere. */
export const volumeSources = ({ volumes_from: given }: Raw): { name: string; mode: string | undefined }[] =>
  (Array.isArray(given) ? given.map(String) : []).map((text) => {
    const [name, mode] = text.startsWith('container:') ? [text] : text.split(':');
    return { name: name!, mode };
  });

/** The services, each with all its volumes. One that is not there is reported as one that is waited for (relations.ts). */
export function withVolumesFrom(chosen: readonly Chosen[], problems: SpecProblem[]): Chosen[] {
  const byName = new Map(chosen.map((one) => [one.service, one]));
  const volumesOf = (one: Chosen, trail: readonly string[]): unknown[] => {
    const own: unknown[] = Array.isArray(one.whole.volumes) ? one.whole.volumes : [];
    // At one place there is one: its own, else that of the first.
    const taken = new Set([
      ...own.map(targetOf),
      ...[one.whole.tmpfs ?? []].flat().map((path) => String(path).split(':')[0]!),
    ]);
    const others = volumeSources(one.whole).flatMap(({ name, mode }, i): unknown[] => {
      const report = (message: string, hint: string): void => {
        problems.push(one.part.source.problem(['services', one.service, 'volumes_from', i], message, hint));
      };
      if (name.startsWith('container:'))
        report('a container that is not of the file has no volumes here', 'name them under volumes, external: true');
      if (mode !== undefined && mode !== 'ro' && mode !== 'rw') report(`'${mode}' is no mode`, 'use ro or rw');
      const other = byName.get(name);
      if (other === undefined || trail.includes(name)) return [];
      const all = rebasedVolumes(volumesOf(other, [...trail, name]), other.part.folder);
      // What is in memory is its own.
      const theirs = all.filter((item) => !isTmpfs(item));
      const nameless = theirs.find((item) => !hasName(item));
      if (nameless !== undefined)
        report(`the volume of ${name} at ${targetOf(nameless)} has no name`, `write NAME:${targetOf(nameless)} there`);
      const named = theirs.filter(hasName);
      return mode === 'ro' ? named.map(readOnly) : named;
    });
    const free = others.filter((item) => !taken.has(targetOf(item)) && taken.add(targetOf(item)));
    return [...own, ...free];
  };
  return chosen.map((one) =>
    volumeSources(one.whole).length === 0
      ? one
      : { ...one, whole: { ...one.whole, volumes: volumesOf(one, [one.service]) } },
  );
}

const isTmpfs = (item: unknown): boolean => isRaw(item) && item.type === 'tmpfs';
const hasName = (item: unknown): boolean => (isRaw(item) ? item.source !== undefined : String(item).includes(':'));

function readOnly(item: unknown): unknown {
  if (isRaw(item)) return { ...item, read_only: true };
  const [source, target, mode = ''] = String(item).split(':');
  return `${source}:${target}:${[...mode.split(',').filter((one) => one !== '' && one !== 'rw'), 'ro'].join()}`;
}
