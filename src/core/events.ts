/**
 * The two unions through which a cell meets the world. An Event says what happened; an Effect says what to do. Both
 * are plain values: a run is a list of them, and the same list gives the same run.
 */

import type { ApplianceSettings, CellFacts, CellId, Load, LogEvent, PackageSum, Release, Upgrade } from './model.ts';
import type { AppSpec, Check, FileSource, ServiceSpec } from './spec.ts';

/** Which question about a replica (runtime/pulse.ts). */
export type ProbeName = 'health' | 'startup' | 'ready' | 'live';

export type TimerName = 'tick' | 'settle';

/** How a replica ended. */
export interface Exit {
  exitCode: number;
  oom: boolean;
  /** Which of several containers; absent: the first, or the only one. */
  part?: string;
}

/** What a runtime driver sees of one replica. */
export interface Observed {
  /** app/service/index */
  replica: string;
  hash: string;
  /** The driver's own handle: container id, process folder. */
  handle: string;
  running: boolean;
  startedAtMs: number;
  /** Since then, where it was found. */
  ageMs?: number;
  /** Where it does not run. */
  exit?: Exit;
  ports: number[];
  driver: ServiceSpec['driver'];
}

/** A replica to run: everything a driver needs. */
export interface UnitSpec {
  replica: string;
  app: string;
  index: string;
  hash: string;
  service: ServiceSpec;
}

/** What people ask for; answered by one `reply` effect with the same `id`. */
export type Request =
  /** `files`: what files of its services hold, by name. `keySeed` makes a key for secrets where there is none yet. */
  | {
      op: 'deploy';
      spec: AppSpec;
      files?: Record<string, FileSource>;
      keySeed?: string;
      by: string;
      note: string;
      acks: number;
    }
  | { op: 'remove'; app: string }
  | { op: 'stop'; app: string; service?: string; stopped: boolean }
  | { op: 'restart'; app: string; service?: string }
  | { op: 'scale'; app: string; service: string; replicas: number; by: string }
  /** `to`: number or id of a revision; without it the last before the present one that was done. */
  | { op: 'rollback'; app: string; to?: string; by: string }
  /** `id`: of the run, new. `cell`: where it must run. */
  | {
      op: 'run';
      app: string;
      service: string;
      id: string;
      command?: string[];
      environment?: Record<string, string>;
      cell?: CellId;
      by: string;
    }
  | { op: 'run.cancel'; app: string; run: string; by: string }
  | { op: 'pause'; app: string; paused: boolean; by: string }
  | {
      op: 'cell.set';
      cell: CellId;
      name?: string;
      labels?: Record<string, string | null>;
      drain?: boolean;
      cordon?: boolean;
    }
  /** `by` takes the name and the labels of `cell`, which is drained where it is there, else removed. */
  | { op: 'cell.replace'; cell: CellId; by: CellId; keySeed?: string }
  /** `keySeed` makes a key for secrets that the removed cell does not know. */
  | { op: 'cell.rm'; cell: CellId; keySeed?: string }
  | { op: 'settings.set'; settings: Partial<ApplianceSettings> }
  | { op: 'cell.approve'; cell: CellId }
  | { op: 'ticket.create'; uses: number; expiresInMs: number; seed: string }
  | { op: 'ticket.revoke'; ticket: string }
  | { op: 'found'; seed: string }
  | { op: 'join'; ticket: string }
  /** First it hands over what it runs; `gone`, it says goodbye. */
  | { op: 'leave'; gone: boolean }
  /** All cells are to run this version. */
  | { op: 'upgrade'; version: string; packages: Record<string, PackageSum>; wellMs: number }
  /** It is about to start anew: others wait for it. */
  | { op: 'return'; withinMs: number };

export type RequestOf<Op extends Request['op']> = Request & { op: Op };

export type Reply =
  | { ok: true; value: Record<string, unknown>; warning?: string }
  | {
      ok: false;
      code: 'bad-request' | 'not-found' | 'not-member' | 'bad-ticket' | 'conflict' | 'data-unusable';
      message: string;
      hint: string;
    };

