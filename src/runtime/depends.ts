/** What a service waits for before its replicas start: the state of other services of its app, on whatever cell they run. */
import type { Dependency, ServiceSpec } from '../core/spec.ts';
import type { Told } from './reconcile.ts';

/** A replica of the service that is waited for: the form that it should have, and what is told of it. */
export interface Awaited {
  hash: string;
  units: readonly Told[];
}

/** Why it waits, in words; undefined where it may start. A service of no replicas, or one that is stopped, is not waited for. */
export function waitsFor(
  { dependsOn = [] }: ServiceSpec,
  replicasOf: (service: string) => readonly Awaited[],
): string | undefined {
  for (const dependency of dependsOn) {
    const lacking = lacks(dependency, replicasOf(dependency.service));
    if (lacking !== undefined) return `waits for ${dependency.service}: ${lacking}`;
  }
  return undefined;
}

function lacks({ condition }: Dependency, replicas: readonly Awaited[]): string | undefined {
  if (replicas.length === 0) return undefined;
  const all = replicas.flatMap(({ units }) => units);
  if (condition === 'started')
    return all.some(({ state }) => state === 'running' || state === 'ready') ? undefined : 'it does not run yet';
  if (condition === 'healthy')
    return all.some(({ state }) => state === 'ready') ? undefined : 'no replica of it is ready yet';
  // What a former form of it did says nothing of this one.
  const now = replicas.map(({ hash, units }) => units.filter((unit) => unit.hash === hash));
  const failed = now.flat().find(({ state, reason }) => state === 'exited' && reason !== 'exit code 0');
  if (failed !== undefined) return `it ended with ${failed.reason ?? 'an error'}`;
  return now.every((units) => units.some(({ state }) => state === 'exited')) ? undefined : 'it has not ended yet';
}
