/** What services of a file have to do with each other: who waits for whom, and on which network they are. */

import type { Dependency } from '../core/spec.ts';
import type { Report } from './context.ts';
import type { Raw } from './extend.ts';
import { isRaw } from './extend.ts';
import { nearest } from './values.ts';
import { volumeSources } from './volumes-from.ts';

const conditions: Record<string, Dependency['condition']> = {
  service_started: 'started',
  service_healthy: 'healthy',
  service_completed_successfully: 'completed',
};

/** `all`: services of the file; `wanted`: those that no profile leaves out. */
export function dependenciesOf(
  service: Raw,
  all: ReadonlySet<string>,
  wanted: ReadonlySet<string>,
  report: Report,
): Dependency[] {
  const given = service.depends_on;
  const links = Array.isArray(service.links) ? service.links.map((one) => String(one).split(':')[0]!) : [];
  const sources = volumeSources(service).map(({ name }) => (name.startsWith('container:') ? '' : name));
  const implied = [...links, ...sources].filter((name) => name !== '');
  const awaited = new Set(Array.isArray(given) ? given.map(String) : Object.keys(isRaw(given) ? given : {}));
  const linked = [...new Set(implied)].filter((name) => !awaited.has(name)).map((name): [string, Raw] => [name, {}]);
  const said: [string, Raw][] = Array.isArray(given)
    ? given.map((name) => [String(name), {}])
    : Object.entries(isRaw(given) ? given : {}).map(([name, one]) => [name, isRaw(one) ? one : {}]);
  return [...said, ...linked].flatMap(([name, { condition = 'service_started', required }], i): Dependency[] => {
    const isLink = links.includes(name);
    const path =
      i < said.length
        ? ['depends_on', Array.isArray(given) ? i : name]
        : isLink
          ? ['links', links.indexOf(name)]
          : ['volumes_from', sources.indexOf(name)];
    const known = conditions[String(condition)];
    if (known === undefined)
      report(
        [...path, 'condition'],
        `'${String(condition)}' is no condition`,
        `use ${Object.keys(conditions).join(', ')}`,
      );
    if (!all.has(name)) {
      const meant = nearest(name, [...all]);
      const hint = meant === undefined ? '' : `did you mean '${meant}'? `;
      report(path, `there is no service '${name}'`, `${hint}the file has: ${[...all].join(', ')}`);
    } else if (!wanted.has(name)) {
      if (required !== false && required !== 'false')
        report(
          path,
          `the profile of '${name}' leaves it out`,
          'name its profile with --profile, or say required: false',
        );
      return [];
    }
    return known === undefined ? [] : [{ service: name, condition: known }];
  });
}

/** Services that wait for each other in a circle: 'a → b → a', or undefined. */
export function circleOf(
  services: readonly { name: string; dependsOn?: readonly Dependency[] }[],
): string[] | undefined {
  const byName = new Map(services.map(({ name, dependsOn = [] }) => [name, dependsOn]));
  const done = new Set<string>();
  const walk = (name: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(name)) return [...trail.slice(trail.indexOf(name)), name];
    if (done.has(name)) return undefined;
    for (const { service } of byName.get(name) ?? []) {
      const circle = walk(service, [...trail, name]);
      if (circle !== undefined) return circle;
    }
    done.add(name);
    return undefined;
  };
  for (const { name } of services) {
    const circle = walk(name, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

/** The networks that a service names; one that names none is on `default`. */
export function networksOf({ networks, network_mode: mode }: Raw): string[] {
  if (mode !== undefined) return [];
  const names = Array.isArray(networks) ? networks.map(String) : Object.keys(isRaw(networks) ? networks : {});
  return names.length === 0 ? ['default'] : names;
}
