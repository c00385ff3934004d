/** What a service's containers are made from. */
import { contentHash } from './hash.ts';
import type { ContainerSpec, Mount, ServiceSpec } from './spec.ts';

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
  const parts = spec.parts?.map(({ pull: _, ...part }) => part);
  const hash = contentHash({ made: parts === undefined ? made : { ...made, parts }, restarts });
  hashes.set(spec, { restarts, hash });
  return hash;
}

/** Its first container, and the others. */
export const containersOf = (spec: ServiceSpec): readonly ContainerSpec[] => [spec, ...(spec.parts ?? [])];

/** Of all its containers. */
export const mountsOf = (spec: ServiceSpec): readonly Mount[] =>
  spec.parts === undefined ? spec.mounts : containersOf(spec).flatMap(({ mounts }) => mounts);

/** What a replica reserves: its containers together, or what runs before them where that is more. CPU in thousandths of a core. */
export function reservationOf(spec: ServiceSpec): { cpuMilli: number; memoryBytes: number } {
  const { reserveCpuMilli: cpuMilli = 0, reserveMemoryBytes: memoryBytes = 0 } = spec.resources;
  const all = { cpuMilli, memoryBytes };
  if (spec.parts === undefined) return all;
  const before = { cpuMilli: 0, memoryBytes: 0 };
  for (const { kind, resources } of spec.parts) {
    const { reserveCpuMilli: cpu = 0, reserveMemoryBytes: memory = 0 } = resources;
    if (kind === 'init') {
      before.cpuMilli = Math.max(before.cpuMilli, cpu);
      before.memoryBytes = Math.max(before.memoryBytes, memory);
    } else {
      all.cpuMilli += cpu;
      all.memoryBytes += memory;
    }
  }
  return {
    cpuMilli: Math.max(all.cpuMilli, before.cpuMilli),
    memoryBytes: Math.max(all.memoryBytes, before.memoryBytes),
  };
}

/** GPUs that its cell must have; -1: one at least. Undefined where it needs none. */
export function gpusOf(spec: ServiceSpec): number | undefined {
  if (spec.parts === undefined) return spec.resources.gpus;
  const all = containersOf(spec).flatMap(({ resources: { gpus } }) => (gpus === undefined ? [] : [gpus]));
  if (all.length === 0) return undefined;
  return all.includes(-1) ? -1 : all.reduce((sum, gpus) => sum + gpus, 0);
}

/** Named volumes that are one for all replicas of a cell; one on every cell, or one for each ordinal, is shared with nobody elsewhere. */
export const sharedVolumes = (spec: ServiceSpec): string[] =>
  spec.mode === 'global' || spec.ordinals === true || spec.replicas === 0
    ? []
    : [...new Set(mountsOf(spec).flatMap(({ kind, source }) => (kind === 'volume' ? (source ?? []) : [])))];
