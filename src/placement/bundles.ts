/**
 * Services that are tied by a volume (core/ties.ts) are placed as one: the first replica of the one that leads stands for all that run all
 * the time, and asks for what they need together. What comes and goes (a job, a hook, a command) asks for nothing beforehand:
 * nothing moves when it begins, and it waits where there is no room beside the others.
 */
import { compare } from '../core/hash.ts';
import { gpusOf, mountsOf, reservationOf } from '../core/service.ts';
import type { ServiceSpec } from '../core/spec.ts';
import type { PlacementService, Tied } from './filter.ts';

/** What is there now of services that are tied; what leads comes first. */
export function bundlesOf(services: readonly PlacementService[]): PlacementService[][] {
  const bundles = new Map<string, PlacementService[]>();
  for (const service of services) {
    // What is on every cell is tied to none, also where a run is of a revision in which it was so.
    if (service.tie === undefined || service.spec.mode === 'global') continue;
    const key = `${service.app}/${service.tie.volumes.join('/')}`;
    bundles.set(key, [...(bundles.get(key) ?? []), service]);
  }
  return [...bundles.values()].map((all) => all.sort((a, b) => rank(a) - rank(b) || compare(a.spec.name, b.spec.name)));
}

/** Who has had the volume for longest knows where the data is. */
const rank = (service: PlacementService): number =>
  isRun(service) ? Number.POSITIVE_INFINITY : (service.tie?.since ?? 0) * 2 + Number(service.spec.replicas > 1);

export const isRun = ({ ended }: PlacementService): boolean => ended !== undefined;

/** What replicas of these need together, the first of them leading. */
export function together(specs: readonly ServiceSpec[], { constraints }: Tied): ServiceSpec {
  const { parts: _parts, maxPerCell: _most, ...first } = specs[0]!;
  let [cpuMilli, memoryBytes] = [0, 0];
  for (const spec of specs) {
    const need = reservationOf(spec);
    cpuMilli += need.cpuMilli;
    memoryBytes += need.memoryBytes;
  }
  const gpus = specs.flatMap((spec) => gpusOf(spec) ?? []);
  const devices = specs.flatMap(({ engine }) => engine?.devices ?? []);
  return {
    ...first,
    driver: specs.some(({ driver }) => driver === 'docker') ? 'docker' : first.driver,
    constraints: [...first.constraints, ...constraints],
    ports: specs.flatMap(({ ports }) => ports),
    mounts: specs.flatMap((spec) => mountsOf(spec)),
    resources: {
      ...(cpuMilli === 0 ? {} : { reserveCpuMilli: cpuMilli }),
      ...(memoryBytes === 0 ? {} : { reserveMemoryBytes: memoryBytes }),
      ...(gpus.length === 0 ? {} : { gpus: Math.max(...gpus) }),
    },
    ...(devices.length === 0 ? {} : { engine: { ...first.engine, devices } }),
  };
}
