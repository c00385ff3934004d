/**
 * How a cell speaks to everybody, and how it listens. Every sealed frame carries (incarnation, sequence) of its
 * origin; a listener remembers the highest and a window of 64 below it, so a recording played back is noticed.
 */
import type { Decoded, Frame, Sealed, Sealer } from '../core/frames.ts';
import { seal, unseal } from '../core/frames.ts';
import type { CellId } from '../core/model.ts';

interface Heard {
  inc: number;
  top: number;
  /** Bit i: sequence top-i was heard. Two 32-bit words. */
  low: number;
  high: number;
}

export class Voice {
  readonly #sealer: Sealer;
  readonly #heard = new Map<CellId, Heard>();
  #seq = 0;
  incarnation = 0;

  constructor(sealer: Sealer) {
    this.#sealer = sealer;
  }

  /** Refutation and restart raise the incarnation; sequences start again below it. */
  raise(incarnation: number): void {
    this.incarnation = incarnation;
    this.#seq = 0;
  }

  seal(frame: Frame): Sealed {
    const seq = ++this.#seq;
    const text = seal(this.#sealer, this.incarnation, seq, frame);
    return { origin: this.#sealer.id, inc: this.incarnation, seq, frame, text };
  }

  /** Opens a sealed frame from gossip. Records may come again (they are passed on); anything else only once. */
  open(text: string): Decoded<Sealed> {
    const opened = unseal(this.#sealer, text);
    if (!opened.ok) return opened;
    const fresh = this.#isFresh(opened.value);
    return fresh || opened.value.frame.t === 'rec' ? opened : { ok: false, code: 'replayed' };
  }

  #isFresh({ origin, inc, seq }: Sealed): boolean {
    const heard = this.#heard.get(origin);
    if (heard === undefined || inc > heard.inc) {
      this.#heard.set(origin, { inc, top: seq, low: 1, high: 0 });
      return true;
    }
    if (inc < heard.inc) return false;
    if (seq > heard.top) {
      slide(heard, seq - heard.top);
      heard.top = seq;
      heard.low |= 1;
      return true;
    }
    const age = heard.top - seq;
    if (age >= 64) return false;
    const bit = 1 << (age & 31);
    const seen = age < 32 ? heard.low & bit : heard.high & bit;
    if (age < 32) heard.low |= bit;
    else heard.high |= bit;
    return seen === 0;
  }

  forget(origin: CellId): void {
    this.#heard.delete(origin);
  }
}

function slide(heard: Heard, by: number): void {
  if (by >= 64) {
    heard.low = 0;
    heard.high = 0;
  } else if (by >= 32) {
    heard.high = heard.low << (by - 32);
    heard.low = 0;
  } else {
    heard.high = (heard.high << by) | (heard.low >>> (32 - by));
    heard.low <<= by;
  }
}
