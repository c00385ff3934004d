/** What a cell tells of its engine, which may take its time: a board's is started by the first question, and needs half a minute on a slow one. */

/** An engine that runs answers within some milliseconds. */
const soonMs = 1_000;
/** For how long it is what it was while it is silent: from the start of the daemon, and later on from its last answer. */
const startingMs = 120_000;
const silentMs = 15_000;

export interface EngineQuestions {
  /** Its name and version; '' where none is there, or where it stays silent. Never throws. */
  ask(): Promise<string>;
  /** Where the name is kept over restarts; '' before there was one. */
  kept(): string;
  keep(name: string): void;
  /** Monotonic. */
  nowMs(): number;
  pause(ms: number): Promise<void>;
}

/**
 * Holds on to the name of an engine that takes connections and does not answer yet. Else a cell would wait for its engine before it joins, or, after a power cut of all,
 * the first whose engine is up would run what all others have.
 */
export class EngineName {
  readonly #deps: EngineQuestions;
  readonly #startMs: number;
  #heardMs: number;
  #asked: Promise<string> | undefined;
  #isStopped = false;

  constructor(deps: EngineQuestions) {
    this.#deps = deps;
    this.#startMs = deps.nowMs();
    this.#heardMs = this.#startMs;
  }

  get isSilent(): boolean {
    return this.#asked !== undefined;
  }

  /** Resolves within about a second; '' where there is none. */
  async now(): Promise<string> {
    const { pause, nowMs, kept } = this.#deps;
    this.#asked ??= this.#ask();
    const said = await Promise.race([this.#asked, pause(soonMs)]);
    if (said !== undefined) return said;
    const now = nowMs();
    const isPatient = now - this.#startMs < startingMs || now - this.#heardMs < silentMs;
    return isPatient ? kept() : '';
  }

  /** What it says from now on is not kept. */
  stop(): void {
    this.#isStopped = true;
  }

  async #ask(): Promise<string> {
    const { ask, kept, keep, nowMs } = this.#deps;
    const name = await ask();
    this.#asked = undefined;
    if (name !== '') {
      this.#heardMs = nowMs();
      if (!this.#isStopped && name !== kept()) keep(name);
    }
    return name;
  }
}
