/** One container at a time: made with its image and files, begun, ended by what it has for that, removed. */
import { chmod } from 'node:fs/promises';
import type Docker from 'dockerode';
import type { ContainerInspectInfo } from 'dockerode';
import { reasonOf } from '../../core/errors.ts';
import type { UnitSpec } from '../../core/events.ts';
import { unitKey } from '../../core/events.ts';
import type { CellId } from '../../core/model.ts';
import type { ExecQuery, ExecSession } from '../../core/ports.ts';
import { mountsOf } from '../../core/service.ts';
import type { ContainerHook, Mount } from '../../core/spec.ts';
import type { UnitFiles } from '../files/files.ts';
import { hookFailed, runHooks, timed } from '../hooks/hooks.ts';
import type { Owner, PartOf } from './container.ts';
import { createOptions, labelKeys } from './container.ts';
import { engineError, isIdle, startError, wrap } from './errors.ts';
import { execIn } from './exec.ts';
import { pullImage } from './images.ts';

export interface DockerDriverDeps {
  docker: Docker;
  owner: () => Owner;
  files: UnitFiles;
  /** Gets an image that OSCA built from the cell that has it. */
  fetchImage(image: string, from: CellId | undefined, progress: (text: string) => void): Promise<void>;
}

type HostConfig = NonNullable<Docker.ContainerCreateOptions['HostConfig']>;

