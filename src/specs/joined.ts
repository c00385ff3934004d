/** Services in the network of another (network_mode: service:NAME): they are containers of its replicas, on the same cell. */
import type { Dependency, PartSpec, ServiceSpec } from '../core/spec.ts';
import type { Path } from './source.ts';

export interface Joined {
  services: ServiceSpec[];
  warnings: string[];
}

/** `hosts`: service -> in whose network it is. `built`: services whose image is built here. */
export function joined(
  services: readonly ServiceSpec[],
  hosts: ReadonlyMap<string, string>,
  built: ReadonlySet<string>,
  report: (service: string, path: Path, message: string, hint: string) => void,
): Joined {
  if (hosts.size === 0) return { services: [...services], warnings: [] };
  const byName = new Map(services.map((spec) => [spec.name, spec]));
  const rootOf = (name: string): string | undefined => {
    const trail = new Set<string>();
    for (let at = name; !trail.has(at); at = hosts.get(at)!) {
      if (!hosts.has(at)) return byName.has(at) ? at : undefined;
      trail.add(at);
    }
    return undefined;
  };
  const parts = new Map<string, ServiceSpec[]>();
  for (const [name, host] of hosts) {
    const spec = byName.get(name)!;
    const complain = (key: string, message: string, hint: string): void => report(name, [key], message, hint);
    const root = rootOf(name);
    const first = root === undefined ? undefined : byName.get(root)!;
    if (first === undefined)
      complain(
        'network_mode',
        `there is no service '${host}' with a network of its own`,
        `name one of: ${[...byName.keys()].filter((one) => !hosts.has(one)).join(', ')}`,
      );
    else if (spec.replicas !== first.replicas || spec.mode !== first.mode || spec.job !== undefined)
      complain(
        'network_mode',
        `it has not as many replicas as ${root}`,
        `each replica of ${root} has one of it: give both the same deploy.replicas`,
      );
    const isApart = (one: ServiceSpec): boolean => one.driver !== 'docker' || one.schedule !== undefined;
    if (isApart(spec) || (first !== undefined && isApart(first)))
      complain(
        'network_mode',
        'a plain process, or what runs by a schedule, has no network to share',
        'remove the key',
      );
    if (first !== undefined && spec.restart.condition !== first.restart.condition)
      complain('restart', `it is a container of ${root}, and is begun again as that is`, 'give both the same restart');
    if (spec.preDeploy !== undefined) complain('x-osca', `pre_deploy belongs to ${root ?? host}`, 'write it there');
    if (spec.ports.length > 0) complain('ports', `it has no network of its own`, `publish them at ${root ?? host}`);
    if (built.has(name))
      complain(
        'build',
        `it is a container of ${root ?? host}, and those are not built yet`,
        'build the image first, and name it here',
      );
    if (root !== undefined) parts.set(root, [...(parts.get(root) ?? []), spec]);
  }
  const nameOf = (name: string): string => rootOf(name) ?? name;
  const kept = services.filter(({ name }) => !hosts.has(name));
  return {
    services: kept.map((spec) => withParts(spec, parts.get(spec.name) ?? [], nameOf)),
    warnings: [...hosts.keys()].flatMap((name) => {
      const root = nameOf(name);
      const awaits = byName.get(name)!.dependsOn?.find((one) => one.service === root && one.condition !== 'started');
      const { labels, update, rollback, maxPerCell } = byName.get(name)!;
      const lost = [
        ...(Object.keys(labels).length > 0 ? ['labels'] : []),
        ...(update !== undefined || rollback !== undefined ? ['update_config'] : []),
        ...(maxPerCell !== undefined ? ['max_replicas_per_node'] : []),
      ];
      return [
        ...(lost.length === 0
          ? []
          : [
              `${name}: ${lost.join(', ')} of it ${lost.length === 1 && lost[0] !== 'labels' ? 'is' : 'are'} not used; those of ${root} hold`,
            ]),
        `${name} is a container of ${root}: osca logs -c ${name} shows what it writes`,
        ...(awaits === undefined
          ? []
          : [`${name} starts right after ${root}, and does not wait until that is ${awaits.condition}`]),
      ];
    }),
  };
}

const strength: Dependency['condition'][] = ['started', 'healthy', 'completed'];

function withParts(spec: ServiceSpec, others: readonly ServiceSpec[], nameOf: (name: string) => string): ServiceSpec {
  const awaited = new Map<string, Dependency>();
  for (const { dependsOn = [] } of [spec, ...others])
    for (const one of dependsOn) {
      const service = nameOf(one.service);
      const before = awaited.get(service);
      const isStronger = before === undefined || strength.indexOf(one.condition) > strength.indexOf(before.condition);
      if (service !== spec.name && isStronger) awaited.set(service, { ...one, service });
    }
  const { dependsOn: _, ...own } = spec;
  const all = [spec, ...others].flatMap(({ constraints }) => constraints);
  const constraints = [...new Map(all.map((one) => [JSON.stringify(one), one])).values()];
  const strict = others.some((one) => one.strict === true) ? { strict: true as const } : {};
  return {
    ...own,
    ...strict,
    constraints,
    ...(awaited.size === 0 ? {} : { dependsOn: [...awaited.values()] }),
    ...(others.length === 0 ? {} : { parts: others.map(partOf) }),
    stopGraceMs: Math.max(spec.stopGraceMs, ...others.map(({ stopGraceMs }) => stopGraceMs)),
  };
}

/** What of a service is about its container. */
function partOf(spec: ServiceSpec): PartSpec {
  const {
    driver: _d,
    ports: _p,
    labels: _l,
    restart: _r,
    stopGraceMs: _g,
    mode: _m,
    replicas: _n,
    strict: _s,
    constraints: _c,
    maxPerCell: _x,
    dependsOn: _w,
    job: _j,
    schedule: _t,
    preDeploy: _h,
    update: _u,
    rollback: _b,
    ...container
  } = spec;
  return { ...container, kind: 'peer' };
}
