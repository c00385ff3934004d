/** What a deploy would change, before it does: services and moves, as data. */

import { canonical } from '../core/hash.ts';
import type { AppState, CellsChange, ClusterView, Revision } from '../core/model.ts';
import { newcomer } from '../core/model.ts';
import { runsOf } from '../core/runs.ts';
import type { Host } from '../node/host.ts';
import type { ComposeResult } from '../specs/compose.ts';
import { pendingReason } from './rows.ts';

export interface PlanStep {
  service: string;
  change: 'add' | 'remove' | 'replace' | 'scale' | 'keep';
  detail: string;
}

export interface Plan {
  app: string;
  changes: boolean;
  steps: PlanStep[];
  replicas: {
    replica: string;
    cell: string;
    change: 'start' | 'keep' | 'replace' | 'stop' | 'pending';
    reason: string;
  }[];
  warnings: string[];
}

export function planOf(host: Host, { app: read, builds, files, warnings }: ComposeResult): Plan {
  const spec = host.cell.resolved(read, files);
  const view = host.view();
  const now = view.apps.find(({ name }) => name === spec.name);
  // An image is built only by a deploy; until then the one that runs stands for it.
  const services = spec.services.map((service) => {
    const running = now?.revision.spec.services.find(({ name }) => name === service.name);
    if (builds[service.name] === undefined || running?.image === undefined) return service;
    return { ...service, image: running.image, ...(running.builtOn === undefined ? {} : { builtOn: running.builtOn }) };
  });
  const revision: Revision = { id: 'plan', seq: 0, atMs: 0, by: '', note: '', spec: { ...spec, services } };
  const restarts = now?.restarts ?? {};
  const results = new Map((now?.runs ?? []).map((run) => [run.name, run.results]));
  const runs = runsOf(revision, [], restarts, { records: new Map(), results });
  const state = { history: [], stopped: false, stoppedServices: [], withheld: {} };
  const next: AppState = { name: spec.name, revision, ...state, restarts, runs };
  const before = host.cell.whatIf(view.apps);
  const after = host.cell.whatIf([...view.apps.filter(({ name }) => name !== spec.name), next]);
  const steps = stepsOf(now, next, before.hashes, after.hashes);
  const replicas = replicasOf(view, spec.name, before.assignments, after.assignments);
  const notes = Object.keys(builds).map(
    (service) => `${service} is built when it is deployed; a changed context replaces it`,
  );
  const changes = steps.some(({ change }) => change !== 'keep') || (now?.stopped ?? false);
  return { app: spec.name, changes, steps, replicas, warnings: [...warnings, ...notes] };
}

function stepsOf(
  now: AppState | undefined,
  next: AppState,
  before: Map<string, string>,
  after: Map<string, string>,
): PlanStep[] {
  const old = new Map((now?.revision.spec.services ?? []).map((service) => [service.name, service]));
  const steps = next.revision.spec.services.map((service): PlanStep => {
    const former = old.get(service.name);
    old.delete(service.name);
    const run = next.runs.find((one) => one.service === service.name && one.cause === 'deploy');
    const key = `${next.name}/${run?.name ?? service.name}`;
    if (former === undefined)
      return {
        service: service.name,
        change: 'add',
        detail: `${service.replicas} × ${service.image ?? service.command?.join(' ') ?? ''}`,
      };
    const changes = differences(former, service);
    const detail = changes.join('; ');
    if (before.get(key) !== after.get(key))
      return { service: service.name, change: 'replace', detail: changes.length === 0 ? 'it was stopped' : detail };
    return { service: service.name, change: changes.length === 0 ? 'keep' : 'scale', detail };
  });
  return [...steps, ...[...old.keys()].map((service): PlanStep => ({ service, change: 'remove', detail: '' }))];
}

/** 'image: web:1 → web:2', one for each value that differs. */
function differences(former: object, now: object, path = ''): string[] {
  const fields = [...new Set([...Object.keys(former), ...Object.keys(now)])];
  return fields.flatMap((field) => {
    const [a, b] = [former, now].map((one): unknown => (one as Record<string, unknown>)[field]);
    if (canonical(a ?? null) === canonical(b ?? null)) return [];
    const name = path === '' ? field : `${path}.${field}`;
    if (isMapping(a) && isMapping(b)) return differences(a, b, name);
    return [`${name}: ${shown(a)} → ${shown(b)}`];
  });
}

const isMapping = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function shown(value: unknown): string {
  if (value === undefined) return '(none)';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

type Placed = ClusterView['assignments'];

function replicasOf(view: ClusterView, app: string, before: Placed, after: Placed): Plan['replicas'] {
  const names = new Map(view.members.map(({ id, name }) => [id, name]));
  const old = new Map(before.filter((one) => one.app === app).map((one) => [one.replica, one]));
  const rows = after
    .filter((one) => one.app === app)
    .map((one): Plan['replicas'][number] => {
      const former = old.get(one.replica);
      old.delete(one.replica);
      const cell = names.get(one.cell ?? '') ?? '';
      if (one.cell === undefined)
        return { replica: one.replica, cell, change: 'pending', reason: pendingReason(one.verdicts) };
      if (former?.cell === undefined) return { replica: one.replica, cell, change: 'start', reason: '' };
      if (former.hash !== one.hash) return { replica: one.replica, cell, change: 'replace', reason: '' };
      if (former.cell === one.cell) return { replica: one.replica, cell, change: 'keep', reason: '' };
      return {
        replica: one.replica,
        cell,
        change: 'start',
        reason: `moves from ${names.get(former.cell) ?? former.cell}`,
      };
    });
  const gone = [...old.values()].map(({ replica, cell }) => ({
    replica,
    cell: names.get(cell ?? '') ?? '',
    change: 'stop' as const,
    reason: '',
  }));
  return [...rows, ...gone];
}

/** What would move if a cell went or came. */
export interface MovesPlan {
  moves: { replica: string; from: string; to: string; reason: string }[];
  /** Replicas that stay where they are. */
  stay: number;
}

export function movesOf(host: Host, change: CellsChange): MovesPlan {
  const view = host.view();
  const names = new Map(view.members.map(({ id, name }) => [id, name]));
  const nameOf = (id = ''): string => (id === newcomer ? newcomer : (names.get(id) ?? ''));
  const after = host.cell.whatIfCells(change);
  const before = new Map(view.assignments.map((one) => [one.replica, one.cell]));
  const moved = after.filter(({ replica, cell }) => before.get(replica) !== cell);
  const moves = moved.map(({ replica, cell, verdicts }) => ({
    ...{ replica, from: nameOf(before.get(replica)), to: nameOf(cell) },
    reason: cell === undefined ? pendingReason(verdicts) : '',
  }));
  return { moves, stay: after.length - moved.length };
}
