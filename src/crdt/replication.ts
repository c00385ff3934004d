/**
 * Spreading the document. A change is written to this disk, told to everybody by gossip, and pushed to a few cells that
 * answer when it is on theirs: only then is the writer told that it is safe. Whoever missed it catches up when notes are
 * compared (gossip/antientropy.ts).
 */
import { fromBase64, toBase64 } from '../core/base64.ts';
import type { Outbox, Reply } from '../core/events.ts';
import type { Frame, Sealed } from '../core/frames.ts';
import { encodeFrame } from '../core/frames.ts';
import type { CellId } from '../core/model.ts';
import type { DocumentOptions, WantedDocument } from './document.ts';

interface Write {
  request: number;
  value: Record<string, unknown>;
  ack: number;
  token: number;
  onDisk: boolean;
  acks: Set<CellId>;
  /** So many others were asked for. */
  asked: number;
  needed: number;
  deadlineMs: number;
}

export interface ReplicationDeps {
  out: Outbox;
  document: WantedDocument;
  options: DocumentOptions;
  seal(frame: Frame): Sealed;
  /** Members that may be asked for a receipt, nearest first. */
  peers(): CellId[];
  /** The document changed, here or elsewhere. */
  onChange(): void;
}

const ackWithinMs = 3_000;
const sizeOf = (updates: readonly Uint8Array[]): number => updates.reduce((sum, { length }) => sum + length, 0);

export class Replication {
  readonly #deps: ReplicationDeps;
  /** What is in the log on disk, and how large its first entry is: the whole document as it once was. */
  #log = { updates: 0, bytes: 0, wholeBytes: 0 };
  #token = 0;
  #ack = 0;
  #stored = 0;
  #writes: Write[] = [];
  #receipts: { token: number; to: CellId; ack: number }[] = [];

  constructor(deps: ReplicationDeps) {
    this.#deps = deps;
  }

  /** The document as this disk has it. */
  boot(updates: readonly Uint8Array[]): void {
    for (const update of updates) this.#deps.document.apply(update);
    this.#log = { updates: updates.length, bytes: sizeOf(updates), wholeBytes: updates[0]?.length ?? 0 };
  }

  /** Changes the document and answers `request` once it is safe on this disk and on `acks` others (if there are). */
  write(edit: () => void, request: { id: number; value: Record<string, unknown>; acks: number }, now: number): void {
    const update = this.#deps.document.change(edit);
    if (update === undefined) {
      // It was so already.
      const reply: Reply = { ok: true, value: { ...request.value, acks: 0 } };
      this.#deps.out.push({ type: 'reply', id: request.id, reply });
      return;
    }
    const token = this.#persist(update);
    const peers = this.#deps.peers();
    const needed = Math.min(request.acks, peers.length);
    const ack = ++this.#ack;
    const deadlineMs = now + ackWithinMs;
    const { id, value } = request;
    const asked = request.acks;
    this.#writes.push({ request: id, value, ack, token, onDisk: false, acks: new Set(), needed, asked, deadlineMs });
    const u = toBase64(update);
    for (const peer of peers.slice(0, needed + 1)) this.#send(peer, { t: 'push', u, ack });
    this.#deps.out.push({ type: 'publish', text: this.#deps.seal({ t: 'doc', u }).text });
    this.#deps.onChange();
  }

  /** A change that nobody waits for: an admission, a founding. */
  note(edit: () => void): void {
    const update = this.#deps.document.change(edit);
    if (update === undefined) return;
    this.#persist(update);
    this.#deps.out.push({ type: 'publish', text: this.#deps.seal({ t: 'doc', u: toBase64(update) }).text });
    this.#deps.onChange();
  }

  #persist(update: Uint8Array): number {
    const token = ++this.#token;
    this.#log.updates++;
    this.#log.bytes += update.length;
    const { updates, bytes, wholeBytes } = this.#log;
    const { logUpdates, logBytes } = this.#deps.options;
    if (updates <= logUpdates && bytes <= Math.max(logBytes, 2 * wholeBytes))
      this.#deps.out.push({ type: 'persist', update, token });
    else {
      const whole = this.#deps.document.bytes();
      this.#log = { updates: 1, bytes: whole.length, wholeBytes: whole.length };
      this.#deps.out.push({ type: 'persist', update: whole, token, whole: true });
    }
    return token;
  }

  /** Takes an update in; false where it is malformed. */
  receive(text: string, receipt?: { to: CellId; ack: number }): boolean {
    const bytes = fromBase64(text);
    if (bytes === undefined) return false;
    const applied = this.#deps.document.apply(bytes);
    if (applied === 'malformed') return false;
    if (applied !== undefined) {
      this.#persist(applied);
      this.#deps.onChange();
    }
    if (receipt !== undefined && this.#deps.document.tookIn) {
      this.#receipts.push({ token: this.#token, ...receipt });
      this.#giveReceipts();
    }
    return true;
  }

  /** All that is known here is on this disk. */
  get isStored(): boolean {
    return this.#stored >= this.#token;
  }

  onPersisted(token: number): void {
    this.#stored = Math.max(this.#stored, token);
    for (const write of this.#writes) if (write.token <= this.#stored) write.onDisk = true;
    this.#giveReceipts();
    this.#settle(undefined);
  }

  /** Nobody waits for a disk that is full: they are told what is where. */
  onPersistFailed(reason: string): void {
    for (const { request, acks } of this.#writes.filter(({ onDisk }) => !onDisk)) {
      const message = `${reason}. The change is in memory and on the disks of ${acks.size} other cells; it is written when there is space`;
      const hint = 'free some space on this cell';
      this.#deps.out.push({ type: 'reply', id: request, reply: { ok: false, code: 'data-unusable', message, hint } });
    }
    this.#writes = this.#writes.filter(({ onDisk }) => onDisk);
  }

  #giveReceipts(): void {
    for (const { token, to, ack } of this.#receipts) if (token <= this.#stored) this.#send(to, { t: 'ack', ack });
    this.#receipts = this.#receipts.filter(({ token }) => token > this.#stored);
  }

  onAck(from: CellId, ack: number): void {
    for (const write of this.#writes) if (write.ack === ack) write.acks.add(from);
    this.#settle(undefined);
  }

  tick(now: number): void {
    this.#settle(now);
  }

  #settle(now: number | undefined): void {
    this.#writes = this.#writes.filter((write) => {
      const safe = write.onDisk && write.acks.size >= write.needed;
      const late = now !== undefined && write.onDisk && now >= write.deadlineMs;
      if (!safe && !late) return true;
      const value = { ...write.value, acks: write.acks.size };
      const warning = safe ? fewWarning(write) : lateWarning(write);
      const reply: Reply = { ok: true, value, ...(warning === undefined ? {} : { warning }) };
      this.#deps.out.push({ type: 'reply', id: write.request, reply });
      return false;
    });
  }

  #send(to: CellId, frame: Frame): void {
    this.#deps.out.push({ type: 'send', to, text: encodeFrame(frame) });
  }
}

/** Who asks for more copies than there are other cells should know; one is asked for unasked. */
function fewWarning({ acks, asked }: Write): string | undefined {
  if (asked <= 1 || acks.size >= asked) return undefined;
  return `on the disks of this cell and of ${acks.size} others, not of ${asked}: no more are up`;
}

function lateWarning({ acks, needed }: Write): string {
  return `on this cell's disk, but only ${acks.size} of ${needed} other cells confirmed in time; it spreads when they answer`;
}
