/** Jobs: as the owner of a schedule this cell begins its runs; of what ended here it writes down how. */
import { limits } from '../core/limits.ts';
import type { AppState, CellId } from '../core/model.ts';
import { momentId, runName } from '../core/runs.ts';
import type { Schedule, ServiceSpec } from '../core/spec.ts';
import type { WantedDocument } from '../crdt/document.ts';
import { ownerOf } from '../placement/duties.ts';
import type { HeldUnit } from '../runtime/unit.ts';
import { lastTime, nextTime } from '../specs/cron.ts';

export interface JobsDeps {
  self: CellId;
  document: WantedDocument;
  masters(): readonly CellId[];
  /** Does this cell see most of those that decide? A time that comes where nobody does is a missed one. */
  isMajority(): boolean;
  write(edit: () => void): void;
  wallMs(now: number): number;
}

/** A time that is seen to this late was missed; also how far ahead of this cell's clock another's may be. */
const graceMs = 60_000;

type Scheduled = ServiceSpec & { schedule: Schedule };
const isScheduled = (spec: ServiceSpec): spec is Scheduled => spec.schedule !== undefined;

export class Jobs {
  readonly #deps: JobsDeps;
  /** APP/SERVICE -> its next time after another. */
  readonly #next = new Map<string, { schedule: Schedule; afterMs: number; atMs: number }>();
  #edits: (() => void)[] = [];
  /** A time comes then, on the cell's own clock. */
  dueMs = Number.POSITIVE_INFINITY;

  constructor(deps: JobsDeps) {
    this.#deps = deps;
  }

  look(apps: readonly AppState[], held: readonly HeldUnit[], now: number): void {
    this.#noteEnds(apps, held, now);
    this.dueMs = Number.POSITIVE_INFINITY;
    const masters = this.#deps.masters();
    for (const app of apps) {
      if (app.stopped) continue;
      for (const spec of app.revision.spec.services.filter(isScheduled)) {
        const isMine = ownerOf(`schedule/${app.name}/${spec.name}`, masters) === this.#deps.self;
        if (isMine && !app.stoppedServices.includes(spec.name)) this.#see(app, spec, now);
      }
    }
  }

  #noteEnds(apps: readonly AppState[], held: readonly HeldUnit[], now: number): void {
    const ended = held.filter(({ state }) => state === 'exited');
    if (ended.length === 0) return;
    const { self, document, wallMs } = this.#deps;
    const states = new Map(apps.map((app) => [app.name, app]));
    for (const { replica, hash, reason = '', begunMs, sinceMs } of ended) {
      const [app, name, index] = replica.split('/') as [string, string, string];
      const run = states.get(app)?.runs.find((one) => one.name === name);
      if (run?.work?.hash !== hash || run.results[index] !== undefined) continue;
      const [startMs, endMs] = [begunMs, sinceMs].map((ms) => Math.round(wallMs(now) - (now - ms))) as [number, number];
      const result = { ok: reason === 'exit code 0', reason, cell: self, startMs, endMs };
      this.#edits.push(() => document.catalogue.runs.end(app, name, index, result));
    }
  }

  #see({ name: app, revision, history, runs }: AppState, { name, schedule }: Scheduled, now: number): void {
    const { document, self, isMajority, wallMs } = this.#deps;
    const wall = wallMs(now);
    const mine = runs.filter(({ service, cause }) => service === name && cause === 'schedule');
    const last = mine.find(({ atMs }) => atMs <= wall + graceMs);
    const isSame = (other: ServiceSpec): boolean =>
      other.name === name && other.schedule?.cron === schedule.cron && other.schedule.zone === schedule.zone;
    const other = history.findLastIndex(({ spec, seq }) => seq <= revision.seq && !spec.services.some(isSame));
    const since = history[other + 1]?.atMs ?? revision.atMs;
    const late = schedule.missed === 'skip' ? wall - graceMs : 0;
    let nextMs = this.#nextOf(`${app}/${name}`, schedule, Math.max(last?.atMs ?? 0, since));
    if (nextMs < late) nextMs = nextTime(schedule, late) ?? Number.POSITIVE_INFINITY;
    if (nextMs > wall) {
      this.dueMs = Math.min(this.dueMs, now + nextMs - wall);
      return;
    }
    if (!isMajority()) return;
    const dueMs = lastTime(schedule, nextMs - 1, wall) ?? nextMs;
    const open = runs.filter(({ state }) => state === 'open');
    const isBusy =
      (schedule.overlap === 'skip' && open.some((run) => mine.includes(run))) || open.length >= limits.openRuns;
    const record = {
      ...{ service: name, revision: revision.id, cause: 'schedule' as const, atMs: dueMs, by: self },
      ...(isBusy ? { skipped: true as const } : {}),
    };
    this.#edits.push(() => {
      document.catalogue.runs.begin(app, runName(name, momentId(dueMs)), record);
      const state = document.catalogue.app(app);
      if (state !== undefined) document.catalogue.runs.prune(state);
    });
  }

  /** Asked once for each time that has come: to find it takes a while. */
  #nextOf(key: string, schedule: Schedule, afterMs: number): number {
    const known = this.#next.get(key);
    if (known?.schedule === schedule && known.afterMs === afterMs) return known.atMs;
    const atMs = nextTime(schedule, afterMs) ?? Number.POSITIVE_INFINITY;
    this.#next.set(key, { schedule, afterMs, atMs });
    return atMs;
  }

  /** Writes down what was decided. */
  write(): void {
    for (const edit of this.#edits.splice(0)) this.#deps.write(edit);
  }
}
