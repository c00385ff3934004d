/**
 * Takes a release on this machine: gets its package from a cell that has it, unpacks it beside what runs, starts anew with it on trial, and keeps it
 * when the cell is what it was before: a member that hears others, with its replicas ready. Else it goes back by itself.
 */
import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { OscaError, wordsOf } from '../../core/errors.ts';
import type { CellId, ClusterView, LogEvent, PackageSum, Release, Upgrade } from '../../core/model.ts';
import { beforeOf, lackingOf } from '../../core/well.ts';
import type { Packages } from './packages.ts';
import { checkSpace } from './packages.ts';
import type { Trial, Versions } from './versions.ts';

export interface UpgraderDeps {
  packages: Packages;
  versions: Versions;
  arch: string;
  view(): ClusterView;
  /** Throws where the cell can't be reached. */
  request(cell: CellId, path: string): Promise<IncomingMessage>;
  tell(upgrade?: Upgrade): void;
  log(event: Omit<LogEvent, 'seq' | 'atMs'>): void;
  /** In this time a version on trial has to show itself; between rounds of asking others for a package, and for how long. */
  trialMs?: number;
  pauseMs?: number;
  fetchMs?: number;
  /** What could not be fetched after all others had it is asked for again after this long. */
  againMs?: number;
  /** Ends this daemon, and starts what is to run now in its place. */
  restart(): Promise<void>;
}

const defaults = { trialMs: 180_000, pauseMs: 2_000, fetchMs: 20_000, againMs: 1_800_000 };
/** So long nothing may come from who is asked. */
const silentMs = 20_000;

export class Upgrader {
  readonly #deps: UpgraderDeps & typeof defaults;
  #stopped = false;
  #again: NodeJS.Timeout | undefined;

  constructor(deps: UpgraderDeps) {
    this.#deps = { ...defaults, ...deps };
  }

  /** Where this cell stands when it starts. */
  atStart(): Upgrade | undefined {
    const { versions } = this.#deps;
    const trial = versions.trial();
    if (trial !== undefined) return { release: trial.release, state: 'trying' };
    const failed = versions.failed();
    const reason = failed?.reason ?? 'it did not come up in three starts; what ran before runs again';
    return failed === undefined ? undefined : { release: failed.release, state: 'failed', reason };
  }

  /** Never rejects: what goes wrong is told. */
  async take(release: Release): Promise<void> {
    const { versions, tell, log } = this.#deps;
    const { id, version } = release;
    let trial: Trial | undefined;
    clearTimeout(this.#again);
    try {
      log({ level: 'info', kind: 'upgrade', message: `version ${version} is taken: it is this cell's turn` });
      trial = await this.#unpack(release);
      if (this.#stopped) return;
      versions.begin(trial);
      tell({ release: id, state: 'trying' });
      await this.#deps.restart();
    } catch (error) {
      const reason = wordsOf(error);
      log({ level: 'error', kind: 'upgrade', message: `version ${version} can't be taken: ${reason}` });
      tell({ release: id, state: 'failed', reason });
      if (release.outcome !== undefined && trial === undefined)
        this.#again = setTimeout(tell, this.#deps.againMs).unref();
      if (trial !== undefined && versions.isOpen) versions.giveUp(trial, reason);
    }
  }

  async #unpack(release: Release): Promise<Trial> {
    const { arch, packages, versions, view } = this.#deps;
    const { id, version, wellMs } = release;
    const sum = release.packages[arch]!;
    const path = (await packages.checked(sum.sha256)) ?? (await this.#fetch(release, sum));
    checkSpace(packages.folder, sum.bytes);
    const name = await versions.add(path, version, sum.sha256);
    packages.keep(Object.values(release.packages).map(({ sha256 }) => sha256));
    return { ...{ release: id, version, name, wellMs }, ...beforeOf(view()) };
  }

  /** From whoever told of it, or anybody else who has it. */
  async #fetch({ by }: Release, sum: PackageSum): Promise<string> {
    let reason = 'no other cell is up';
    for (const deadline = performance.now() + this.#deps.fetchMs; performance.now() < deadline; ) {
      const { members, self } = this.#deps.view();
      const others = members.filter(({ id, state }) => id !== self && state === 'alive').map(({ id }) => id);
      for (const cell of [...others.filter((id) => id === by), ...others.filter((id) => id !== by)]) {
        try {
          const answer = await within(silentMs, this.#deps.request(cell, `/v1/packages/${sum.sha256}`));
          if (answer.statusCode !== 200) {
            answer.destroy();
            reason = 'no cell that is up has the package';
            continue;
          }
          await this.#deps.packages.put(whileItComes(answer), sum);
          return this.#deps.packages.pathOf(sum.sha256)!;
        } catch (error) {
          if (error instanceof OscaError && error.code === 'data-unusable') throw error;
          reason = wordsOf(error);
        }
      }
      await delay(this.#deps.pauseMs);
    }
    throw new OscaError('not-found', reason, 'ask for the upgrade again where the packages are');
  }

  /** On trial: watches over itself, and keeps the version or goes back. Rejects where the disk refuses. */
  async judge(): Promise<void> {
    const trial = this.#deps.versions.trial();
    if (trial === undefined) return;
    const deadline = performance.now() + this.#deps.trialMs + trial.wellMs;
    let wellSince: number | undefined;
    let lacks = '';
    while (performance.now() < deadline && !this.#stopped) {
      lacks = lackingOf(trial, this.#deps.view());
      wellSince = lacks === '' ? (wellSince ?? performance.now()) : undefined;
      if (wellSince !== undefined && performance.now() - wellSince >= trial.wellMs && this.#keep(trial)) return;
      await delay(250);
    }
    if (this.#stopped) return;
    const reason = `${lacks === '' ? 'the disk is full' : lacks} within ${this.#deps.trialMs / 1_000} s; what ran before runs again`;
    this.#deps.log({ level: 'error', kind: 'upgrade', message: `version ${trial.version} is taken back: ${reason}` });
    try {
      this.#deps.versions.giveUp(trial, reason);
    } finally {
      await this.#deps.restart();
    }
  }

  /** False where the disk refuses for now. */
  #keep(trial: Trial): boolean {
    try {
      this.#deps.versions.keep(trial);
    } catch (error) {
      this.#deps.log({
        level: 'warn',
        kind: 'upgrade',
        message: `version ${trial.version} can't be kept yet: ${wordsOf(error)}`,
      });
      return false;
    }
    this.#deps.log({ level: 'info', kind: 'upgrade', message: `version ${trial.version} runs` });
    this.#deps.tell(undefined);
    return true;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#again);
  }
}

/** A cell that starts anew itself may leave a request without an answer. */
async function within<T>(ms: number, asked: Promise<T>): Promise<T> {
  const late = new AbortController();
  const ended = delay(ms, undefined, { signal: late.signal }).then(() => {
    throw new OscaError('timeout', 'no answer came', '');
  });
  try {
    return await Promise.race([asked, ended]);
  } finally {
    late.abort();
    ended.catch(() => {});
  }
}

/** Breaks off where nothing comes for a while. */
function whileItComes(answer: IncomingMessage): IncomingMessage {
  const timer = setTimeout(() => answer.destroy(new Error('nothing more came')), silentMs);
  return answer.on('data', () => timer.refresh()).once('close', () => clearTimeout(timer));
}
