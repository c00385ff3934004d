/**
 * The vocabulary: what is wanted (apps, services: spec.ts), what is (members, units), and the view that joins them. Plain,
 * immutable JSON values, the same in frames, in the document, in the API and in the tests.
 */
import type { AppSpec, ServiceSpec } from './spec.ts';

/** A libp2p peer id of an Ed25519 key: it contains the public key. */
export type CellId = string;

export interface Revision {
  /** Content hash of the normalised app. */
  id: string;
  /** Position in the app's history, from 1. */
  seq: number;
  parent?: string;
  /** What ran when it was deployed: it runs on until the hooks of this one have run. */
  over?: string;
  atMs: number;
  by: string;
  /** What made it: 'deploy compose.yaml', 'scale web=3'. */
  note: string;
  /** An older one that was picked again. */
  back?: true;
  /** It was through before it was picked again. */
  wasDone?: true;
  spec: AppSpec;
  /** How its rollout ended; absent while it goes on, or where another came before it was through. */
  outcome?: Outcome;
}

/** `done`: all its replicas came and stayed. `undone`: too many failed, and the last that was done runs in its place. */
export interface Outcome {
  /** Of the revision: one that is deployed again begins anew. */
  seq: number;
  state: 'done' | 'undone';
  reason?: string;
  atMs: number;
}

/** Nothing that runs changes its form. */
export interface Pause {
  /** A cell's name, where a person asked; '' where too many replicas failed. */
  by: string;
  reason: string;
  /** Of the revision that failed: another is not held up by it. */
  seq?: number;
}

/**
 * One time that a job runs. `deploy`: a job of the revision that runs; `schedule`: its time came; `request`: somebody asked for it;
 * `pre_deploy`: a change waits for it.
 */
export interface Run {
  /** 'SERVICE.ID': the service of its replicas. */
  name: string;
  service: string;
  /** Id of the revision that it is made from; of those that were asked for or had their time. */
  revision?: string;
  cause: 'deploy' | 'schedule' | 'request' | 'pre_deploy';
  /** When it was asked for, or should have been begun. */
  atMs: number;
  by: string;
  /** How it runs, as the revision has it from which it was begun; absent where that is gone. */
  work?: { spec: ServiceSpec; hash: string };
  /** How its replicas ended, by index. */
  results: Readonly<Record<string, RunResult>>;
  state: 'open' | 'done' | 'failed' | 'skipped';
}

export interface RunResult {
  ok: boolean;
  reason: string;
  cell: CellId;
  startMs: number;
  endMs: number;
}

/** What people want of one app now. */
export interface AppState {
  name: string;
  /** What should run. */
  revision: Revision;
  history: Revision[];
  /** The newest, where it was rolled back. */
  undone?: Revision;
  /** The newest, where it waits until what is to run before it has run. */
  next?: Revision;
  /** Services that do not begin for the same reason, and why, where nothing ran before. */
  withheld: Readonly<Record<string, string>>;
  /** Of its jobs, newest first. */
  runs: readonly Run[];
  paused?: Pause;
  /** Its failures don't count: somebody resumed it after it had paused. */
  insists?: true;
  stopped: boolean;
  /** Services stopped one by one. */
  stoppedServices: string[];
  /** service -> how often a restart was asked for; of a job, or of 'SERVICE.pre', its hook: how often it was to run again. */
  restarts: Record<string, number>;
}

export interface CellSettings {
  name?: string;
  labels: Record<string, string>;
  drain: boolean;
  /** It keeps what it runs, and gets nothing more. */
  cordon?: true;
}

/** What holds for the whole appliance; the same on every cell. */
export interface ApplianceSettings {
  /** Cells step up as masters below this many. */
  mastersThreshold: number;
  /** Masters step down above this many. */
  mastersMaximum: number;
  /** Replicas that may be on their way to one cell while their old copies run still. */
  maxMoves: number;
}

export const settingsDefaults: ApplianceSettings = { mastersThreshold: 2, mastersMaximum: 3, maxMoves: 4 };

/** A version that all cells are to run, signed by the cell that was told so. */
export interface Release {
  /** Hash of what is signed. */
  id: string;
  version: string;
  /** By architecture, as Debian calls it. */
  packages: Readonly<Record<string, PackageSum>>;
  /** So long a cell must be well with it before it keeps it. */
  wellMs: number;
  atMs: number;
  by: CellId;
  sig: string;
  /** `done`: all that were up have it; `halted`: one could not, and no other tries. */
  outcome?: { state: 'done' | 'halted'; reason: string; atMs: number };
}

export interface PackageSum {
  /** SHA-256, hex. */
  sha256: string;
  bytes: number;
}

/** Where a cell stands with a release that it was told to take; nothing where it has it. */
export interface Upgrade {
  /** Its id. */
  release: string;
  state: 'fetching' | 'trying' | 'failed';
  reason?: string;
}

/** An entry of the trust log (gossip/trust.ts) as JSON; `key` gives its place, the same on every cell. */
export interface TrustItem {
  key: string;
  text: string;
}

