/**
 * Who says that whom does not answer. Alerts fade unless they are repeated; those that made a member down are kept as they
 * were sealed, to be shown to whoever missed them.
 */
import type { CellId } from '../core/model.ts';

interface Alert {
  atMs: number;
  /** As its observer sealed it. */
  sealed: string;
}

export class Alerts {
  readonly #lifeMs: number;
  readonly #raised = new Map<CellId, Map<CellId, Alert>>();
  readonly #proofs = new Map<CellId, string[]>();

  constructor(lifeMs: number) {
    this.#lifeMs = lifeMs;
  }

  raise(subject: CellId, observer: CellId, sealed: string, now: number): void {
    const alerts = this.#raised.get(subject) ?? new Map<CellId, Alert>();
    this.#raised.set(subject, alerts.set(observer, { atMs: now, sealed }));
  }

  withdraw(subject: CellId, observer: CellId): void {
    this.#raised.get(subject)?.delete(observer);
  }

  /** Drops what was not repeated; every subject of which something was said since it was last clear. */
  fade(now: number): CellId[] {
    for (const alerts of this.#raised.values()) {
      for (const [observer, { atMs }] of alerts) if (now - atMs > this.#lifeMs) alerts.delete(observer);
    }
    return [...this.#raised.keys()];
  }

  /** Has anything been said of it? */
  concerns(subject: CellId): boolean {
    return this.#raised.has(subject);
  }

  /** What these observers say now, as sealed. An alert of a cell that does not watch it in my eyes counts when it does. */
  of(subject: CellId, observers: readonly CellId[]): string[] {
    const alerts = this.#raised.get(subject);
    if (alerts === undefined) return [];
    if (alerts.size === 0) this.#raised.delete(subject);
    return observers.flatMap((id) => alerts.get(id)?.sealed ?? []);
  }

  prove(subject: CellId, sealed: string[]): void {
    this.#proofs.set(subject, sealed);
  }

  proofOf(subject: CellId): readonly string[] {
    return this.#proofs.get(subject) ?? [];
  }

  clear(subject: CellId): void {
    this.#raised.delete(subject);
    this.#proofs.delete(subject);
  }
}
