/** What happens to apps, told as events: two deploys apart, a rollout that was taken back or stands still. */
import type { Outbox } from '../core/events.ts';
import type { AppState, LogEvent } from '../core/model.ts';

/** So many new apps at once are no news. */
const flood = 20;

export class AppNews {
  readonly #out: Outbox;
  #before: readonly AppState[] | undefined;

  constructor(out: Outbox) {
    this.#out = out;
  }

  /** As they are now: tells what differs from the last time. */
  look(after: readonly AppState[]): void {
    if (this.#before === after) return;
    // What was there when this cell started is no news.
    const former = new Map((this.#before ?? after).map((app) => [app.name, app]));
    this.#before = after;
    // Who joins gets to know all there are at once.
    const isFlood = after.filter(({ name }) => !former.has(name)).length > flood;
    for (const app of after) {
      const old = former.get(app.name);
      former.delete(app.name);
      // The same object where nothing of it changed.
      if (old === app) continue;
      if (old !== undefined || !isFlood) this.#deploys(old, app);
      if (old === undefined) continue;
      this.#conflicts(old, app);
      this.#rollouts(old, app);
    }
    for (const name of former.keys()) this.#tell('info', 'app.removed', `${name} was removed`);
  }

  #deploys(old: AppState | undefined, { name, revision, next }: AppState): void {
    const newest = next ?? revision;
    if (newest.seq <= Math.max(old?.revision.seq ?? 0, old?.next?.seq ?? 0)) return;
    this.#tell('info', 'app.deployed', `${name}: revision ${newest.seq} by ${newest.by} (${newest.note})`);
  }

  #tell(level: LogEvent['level'], kind: string, message: string): void {
    this.#out.push({ type: 'event', event: { level, kind, message } });
  }

  /** Two people deployed it where they did not see each other: which revision won, and where the other is. */
  #conflicts(old: AppState, app: AppState): void {
    const known = new Set(old.history.map(({ id }) => id));
    for (const revision of app.history) {
      if (
        known.has(revision.id) ||
        revision.parent === old.revision.id ||
        descends(app, revision.parent, old.revision.id)
      )
        continue;
      const loser = app.revision.id === revision.id ? old.revision : revision;
      // What was taken back lost to itself.
      const isUndone = app.history.find(({ id }) => id === loser.id)?.outcome?.state === 'undone';
      if (loser.id === app.revision.id || isUndone) continue;
      this.#tell(
        'warn',
        'app.conflict',
        `${app.name} was deployed on two sides that did not see each other: revision ${app.revision.id} (by ` +
          `${app.revision.by}) runs, ${loser.id} (by ${loser.by}) is kept in its history`,
      );
    }
  }

  #rollouts(old: AppState, { name, undone, revision, paused }: AppState): void {
    if (undone !== undefined && old.undone?.seq !== undone.seq) {
      const why = undone.outcome?.reason ?? '';
      const message = `${name}: revision ${undone.seq} is rolled back, ${revision.seq} runs again: ${why}`;
      this.#tell('warn', 'app.rolledback', message);
    }
    if (paused?.reason !== old.paused?.reason) {
      const message = paused === undefined ? `${name} goes on` : `${name} is paused: ${paused.reason}`;
      this.#tell(paused?.by === '' ? 'warn' : 'info', 'app.paused', message);
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
