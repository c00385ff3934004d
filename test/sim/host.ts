/** One simulated machine: what survives a crash (disk, containers), and the Cell that runs on it while it is up. */

import type { Observed, UnitSpec } from '../../src/core/events.ts';
import type { Sealer, Signer } from '../../src/core/frames.ts';
import { hash32 } from '../../src/core/hash.ts';
import type { Upgrade } from '../../src/core/model.ts';
import type { Vault } from '../../src/core/vault.ts';
import type { Cell } from '../../src/node/cell.ts';

export interface Disk {
  incarnation: number;
  founder: string | undefined;
  ticket?: string;
  updates: Uint8Array[];
  /** The log that a whole document took the place of last. */
  former: Uint8Array[];
  /** When its daemon was started. */
  starts: number[];
  /** Of its daemon, and where it stands with the next. */
  version?: string;
  upgrade?: Upgrade;
  /** When what was written last is on it. */
  writtenMs: number;
}

export interface SimHost {
  name: string;
  id: string;
  cell: Cell | undefined;
  /** Raised at each start: what was meant for an earlier life is dropped. */
  life: number;
  /** Raised when its power goes: an engine that was about to start something does not. */
  boots: number;
  disk: Disk;
  containers: Map<string, Observed>;
  /** Jobs that ran to their end: they stand there until they are removed. */
  ended: Map<string, Observed>;
  engine: string;
  cpuMilli: number;
  /** Images whose start fails, with the message. */
  broken: Map<string, string>;
  /** Until when the process is stopped (SIGSTOP). */
  pausedUntilMs: number;
  connected: Set<string>;
  /** replica@hash -> when it ends unless that is put off, whatever the daemon does (world time). */
  fuses: Map<string, number>;
  /** replica -> when its container here was last there and well; infinite while it is. */
  ran: Map<string, number>;
  /** What of each replica ended here last. */
  last: Map<string, { handle: string; atMs: number }>;
  /** Handles that its daemon knows to run. */
  told: Set<string>;
  /** Replicas that may have to go before they run elsewhere: they hold a host port. */
  forced: Set<string>;
  /** Handles of containers that may be only once in the world. */
  strict: Set<string>;
  /** How fast its clock goes, and by how much a busy loop may delay each event. */
  rate: number;
  slowMs: number;
  /** When it was slow last: what waited then is heard later. */
  wasSlowMs: number;
  /** How far its wall clock is off. */
  wallByMs: number;
  /** What it says of itself, which may be a lie. */
  says: { cpuMilli: number; memoryBytes: number };
  /** Until when whatever is asked how it is answers ill, or not at all. */
  illUntilMs: number;
  /** replica@hash -> when it was said to be ill last. */
  ill: Map<string, number>;
  /** Containers take so much longer to start. */
  startFactor: number;
}

/** What each machine has. */
export const memoryBytes = 4 * 2 ** 30;

export function simHost(name: string, id: string, engine: string, cpuMilli: number): SimHost {
  return {
    ...{
      name,
      id,
      cell: undefined,
      life: 0,
      boots: 0,
      disk: { incarnation: 0, founder: undefined, updates: [], former: [], starts: [], writtenMs: 0 },
    },
    ...{
      containers: new Map(),
      ended: new Map(),
      engine,
      cpuMilli,
      says: { cpuMilli, memoryBytes },
      ...{ illUntilMs: Number.NEGATIVE_INFINITY, ill: new Map() },
      broken: new Map(),
      pausedUntilMs: 0,
    },
    ...{
      connected: new Set<string>(),
      fuses: new Map(),
      ...{ ran: new Map(), last: new Map(), forced: new Set<string>(), told: new Set<string>() },
      strict: new Set<string>(),
      rate: 1,
      ...{ slowMs: 0, wasSlowMs: Number.NEGATIVE_INFINITY },
      wallByMs: 0,
      startFactor: 1,
    },
  };
}

/** Its own clock: it began at another time, and goes a little faster or slower than the world's. */
export const clockOf = ({ rate }: SimHost, worldMs: number): number => 1_000 + worldMs * rate;

const secretOf = (id: string): string => `secret of ${id}`;
const tag = (id: string, text: string): string =>
  `${hash32(secretOf(id) + text, 1).toString(36)}${hash32(text + id, 2).toString(36)}`;

/** What one cell opened, a thousand others need not open again. */
const opened = new Map<string, unknown>();
function memo<T>(text: string, open: () => T): T {
  const known = opened.get(text);
  if (known !== undefined) return known as T;
  const made = open();
  if (opened.size >= 20_000) opened.clear();
  opened.set(text, made);
  return made;
}

/** A keyed hash in place of Ed25519: as good in a world without liars who read this file, and a thousand times cheaper. */
export function simSealer(id: string): Sealer {
  return {
    id,
    memo,
    sign: (text) => tag(id, text),
    verify: (origin, text, sig) => sig === tag(origin, text),
    derive: (seed): Signer => {
      const key = `key${hash32(seed, 3).toString(36).padStart(7, '0')}${hash32(seed, 4).toString(36).padStart(7, '0')}`;
      return { id: key, sign: (text) => tag(key, text) };
    },
  };
}

/** Says who may read it, in place of a cipher. */
export function simVault(id: string): Vault {
  const box = `box-${id}`;
  const opened = (head: string, text: string): string | undefined =>
    text.startsWith(`${head}:`) ? text.slice(head.length + 1) : undefined;
  return {
    box,
    make: (seed) => ({ id: hash32(seed, 5).toString(36), key: `key-${seed}` }),
    wrap: (key, to) => `${to}:${key}`,
    unwrap: (text) => opened(box, text),
    seal: (key, plain) => `${key}:${plain}`,
    open: (key, sealed) => opened(key, sealed),
  };
}

export function observedOf(unit: UnitSpec, nowMs: number): Observed {
  const ports = unit.service.ports.map(({ published }) => published ?? 32_768);
  const { replica, hash } = unit;
  return {
    replica,
    hash,
    handle: `c-${replica}-${hash}-${nowMs}`,
    running: true,
    startedAtMs: nowMs,
    ports,
    driver: 'docker',
  };
}
