/**
 * Replicas as containers of a Docker Engine, or of Podman behind the same API. Containers carry labels of the cell that
 * owns them: a restarted daemon adopts its own, and two cells on one engine never touch each other's.
 */
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import type { ContainerInspectInfo } from 'dockerode';
import { leaseLost } from '../../core/errors.ts';
import type { Observed, UnitSpec } from '../../core/events.ts';
import { unitKey } from '../../core/events.ts';
import type { DriverChange, ExecQuery, ExecSession, Life, LogLine, LogQuery, RuntimeDriver } from '../../core/ports.ts';
import { firstMoment } from '../facts/moment.ts';
import { labelKeys, portKey } from './container.ts';
import type { DockerDriverDeps } from './containers.ts';
import { Containers } from './containers.ts';
import { startError, wrap } from './errors.ts';
import type { Death } from './events.ts';
import { readEvents } from './events.ts';
import { chosen, gather, logsOf, neverRan, observedOf } from './group.ts';
import { Pods } from './pods.ts';

/** One that has ended refuses at once; one that is started by the question takes half a minute on a slow board. Who asks decides how long it is only slow (node/engine.ts). */
const answerWithinMs = 120_000;

export class DockerDriver implements RuntimeDriver {
  readonly kind = 'docker';
  readonly #deps: DockerDriverDeps;
  readonly #docker: Docker;
  readonly #containers: Containers;
  readonly #pods: Pods;
  /** Units that are being started or stopped: what ends of them meanwhile is expected. */
  readonly #busy = new Set<string>();
  /** Of those, what ended in its last moments. */
  readonly #missed = new Set<string>();
  readonly #listeners = new Set<(change: DriverChange) => void>();

  constructor(deps: DockerDriverDeps) {
    this.#deps = deps;
    this.#docker = deps.docker;
    this.#containers = new Containers(deps);
    this.#pods = new Pods(deps, this.#containers);
  }

