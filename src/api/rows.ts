/** What people read, projected from the view: pure, the same rows for the CLI, the API and the tests. */

import { penaltyMs } from '../core/flapping.ts';
import { compare } from '../core/hash.ts';
import type { AppState, Assignment, ClusterView, MemberView, Run, UnitState, UnitStatus } from '../core/model.ts';
import { isRun, servicePart } from '../core/runs.ts';

export interface ReplicaRow {
  replica: string;
  app: string;
  service: string;
  index: string;
  /** The cell's name; '' where it is pending. */
  cell: string;
  cellId: string;
  state: UnitState | 'pending';
  sinceMs: number;
  restarts: number;
  ports: number[];
  reason: string;
  hash: string;
  /** Is it where placement wants it, in the form that is wanted? */
  current: boolean;
}

const isHere = ({ state }: MemberView): boolean => state === 'alive' || state === 'suspect';

/** Of what runs or should; runs that have ended are history (running.ts). */
export function replicaRows(view: ClusterView, app?: string, service?: string): ReplicaRow[] {
  return allRows(view, app, service).filter((row) => row.current || row.state !== 'exited' || !isRun(row.service));
}

/** Also what ended and is kept for what it wrote. A service has the rows of its runs too. */
export function allRows(view: ClusterView, app?: string, service?: string): ReplicaRow[] {
  const rows: ReplicaRow[] = [];
  const told = new Map<string, { member: MemberView; unit: UnitStatus }[]>();
  for (const member of view.members.filter(isHere)) {
    for (const unit of member.units) told.set(unit.replica, [...(told.get(unit.replica) ?? []), { member, unit }]);
  }
  for (const assignment of view.assignments) {
    const units = told.get(assignment.replica) ?? [];
    told.delete(assignment.replica);
    const isCurrent = ({ member, unit }: (typeof units)[number]): boolean =>
      member.id === assignment.cell && unit.hash === assignment.hash;
    if (!units.some(isCurrent)) rows.push(missingRow(view, assignment));
    for (const one of units) rows.push(unitRow(one.member, one.unit, isCurrent(one)));
  }
  for (const units of told.values()) for (const { member, unit } of units) rows.push(unitRow(member, unit, false));
  const wanted = rows.filter(
    (row) =>
      (app === undefined || row.app === app) &&
      (service === undefined || row.service === service || servicePart(row.service) === service),
  );
  return wanted.sort(
    (a, b) =>
      compare(a.app, b.app) ||
      compare(a.service, b.service) ||
      Number(a.index) - Number(b.index) ||
      compare(a.index, b.index) ||
      compare(a.cell, b.cell),
  );
}

function unitRow(member: MemberView, unit: UnitStatus, current: boolean): ReplicaRow {
  const [app, service, index] = unit.replica.split('/') as [string, string, string];
  const { replica, hash, state, sinceMs, restarts, ports, reason } = unit;
  return {
    ...{ replica, app, service, index, cell: member.name, cellId: member.id, state, sinceMs, restarts, ports },
    ...{ reason: reason ?? '', hash, current },
  };
}

/** Assigned and not yet told of, or assigned to nobody. */
function missingRow(view: ClusterView, { replica, app, service, index, hash, cell, verdicts }: Assignment): ReplicaRow {
  const member = view.members.find(({ id }) => id === cell);
  const state = cell === undefined ? 'pending' : 'starting';
  const held = view.waits[`${app}/${service}`] ?? (isStrict(view, app, service) ? leaseReason(view) : '');
  const reason = cell === undefined ? pendingReason(verdicts) : held;
  const base = {
    replica,
    app,
    service,
    index,
    hash,
    cell: member?.name ?? '',
    cellId: cell ?? '',
    sinceMs: 0,
    restarts: 0,
    ports: [],
  };
  return { ...base, state, reason, current: true };
}

function isStrict({ apps }: ClusterView, app: string, service: string): boolean {
  const state = apps.find(({ name }) => name === app);
  const spec = state?.revision.spec.services.find(({ name }) => name === service);
  return (spec ?? state?.runs.find(({ name }) => name === service)?.work?.spec)?.strict === true;
}

/** What a strict replica waits for. */
function leaseReason({ quorum: { cells, seen, needed } }: ClusterView): string {
  if (seen >= needed) return 'strict: waits until no other cell can run it';
  return `strict: held back, ${seen} of ${cells} cells seen, ${needed} are needed`;
}

export function pendingReason(verdicts: Assignment['verdicts']): string {
  if (verdicts.length === 0) return 'no cell fits';
  const said = new Map<string, string[]>();
  for (const { name, reason } of verdicts) said.set(reason, [...(said.get(reason) ?? []), name]);
  return [...said].map(([reason, names]) => `${names.join(', ')}: ${reason}`).join('; ');
}

export interface RevisionRow {
  number: number;
  revision: string;
  /** `running`: it is what should run. */
  running: boolean;
  /** done, rolled back, on its way, or nothing where another came before it was through. */
  state: 'done' | 'rolled back' | 'on its way' | 'paused' | '';
  reason: string;
  by: string;
  atMs: number;
  note: string;
}

