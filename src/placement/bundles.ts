/**
 * Services of one app that share a volume: it is on one cell, so they are too. They are placed as one that needs what all of them need,
 * and each of their replicas is where that one is. Who belongs together follows from the spec alone, so that nothing moves when a job
 * begins, or a service is stopped.
 */
import { compare } from '../core/hash.ts';
import { gpusOf, mountsOf, pinnedTo, reservationOf, sharedVolumes } from '../core/service.ts';
import type { ServiceSpec } from '../core/spec.ts';
import type { PlacementService } from './filter.ts';

const known = new WeakMap<readonly ServiceSpec[], ReadonlyMap<string, readonly string[]>>();

/** Of the services of an app those that share: the volumes that hold them together, by name; the same for all that belong together. */
export function ties(services: readonly ServiceSpec[]): ReadonlyMap<string, readonly string[]> {
  let found = known.get(services);
  if (found === undefined) known.set(services, (found = tiesOf(services)));
  return found;
}

function tiesOf(services: readonly ServiceSpec[]): ReadonlyMap<string, readonly string[]> {
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
  const tied = new Map<string, readonly string[]>();
  for (const [{ name }, { members, volumes }] of bundles) {
    const pins = new Set([...members].flatMap((spec) => pinnedTo(spec) ?? []));
    if (pins.size < 2) tied.set(name, [...volumes].sort(compare));
  }
  return tied;
}

/** What is there now of services that belong together. */
export interface Bundle {
  /** What leads comes first: its first replica is placed for all. */
  members: readonly PlacementService[];
  /** All that they need together. */
  spec: ServiceSpec;
  volumes: readonly string[];
}

export function bundlesOf(services: readonly PlacementService[]): Bundle[] {
  const bundles = new Map<string, PlacementService[]>();
  for (const service of services) {
    if (service.tie === undefined) continue;
    const key = `${service.app}/${service.tie.join('/')}`;
    bundles.set(key, [...(bundles.get(key) ?? []), service]);
  }
  return [...bundles.values()].map(bundleOf);
}

function bundleOf(all: readonly PlacementService[]): Bundle {
  const members = [...all].sort((a, b) => rank(a.spec) - rank(b.spec) || compare(a.spec.name, b.spec.name));
  const [leader] = members as [PlacementService];
  let [cpuMilli, memoryBytes] = [0, 0];
  for (const { spec } of members) {
    const need = reservationOf(spec);
    const times = spec.job?.parallelism ?? spec.replicas;
    cpuMilli += need.cpuMilli * times;
    memoryBytes += need.memoryBytes * times;
  }
  const gpus = members.flatMap(({ spec }) => gpusOf(spec) ?? []);
  const devices = members.flatMap(({ spec }) => spec.engine?.devices ?? []);
  const { parts: _parts, maxPerCell: _most, ...rest } = leader.spec;
  const spec: ServiceSpec = {
    ...rest,
    constraints: members.flatMap(({ spec: { constraints } }) => constraints),
    ports: members.flatMap(({ spec: { ports } }) => ports),
    mounts: members.flatMap(({ spec: one }) => mountsOf(one)),
    resources: {
      ...(cpuMilli === 0 ? {} : { reserveCpuMilli: cpuMilli }),
      ...(memoryBytes === 0 ? {} : { reserveMemoryBytes: memoryBytes }),
      ...(gpus.length === 0 ? {} : { gpus: Math.max(...gpus) }),
    },
    ...(devices.length === 0 ? {} : { engine: { ...leader.spec.engine, devices } }),
  };
  return { members, spec, volumes: leader.tie! };
}

/** What runs all the time leads what comes and goes. */
const rank = ({ job, replicas }: ServiceSpec): number => (job !== undefined ? 2 : replicas > 1 ? 1 : 0);