  async version(): Promise<string> {
    try {
      const info = await within(this.#docker.version(), answerWithinMs);
      const podman = info.Components?.some(({ Name }) => Name.startsWith('Podman')) ?? false;
      return `${podman ? 'Podman' : 'Docker'} ${info.Version}`;
    } catch {
      return '';
    }
  }

  async list(): Promise<Observed[]> {
    const busy = new Set(this.#busy);
    const groups = await gather(this.#docker, { [labelKeys.cell]: this.#deps.owner().cell });
    const observed: Observed[] = [];
    for (const [key, seen] of groups) {
      const isBusy = (): boolean => busy.has(key) || this.#busy.has(key);
      const { [labelKeys.replica]: replica = '', [labelKeys.hash]: hash = '' } = seen[0]!.info.Labels;
      // What was in motion, and what looks as if it never ran, is looked at again: the list was of a moment ago.
      const group = isBusy() || neverRan(seen) ? await this.#pods.group(replica, hash) : seen;
      if (group.length === 0) continue;
      if (neverRan(group)) {
        // A daemon that died, or power that went, before its first container was begun.
        if (!isBusy()) await this.#pods.removeAll(group);
        continue;
      }
      observed.push(observedOf(group));
      if (!isBusy()) void this.#pods.endSidecars(group).catch(() => {});
    }
    return observed;
  }

  async start(
    unit: UnitSpec,
    progress: (text: string) => void,
    mayStart = () => true,
    signal?: AbortSignal,
    begun: (handle: string) => void = () => {},
  ): Promise<Observed> {
    const { replica, hash } = unit;
    const key = unitKey(replica, hash);
    this.#busy.add(key);
    try {
      return unit.service.parts === undefined
        ? await this.#startOne(unit, progress, mayStart)
        : await this.#pods.start(unit, progress, { mayStart, signal, begun });
    } finally {
      this.#busy.delete(key);
      // An end that was told meanwhile is looked at now.
      if (this.#missed.delete(key)) for (const tell of this.#listeners) void this.#look(replica, hash, tell);
    }
  }

  async #startOne(unit: UnitSpec, progress: (text: string) => void, mayStart: () => boolean): Promise<Observed> {
    const container = await this.#containers.create(unit, progress);
    if (!mayStart()) {
      await container.remove({ force: true, v: true }).catch(() => {});
      throw leaseLost(unit);
    }
    try {
      await this.#containers.begin(container);
    } catch (error) {
      await container.remove({ force: true }).catch(() => {});
      throw startError(unit.service.image, error);
    }
    const { replica, hash, service } = unit;
    const startedAtMs = Date.now();
    try {
      await this.#containers.greet(unit, container);
    } catch (error) {
      await this.stop(container.id, 0);
      throw error;
    }
    await firstMoment();
    // Asked rather than heard: the engine's word of an exit may come late.
    const observed = { replica, hash, handle: container.id, startedAtMs, driver: 'docker' as const };
    // It was started: an engine that goes away now is asked again when it is back.
    const info = await container.inspect().catch(() => undefined);
    if (info === undefined) return { ...observed, running: true, ports: [] };
    const { Running: running, ExitCode: exitCode, OOMKilled: oom } = info.State;
    const ports = service.ports.map((port) => hostPort(info, portKey(port)));
    return { ...observed, running, ports, ...(running ? {} : { exit: { exitCode, oom } }) };
  }

  async livesOf(handle: string): Promise<Life[]> {
    const inspect = async (id: string): Promise<ContainerInspectInfo> =>
      await wrap(() => this.#docker.getContainer(id).inspect());
    const own = await inspect(handle);
    // Asked with each renewal of a lease: one alone costs one question.
    const isAlone = own.Config.Labels[labelKeys.kind] === undefined;
    const others = isAlone
      ? []
      : (await this.#pods.groupOf(handle)).filter(({ id, running }) => running && id !== own.Id);
    const infos = [own, ...(await Promise.all(others.map(({ id }) => inspect(id))))];
    return infos
      .filter(({ State }) => State.Running)
      .map(({ State, Id }) => ({ pid: ownPid(State.Pid, Id), isGroup: false, id: Id }));
  }

  async stop(handle: string, graceMs: number, keep = false): Promise<void> {
    const container = this.#docker.getContainer(handle);
    const info = await container.inspect().catch(() => undefined);
    const {
      [labelKeys.replica]: replica = '',
      [labelKeys.hash]: hash = '',
      [labelKeys.kind]: kind,
    } = info?.Config.Labels ?? {};
    const key = unitKey(replica, hash);
    // What is kept tells of its end.
    if (!keep) this.#busy.add(key);
    try {
      if (kind !== undefined) return await this.#pods.stop(replica, hash, graceMs, keep);
      await this.#containers.end(handle, graceMs, info);
      if (keep) return;
      await this.#containers.remove(handle);
      this.#deps.files.remove(key);
    } finally {
      this.#busy.delete(key);
      this.#missed.delete(key);
    }
  }

  async addressOf(handle: string, port: number): Promise<{ host: string; port: number } | undefined> {
    return await wrap(() => this.#containers.addressOf(handle, port));
  }

  async *logs(handle: string, query: LogQuery): AsyncGenerator<LogLine> {
    yield* logsOf(this.#docker, await this.#pods.groupOf(handle), query);
  }

  async exec(handle: string, query: ExecQuery): Promise<ExecSession> {
    const id = query.part === undefined ? handle : chosen(await this.#pods.groupOf(handle), query.part).id;
    return await this.#containers.exec(id, query);
  }

  watch(onChange: (change: DriverChange) => void): () => void {
    const ending = new AbortController();
    this.#listeners.add(onChange);
    void this.#watch(onChange, ending.signal);
    return () => {
      this.#listeners.delete(onChange);
      ending.abort();
    };
  }

  async #tell(death: Death, onChange: (change: DriverChange) => void): Promise<void> {
    const { replica, hash, kind, exit } = death;
    const key = unitKey(replica, hash);
    if (kind === undefined) return onChange({ kind: 'exited', replica, hash, ...exit });
    if (kind === 'init' || kind === 'sidecar') return;
    if (this.#busy.has(key)) this.#missed.add(key);
    else await this.#look(replica, hash, onChange, death);
  }

  /** Says that a replica of several containers has ended, where it has. */
  async #look(replica: string, hash: string, onChange: (change: DriverChange) => void, death?: Death): Promise<void> {
    try {
      let group = await this.#pods.group(replica, hash);
      if (death !== undefined) {
        // Docker's list may be a moment behind its word, and Podman's word behind its list.
        const { State } = await this.#docker.getContainer(death.id).inspect();
        const { id, exit } = death;
        group = group.map((one) => (one.id === id ? { ...one, running: State.Running, exit } : one));
      }
      if (group.length === 0 || this.#busy.has(unitKey(replica, hash))) return;
      const observed = observedOf(group);
      void this.#pods.endSidecars(group).catch(() => {});
      if (observed.exit !== undefined) onChange({ kind: 'exited', replica, hash, ...observed.exit });
    } catch {
      // The engine is away: it is asked for all when it is back.
    }
  }

  /** The engine's event stream, opened again whenever it ends. */
  async #watch(onChange: (change: DriverChange) => void, signal: AbortSignal): Promise<void> {
    let away = false;
    while (!signal.aborted) {
      try {
        const filters = { type: ['container' as const], label: [`${labelKeys.cell}=${this.#deps.owner().cell}`] };
        const stream = await this.#docker.getEvents({ filters });
        signal.addEventListener('abort', () => (stream as Readable).destroy(), { once: true });
        if (away) onChange({ kind: 'back' });
        away = false;
        await readEvents(stream, (death) => void this.#tell(death, onChange));
      } catch {
        // Said below.
      }
      if (signal.aborted) return;
      if (!away && (await this.version()) === '') {
        away = true;
        onChange({ kind: 'gone' });
      }
      await new Promise((done) => setTimeout(done, away ? 1_000 : 100));
    }
  }
}

/** The pid if it is that container's here too: an engine may live among other pids than this daemon. */
function ownPid(pid: number, id: string): number {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(id) ? pid : 0;
  } catch {
    return 0;
  }
}

function hostPort(info: ContainerInspectInfo, key: string): number {
  return Number(info.NetworkSettings.Ports?.[key]?.[0]?.HostPort ?? 0);
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
