/**
 * The failure detector of one cell: it knocks at the doors it watches and remembers who did not answer.
 *
 * Think of neighbours who look in on each other. One missed knock means little; three in a row, with others knocking
 * too and hearing nothing, and I tell the street. Before that I ask whether it is me who has gone deaf
 * (Lifeguard, Dadgar et al., arXiv 1707.00788): if nobody answers me at all, or I was asleep, I wait.
 *
 * The time a door is given follows its measured round trip (Jacobson, SIGCOMM '88), so a slow radio is not a dead one.
 */
import type { CellId } from '../core/model.ts';

export interface DetectorOptions {
  /** From one answered probe to the next, at the least. */
  probeEveryMs: number;
  /** The same for each cell that is watched: many doors are knocked at less often, so that the frames per second stay. */
  probeEachMs: number;
  /** Bounds of the adaptive time-out. */
  timeoutMinMs: number;
  timeoutMaxMs: number;
  /** Missed probes in a row before an alert. */
  missesToAlert: number;
  /** A machine whose kernel takes connections, but whose daemon is silent, is given this long: it is busy or was stopped for a moment. */
  busyMs: number;
  /** Probes of a member that is already down. */
  probeDownEveryMs: number;
}

export const detectorDefaults: DetectorOptions = {
  probeEveryMs: 300,
  probeEachMs: 150,
  timeoutMinMs: 150,
  timeoutMaxMs: 1_000,
  missesToAlert: 3,
  busyMs: 4_000,
  probeDownEveryMs: 2_000,
};

const probesKept = 8;
/** An alert is repeated each second while it holds. */
const urgedMs = 1_500;

interface Watch {
  subject: CellId;
  down: boolean;
  /** Watched because somebody said it is down, to see for myself. */
  hearsay: boolean;
  probe: number;
  sentMs: number | undefined;
  /** When the last few probes were sent, by number. */
  sent: Map<number, number>;
  nextMs: number;
  misses: number;
  /** When the first of the misses in a row was noticed. */
  silentMs: number;
  /** Since then its kernel took a connection. */
  there: boolean;
  alerted: boolean;
  /** Its silence is told already, and somebody says that it is down: it is counted once more. */
  doubted: boolean;
  /** Until then another observer's alert stands. */
  urgedUntilMs: number;
  rttMs: number;
  rttVarMs: number;
  /** The shortest of late: a stray long one does not move it. */
  rttMinMs: number;
}

export type Verdict =
  | { kind: 'probe'; subject: CellId; probe: number }
  | { kind: 'ask'; subject: CellId; probe: number }
  | { kind: 'look'; subject: CellId }
  | { kind: 'lost' | 'back'; subject: CellId; hearsay: boolean };

export class Detector {
  readonly #options: DetectorOptions;
  readonly #watches = new Map<CellId, Watch>();
  #probe = 0;
  #everyMs: number;

  constructor(options: DetectorOptions) {
    this.#options = options;
    this.#everyMs = options.probeEveryMs;
  }

  /** Sets and returns the time between probes of one subject, for this many. */
  pace(subjects: number): number {
    this.#everyMs = Math.max(this.#options.probeEveryMs, this.#options.probeEachMs * subjects);
    return this.#everyMs;
  }

