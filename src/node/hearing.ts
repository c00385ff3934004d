/**
 * Everything that other cells say comes in here: opened, checked, counted where it is wrong, and handed to the machine that
 * it is meant for. What a newcomer says before its admission is known waits a moment.
 */
import type { Decoded, FrameFault, Sealed } from '../core/frames.ts';
import { decodeFrame, isJoinFrame } from '../core/frames.ts';
import { limits } from '../core/limits.ts';
import type { CellId } from '../core/model.ts';
import type { WantedDocument } from '../crdt/document.ts';
import type { Replication } from '../crdt/replication.ts';
import type { Admission } from '../gossip/admission.ts';
import type { AntiEntropy } from '../gossip/antientropy.ts';
import type { Membership } from '../gossip/membership.ts';
import type { Voice } from '../gossip/voice.ts';
import type { Leases } from '../placement/leases.ts';

export interface HearingDeps {
  self: CellId;
  voice: Voice;
  membership: Membership;
  admission: Admission;
  antiEntropy: AntiEntropy;
  replication: Replication;
  document: WantedDocument;
  leases: Leases;
}

export class Hearing {
  readonly #deps: HearingDeps;
  readonly #counters: Record<string, number> = {};
  /** Sealed frames of cells that may be admitted any moment, oldest first. */
  readonly #early: { sealed: Sealed; atMs: number }[] = [];
  #heardFor = -1;

  constructor(deps: HearingDeps) {
    this.#deps = deps;
  }

  /** Frames that were dropped, by fault. */
  counters(): Record<string, number> {
    return { ...this.#counters };
  }

  #count(code: FrameFault): void {
    this.#counters[code] = (this.#counters[code] ?? 0) + 1;
  }

  #checked<T>(decoded: Decoded<T>): T | undefined {
    if (decoded.ok) return decoded.value;
    this.#count(decoded.code);
    return undefined;
  }

  /** From one peer to me. */
  direct(from: CellId, text: string, now: number): void {
    const { admission, antiEntropy, membership, replication, leases } = this.#deps;
    const frame = this.#checked(decodeFrame(text));
    if (frame === undefined) return;
    if (isJoinFrame(frame)) return admission.onFrame(from, frame, now);
    if (!admission.isAdmitted(from)) return this.#count('not-admitted');
    if (frame.t === 'push') this.#takeDoc(frame.u, { to: from, ack: frame.ack });
    else if (frame.t === 'ack') replication.onAck(from, frame.ack);
    else if (frame.t === 'digest' || frame.t === 'sums' || frame.t === 'have') antiEntropy.onFrame(from, frame, now);
    else if (frame.t === 'lease') leases.onLease(from, frame, now);
    else if (frame.t === 'grant') leases.onGrant(from, frame, now);
    else if (frame.t === 'give') {
      if (frame.doc !== undefined) this.#takeDoc(frame.doc);
      this.takeRecords(frame.sealed, now);
    } else if (frame.t === 'rec' || frame.t === 'alert' || frame.t === 'doc') this.#count('unsigned');
    else membership.onFrame(from, frame, now);
  }

  /** From its origin to everybody. */
  sealed(text: string, now: number): void {
    const { self, voice, admission } = this.#deps;
    const sealed = this.#checked(voice.open(text));
    if (sealed === undefined || sealed.origin === self) return;
    if (admission.isAdmitted(sealed.origin)) return this.#onMember(sealed, now);
    this.#count('not-admitted');
    if (text.length > limits.earlyBytes) return;
    if (this.#early.length >= limits.earlyFrames) this.#early.shift();
    this.#early.push({ sealed, atMs: now });
  }

  #onMember(sealed: Sealed, now: number): void {
    if (sealed.frame.t === 'doc') this.#takeDoc(sealed.frame.u);
    else this.#deps.membership.onSealed(sealed, now);
  }

  /** What newcomers said before I heard that they are in. */
  early(now: number): void {
    const { admission } = this.#deps;
    if (this.#early.length === 0 || this.#heardFor === admission.version) return;
    this.#heardFor = admission.version;
    for (const one of this.#early.splice(0)) {
      if (now - one.atMs > limits.earlyMs) continue;
      if (admission.isAdmitted(one.sealed.origin)) this.#onMember(one.sealed, now);
      else this.#early.push(one);
    }
  }

  /** Records that another passes on, and the alerts that made a member down. */
  takeRecords(texts: readonly string[], now: number): void {
    const { self, voice, membership, admission } = this.#deps;
    for (const text of texts.slice(0, limits.members * 2)) {
      const sealed = this.#checked(voice.open(text));
      if (sealed === undefined || sealed.frame.t === 'doc' || !admission.isAdmitted(sealed.origin)) continue;
      if (sealed.frame.t === 'rec' || sealed.origin !== self) membership.onSealed(sealed, now);
    }
  }

  #takeDoc(u: string, receipt?: { to: CellId; ack: number }): void {
    const { document, replication, antiEntropy } = this.#deps;
    if (receipt !== undefined && !document.isWhole()) antiEntropy.greet(receipt.to);
    if (!replication.receive(u, receipt)) this.#count('malformed');
  }
}