/** Newest first. */
export function revisionRows({ history, revision, next, paused }: AppState): RevisionRow[] {
  return history
    .map((one): RevisionRow => {
      const running = one.id === revision.id;
      const open = running || one === next ? (paused === undefined ? 'on its way' : 'paused') : '';
      const state = one.outcome === undefined ? open : one.outcome.state === 'done' ? 'done' : 'rolled back';
      const waits = one === next ? 'waits for its pre_deploy' : '';
      const reason = one.outcome?.reason ?? (state === 'paused' ? paused!.reason : waits);
      return {
        ...{ number: one.seq, revision: one.id, running, state, reason, by: one.by, atMs: one.atMs, note: one.note },
      };
    })
    .reverse();
}

export interface AppRow {
  app: string;
  revision: string;
  /** Of the revision that was rolled back, or why it is paused; '' where all is well. */
  trouble: string;
  services: number;
  ready: number;
  wanted: number;
  state: 'running' | 'starting' | 'degraded' | 'stopped';
  by: string;
  atMs: number;
}

export function appRow(view: ClusterView, app: AppState): AppRow {
  const rows = replicaRows(view, app.name).filter(({ current }) => current);
  const ready = rows.filter(isFine).length;
  const { revision } = app;
  const stopped = app.stopped || app.stoppedServices.length === revision.spec.services.length;
  const failing = rows.some(({ state, restarts }) => state === 'pending' || (state === 'backoff' && restarts > 0));
  const state = stopped ? 'stopped' : ready === rows.length ? 'running' : failing ? 'degraded' : 'starting';
  const { id, by, atMs } = revision;
  return {
    app: app.name,
    revision: id,
    trouble: troubleOf(app),
    services: revision.spec.services.length,
    ready,
    wanted: rows.length,
    state,
    by,
    atMs,
  };
}

function troubleOf({ undone, next, withheld, paused, runs }: AppState): string {
  if (undone !== undefined) return `revision ${undone.seq} was rolled back: ${undone.outcome?.reason ?? ''}`;
  if (paused !== undefined) return paused.by === '' ? `paused: ${paused.reason}` : paused.reason;
  if (next !== undefined) return `revision ${next.seq} waits for its pre_deploy`;
  const [held] = Object.values(withheld);
  if (held !== undefined) return held;
  // Of each job the last run counts.
  const last = runs.filter((run, i) => runs.findIndex(({ service }) => service === run.service) === i);
  const failed = last.find(({ state, cause }) => state === 'failed' && cause !== 'pre_deploy' && cause !== 'request');
  return failed === undefined ? '' : `${failed.name} failed: ${failureOf(failed)}`;
}

const failureOf = ({ results }: Run): string => Object.values(results).find(({ ok }) => !ok)?.reason ?? '';

/** Ready, or ended as it should. */
export const isFine = ({ state, reason }: ReplicaRow): boolean =>
  state === 'ready' || (state === 'exited' && reason === 'exit code 0');

export interface CellRow {
  name: string;
  id: string;
  self: boolean;
  state: string;
  /** When this cell saw it come into this state, Unix ms. */
  sinceMs: number;
  master: boolean;
  drain: boolean;
  cordon: boolean;
  /** It hands over what it runs. */
  leaving: boolean;
  /** It fell so often of late that it gets no replicas for a while; 0 where not. */
  falls: number;
  /** For so long after each fall, ms. */
  heldMs: number;
  replicas: number;
  arch: string;
  cpus: number;
  memoryBytes: number;
  cpuPercent: number;
  memoryUsedBytes: number;
  engine: string;
  labels: Record<string, string>;
  addrs: string[];
  version: string;
  rttMs?: number;
}

/** `wallMs`: what Unix time a moment of the cell's own clock is. */
export function cellRows(view: ClusterView, wallMs: (ms: number) => number): CellRow[] {
  return view.members.map((member) => ({
    ...{
      name: member.name,
      id: member.id,
      self: member.self,
      state: member.state,
      sinceMs: Math.round(wallMs(member.sinceMs)),
      master: member.master > 0,
      drain: member.drain,
      cordon: member.cordon === true,
      leaving: member.leaving === true,
      falls: member.held ?? 0,
      heldMs: penaltyMs(member.held ?? 0),
    },
    ...{
      replicas: member.units.filter(({ state }) => state === 'ready' || state === 'running').length,
      arch: member.facts.arch,
    },
    ...{ cpus: member.facts.cpuMilli / 1_000, memoryBytes: member.facts.memoryBytes, engine: member.facts.engine },
    ...{ cpuPercent: member.load.cpuPercent, memoryUsedBytes: member.load.memoryUsedBytes, labels: member.labels },
    ...{ addrs: member.addrs, version: member.facts.version },
    ...(member.rttMs === undefined ? {} : { rttMs: Math.round(member.rttMs * 100) / 100 }),
  }));
}
