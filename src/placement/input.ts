/** From the view to what `place` needs: who is there, what is wanted, what runs. */
import { contentHash } from '../core/hash.ts';
import type { AppState, CellId, MemberView, ServiceSpec } from '../core/model.ts';
import type { PlacementCell, PlacementInput, PlacementService } from './filter.ts';
import { weightOf } from './filter.ts';

/** Identity of what a container is made from: a change of it replaces the container, anything else does not. */
export function serviceHash(spec: ServiceSpec, restarts: number): string {
  const { replicas: _replicas, mode: _mode, constraints: _constraints, ...made } = spec;
  return contentHash({ made, restarts });
}

export function placementInput(members: readonly MemberView[], apps: readonly AppState[]): PlacementInput {
  const running = new Map<string, CellId[]>();
  for (const member of members) {
    if (member.state !== 'alive' && member.state !== 'suspect') continue;
    for (const { replica, state } of member.units) {
      if (state !== 'exited') running.set(replica, [...(running.get(replica) ?? []), member.id]);
    }
  }
  return { cells: members.map(cellOf), services: apps.flatMap(servicesOf), running };
}

function cellOf(member: MemberView): PlacementCell {
  const { id, name, facts, labels, drain, state } = member;
  const vetoes = new Map(member.vetoes.map(({ service, hash, reason }) => [`${service}@${hash}`, reason]));
  return {
    id,
    name,
    facts,
    labels,
    drain,
    up: state === 'alive' || state === 'suspect',
    vetoes,
    weight: weightOf(facts),
  };
}

export function servicesOf(app: AppState): PlacementService[] {
  if (app.stopped) return [];
  return app.revision.spec.services
    .filter(({ name }) => !app.stoppedServices.includes(name))
    .map((spec) => ({ app: app.name, spec, hash: serviceHash(spec, app.restarts[spec.name] ?? 0) }));
}