  /** Somebody who should be there is silent: it is worth looking more often. */
  get isAlarmed(): boolean {
    for (const { misses, down, alerted } of this.#watches.values()) if (misses > 0 && !down && !alerted) return true;
    return false;
  }

  watches(subject: CellId): boolean {
    return this.#watches.has(subject);
  }

  rttOf(subject: CellId): number | undefined {
    const rtt = this.#watches.get(subject)?.rttMs;
    return rtt === undefined || rtt < 0 ? undefined : rtt;
  }

  /** Sets who is watched. Whoever stays keeps its history. `firstMs` staggers the first probes. */
  retarget(subjects: readonly CellId[], firstMs: (subject: CellId) => number): void {
    const wanted = new Set(subjects);
    for (const [subject, watch] of this.#watches) {
      if (wanted.has(subject)) watch.hearsay = false;
      else if (!watch.hearsay) this.#watches.delete(subject);
    }
    for (const subject of subjects) if (!this.#watches.has(subject)) this.#add(subject, firstMs(subject), false);
  }

  /** See for myself whether this member is really down: anew also where I had said that I miss it. */
  verify(subject: CellId, now: number): void {
    const watch = this.#watches.get(subject);
    if (watch === undefined) return this.#add(subject, now, true);
    if (!watch.alerted || watch.doubted || watch.down) return;
    watch.doubted = true;
    watch.misses = 0;
  }

  forget(subject: CellId): void {
    this.#watches.delete(subject);
  }

  #add(subject: CellId, nextMs: number, hearsay: boolean): void {
    const fresh = { down: false, probe: 0, sentMs: undefined, misses: 0, silentMs: 0, there: false };
    const unmeasured = { alerted: false, doubted: false, urgedUntilMs: 0, rttMs: -1, rttVarMs: 0, rttMinMs: -1 };
    this.#watches.set(subject, { subject, hearsay, nextMs, sent: new Map(), ...fresh, ...unmeasured });
  }

  setDown(subject: CellId, down: boolean): void {
    const watch = this.#watches.get(subject);
    if (watch === undefined || watch.down === down) return;
    watch.down = down;
    // What was measured while it came and went says nothing of how it answers now: it is probed at the next tick.
    const fresh = {
      misses: 0,
      alerted: false,
      doubted: false,
      sentMs: undefined,
      nextMs: 0,
      rttMs: -1,
      rttVarMs: 0,
      rttMinMs: -1,
    };
    if (!down) Object.assign(watch, fresh);
  }

  /** The loop was held up: nothing that seems late is anybody's fault but mine. */
  stalled(now: number): void {
    for (const watch of this.#watches.values()) {
      watch.sentMs = undefined;
      watch.nextMs = now;
      if (!watch.alerted || watch.doubted) watch.misses = 0;
    }
  }

  /** Counts what is late, and says what to send. */
  tick(now: number): Verdict[] {
    const verdicts: Verdict[] = [];
    const deaf = this.#isDeaf();
    for (const watch of this.#watches.values()) {
      if (watch.sentMs !== undefined && now - watch.sentMs >= this.#timeout(watch, now)) {
        this.#miss(watch, now, deaf, verdicts);
      }
      if (watch.sentMs === undefined && now >= watch.nextMs) verdicts.push(this.#knock(watch, now));
    }
    return verdicts;
  }

  #knock(watch: Watch, now: number): Verdict {
    watch.probe = ++this.#probe;
    watch.sentMs = now;
    watch.sent.set(watch.probe, now);
    watch.sent.delete(watch.sent.size > probesKept ? watch.sent.keys().next().value! : -1);
    return { kind: 'probe', subject: watch.subject, probe: watch.probe };
  }

  #miss(watch: Watch, now: number, deaf: boolean, verdicts: Verdict[]): void {
    if (watch.misses++ === 0) {
      watch.silentMs = now;
      watch.there = false;
    }
    // Again with each that is missed: where frames are lost, so may the look be.
    if (!watch.down && !watch.there) verdicts.push({ kind: 'look', subject: watch.subject });
    watch.sentMs = undefined;
    watch.nextMs = watch.down ? now + this.#options.probeDownEveryMs : now;
    if (watch.down) return;
    const needed = (this.#options.missesToAlert - (now < watch.urgedUntilMs ? 1 : 0)) * (deaf ? 2 : 1);
    if (watch.misses < needed && !watch.hearsay)
      verdicts.push({ kind: 'ask', subject: watch.subject, probe: watch.probe });
    const busy = watch.there && now - watch.silentMs < this.#options.busyMs;
    if (watch.misses >= needed && !busy) this.#lose(watch, verdicts);
  }

  /** Its machine is there: silence is no death yet. */
  there(subject: CellId): void {
    const watch = this.#watches.get(subject);
    if (watch !== undefined && watch.misses > 0) watch.there = true;
  }

  #lose(watch: Watch, verdicts: Verdict[]): void {
    if (watch.alerted && !watch.doubted) return;
    verdicts.push({ kind: 'lost', subject: watch.subject, hearsay: watch.hearsay || watch.doubted });
    watch.alerted = true;
    watch.doubted = false;
    if (watch.hearsay) this.#watches.delete(watch.subject);
  }

