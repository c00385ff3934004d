/** Replicas of several containers (group.ts): how they begin and end together. */
import type Docker from 'dockerode';
import { leaseLost, OscaError } from '../../core/errors.ts';
import type { Observed, UnitSpec } from '../../core/events.ts';
import { unitKey } from '../../core/events.ts';
import { mountsOf } from '../../core/service.ts';
import type { PartSpec } from '../../core/spec.ts';
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

/** What whoever starts it asks on the way. */
export interface Asked {
  mayStart(): boolean;
  signal: AbortSignal | undefined;
  /** Something of it runs. */
  begun(handle: string): void;
}

const isInit = ({ kind }: PartSpec): boolean => kind === 'init';

const cancelled = ({ replica }: UnitSpec): OscaError =>
  new OscaError('start-failed', `${replica}: its start was cancelled`);

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
  async start(unit: UnitSpec, progress: (text: string) => void, asked: Asked): Promise<Observed> {
    const { replica, hash, service } = unit;
    const parts = service.parts!;
    const standing = await this.group(replica, hash);
    const wasThere = standing.find(({ kind }) => kind === 'first');
    // Without power what was in memory is gone, and what an init wrote there with it.
    const isEmptied =
      mountsOf(service).some(({ inMemory }) => inMemory) && !this.#deps.files.placed(unitKey(replica, hash));
    try {
      // All is there, pulled and made, before the first begins: from then on its lease counts.
      const before = wasThere === undefined || (isEmptied && !wasThere.running) ? parts.filter(isInit) : [];
      await this.#runInits(unit, before, progress, asked);
      const first = await this.#containers.create(unit, progress);
      const others = [];
      for (const part of parts.filter((one) => !isInit(one))) {
        const of = { part, first: first.id, sharedProcesses: service.sharedProcesses === true };
        others.push({ part, container: await this.#containers.create(partUnit(unit, part), progress, of) });
      }
      // Its network is made anew with it: the others need to enter that.
      const isFresh = wasThere?.running !== true;
      await this.#begin(unit, first, asked);
      if (isFresh) await this.#containers.greet(unit, first);
      for (const { part, container } of others) {
        const runs = standing.find((other) => other.part === part.name)?.running === true;
        if (runs && !isFresh) continue;
        if (runs) await container.restart({ t: 1 });
        else await this.#begin(unit, container, asked);
        await this.#containers.greet(partUnit(unit, part), container);
      }
      asked.begun(first.id);
    } catch (error) {
      await this.removeAll(await this.group(replica, hash));
      throw startError(service.image, error);
    }
    await firstMoment();
    return observedOf(await this.group(replica, hash));
  }

  async #begin(unit: UnitSpec, container: Docker.Container, { mayStart, signal, begun }: Asked): Promise<void> {
    if (!mayStart()) throw leaseLost(unit);
    if (signal?.aborted) throw cancelled(unit);
    await this.#containers.begin(container);
    begun(container.id);
  }

  /** One after the other, each to its end. Throws where one fails, or nobody waits any more. */
  async #runInits(
    unit: UnitSpec,
    inits: readonly PartSpec[],
    progress: (text: string) => void,
    asked: Asked,
  ): Promise<void> {
    const { signal } = asked;
    const ended = new Promise<never>((_, reject) => {
      const end = (): void => reject(cancelled(unit));
      if (signal?.aborted) end();
      signal?.addEventListener('abort', end);
    });
    ended.catch(() => {});
    for (const part of inits) {
      const one = await this.#containers.create(partUnit(unit, part), progress, { part });
      progress(`container ${part.name} runs first`);
      await this.#begin(unit, one, asked);
      const { StatusCode: exitCode } = (await Promise.race([wrap(() => one.wait()), ended])) as { StatusCode: number };
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
