/**
 * What travels between cells: one JSON object per frame. docs/PROTOCOL.md explains each. A frame from outside is data
 * of a stranger: decoding never throws, and answers with a code that is counted.
 *
 * A *sealed* frame is a frame with its origin's signature, so that anybody may pass it on:
 *
 *     signature \n origin \n incarnation \n sequence \n {"t":"rec",...}
 *
 * The signature covers all that follows its line. (incarnation, sequence) grows with every sealed frame of an origin, over all its lives.
 */
import { limits } from './limits.ts';
import type { CellId, MemberRecord } from './model.ts';

/**
 * The incarnation of a start, from that of the start before, 0 where there was none: above all that the life between may have raised it to by
 * refuting, which is not written down. Else two lives could say different things under one (incarnation, sequence), and nobody would notice.
 * A life that raised it further still, or was made to, hears its own record from others in the next, and goes above it.
 */
export const nextIncarnation = (before: number): number =>
  before === 0 ? 1 : (Math.floor(before / limits.refutations) + 1) * limits.refutations;

/** A certificate link: `iss` vouches that `sub` may act in appliance `app` (gossip/trust.ts). */
export interface Link {
  kind: 'cell' | 'ticket';
  app: string;
  sub: string;
  iss: string;
  at: number;
  name?: string;
  uses?: number;
  exp?: number;
  sig: string;
}

export type Frame =
  /** Are you there? */
  | { t: 'ping'; q: number; inc: number }
  | { t: 'pong'; q: number; inc: number }
  /** Please ping `who` for me. */
  | { t: 'ask'; q: number; who: CellId }
  | { t: 'told'; q: number; who: CellId }
  /** I hold you down (or know you with this incarnation): refute it. */
  | { t: 'dispute'; inc: number }
  /** Sealed: who I am. */
  | { t: 'rec'; rec: MemberRecord }
  /** Sealed: `who` at `inc` does not answer me (on), or does again (off). */
  | { t: 'alert'; who: CellId; inc: number; on: boolean }
  /** Anti-entropy: hashes of all I know; then what I have; then what is missing. */
  | { t: 'digest'; view: number; doc: number }
  /** Many members: a hash of each of `sums.length` drawers. */
  | { t: 'sums'; sums: number[]; sv: string }
  | {
      t: 'have';
      items: [id: CellId, inc: number, seq: number, down?: 1][];
      sv: string;
      reply: boolean;
      /** Items of these drawers only. */
      only?: { of: number; differ: number[] };
    }
  | { t: 'give'; sealed: string[]; doc?: string }
  /** The document: an update (base64 of Yjs bytes); `ack` asks for a receipt after it is on disk. */
  | { t: 'doc'; u: string }
  | { t: 'push'; u: string; ack: number }
  | { t: 'ack'; ack: number }
  /** Strict services: promise me these, and take these back; `k`: the list of cells that I know. */
  | { t: 'lease'; q: number; want: string[]; free: string[]; k: number }
  | { t: 'grant'; q: number; ok: string[] }
  /** Joining, spoken with strangers. */
  | { t: 'knock'; name: string; app?: string; chain?: Link[]; sv?: string }
  | { t: 'welcome'; app: string; founder: string; chain: Link[]; doc: string; sealed: string[] }
  | { t: 'wait'; app: string; code: string }
  | { t: 'refuse'; app: string; reason: string; spent?: string[] };

export type FrameType = Frame['t'];

const joinTypes = new Set<FrameType>(['knock', 'welcome', 'wait', 'refuse']);
/** Frames that may be exchanged before admission. */
export const isJoinFrame = (frame: Frame): boolean => joinTypes.has(frame.t);

export type Decoded<T> = { ok: true; value: T } | { ok: false; code: FrameFault };
export type FrameFault =
  | 'oversized'
  | 'malformed'
  | 'unknown-type'
  | 'unsigned'
  | 'bad-signature'
  | 'replayed'
  | 'not-admitted';

