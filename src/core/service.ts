/** What a service's containers are made from. */
import { contentHash } from './hash.ts';
import type { ServiceSpec } from './spec.ts';

const hashes = new WeakMap<ServiceSpec, { restarts: number; hash: string }>();

/** Identity of what a container is made from: a change of it replaces the container, anything else does not. */
export function serviceHash(spec: ServiceSpec, restarts: number): string {
  const known = hashes.get(spec);
  if (known?.restarts === restarts) return known.hash;
  const {
    replicas: _r,
    mode: _m,
    constraints: _c,
    maxPerCell: _x,
    pull: _l,
    strict: _s,
    update: _u,
    rollback: _b,
    dependsOn: _d,
    job: _j,
    schedule: _t,
    preDeploy: _p,
    ...made
  } = spec;
  const hash = contentHash({ made, restarts });
  hashes.set(spec, { restarts, hash });
  return hash;
}
