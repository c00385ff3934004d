/** From the view to what `Placement` needs: who is there, what is wanted, what runs. */
import { contentHash } from '../core/hash.ts';
import type { AppState, CellsChange, MemberView, ServiceSpec } from '../core/model.ts';
import { newcomer } from '../core/model.ts';
import type { PlacementCell, PlacementInput, PlacementService } from './filter.ts';
import { weightOf } from './filter.ts';

const cells = new WeakMap<MemberView, PlacementCell>();
const hashes = new WeakMap<ServiceSpec, { restarts: number; hash: string }>();

/** Identity of what a container is made from: a change of it replaces the container, anything else does not. */
export function serviceHash(spec: ServiceSpec, restarts: number): string {
  const known = hashes.get(spec);
  if (known?.restarts === restarts) return known.hash;
  const {
    replicas: _r,
    mode: _m,
    constraints: _c,
    strict: _s,
    update: _u,
    rollback: _b,
    dependsOn: _d,
    ...made
  } = spec;
  const hash = contentHash({ made, restarts });
  hashes.set(spec, { restarts, hash });
  return hash;
}

/** A member that did not change gives the same cell. */
export function placementInput(members: readonly MemberView[], apps: readonly AppState[]): PlacementInput {
  return { cells: members.map(cellOf), services: apps.flatMap(servicesOf) };
}

export function cellOf(member: MemberView): PlacementCell {
  let cell = cells.get(member);
  if (cell === undefined) cells.set(member, (cell = made(member)));
  return cell;
}

function made({ id, name, facts, labels, drain, leaving, held, state, vetoes, units }: MemberView): PlacementCell {
  return {
    ...{ id, name, facts, labels, drain, leaving: leaving === true, weight: weightOf(facts) },
    up: state === 'alive' || state === 'suspect',
    held: held !== undefined,
    vetoes: new Map(vetoes.map(({ service, hash, reason }) => [`${service}@${hash}`, reason])),
    // Also what is stopping: it may be about to start in its new form.
    units: [...new Set(units.map(({ replica }) => replica))],
  };
}

export function servicesOf(app: AppState): PlacementService[] {
  if (app.stopped) return [];
  return app.revision.spec.services
    .filter(({ name }) => !app.stoppedServices.includes(name))
    .map((spec) => ({ app: app.name, spec, hash: serviceHash(spec, app.restarts[spec.name] ?? 0) }));
}

/** The cells as they would be. */
export function withChange(cells: readonly PlacementCell[], { remove, add }: CellsChange): PlacementCell[] {
  const left = cells.filter(({ id }) => id !== remove);
  const middle = [...cells].sort((a, b) => a.weight - b.weight)[cells.length >> 1];
  if (add === undefined || middle === undefined) return left;
  const facts = {
    ...middle.facts,
    ...(add.cpus === undefined ? {} : { cpuMilli: Math.round(add.cpus * 1_000) }),
    ...(add.memoryBytes === undefined ? {} : { memoryBytes: add.memoryBytes }),
  };
  const fresh = { up: true, held: false, leaving: false, drain: false, vetoes: new Map<string, string>(), units: [] };
  const made = { ...fresh, id: newcomer, name: newcomer, facts, labels: add.labels ?? {}, weight: weightOf(facts) };
  return [...left, made];
}