const isInt = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isText = (value: unknown): boolean => typeof value === 'string';
const isId = (value: unknown): boolean => typeof value === 'string' && value.length > 0 && value.length <= 128;
const isFlag = (value: unknown): boolean => typeof value === 'boolean';
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const maybe = (check: (value: unknown) => boolean) => (value: unknown) => value === undefined || check(value);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const unitStates = new Set(['pulling', 'starting', 'running', 'ready', 'backoff', 'exited', 'stopping']);

function isUnit(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { replica, hash, state, sinceMs, restarts, ports, reason } = value;
  const shape = isText(replica) && isText(hash) && unitStates.has(state as string) && maybe(isText)(reason);
  return shape && Number.isFinite(sinceMs) && isInt(restarts) && Array.isArray(ports) && ports.every(isInt);
}

function isRecord(value: unknown): boolean {
  if (!isObject(value) || !isObject(value.facts) || !isObject(value.load)) return false;
  const { facts, load, units, vetoes } = value;
  const named = isText(value.name) && (value.name as string).length <= limits.nameLength && isTexts(value.addrs);
  const known = ['version', 'os', 'arch', 'engine', 'hostname'].every((key) => isText(facts[key]));
  const sized =
    isInt(facts.cpuMilli) && isInt(facts.memoryBytes) && isInt(load.cpuPercent) && isInt(load.memoryUsedBytes);
  const devices = maybe(isFlag)(facts.upgrades) && maybe(isInt)(facts.gpus) && maybe(isTexts)(facts.devices);
  const lists = devices && Array.isArray(units) && units.every(isUnit) && Array.isArray(vetoes) && vetoes.every(isVeto);
  return (
    named &&
    known &&
    sized &&
    lists &&
    isInt(value.master) &&
    isFlag(value.left) &&
    maybe(isOrders)(value.orders) &&
    maybe(isUpgrade)(value.upgrade) &&
    maybe(isText)(value.box) &&
    maybe(isFlag)(value.leaving) &&
    maybe(isInt)(value.returns) &&
    maybe(isInt)(value.held)
  );
}

const isUpgrade = (value: unknown): boolean =>
  isObject(value) && isText(value.release) && upgradeStates.has(value.state as string) && maybe(isText)(value.reason);
const upgradeStates: ReadonlySet<string> = new Set(['fetching', 'trying', 'failed']);

function isOrders(value: unknown): boolean {
  if (!Array.isArray(value) || value.length > limits.orders) return false;
  const isGo = (go: unknown): boolean => isTexts(go) && (go as string[]).length <= limits.rolloutAtOnce;
  return value.every((order) => isObject(order) && isText(order.duty) && isInt(order.epoch) && isGo(order.go));
}

function isVeto(value: unknown): boolean {
  return isObject(value) && isText(value.service) && isText(value.hash) && isText(value.reason);
}

function isLink(value: unknown): boolean {
  if (!isObject(value)) return false;
  const ids = isId(value.app) && isId(value.sub) && isId(value.iss) && isText(value.sig);
  const facts = maybe(isText)(value.name) && maybe(isInt)(value.uses) && maybe(isInt)(value.exp);
  return (value.kind === 'cell' || value.kind === 'ticket') && ids && Number.isFinite(value.at) && facts;
}

export const isChain = (value: unknown): boolean => Array.isArray(value) && value.length <= 16 && value.every(isLink);
const isReplicas = (value: unknown): boolean => isTexts(value) && (value as string[]).length <= limits.leases;
const isHave = (value: unknown): boolean =>
  Array.isArray(value) && isId(value[0]) && isInt(value[1]) && isInt(value[2]);

const isOnly = (value: unknown): boolean =>
  isObject(value) &&
  isInt(value.of) &&
  (value.of as number) > 0 &&
  Array.isArray(value.differ) &&
  value.differ.every(isInt);

