/** Reads what people deploy: a Compose file, or Kubernetes manifests. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mountsOf } from '../core/service.ts';
import type { ServiceSpec } from '../core/spec.ts';
import type { ComposeRequest, ComposeResult } from './compose.ts';
import { readCompose } from './compose.ts';
import { isKubernetes, readKubernetes } from './kubernetes/read.ts';

/** Throws SpecError with every problem, or OscaError not-found. */
export function readSpec(request: ComposeRequest): ComposeResult {
  const isFile = existsSync(request.file) && statSync(request.file).isFile();
  const read = isFile && isKubernetes(readFileSync(request.file, 'utf8')) ? readKubernetes : readCompose;
  const result = read(request);
  return { ...result, warnings: [...result.warnings, ...apart(result.app.services)] };
}

/** Volumes that look shared, and are only where their users are on one cell. */
function apart(services: readonly ServiceSpec[]): string[] {
  const users = new Map<string, ServiceSpec[]>();
  for (const spec of services) {
    const named = mountsOf(spec).flatMap(({ kind, source }) =>
      kind === 'volume' && source !== undefined ? [source] : [],
    );
    for (const volume of new Set(named)) users.set(volume, [...(users.get(volume) ?? []), spec]);
  }
  return [...users].flatMap(([volume, all]): string[] => {
    const places = new Set(all.map(placeOf));
    if (places.size === 1 && !places.has(undefined)) return [];
    const names = all.map(({ name }) => name).join(', ');
    if (all.length > 1) return [`volume ${volume} is another on each cell: pin ${names} to one with node.hostname`];
    const [{ mode, replicas, ordinals, job }] = all as [ServiceSpec];
    const isSpread = mode === 'replicated' && replicas > 1 && ordinals !== true && job === undefined;
    return isSpread ? [`volume ${volume} is another on each cell: replicas of ${names} do not share it`] : [];
  });
}

/** The one cell that it may be on. */
const placeOf = ({ constraints }: ServiceSpec): string | undefined =>
  constraints.find(
    ({ key, op, or }) => (key === 'node.hostname' || key === 'node.id') && op === '==' && or === undefined,
  )?.value;