  /** The kernel closed the connection: look at once. */
  suspectNow(subject: CellId, now: number): void {
    const watch = this.#watches.get(subject);
    if (watch === undefined || watch.down) return;
    watch.sentMs = undefined;
    watch.nextMs = now;
  }

  /** Another observer misses it: if I watch it, I look now too, once less, and wait less for what I had thought slow. */
  hurry(subject: CellId, now: number): void {
    const watch = this.#watches.get(subject);
    if (watch === undefined || watch.down) return;
    watch.urgedUntilMs = now + urgedMs;
    if (watch.sentMs === undefined) watch.nextMs = now;
  }

  /** Nobody listens at its addresses: no need to knock three times. */
  refused(subject: CellId): Verdict[] {
    const watch = this.#watches.get(subject);
    const verdicts: Verdict[] = [];
    if (watch === undefined || watch.down) return verdicts;
    watch.misses = Math.max(watch.misses, this.#options.missesToAlert);
    this.#lose(watch, verdicts);
    return verdicts;
  }

  /** An answer, direct or through another cell. */
  answered(subject: CellId, probe: number, now: number, direct: boolean): Verdict[] {
    const watch = this.#watches.get(subject);
    if (watch === undefined) return [];
    // Also where it comes late: a path that became slower is measured, not mistaken for a silent one.
    const probeSentMs = watch.sent.get(probe);
    if (direct && !watch.down && probeSentMs !== undefined) this.#measure(watch, now - probeSentMs);
    if (direct || watch.probe - probe <= 1) watch.sentMs = undefined;
    const back = watch.alerted || watch.down;
    watch.misses = 0;
    watch.alerted = false;
    watch.doubted = false;
    watch.nextMs = now + (watch.down ? this.#options.probeDownEveryMs : this.#everyMs);
    const hearsay = watch.hearsay;
    if (hearsay) this.#watches.delete(subject);
    return back ? [{ kind: 'back', subject, hearsay }] : [];
  }

  #measure(watch: Watch, rttMs: number): void {
    // The first answers over a new connection waited for it and say little of the path: not all is believed, and
    // the estimate falls faster than it grows.
    watch.rttMinMs = watch.rttMinMs < 0 ? rttMs : Math.min(rttMs, watch.rttMinMs * 1.1);
    if (watch.rttMs < 0) {
      watch.rttMs = Math.min(rttMs, this.#options.timeoutMinMs / 2);
      watch.rttVarMs = watch.rttMs / 2;
      return;
    }
    watch.rttVarMs += (Math.abs(rttMs - watch.rttMs) - watch.rttVarMs) / 4;
    watch.rttMs += (rttMs - watch.rttMs) / (rttMs < watch.rttMs ? 2 : 8);
  }

  /**
   * The first probe is given what the path took at its worst of late. Shorter are those after it, and all where another
   * observer misses it too: a suspicion that is confirmed needs less time (Lifeguard's LHA-Suspicion).
   */
  #timeout(watch: Watch, now: number): number {
    const { timeoutMinMs, timeoutMaxMs } = this.#options;
    const firm = Math.max(timeoutMinMs * 2, watch.rttMinMs * 3);
    if (watch.rttMs < 0) return Math.min(timeoutMaxMs, firm);
    const patient = Math.max(timeoutMinMs, watch.rttMs * 2 + watch.rttVarMs * 4);
    const isConfirmed = watch.misses > 0 || now < watch.urgedUntilMs;
    return Math.min(timeoutMaxMs, isConfirmed ? Math.min(patient, firm) : patient);
  }

  /** Nobody of several answers: more likely me than all of them. */
  #isDeaf(): boolean {
    let silent = 0;
    let watched = 0;
    for (const watch of this.#watches.values()) {
      if (watch.down) continue;
      watched++;
      if (watch.misses > 0) silent++;
    }
    return watched >= 2 && silent === watched;
  }
}
