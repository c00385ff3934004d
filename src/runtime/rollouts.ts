/**
 * A change of an app: which replicas run in their former form, which are on their way, which came. That follows from the view alone,
 * so whoever owns the duty sees the same, and a successor goes on where the last one ended. Who leads it is in progress.ts.
 */
import { unitKey } from '../core/events.ts';
import { contentHash } from '../core/hash.ts';
import type { AppState, Assignment, Veto } from '../core/model.ts';
import { isRun } from '../core/runs.ts';
import type { UpdatePolicy } from '../core/spec.ts';
import { updateDefaults } from '../core/spec.ts';
import type { Told } from './reconcile.ts';

export interface Rollout {
  /** 'rollout/APP@DIGEST': of what all its services are made from. */
  duty: string;
  app: AppState;
  services: ServiceChange[];
}

/** Of the replicas of one service, by index. */
export interface ServiceChange {
  service: string;
  hash: string;
  policy: UpdatePolicy;
  count: number;
  /** In the former form, and not yet asked to change. */
  waiting: string[];
  /** Of those that wait: in the wanted form elsewhere, and on their way home. */
  returning: string[];
  /** Neither here nor there. */
  changing: string[];
  /** In the wanted form and ready, or ended as it should. */
  came: string[];
  /** With no place. */
  homeless: string[];
  /** How often each fell in the wanted form, and why it fell last; of those that did. */
  fell: Map<string, { times: number; isUp: boolean; reason: string }>;
  /** Cells that could not start it. */
  vetoes: string[];
}

const isUp = ({ state }: Told): boolean => state === 'ready' || state === 'running';
const hasEndedWell = ({ state, reason }: Told): boolean => state === 'exited' && reason === 'exit code 0';

/**
 * The apps of which a replica runs in a former form, or whose revision is not through yet. `assignments` stand together by service, in
 * replica order; `told` by replica.
 */
export function rolloutsOf(
  apps: readonly AppState[],
  assignments: readonly Assignment[],
  told: ReadonlyMap<string, readonly Told[]>,
  vetoes: readonly Veto[],
): Rollout[] {
  const byApp = new Map<string, ServiceChange[]>();
  const hasReplicas = new Set<string>();
  const states = new Map(apps.map((app) => [app.name, app]));
  for (let from = 0, to = 0; from < assignments.length; from = to) {
    const { app, service } = assignments[from]!;
    while (to < assignments.length && assignments[to]!.app === app && assignments[to]!.service === service) to++;
    const state = states.get(app);
    // What runs to its end is no part of a change.
    if (state === undefined || isRun(service)) continue;
    hasReplicas.add(app);
    const replicas = assignments.slice(from, to);
    // What is through is looked at only where something of a former form runs.
    if (isThrough(state) && !replicas.some((one) => runsFormer(one, told))) continue;
    byApp.set(app, [...(byApp.get(app) ?? []), changeOf(state, replicas, told, vetoes)]);
  }
  // Nothing is to run of it: it is through at once.
  for (const app of apps) if (!isThrough(app) && !isStopped(app) && !hasReplicas.has(app.name)) byApp.set(app.name, []);
  return [...byApp].map(([name, services]) => {
    const digest = contentHash(services.map(({ service, hash }) => [service, hash])).slice(0, 12);
    return { duty: `rollout/${name}@${digest}`, app: states.get(name)!, services };
  });
}

const isThrough = ({ revision }: AppState): boolean => revision.outcome !== undefined;

const isStopped = ({ stopped, stoppedServices, revision }: AppState): boolean =>
  stopped || (stoppedServices.length > 0 && stoppedServices.length >= revision.spec.services.length);

const runsFormer = ({ replica, hash, cell }: Assignment, told: ReadonlyMap<string, readonly Told[]>): boolean =>
  cell !== undefined && (told.get(replica) ?? []).some((unit) => unit.hash !== hash && isUp(unit));

function changeOf(
  app: AppState,
  replicas: readonly Assignment[],
  told: ReadonlyMap<string, readonly Told[]>,
  vetoes: readonly Veto[],
): ServiceChange {
  const { service, hash } = replicas[0]!;
  const change: ServiceChange = {
    ...{ service, hash, policy: policyOf(app, service), count: replicas.length },
    ...{ waiting: [], returning: [], changing: [], came: [], homeless: [], fell: new Map() },
    vetoes: vetoes
      .filter((veto) => veto.service === `${app.name}/${service}` && veto.hash === hash)
      .map(({ reason }) => reason),
  };
  for (const { replica, index, cell } of replicas) {
    const units = told.get(replica) ?? [];
    const now = units.find((unit) => unit.hash === hash && (unit.restarts > 0 || unit.state === 'exited'));
    if (now !== undefined && !hasEndedWell(now)) {
      const times = Math.max(now.restarts, now.state === 'exited' ? 1 : 0);
      change.fell.set(index, { times, isUp: isUp(now), reason: now.reason ?? 'it ended' });
    }
    if (cell === undefined) {
      change.homeless.push(index);
      continue;
    }
    const isOld = units.some((unit) => unit.cell === cell && unit.hash !== hash && isUp(unit));
    const isNew = units.some((unit) => unit.hash === hash && (unit.state === 'ready' || hasEndedWell(unit)));
    const hasEnded = units.some((unit) => unit.hash === hash && unit.state === 'exited');
    if (isNew && !isOld) change.came.push(index);
    // What runs nowhere is on its way by itself, and keeps nobody waiting.
    else if (units.length === 0 || hasEnded) continue;
    else if (!isNew && units.some((unit) => unit.hash === hash || !isUp(unit))) change.changing.push(index);
    else change.waiting.push(index);
    if (isNew && isOld) change.returning.push(index);
  }
  return change;
}

/** As the file says; on the way back as rollback_config says, and never back further. */
function policyOf({ revision, undone }: AppState, service: string): UpdatePolicy {
  const spec = revision.spec.services.find(({ name }) => name === service);
  const isBack = undone !== undefined || revision.back === true;
  const given = { ...spec?.update, ...(isBack ? { onFailure: 'pause' as const, ...spec?.rollback } : {}) };
  const policy = { ...updateDefaults, ...given };
  return isBack && policy.onFailure === 'rollback' ? { ...policy, onFailure: 'pause' } : policy;
}

/** A service of one replica needs nobody's leave. */
const isAlone = ({ count }: ServiceChange): boolean => count === 1;

/** Is there anything to give orders for? */
export const needsLeader = ({ services }: Rollout): boolean =>
  services.some((change) => !isAlone(change) && (change.waiting.length > 0 || change.changing.length > 0));

/**
 * Keys of the units that may take the place of a former form now; `go` by duty. Nothing changes in an app that is paused, but what runs
 * in the wanted form already comes home.
 */
export function turnsOf(rollouts: readonly Rollout[], go: (duty: string) => readonly string[]): Set<string> {
  const turns = new Set<string>();
  for (const { duty, app, services } of rollouts) {
    const given = new Set(go(duty));
    for (const change of services) {
      const { service, hash, waiting, changing, returning } = change;
      for (const index of app.paused === undefined ? [...waiting, ...changing] : returning) {
        if (app.paused === undefined && !isAlone(change) && !given.has(`${service}/${index}`)) continue;
        turns.add(unitKey(`${app.name}/${service}/${index}`, hash));
      }
    }
  }
  return turns;
}
