/** Services of one app that share a volume: it is on one cell, so they are too. Who belongs together follows from the spec alone. */
import { compare } from './hash.ts';
import { sharedVolumes } from './service.ts';
import type { Constraint, ServiceSpec } from './spec.ts';

export interface Tie {
  /** Its services, in the order of the spec, and what they share, by name. */
  services: readonly string[];
  volumes: readonly string[];
  /** What any of them asks of its cell holds for all. */
  constraints: readonly Constraint[];
}

/** By service, of those that share: the same object for all that belong together. */
export const ties = (services: readonly ServiceSpec[]): ReadonlyMap<string, Tie> =>
  new Map(
    tiesOf(services)
      .filter(({ constraints }) => areMet(constraints))
      .flatMap((tie) => tie.services.map((name) => [name, tie] as const)),
  );

/** Those whose services share volumes, and can't be on one cell: each has its own. */
export const torn = (services: readonly ServiceSpec[]): Tie[] =>
  tiesOf(services).filter(({ constraints }) => !areMet(constraints));

function tiesOf(services: readonly ServiceSpec[]): Tie[] {
  const users = new Map<string, ServiceSpec[]>();
  for (const spec of services)
    for (const volume of sharedVolumes(spec)) users.set(volume, [...(users.get(volume) ?? []), spec]);
  const bundles = new Map<ServiceSpec, { members: Set<ServiceSpec>; volumes: Set<string> }>();
  for (const [volume, all] of users) {
    if (all.length < 2) continue;
    const joined = all.flatMap((one) => bundles.get(one) ?? []);
    const members = new Set([...all, ...joined.flatMap((bundle) => [...bundle.members])]);
    const volumes = new Set([volume, ...joined.flatMap((bundle) => [...bundle.volumes])]);
    for (const one of members) bundles.set(one, { members, volumes });
  }
  const sets = new Map([...bundles.values()].map(({ members, volumes }) => [members, volumes]));
  return [...sets].map(([members, volumes]): Tie => {
    const all = services.filter((spec) => members.has(spec));
    return {
      services: all.map(({ name }) => name),
      volumes: [...volumes].sort(compare),
      constraints: all.flatMap(({ constraints }) => constraints),
    };
  });
}

/** No two of them ask for different values of one label. */
function areMet(constraints: readonly Constraint[]): boolean {
  const allowed = new Map<string, ReadonlySet<string>>();
  for (const { key, op, value, or = [] } of constraints) {
    if (op !== '==') continue;
    const before = allowed.get(key);
    const now = new Set([value, ...or].filter((one) => before === undefined || before.has(one)));
    if (now.size === 0) return false;
    allowed.set(key, now);
  }
  return true;
}