export type Event =
  /** First event after a start: what the disk remembers. `incarnation` was already raised and stored. */
  | {
      type: 'boot';
      incarnation: number;
      founder?: string;
      updates: Uint8Array[];
      clientId: number;
      ticket?: string;
      startsAgoMs?: readonly number[];
      upgrade?: Upgrade;
    }
  | { type: 'timer'; name: TimerName; epoch: number }
  /** A frame from an authenticated peer; `sealed` frames came by gossip or were passed on. */
  | { type: 'frame'; from: CellId; text: string; sealed: boolean }
  | { type: 'peer.connected'; peer: CellId }
  | { type: 'peer.disconnected'; peer: CellId }
  /** A dial failed for certain (refused): nobody listens there. */
  | { type: 'peer.refused'; peer: CellId }
  /** Its kernel took a connection: the machine is there, whatever its daemon does. */
  | { type: 'peer.there'; peer: CellId }
  /** Wall clock minus the monotonic `nowMs`, in ms. */
  | { type: 'clock'; offsetMs: number }
  | { type: 'facts'; name: string; facts: CellFacts; addrs: string[] }
  | { type: 'load'; load: Load }
  | { type: 'units.observed'; driver: ServiceSpec['driver']; units: Observed[] }
  | { type: 'unit.started'; key: string; observed: Observed }
  | { type: 'unit.progress'; key: string; text: string }
  | { type: 'unit.failed'; key: string; code: string; message: string }
  | ({ type: 'unit.exited'; key: string } & Exit)
  | { type: 'unit.stopped'; key: string }
  | { type: 'unit.probed'; key: string; name: ProbeName; part?: string; ok: boolean; output: string }
  | { type: 'persisted'; token: number }
  /** It will be tried again; whoever waits for it is told. */
  | { type: 'persist.failed'; reason: string }
  /** How it fares with the release that it was told to take; absent: it has it. */
  | { type: 'upgrade'; upgrade?: Upgrade }
  | { type: 'request'; id: number; request: Request };

export type Effect =
  | { type: 'timer'; name: TimerName; epoch: number; afterMs: number }
  /** To one peer, over the direct channel, or at the door where it may be a stranger. Lost silently where there is no way. */
  | { type: 'send'; to: CellId; text: string; door?: true }
  /** Is its machine there? Answered by `peer.there`, `peer.refused`, or by nothing. */
  | { type: 'look'; to: CellId }
  /** To every member, by gossip. `text` is sealed. */
  | { type: 'publish'; text: string }
  /** Look for members at these multiaddrs. */
  | { type: 'reach'; addrs: string[] }
  /** No longer a member: close what is open to it. It may still knock. */
  | { type: 'expel'; peer: CellId }
  /** This cell now belongs to an appliance: open its protocols. */
  | { type: 'appliance'; id: string; founder: string; seed?: string; ticket?: string }
  /** Append to the document's log, or, where it is the whole document, put it in the log's place; fsync, then event `persisted`. */
  | { type: 'persist'; update: Uint8Array; token: number; whole?: true }
  | { type: 'unit.start'; key: string; unit: UnitSpec }
  /** `keep`: it ends, and what it wrote stays; told as an exit. */
  | { type: 'unit.stop'; key: string; handle: string; driver: ServiceSpec['driver']; graceMs: number; keep?: boolean }
  /** Nobody wants any more what is being started: what its start waits for need not end. */
  | { type: 'unit.cancel'; key: string }
  /** It must end after this long, whatever becomes of the daemon, unless this is said again. Before a start and after it. */
  | { type: 'unit.fuse'; key: string; handle: string; driver: ServiceSpec['driver']; forMs: number }
  | {
      type: 'unit.probe';
      key: string;
      handle: string;
      driver: ServiceSpec['driver'];
      name: ProbeName;
      part?: string;
      check: Check;
      timeoutMs: number;
    }
  /** It is this cell's turn: get it, and start anew with it. Told of by `upgrade` events. */
  | { type: 'upgrade'; release: Release }
  | { type: 'reply'; id: number; reply: Reply }
  | { type: 'event'; event: Omit<LogEvent, 'seq' | 'atMs'> }
  /** Something that the API shows has changed. */
  | { type: 'changed' };

/** Where a machine puts what should be done; `Cell.handle` hands it on. */
export interface Outbox {
  push(effect: Effect): void;
}

export const unitKey = (replica: string, hash: string): string => `${replica}@${hash}`;
