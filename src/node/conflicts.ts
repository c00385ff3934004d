/** Notices that two people deployed the same app apart, and says which revision won and where the other is. */
import type { Outbox } from '../core/events.ts';
import type { AppState } from '../core/model.ts';

export class Conflicts {
  readonly #out: Outbox;

  constructor(out: Outbox) {
    this.#out = out;
  }

  look(before: readonly AppState[], after: readonly AppState[]): void {
    if (before === after) return;
    const former = new Map(before.map((app) => [app.name, app]));
    for (const app of after) {
      const old = former.get(app.name);
      if (old === undefined) continue;
      const known = new Set(old.history.map(({ id }) => id));
      for (const revision of app.history) {
        if (
          known.has(revision.id) ||
          revision.parent === old.revision.id ||
          descends(app, revision.parent, old.revision.id)
        )
          continue;
        const loser = app.revision.id === revision.id ? old.revision : revision;
        if (loser.id === app.revision.id) continue;
        const message =
          `${app.name} was deployed on two sides that did not see each other: revision ${app.revision.id} (by ` +
          `${app.revision.by}) runs, ${loser.id} (by ${loser.by}) is kept in its history`;
        this.#out.push({ type: 'event', event: { level: 'warn', kind: 'app.conflict', message } });
      }
    }
  }
}

/** Does the revision `from` come after `ancestor`? */
function descends({ history }: AppState, from: string | undefined, ancestor: string): boolean {
  const seen = new Set<string>();
  for (let id = from; id !== undefined && !seen.has(id); id = history.find((revision) => revision.id === id)?.parent) {
    if (id === ancestor) return true;
    seen.add(id);
  }
  return false;
}
