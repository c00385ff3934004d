/**
 * Two neighbours compare notes now and then. First only a hash of everything; if it differs, what each has; then what
 * the other lacks. So a frame that was lost strands nobody, and at rest a comparison costs sixty bytes
 * (push-pull anti-entropy, Demers et al., PODC '87). With many members their records lie in drawers, each with its own hash,
 * and only drawers that differ are opened.
 */
import type { Outbox } from '../core/events.ts';
import type { Frame } from '../core/frames.ts';
import { encodeFrame } from '../core/frames.ts';
import { limits } from '../core/limits.ts';
import type { CellId } from '../core/model.ts';
import type { Random } from '../core/random.ts';
import type { Membership } from './membership.ts';
import type { Member } from './roster.ts';
import { drawerOf } from './roster.ts';

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

type Item = (Frame & { t: 'have' })['items'][number];
type Only = NonNullable<(Frame & { t: 'have' })['only']>;

/** Members are compared in this many drawers by hash of their id; a small appliance has one. */
const drawers = 64;
const drawersFrom = 64;
const openMs = 100;
/** One comparison of so many is with a cell that is no neighbour. */
const afarEvery = 8;

/** Items of `have` carry down as a fourth number, so that a newcomer learns of the dead. */
export class AntiEntropy {
  readonly #deps: AntiEntropyDeps;
  readonly #everyMs: number;
  #nextMs = 0;
  /** While notes differ there is more to hear: the next comparison comes soon. */
  #differed = false;
  #openMs = Number.NEGATIVE_INFINITY;

  constructor(deps: AntiEntropyDeps, everyMs = 2_000) {
    this.#deps = deps;
    this.#everyMs = everyMs;
  }

  tick(now: number): void {
    if (now < this.#nextMs) return;
    const everyMs = this.#differed ? this.#everyMs / 8 : this.#everyMs;
    this.#differed = false;
    this.#nextMs = now + everyMs + this.#deps.random.below(everyMs / 4);
    const peer = this.#partner();
    if (peer !== undefined) this.compareWith(peer);
  }

  /** Mostly one with whom there is a connection anyway; now and then any, so that no group keeps to itself. */
  #partner(): CellId | undefined {
    const { random, membership } = this.#deps;
    const near = membership.neighbours();
    return random.pick(near === undefined || random.below(afarEvery) === 0 ? membership.peers() : [...near]);
  }

  compareWith(peer: CellId): void {
    this.#send(peer, { t: 'digest', view: this.#deps.membership.hash, doc: this.#deps.notes.hash() });
  }

  /** A new connection: tell all at once where all is little, else hashes first. */
  greet(peer: CellId): void {
    if (this.isLarge()) this.compareWith(peer);
    else this.#tell(peer, undefined, true);
  }

  onFrame(from: CellId, frame: Frame, now: number): void {
    if (frame.t === 'digest') this.#onDigest(from, frame, now);
    else if (frame.t === 'sums') this.#onSums(from, frame);
    else if (frame.t === 'have') this.#onHave(from, frame, now);
  }

  isLarge(): boolean {
    return this.#deps.membership.members().length >= drawersFrom;
  }

  #onDigest(from: CellId, { view, doc }: Frame & { t: 'digest' }, now: number): void {
    const { membership, notes } = this.#deps;
    if (view === membership.hash && doc === notes.hash()) return;
    this.#differed = true;
    if (!this.isLarge()) return this.#tell(from, undefined, true);
    // One at a time: what two would give me is the same.
    if (now - this.#openMs < openMs) return;
    this.#openMs = now;
    this.#send(from, { t: 'sums', sums: membership.sums(drawers), sv: notes.stateVector() });
  }

  /** Their drawers beside mine: what lies in those that differ. */
  #onSums(from: CellId, { sums, sv }: Frame & { t: 'sums' }): void {
    const mine = this.#deps.membership.sums(sums.length);
    const differ = sums.flatMap((sum, drawer) => (sum === mine[drawer] ? [] : [drawer]));
    this.#differed = true;
    this.#give(from, [], this.#deps.notes.missingOf(sv));
    this.#tell(from, { of: sums.length, differ }, true);
  }

  #onHave(from: CellId, frame: Frame & { t: 'have' }, now: number): void {
    const theirs = new Map(frame.items.map(([id, inc, seq, down]) => [id, { inc, seq, down: down === 1 }]));
    const sealed: string[] = [];
    let size = 0;
    for (const member of this.#inDrawers(frame.only)) {
      const known = theirs.get(member.id);
      if (member.state === 'down' && known?.inc === member.inc && !known.down)
        sealed.push(...this.#deps.membership.proofOf(member.id));
      if (known !== undefined && (known.inc > member.inc || (known.inc === member.inc && known.seq >= member.seq)))
        continue;
      size += member.sealed.length;
      if (size > limits.frameBytes / 2) break;
      sealed.push(member.sealed);
    }
    for (const [id, inc, , down] of frame.items) {
      if (down === 1) this.#deps.membership.onHearsay(id, inc, now);
    }
    // In drawers, the first answer to the sums gave it already.
    const told = !frame.reply && frame.only !== undefined;
    this.#give(from, sealed, told ? undefined : this.#deps.notes.missingOf(frame.sv));
    if (frame.reply) this.#tell(from, frame.only, false);
  }

  #give(to: CellId, sealed: string[], doc: string | undefined): void {
    if (sealed.length > 0 || doc !== undefined)
      this.#send(to, { t: 'give', sealed, ...(doc === undefined ? {} : { doc }) });
  }

  #tell(to: CellId, only: Only | undefined, reply: boolean): void {
    const items = this.#inDrawers(only).map(
      ({ id, inc, seq, state }): Item => (state === 'down' ? [id, inc, seq, 1] : [id, inc, seq]),
    );
    const sv = this.#deps.notes.stateVector();
    this.#send(to, { t: 'have', items, sv, reply, ...(only === undefined ? {} : { only }) });
  }

  #inDrawers(only: Only | undefined): readonly Member[] {
    const members = this.#deps.membership.members();
    if (only === undefined) return members;
    const differ = new Set(only.differ);
    return members.filter(({ id }) => differ.has(drawerOf(id, only.of)));
  }

  #send(to: CellId, frame: Frame): void {
    this.#deps.out.push({ type: 'send', to, text: encodeFrame(frame) });
  }
}