/** What a cell says about its machine. Slow facts; load is apart. */
export interface CellFacts {
  version: string;
  os: string;
  arch: string;
  cpuMilli: number;
  memoryBytes: number;
  /** 'Docker 26.1.5', 'Podman 4.3.1', or '' without an engine. */
  engine: string;
  hostname: string;
  /** It can take another version by itself. */
  upgrades?: true;
  gpus?: number;
  /** Of the devices that services name, those that are there. */
  devices?: string[];
}

export interface Load {
  cpuPercent: number;
  memoryUsedBytes: number;
}

export type UnitState = 'pulling' | 'starting' | 'running' | 'ready' | 'backoff' | 'exited' | 'stopping';

/** One replica on one cell, as its cell tells it. */
export interface UnitStatus {
  /** app/service/index */
  replica: string;
  /** Hash of the service spec it runs. */
  hash: string;
  state: UnitState;
  sinceMs: number;
  restarts: number;
  /** host ports in the order of the spec's ports */
  ports: number[];
  /** In words, where there is something to say: 'exit code 1', 'image pull 40 %'. */
  reason?: string;
}

/** "I can't run this service, and why": placement looks elsewhere until it ends. */
export interface Veto {
  service: string;
  hash: string;
  reason: string;
}

/** What the owner of a duty tells the others (placement/duties.ts). */
export interface Order {
  /** 'rollout/APP@DIGEST', 'upgrade/RELEASE' */
  duty: string;
  epoch: number;
  /** 'SERVICE/INDEX' of the replicas that may change now; of an upgrade the id of the cell. */
  go: string[];
}

export type MemberState = 'alive' | 'suspect' | 'down' | 'left';

/** What a cell publishes about itself, whole, whenever it changes. */
export interface MemberRecord {
  name: string;
  addrs: string[];
  facts: CellFacts;
  load: Load;
  units: UnitStatus[];
  vetoes: Veto[];
  /** 0, or the epoch in which it stepped up as a master. */
  master: number;
  /** Of the duties that it owns. */
  orders?: Order[];
  upgrade?: Upgrade;
  /** What is sealed for it alone is sealed with this (core/vault.ts). */
  box?: string;
  /** It hands over what it runs, and goes then. */
  leaving?: true;
  /** It starts anew, and is back within so many ms: what it runs goes on meanwhile. */
  returns?: number;
  /** It fell so often of late that it gets no replicas for a while. */
  held?: number;
  left: boolean;
}

export interface MemberView extends MemberRecord {
  id: CellId;
  self: boolean;
  state: MemberState;
  incarnation: number;
  labels: Record<string, string>;
  drain: boolean;
  /** It keeps what it runs, and gets nothing more. */
  cordon?: true;
  /** Smoothed round trip, in ms, where this cell observes it. */
  rttMs?: number;
  sinceMs: number;
}

/** A cell more or less, to see what would move. */
export interface CellsChange {
  remove?: CellId;
  /** Without numbers: a machine like the middle one of those that are there. */
  add?: { cpus?: number; memoryBytes?: number; labels?: Record<string, string> };
}

/** Stands for the id and the name of a cell that is not there yet. */
export const newcomer = '(new cell)';

/** Where a replica should run, or why it can't. */
export interface Assignment {
  replica: string;
  app: string;
  service: string;
  index: string;
  hash: string;
  cell?: CellId;
  /** The verdict of every cell that does not fit. */
  verdicts: Verdict[];
}

export interface Verdict {
  cell: CellId;
  name: string;
  fits: boolean;
  reason: string;
}

export interface TicketView {
  id: string;
  uses: number;
  used: number;
  expiresMs: number;
  state: 'valid' | 'expired' | 'used up' | 'revoked';
}

export interface PendingCell {
  id: CellId;
  name: string;
  code: string;
  sinceMs: number;
}

export interface LogEvent {
  seq: number;
  atMs: number;
  level: 'info' | 'warn' | 'error';
  kind: string;
  message: string;
}

export type Phase = 'fresh' | 'listening' | 'joining' | 'waiting' | 'member' | 'revoked';

/** What one cell believes now. */
export interface ClusterView {
  phase: Phase;
  /** All members were heard of since the start, or were waited for long enough: this cell acts on what it sees. */
  mature: boolean;
  self: CellId;
  appliance: string;
  members: readonly MemberView[];
  apps: AppState[];
  assignments: Assignment[];
  /** 'APP/SERVICE' of those that wait for others before they start, and for what. */
  waits: Readonly<Record<string, string>>;
  masters: CellId[];
  /** The orders that are obeyed here, and who gave them. */
  duties: (Order & { by: CellId })[];
  settings: ApplianceSettings;
  /** The newest. */
  release?: Release;
  /** Of the cells that decide (all, up to fifteen), those seen here, this one too: `needed` of them may run strict services. */
  quorum: { cells: number; seen: number; needed: number };
  pending: PendingCell[];
  tickets: TicketView[];
  /** Where a join stands: the short code to compare, why it was refused, or what is to know of the ticket. */
  join?: { code?: string; appliance?: string; refused?: string; note?: string };
  counters: Record<string, number>;
}

export const replicaId = (app: string, service: string, index: string): string => `${app}/${service}/${index}`;
