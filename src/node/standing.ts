/** How this cell stands with the others, as it says itself: whether it goes, starts anew, or is held back because it fell so often. */
import type { Outbox } from '../core/events.ts';
import { Flapping } from '../core/flapping.ts';
import type { MemberRecord } from '../core/model.ts';

type Told = Pick<MemberRecord, 'left' | 'leaving' | 'returns' | 'held'>;

export class Standing {
  readonly #out: Outbox;
  readonly #flapping = new Flapping();
  #told: Told = { left: false };
  /** Grows when there is something new to say. */
  version = 0;

  constructor(out: Outbox) {
    this.#out = out;
  }

  boot(startsAgoMs: readonly number[], now: number): void {
    this.#flapping.boot(startsAgoMs, now);
  }

  /** I was held down, and am not. */
  fell(now: number): void {
    this.#flapping.fell(now);
  }

  tick(now: number): void {
    const { falls, heldMs } = this.#flapping.state(now);
    const held = heldMs > 0 ? falls : 0;
    const { held: before = 0, ...rest } = this.#told;
    if (held === before) return;
    this.#say(held > 0 ? { ...rest, held } : rest);
    const message =
      held > 0
        ? `this cell fell ${falls} times of late: it takes no replicas for ${Math.ceil(heldMs / 1_000)} s`
        : 'this cell takes replicas again';
    this.#out.push({ type: 'event', event: { level: held > 0 ? 'warn' : 'info', kind: 'cell.held', message } });
  }

  /** First it hands over what it runs; `gone`, it says goodbye. */
  leave(gone: boolean): void {
    this.#say({ ...this.#told, leaving: true, left: this.#told.left || gone });
  }

  /** It is about to start anew. */
  return(withinMs: number): void {
    this.#say({ ...this.#told, returns: withinMs });
  }

  #say(told: Told): void {
    this.#told = told;
    this.version++;
  }

  /** Its part of the cell's record. */
  told(): Told {
    return this.#told;
  }
}
