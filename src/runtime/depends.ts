/** What a service waits for before its replicas start: the state of other services of its app, on whatever cell they run. */
import type { Dependency, ServiceSpec } from '../core/model.ts';
import type { Told } from './reconcile.ts';

/**
 * Why it waits, in words; undefined where it may start. `unitsOf`: of each replica of a service, in its wanted form or another, what is
 * told of it.
 */
export function waitsFor(
  { dependsOn = [] }: ServiceSpec,
  unitsOf: (service: string) => readonly (readonly Told[])[],
): string | undefined {
  for (const dependency of dependsOn) {
    const lacking = lacks(dependency, unitsOf(dependency.service));
    if (lacking !== undefined) return `waits for ${dependency.service}: ${lacking}`;
  }
  return undefined;
}

function lacks({ condition }: Dependency, replicas: readonly (readonly Told[])[]): string | undefined {
  const all = replicas.flat();
  if (condition === 'started')
    return all.some(({ state }) => state === 'running' || state === 'ready') ? undefined : 'it does not run yet';
  if (condition === 'healthy')
    return all.some(({ state }) => state === 'ready') ? undefined : 'no replica of it is ready yet';
  const failed = all.find(({ state, reason }) => state === 'exited' && reason !== 'exit code 0');
  if (failed !== undefined) return `it ended with ${failed.reason ?? 'an error'}`;
  const isThrough = replicas.every((units) => units.some(({ state }) => state === 'exited'));
  return isThrough && replicas.length > 0 ? undefined : 'it has not ended yet';
}
