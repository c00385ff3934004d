/** From the view to what `Placement` needs: who is there, what is wanted, what runs. */
import type { AppState, CellsChange, MemberView } from '../core/model.ts';
import { newcomer } from '../core/model.ts';
import { serviceHash, sharedVolumes } from '../core/service.ts';
import type { ServiceSpec } from '../core/spec.ts';
import { ties } from '../core/ties.ts';
import type { PlacementCell, PlacementInput, PlacementService, Tied } from './filter.ts';
import { weightOf } from './filter.ts';

const cells = new WeakMap<MemberView, PlacementCell>();

/** A member that did not change gives the same cell. */
export function placementInput(members: readonly MemberView[], apps: readonly AppState[]): PlacementInput {
  return { cells: members.map(cellOf), services: apps.flatMap(servicesOf) };
}

export function cellOf(member: MemberView): PlacementCell {
  let cell = cells.get(member);
  if (cell === undefined) cells.set(member, (cell = made(member)));
  return cell;
}

function made({
  id,
  name,
  facts,
  labels,
  drain,
  cordon,
  leaving,
  held,
  state,
  vetoes,
  units,
}: MemberView): PlacementCell {
  return {
    ...{ id, name, facts, labels, drain, cordon: cordon === true, leaving: leaving === true, weight: weightOf(facts) },
    up: state === 'alive' || state === 'suspect',
    held: held !== undefined,
    vetoes: new Map(vetoes.map(({ service, hash, reason }) => [`${service}@${hash}`, reason])),
    // Also what is stopping: it may be about to start in its new form.
    units: [...new Set(units.map(({ replica }) => replica))],
  };
}

const backs = new WeakMap<ServiceSpec, ServiceSpec>();

/** What rollback_config says of the order holds in the place of what update_config does; the same object for the same spec. */
function onTheWayBack(spec: ServiceSpec): ServiceSpec {
  const order = spec.rollback?.order;
  if (order === undefined || order === spec.update?.order) return spec;
  let back = backs.get(spec);
  if (back === undefined) backs.set(spec, (back = { ...spec, update: { ...spec.update, order } }));
  return back;
}

const isBack = ({ undone, revision: { back, outcome } }: AppState): boolean =>
  undone !== undefined || (back === true && outcome === undefined);

/** What is to run of an app: its services, and what is left of its runs. */
export function servicesOf(app: AppState): PlacementService[] {
  if (app.stopped) return [];
  const isOn = (service: string): boolean => !app.stoppedServices.includes(service);
  const tied = tiedOf(app);
  const tieOf = (service: string): Pick<PlacementService, 'tie'> => {
    const tie = tied.get(service);
    return tie === undefined ? {} : { tie };
  };
  const services = app.revision.spec.services
    .filter(({ name, job }) => job === undefined && isOn(name))
    .map((written) => (isBack(app) ? onTheWayBack(written) : written))
    .map((spec) => ({
      ...{ app: app.name, spec, hash: serviceHash(spec, app.restarts[spec.name] ?? 0) },
      ...tieOf(spec.name),
    }));
  const runs = app.runs.flatMap(({ service, state, work, results }): PlacementService[] =>
    work === undefined || state !== 'open' || !isOn(service)
      ? []
      : [{ app: app.name, ...work, ended: Object.keys(results), ...tieOf(service) }],
  );
  return [...services, ...runs];
}

const tieds = new WeakMap<AppState, ReadonlyMap<string, Tied>>();

function tiedOf(app: AppState): ReadonlyMap<string, Tied> {
  let found = tieds.get(app);
  if (found === undefined) {
    found = new Map(
      [...ties(app.revision.spec.services)].map(([name, { volumes, constraints }]) => {
        const had = app.history.filter(({ spec }) =>
          spec.services.some(
            (one) => one.name === name && sharedVolumes(one).some((volume) => volumes.includes(volume)),
          ),
        );
        return [name, { volumes, constraints, since: Math.min(app.revision.seq, ...had.map(({ seq }) => seq)) }];
      }),
    );
    tieds.set(app, found);
  }
  return found;
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
  const fresh = {
    up: true,
    held: false,
    leaving: false,
    drain: false,
    cordon: false,
    vetoes: new Map<string, string>(),
    units: [],
  };
  const made = { ...fresh, id: newcomer, name: newcomer, facts, labels: add.labels ?? {}, weight: weightOf(facts) };
  return [...left, made];
}
