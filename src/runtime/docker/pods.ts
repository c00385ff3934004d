/** Replicas of several containers (group.ts): how they begin and end together. */
import type Docker from 'dockerode';
import { leaseLost, OscaError } from '../../core/errors.ts';
import type { Observed, UnitSpec } from '../../core/events.ts';
import { unitKey } from '../../core/events.ts';
import { firstMoment } from '../facts/moment.ts';
import { exitWords } from '../words.ts';
import { labelKeys, partUnit } from './container.ts';
import type { Containers, DockerDriverDeps } from './containers.ts';
import { startError, wrap } from './errors.ts';
import type { Standing } from './group.ts';
import { gather, isLead, leftOver, observedOf, scratchOf } from './group.ts';
import { readLogs } from './logs.ts';

/** What is left when a job has ended has this long. */
const sidecarGraceMs = 2_000;

export class Pods {
  readonly #deps: DockerDriverDeps;
  readonly #docker: Docker;
  readonly #containers: Containers;

  constructor(deps: DockerDriverDeps, containers: Containers) {
    this.#deps = deps;
    this.#docker = deps.docker;
    this.#containers = containers;
  }

  async group(replica: string, hash: string): Promise<Standing[]> {
    const labels = { [labelKeys.cell]: this.#deps.owner().cell, [labelKeys.replica]: replica, [labelKeys.hash]: hash };
    return [...(await gather(this.#docker, labels)).values()].flat();
  }

  /** All containers of the one that this is a handle of. */
  async groupOf(handle: string): Promise<Standing[]> {
    const { Config } = await wrap(() => this.#docker.getContainer(handle).inspect());
    const { [labelKeys.replica]: replica = '', [labelKeys.hash]: hash = '' } = Config.Labels;
    return await this.group(replica, hash);
  }

  /** What runs before the others, then those of its containers that do not run. */
  async start(
    unit: UnitSpec,
    progress: (text: string) => void,
    mayStart: () => boolean,
    signal: AbortSignal | undefined,
  ): Promise<Observed> {
    const { replica, hash, service } = unit;
    const standing = await this.group(replica, hash);
    const wasThere = standing.find(({ kind }) => kind === 'first');
    try {
      if (wasThere === undefined) await this.#runInits(unit, progress, signal);
      const first = await this.#containers.create(unit, progress);
      if (!mayStart()) throw leaseLost(unit);
      // Its network is made anew with it: the others need to enter that.
      const isFresh = wasThere?.running !== true;
      await this.#containers.begin(first);
      if (isFresh) await this.#containers.greet(unit, first);
      for (const part of service.parts!) {
        if (part.kind === 'init') continue;
        const one = await this.#containers.create(partUnit(unit, part), progress, {
          ...{ part, first: first.id, sharedProcesses: service.sharedProcesses === true },
        });
        const runs = standing.find((other) => other.part === part.name)?.running === true;
        if (runs && !isFresh) continue;
        if (runs) await one.restart({ t: 1 });
        else await this.#containers.begin(one);
        await this.#containers.greet(partUnit(unit, part), one);
      }
    } catch (error) {
      await this.removeAll(await this.group(replica, hash));
      throw startError(service.image, error);
    }
    await firstMoment();
    return observedOf(await this.group(replica, hash));
  }

  /** One after the other, each to its end. Throws where one fails, or nobody waits any more. */
  async #runInits(unit: UnitSpec, progress: (text: string) => void, signal?: AbortSignal): Promise<void> {
    const cancelled = new Promise<never>((_, reject) => {
      const end = (): void => reject(new OscaError('start-failed', `${unit.replica}: its start was cancelled`));
      if (signal?.aborted) end();
      signal?.addEventListener('abort', end);
    });
    cancelled.catch(() => {});
    for (const part of unit.service.parts!.filter(({ kind }) => kind === 'init')) {
      const one = await this.#containers.create(partUnit(unit, part), progress, { part });
      progress(`container ${part.name} runs first`);
      await wrap(() => this.#containers.begin(one));
      const { StatusCode: exitCode } = (await Promise.race([wrap(() => one.wait()), cancelled])) as {
        StatusCode: number;
      };
      if (exitCode === 0) continue;
      const words = exitWords({ exitCode, oom: false, part: part.name });
      const said = await lastLines(one);
      throw new OscaError('start-failed', `${unit.replica}: ${words}${said === '' ? '' : `: ${said}`}`);
    }
  }

  async stop(replica: string, hash: string, graceMs: number, keep: boolean): Promise<void> {
    const group = await this.group(replica, hash);
    const startMs = performance.now();
    const end = async (some: readonly Standing[], withinMs: number): Promise<void> =>
      void (await Promise.all(some.map(({ id }) => this.#containers.end(id, withinMs))));
    const isSidecar = ({ kind }: Standing): boolean => kind === 'sidecar';
    const up = group.filter(({ running }) => running);
    await end(
      up.filter((one) => !isSidecar(one)),
      graceMs,
    );
    await end(up.filter(isSidecar), Math.max(1_000, graceMs - (performance.now() - startMs)));
    if (!keep) await this.removeAll(group);
  }

  /** The first last: the others are in its network. */
  async removeAll(group: readonly Standing[]): Promise<void> {
    for (const { id } of [...group.filter((one) => !isLead(one)), ...group.filter(isLead)])
      await this.#containers.remove(id);
    for (const name of scratchOf(group))
      await this.#docker
        .getVolume(name)
        .remove()
        .catch(() => {});
    for (const { info } of group.slice(0, 1))
      this.#deps.files.remove(unitKey(info.Labels[labelKeys.replica] ?? '', info.Labels[labelKeys.hash] ?? ''));
  }

  async endSidecars(group: readonly Standing[]): Promise<void> {
    for (const { id } of leftOver(group)) await this.#containers.end(id, sidecarGraceMs);
  }
}

async function lastLines(container: Docker.Container): Promise<string> {
  const lines: string[] = [];
  try {
    for await (const { text } of readLogs(container, { follow: false, tail: 3, signal: AbortSignal.timeout(3_000) }))
      lines.push(text);
  } catch {
    // The lines are a help, not a must.
  }
  return lines.join(' / ');
}
