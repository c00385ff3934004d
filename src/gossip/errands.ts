/** Pings that I send for others, who got no answer themselves (indirect probes: Das et al., SWIM, DSN '02, section 3.1). */
import type { CellId } from '../core/model.ts';

/** Their numbers are far from those of my own pings. */
const offset = 1_000_000_000_000;
/** No asker waits for longer. */
const patienceMs = 10_000;
const most = 1_000;

export class Errands {
  /** 'SUBJECT NUMBER' -> who wants to know, in order of time. */
  readonly #askers = new Map<string, { askers: CellId[]; atMs: number }>();

  /** The number of the ping to send; undefined where one is on its way. */
  begin(asker: CellId, subject: CellId, q: number, now: number): number | undefined {
    const number = q + offset;
    const key = `${subject} ${number}`;
    const known = this.#askers.get(key);
    if (known !== undefined) {
      if (!known.askers.includes(asker)) known.askers.push(asker);
      return undefined;
    }
    if (this.#askers.size < most) this.#askers.set(key, { askers: [asker], atMs: now });
    return number;
  }

  /** Who asked for this answer, and by which number; undefined where it is one to my own. */
  end(subject: CellId, number: number): { askers: readonly CellId[]; q: number } | undefined {
    const key = `${subject} ${number}`;
    const known = this.#askers.get(key);
    this.#askers.delete(key);
    return known === undefined ? undefined : { askers: known.askers, q: number - offset };
  }

  fade(now: number): void {
    for (const [key, { atMs }] of this.#askers) {
      if (now - atMs < patienceMs) return;
      this.#askers.delete(key);
    }
  }
}