/** As much as people look at; what is not here is bounded by itself, or is not on this disk. */
const bounded: Readonly<Record<string, HostConfig['LogConfig']>> = {
  'json-file': { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
  // Podman does not say which: it begins its file anew, and leaves the journal as it is.
  '': { Type: '', Config: { 'max-size': '10m' } },
};

export class Containers {
  readonly #deps: DockerDriverDeps;
  readonly #docker: Docker;
  /** The engine's own, where a service names none. */
  #logDriver: string | undefined;

  constructor(deps: DockerDriverDeps) {
    this.#deps = deps;
    this.#docker = deps.docker;
  }

  /** A new container, or the one that stands here already. */
  async create(unit: UnitSpec, progress: (text: string) => void, of?: PartOf): Promise<Docker.Container> {
    const { files } = this.#deps;
    const { image, builtOn, pull } = unit.service;
    const placed = files.place(unitKey(unit.replica, unit.hash), unit, of?.part.name);
    const options = createOptions(files.bind(unit), this.#deps.owner(), placed, of);
    options.HostConfig!.LogConfig ??= await this.#boundedLog();
    if (pull === 'always' && builtOn === undefined && !(await this.#stands(options.name!)))
      await this.#bring(unit, progress);
    await this.#makeShares(mountsOf(unit.service));
    const made = async (): Promise<Docker.Container> => {
      const container = await this.#docker.createContainer(options);
      await openScratch(container, unit.service.mounts);
      return container;
    };
    try {
      return await made();
    } catch (error) {
      const { statusCode } = error as { statusCode?: number };
      // Podman 4 answers 500 where it means 409.
      if (statusCode === 409 || reasonOf(error).includes('that name is already in use')) {
        const info = await wrap(() => this.#docker.getContainer(options.name!).inspect());
        return this.#docker.getContainer(info.Id);
      }
      if (statusCode !== 404 || image === undefined || pull === 'never') throw startError(image, error);
      await this.#bring(unit, progress);
      return await made().catch((again: unknown) => {
        throw startError(image, again);
      });
    }
  }

  /** Volumes of other machines are made before: Podman takes no options with a container. One that is there stays as it is. */
  async #makeShares(mounts: readonly Mount[]): Promise<void> {
    for (const { kind, source, driverOptions } of mounts)
      if (kind === 'remote')
        await wrap(() => this.#docker.createVolume({ Name: source!, Driver: 'local', DriverOpts: driverOptions! }));
  }

  /** Of engines that keep logs for ever where nobody says how much: a disk is full after a year of it. */
  async #boundedLog(): Promise<HostConfig['LogConfig']> {
    this.#logDriver ??= await this.#docker.info().then(
      ({ LoggingDriver }: { LoggingDriver?: string }) => LoggingDriver ?? '',
      () => undefined,
    );
    return this.#logDriver === undefined ? undefined : bounded[this.#logDriver];
  }

  async #stands(name: string): Promise<boolean> {
    return await this.#docker
      .getContainer(name)
      .inspect()
      .then(
        () => true,
        () => false,
      );
  }

  async #bring(unit: UnitSpec, progress: (text: string) => void): Promise<void> {
    const { image, builtOn } = unit.service;
    if (builtOn === undefined) await pullImage(this.#docker, image!, progress);
    else await this.#deps.fetchImage(image!, builtOn, progress);
  }

  /** Fine where it runs already. */
  async begin(container: Docker.Container): Promise<void> {
    try {
      await container.start();
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode !== 304) throw error;
    }
  }

  /** Runs what is to run after its start. Throws where that fails. */
  async greet(unit: UnitSpec, container: Docker.Container): Promise<void> {
    try {
      await runHooks(this, container.id, unit.service.postStart);
    } catch (error) {
      throw hookFailed(unit, error);
    }
  }

  exec(id: string, query: ExecQuery): Promise<ExecSession> {
    return execIn(this.#docker.getContainer(id), query);
  }

  /** Undefined where it has no network. */
  async addressOf(id: string, port: number): Promise<{ host: string; port: number } | undefined> {
    const { NetworkSettings, HostConfig } = await this.#docker.getContainer(id).inspect();
    const mode = HostConfig.NetworkMode ?? '';
    if (mode === 'host') return { host: '127.0.0.1', port };
    // The others of a group are in the network of its first.
    if (mode.startsWith('container:')) return await this.addressOf(mode.slice('container:'.length), port);
    const addresses = Object.values(NetworkSettings.Networks ?? {}).map((one) => one?.IPAddress);
    const host = addresses.find((one) => one !== undefined && one !== '');
    return host === undefined ? undefined : { host, port };
  }

  /** Ends a container by what it has for that; fine where it does not run. */
  async end(handle: string, graceMs: number, info?: ContainerInspectInfo): Promise<void> {
    const container = this.#docker.getContainer(handle);
    graceMs -= await this.#runPreStop(container, graceMs, info);
    try {
      await container.stop({ t: Math.ceil(graceMs / 1_000) });
    } catch (error) {
      if (!isIdle(error)) throw engineError(error);
    }
  }

  async remove(handle: string): Promise<void> {
    try {
      await this.#docker.getContainer(handle).remove({ force: true, v: true });
    } catch (error) {
      const { statusCode } = error as { statusCode?: number };
      if (statusCode !== 404 && statusCode !== 409) throw engineError(error);
    }
  }

  /** What its label says is to run first; how long that took. A hook that fails keeps nothing from ending. */
  async #runPreStop(container: Docker.Container, withinMs: number, known?: ContainerInspectInfo): Promise<number> {
    const info = known ?? (withinMs > 0 ? await container.inspect().catch(() => undefined) : undefined);
    const label = info?.State.Running === true ? info.Config.Labels[labelKeys.preStop] : undefined;
    if (label === undefined || withinMs <= 0) return 0;
    return await timed(withinMs, runHooks(this, container.id, JSON.parse(label) as ContainerHook[]));
  }
}

/** Folders of a pod alone: whoever its programs run as may write there, as in Kubernetes. Where the engine's folders can't be reached they are as the engine makes them. */
async function openScratch(container: Docker.Container, mounts: readonly Mount[]): Promise<void> {
  const isScratch = ({ kind, source, inMemory, options }: Mount): boolean =>
    (kind === 'scratch' && inMemory !== true) || (kind === 'volume' && source === undefined && options !== undefined);
  const targets = mounts.filter(isScratch).map(({ target }) => target);
  if (targets.length === 0) return;
  const { Mounts } = await container.inspect();
  for (const { Destination, Source } of Mounts)
    if (targets.includes(Destination)) await chmod(Source, 0o777).catch(() => {});
}