/** The fields of every frame and what each must be. */
const shapes: Record<FrameType, Record<string, (value: unknown) => boolean>> = {
  ping: { q: isInt, inc: isInt },
  pong: { q: isInt, inc: isInt },
  ask: { q: isInt, who: isId },
  told: { q: isInt, who: isId },
  dispute: { inc: isInt },
  rec: { rec: isRecord },
  alert: { who: isId, inc: isInt, on: isFlag },
  digest: { view: isInt, doc: isInt },
  sums: {
    sums: (value) => Array.isArray(value) && value.length > 0 && value.length <= 1_024 && value.every(isInt),
    sv: isText,
  },
  have: {
    only: maybe(isOnly),
    items: (value) => Array.isArray(value) && value.every(isHave),
    sv: isText,
    reply: isFlag,
  },
  give: { sealed: isTexts, doc: maybe(isText) },
  doc: { u: isText },
  push: { u: isText, ack: isInt },
  ack: { ack: isInt },
  lease: { q: isInt, want: isReplicas, free: isReplicas, k: isInt },
  grant: { q: isInt, ok: isReplicas },
  knock: { name: isId, app: maybe(isId), chain: maybe(isChain), sv: maybe(isText) },
  welcome: { app: isId, founder: isId, chain: isChain, doc: isText, sealed: isTexts },
  wait: { app: isId, code: isText },
  refuse: { app: isId, reason: isText, spent: maybe(isTexts) },
};

export function encodeFrame(frame: Frame): string {
  return JSON.stringify(frame);
}

/** A frame from text of a peer; checks size, syntax, type and every field. */
export function decodeFrame(text: string): Decoded<Frame> {
  if (text.length > limits.documentBytes * 2) return { ok: false, code: 'oversized' };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, code: 'malformed' };
  }
  if (!isObject(value) || !isText(value.t)) return { ok: false, code: 'malformed' };
  const shape = Object.hasOwn(shapes, value.t as string) ? shapes[value.t as FrameType] : undefined;
  if (shape === undefined) return { ok: false, code: 'unknown-type' };
  for (const [key, check] of Object.entries(shape)) if (!check(value[key])) return { ok: false, code: 'malformed' };
  return { ok: true, value: value as Frame };
}

/** Signs and verifies. Real: Ed25519 (gossip/libp2p/seal.ts). Simulated: a keyed hash. */
export interface Sealer extends Signer {
  /** True where `sig` is `id`'s signature of `text`. Never throws. */
  verify(id: string, text: string, sig: string): boolean;
  /** The key that a 32-byte seed (base64) makes; undefined where the seed is none. */
  derive(seed: string): Signer | undefined;
  /** Cells that share a process may share what `open` made of a text; it is never changed. Absent in a daemon. */
  memo?<T>(text: string, open: () => T): T;
}

export interface Signer {
  readonly id: string;
  sign(text: string): string;
}

export interface Sealed {
  origin: CellId;
  inc: number;
  seq: number;
  frame: Frame;
  text: string;
}

export function seal(signer: Signer, inc: number, seq: number, frame: Frame): string {
  const body = `${signer.id}\n${inc}\n${seq}\n${encodeFrame(frame)}`;
  return `${signer.sign(body)}\n${body}`;
}

const sealedShape = /^([^\n]{1,128})\n([^\n]{1,128})\n(\d{1,15})\n(\d{1,15})\n/;

/** Opens a sealed frame; the signature is checked before the body is parsed. */
export function unseal(sealer: Sealer, text: string): Decoded<Sealed> {
  return sealer.memo === undefined ? opened(sealer, text) : sealer.memo(text, () => opened(sealer, text));
}

function opened(sealer: Sealer, text: string): Decoded<Sealed> {
  if (text.length > limits.frameBytes) return { ok: false, code: 'oversized' };
  const match = sealedShape.exec(text);
  if (match === null) return { ok: false, code: text.startsWith('{') ? 'unsigned' : 'malformed' };
  const [head, sig, origin, inc, seq] = match as unknown as [string, string, string, string, string];
  if (!sealer.verify(origin, text.slice(sig.length + 1), sig)) return { ok: false, code: 'bad-signature' };
  const decoded = decodeFrame(text.slice(head.length));
  if (!decoded.ok) return decoded;
  return { ok: true, value: { origin, inc: Number(inc), seq: Number(seq), frame: decoded.value, text } };
}
