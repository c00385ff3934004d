/**
 * "I can't run this service": what a cell tells placement for a while, longer each time, so that a replica is tried elsewhere
 * and the cell is asked again later.
 */
import { compare } from '../core/hash.ts';
import type { Veto } from '../core/model.ts';

interface HeldVeto extends Veto {
  /** 0 where it has ended and is only remembered, so that the next is longer. */
  untilMs: number;
  count: number;
}

export class Vetoes {
  readonly #options: { vetoMinMs: number; vetoMaxMs: number };
  readonly #held = new Map<string, HeldVeto>();

  constructor(options: { vetoMinMs: number; vetoMaxMs: number }) {
    this.#options = options;
  }

  /** Those that hold now, by service. */
  held(): Veto[] {
    return [...this.#held.values()]
      .filter(({ untilMs }) => untilMs > 0)
      .map(({ service, hash, reason }) => ({ service, hash, reason }))
      .sort((a, b) => compare(a.service, b.service));
  }

  add(service: string, hash: string, reason: string, now: number): void {
    const key = `${service}@${hash}`;
    const count = (this.#held.get(key)?.count ?? 0) + 1;
    const untilMs = now + Math.min(this.#options.vetoMaxMs, this.#options.vetoMinMs * 2 ** (count - 1));
    this.#held.set(key, { service, hash, reason, untilMs, count });
  }

  /** Forgets what ended, but for these (`app/service@hash`). */
  keep(services: ReadonlySet<string>): void {
    for (const [key, { untilMs }] of this.#held) if (untilMs === 0 && !services.has(key)) this.#held.delete(key);
  }

  /** True where one has ended. */
  end(now: number): boolean {
    let ended = false;
    for (const veto of this.#held.values()) {
      if (veto.untilMs === 0 || now < veto.untilMs) continue;
      veto.untilMs = 0;
      ended = true;
    }
    return ended;
  }
}
