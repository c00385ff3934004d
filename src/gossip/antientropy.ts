/**
 * Two neighbours compare notes now and then. First only a hash of everything; if it differs, what each has; then what
 * the other lacks. So a frame that was lost strands nobody, and at rest a comparison costs sixty bytes
 * (push-pull anti-entropy, Demers et al., PODC '87).
 */
import type { Outbox } from '../core/events.ts';
import type { Frame } from '../core/frames.ts';
import { encodeFrame } from '../core/frames.ts';
import { hash32, mix32 } from '../core/hash.ts';
import { limits } from '../core/limits.ts';
import type { CellId } from '../core/model.ts';
import type { Random } from '../core/random.ts';
import type { Membership } from './membership.ts';

/** The document's side of the comparison. State vectors and differences are base64. */
export interface Notes {
  hash(): number;
  stateVector(): string;
  missingOf(stateVector: string): string | undefined;
}

export interface AntiEntropyDeps {
  self: CellId;
  out: Outbox;
  random: Random;
  membership: Membership;
  notes: Notes;
}

/** Items of `have` carry down as a fourth number, so that a newcomer learns of the dead. */
export class AntiEntropy {
  readonly #deps: AntiEntropyDeps;
  readonly #everyMs: number;
  #nextMs = 0;
  #hashed = { version: -1, hash: 0 };

  constructor(deps: AntiEntropyDeps, everyMs = 2_000) {
    this.#deps = deps;
    this.#everyMs = everyMs;
  }

  tick(now: number): void {
    if (now < this.#nextMs) return;
    this.#nextMs = now + this.#everyMs + this.#deps.random.below(this.#everyMs / 4);
    const peer = this.#deps.random.pick(this.#deps.membership.peers());
    if (peer !== undefined) this.compareWith(peer);
  }

  compareWith(peer: CellId): void {
    this.#send(peer, { t: 'digest', view: this.#viewHash(), doc: this.#deps.notes.hash() });
  }

  /** A new connection: tell all at once, without hashes first. */
  greet(peer: CellId): void {
    this.#send(peer, { t: 'have', items: this.#items(), sv: this.#deps.notes.stateVector(), reply: true });
  }

  onFrame(from: CellId, frame: Frame, now: number): void {
    if (frame.t === 'digest') {
      if (frame.view !== this.#viewHash() || frame.doc !== this.#deps.notes.hash()) this.greet(from);
    } else if (frame.t === 'have') this.#onHave(from, frame, now);
  }

  #onHave(from: CellId, frame: Frame & { t: 'have' }, now: number): void {
    const theirs = new Map(frame.items.map(([id, inc, seq]) => [id, { inc, seq }]));
    const sealed: string[] = [];
    let size = 0;
    for (const member of this.#deps.membership.members()) {
      const known = theirs.get(member.id);
      if (known !== undefined && (known.inc > member.inc || (known.inc === member.inc && known.seq >= member.seq)))
        continue;
      size += member.sealed.length;
      if (size > limits.frameBytes / 2) break;
      sealed.push(member.sealed);
    }
    for (const [id, inc, , down] of frame.items) {
      if (down === 1) this.#deps.membership.onHearsay(id, inc, now);
    }
    const doc = this.#deps.notes.missingOf(frame.sv);
    if (sealed.length > 0 || doc !== undefined)
      this.#send(from, { t: 'give', sealed, ...(doc === undefined ? {} : { doc }) });
    if (frame.reply) {
      this.#send(from, { t: 'have', items: this.#items(), sv: this.#deps.notes.stateVector(), reply: false });
    }
  }

  #items(): (Frame & { t: 'have' })['items'] {
    return this.#deps.membership
      .members()
      .map(({ id, inc, seq, state }) => (state === 'down' ? [id, inc, seq, 1] : [id, inc, seq]));
  }

  #viewHash(): number {
    const { membership } = this.#deps;
    if (this.#hashed.version !== membership.version) {
      let hash = 0;
      for (const { id, inc, seq, state } of membership.members()) {
        hash = mix32(hash ^ hash32(`${id} ${inc} ${seq} ${state === 'down'}`));
      }
      this.#hashed = { version: membership.version, hash };
    }
    return this.#hashed.hash;
  }

  #send(to: CellId, frame: Frame): void {
    this.#deps.out.push({ type: 'send', to, text: encodeFrame(frame) });
  }
}
