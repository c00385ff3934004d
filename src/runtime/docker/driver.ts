/**
 * Replicas as containers of a Docker Engine, or of Podman behind the same API. Containers carry labels of the cell that
 * owns them: a restarted daemon adopts its own, and two cells on one engine never touch each other's.
 */
import { readFileSync } from 'node:fs';
import type { Duplex, Readable } from 'node:stream';
import { PassThrough } from 'node:stream';
import type Docker from 'dockerode';
import type { ContainerInspectInfo } from 'dockerode';
import { leaseLost, OscaError, reasonOf } from '../../core/errors.ts';
import type { Observed, UnitSpec } from '../../core/events.ts';
import { unitKey } from '../../core/events.ts';
import { holdBack } from '../../core/exec-frames.ts';
import type { CellId } from '../../core/model.ts';
import type { DriverChange, ExecQuery, ExecSession, Life, LogLine, LogQuery, RuntimeDriver } from '../../core/ports.ts';
import type { ContainerHook } from '../../core/spec.ts';
import { firstMoment } from '../facts/moment.ts';
import type { UnitFiles } from '../files/files.ts';
import { hookFailed, runHooks, timed } from '../hooks/hooks.ts';
import type { Owner } from './container.ts';
import { containerName, createOptions, labelKeys, portKey } from './container.ts';
import { pullImage } from './images.ts';
import { readLogs } from './logs.ts';
import { Multiplex } from './multiplex.ts';

export interface DockerDriverDeps {
  docker: Docker;
  owner: () => Owner;
  files: UnitFiles;
  /** Gets an image that OSCA built from the cell that has it. */
  fetchImage(image: string, from: CellId | undefined, progress: (text: string) => void): Promise<void>;
}

const answerWithinMs = 3_000;

export class DockerDriver implements RuntimeDriver {
  readonly kind = 'docker';
  readonly #deps: DockerDriverDeps;
  readonly #docker: Docker;

  constructor(deps: DockerDriverDeps) {
    this.#deps = deps;
    this.#docker = deps.docker;
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
    const filters = { label: [`${labelKeys.cell}=${this.#deps.owner().cell}`] };
    const containers = await wrap(() => this.#docker.listContainers({ all: true, filters }));
    return await Promise.all(
      containers.map(async ({ Id, State, Labels, Created, Ports }) => {
        const running = State === 'running';
        const ports = (Ports ?? []).flatMap(({ PublicPort }) => (PublicPort === undefined ? [] : [PublicPort]));
        const base: Observed = {
          ...{ replica: Labels[labelKeys.replica] ?? '', hash: Labels[labelKeys.hash] ?? '', handle: Id, running },
          ...{ startedAtMs: Created * 1_000, ports: [...new Set(ports)], driver: this.kind },
        };
        if (running) return base;
        const state = (
          await this.#docker
            .getContainer(Id)
            .inspect()
            .catch(() => undefined)
        )?.State;
        return { ...base, exitCode: state?.ExitCode ?? 137, oom: state?.OOMKilled ?? false };
      }),
    );
  }

  async start(unit: UnitSpec, progress: (text: string) => void, mayStart = () => true): Promise<Observed> {
    const container = await this.#create(unit, progress);
    if (!mayStart()) {
      await container.remove({ force: true, v: true }).catch(() => {});
      throw leaseLost(unit);
    }
    try {
      await container.start();
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode !== 304) {
        await container.remove({ force: true }).catch(() => {});
        throw startError(unit, error);
      }
    }
    const { replica, hash, service } = unit;
    const startedAtMs = Date.now();
    try {
      await runHooks(this, container.id, service.postStart);
    } catch (error) {
      await this.stop(container.id, 0);
      throw hookFailed(unit, error);
    }
    await firstMoment();
    // Asked rather than heard: the engine's word of an exit may come late.
    const observed = { replica, hash, handle: container.id, startedAtMs, driver: 'docker' as const };
    // It was started: an engine that goes away now is asked again when it is back.
    const info = await container.inspect().catch(() => undefined);
    if (info === undefined) return { ...observed, running: true, ports: [] };
    const { Running: running, ExitCode: exitCode, OOMKilled: oom } = info.State;
    const ports = service.ports.map((port) => hostPort(info, portKey(port)));
    return { ...observed, running, ports, ...(running ? {} : { exitCode, oom }) };
  }

  /** A new container, or the one that stands here already. */
  async #create(unit: UnitSpec, progress: (text: string) => void): Promise<Docker.Container> {
    const { files } = this.#deps;
    const placed = files.place(unitKey(unit.replica, unit.hash), unit);
    const options = createOptions(files.bind(unit), this.#deps.owner(), placed);
    if (unit.service.pull === 'always' && unit.service.builtOn === undefined && !(await this.#stands(unit)))
      await this.#bring(unit, progress);
    try {
      return await this.#docker.createContainer(options);
    } catch (error) {
      const { statusCode } = error as { statusCode?: number };
      // Podman 4 answers 500 where it means 409.
      if (statusCode === 409 || reasonOf(error).includes('that name is already in use')) {
        const info = await wrap(() => this.#docker.getContainer(containerName(unit, this.#deps.owner())).inspect());
        return this.#docker.getContainer(info.Id);
      }
      if (statusCode !== 404 || unit.service.image === undefined || unit.service.pull === 'never')
        throw startError(unit, error);
      await this.#bring(unit, progress);
      return await this.#docker.createContainer(options).catch((again: unknown) => {
        throw startError(unit, again);
      });
    }
  }

  async #stands(unit: UnitSpec): Promise<boolean> {
    const container = this.#docker.getContainer(containerName(unit, this.#deps.owner()));
    return await container.inspect().then(
      () => true,
      () => false,
    );
  }

  async #bring(unit: UnitSpec, progress: (text: string) => void): Promise<void> {
    const { image, builtOn } = unit.service;
    if (builtOn === undefined) await pullImage(this.#docker, image!, progress);
    else await this.#deps.fetchImage(image!, builtOn, progress);
  }

  async lifeOf(handle: string): Promise<Life | undefined> {
    const { State } = await wrap(() => this.#docker.getContainer(handle).inspect());
    return State.Running ? { pid: ownPid(State.Pid, handle), isGroup: false, id: handle } : undefined;
  }

  async stop(handle: string, graceMs: number, keep = false): Promise<void> {
    const container = this.#docker.getContainer(handle);
    graceMs -= await this.#runPreStop(container, graceMs);
    try {
      await container.stop({ t: Math.ceil(graceMs / 1_000) });
    } catch (error) {
      const { statusCode } = error as { statusCode?: number };
      if (statusCode !== 304 && statusCode !== 404) throw engineError(error);
    }
    if (keep) return;
    const labels = this.#deps.files.isUsed ? (await container.inspect().catch(() => undefined))?.Config.Labels : {};
    try {
      await container.remove({ force: true, v: true });
    } catch (error) {
      const { statusCode } = error as { statusCode?: number };
      if (statusCode !== 404 && statusCode !== 409) throw engineError(error);
    }
    const [replica, hash] = [labels?.[labelKeys.replica], labels?.[labelKeys.hash]];
    if (replica !== undefined && hash !== undefined) this.#deps.files.remove(unitKey(replica, hash));
  }

  /** What its label says is to run first; how long that took. A hook that fails keeps nothing from ending. */
  async #runPreStop(container: Docker.Container, withinMs: number): Promise<number> {
    const info = withinMs > 0 ? await container.inspect().catch(() => undefined) : undefined;
    const label = info?.State.Running === true ? info.Config.Labels[labelKeys.preStop] : undefined;
    if (label === undefined) return 0;
    return await timed(withinMs, runHooks(this, container.id, JSON.parse(label) as ContainerHook[]));
  }

  async addressOf(handle: string, port: number): Promise<{ host: string; port: number } | undefined> {
    const { NetworkSettings, HostConfig } = await wrap(() => this.#docker.getContainer(handle).inspect());
    if (HostConfig.NetworkMode === 'host') return { host: '127.0.0.1', port };
    const addresses = [...Object.values(NetworkSettings.Networks ?? {}).map((one) => one?.IPAddress)];
    const host = addresses.find((one) => one !== undefined && one !== '');
    return host === undefined ? undefined : { host, port };
  }

  logs(handle: string, query: LogQuery): AsyncIterable<LogLine> {
    return readLogs(this.#docker.getContainer(handle), query);
  }

  async exec(handle: string, query: ExecQuery): Promise<ExecSession> {
    const { argv, tty, stdin } = query;
    const exec = await wrap(() =>
      this.#docker.getContainer(handle).exec({
        ...{ Cmd: argv, Tty: tty, AttachStdin: stdin, AttachStdout: true, AttachStderr: true },
        ...(query.user === undefined ? {} : { User: query.user }),
        ...(query.workingDir === undefined ? {} : { WorkingDir: query.workingDir }),
        ...(query.privileged === true ? { Privileged: true } : {}),
        Env: Object.entries(query.environment ?? {}).map(([name, value]) => `${name}=${value}`),
      }),
    );
    const stream = await wrap(() => exec.start({ hijack: true, stdin, Tty: tty }));
    const resize = async (w: number, h: number): Promise<void> => void (await exec.resize({ w, h }).catch(() => {}));
    if (tty && query.columns !== undefined) await resize(query.columns, query.rows ?? 24);
    const exitCode = new Promise<number>((resolve) => {
      const done = (): void =>
        void exec.inspect().then(
          ({ ExitCode }) => resolve(ExitCode ?? 137),
          () => resolve(137),
        );
      stream.once('end', done);
      stream.once('close', done);
    });
    const kill = (): void => void stream.destroy();
    if (tty) return { input: stream, output: stream, resize, kill, exitCode };
    const [output, errors] = [new PassThrough(), new PassThrough()];
    split(stream, output, errors);
    return { input: stream, output, errors, resize, kill, exitCode };
  }

  watch(onChange: (change: DriverChange) => void): () => void {
    const ending = new AbortController();
    void this.#watch(onChange, ending.signal);
    return () => ending.abort();
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
        await readEvents(stream, onChange);
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

interface EngineEvent {
  Action?: string;
  status?: string;
  Actor?: { Attributes?: Record<string, string> };
}

async function readEvents(stream: NodeJS.ReadableStream, onChange: (change: DriverChange) => void): Promise<void> {
  let rest = '';
  const oom = new Set<string>();
  for await (const chunk of stream) {
    rest += chunk.toString();
    const lines = rest.split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      if (line.trim() === '') continue;
      const event = JSON.parse(line) as EngineEvent;
      const action = event.Action ?? event.status;
      const attributes = event.Actor?.Attributes ?? {};
      const replica = attributes[labelKeys.replica];
      const hash = attributes[labelKeys.hash];
      if (replica === undefined || hash === undefined) continue;
      if (action === 'oom') oom.add(`${replica}@${hash}`);
      if (action !== 'die' && action !== 'died') continue;
      const exitCode = Number(attributes.exitCode ?? attributes.containerExitCode ?? 0);
      onChange({ kind: 'exited', replica, hash, exitCode, oom: oom.delete(`${replica}@${hash}`) });
    }
  }
}

function hostPort(info: ContainerInspectInfo, key: string): number {
  return Number(info.NetworkSettings.Ports?.[key]?.[0]?.HostPort ?? 0);
}

async function wrap<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw engineError(error);
  }
}

function engineError(error: unknown): OscaError {
  const reason = reasonOf(error);
  if (/ECONNREFUSED|ENOENT|EACCES|EPIPE|ECONNRESET|socket hang up/.test(reason)) {
    return new OscaError(
      'engine-away',
      `the container engine does not answer: ${reason}`,
      'is it running, and may this user use its socket?',
      error,
    );
  }
  if ((error as { statusCode?: number }).statusCode === 404) return new OscaError('not-found', reason, '', error);
  return new OscaError('internal', reason, '', error);
}

function startError(unit: UnitSpec, error: unknown): OscaError {
  if (error instanceof OscaError) return error;
  const reason = reasonOf(error)
    .replace(/^\(HTTP code \d+\) [^-]*- /, '')
    .trim();
  if (/no such image|image not known/i.test(reason)) {
    return new OscaError(
      'image-missing',
      `no image ${unit.service.image}: ${reason}`,
      'check the name, or build or load it',
      error,
    );
  }
  if (/port is already allocated|address already in use/i.test(reason))
    return new OscaError('port-taken', reason, 'free the port, or publish another', error);
  const engine = engineError(error);
  return engine.code === 'engine-away' ? engine : new OscaError('start-failed', reason, '', error);
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

/** The engine's stream as two, no faster than both are read. */
function split(stream: Duplex, output: PassThrough, errors: PassThrough): void {
  const multiplex = new Multiplex();
  stream.on('data', (chunk: Buffer) => {
    for (const { isError, bytes } of multiplex.push(chunk)) {
      const to = isError ? errors : output;
      if (!to.write(bytes)) holdBack(stream, to);
    }
  });
  const end = (): void => {
    output.end();
    errors.end();
  };
  stream.once('end', end).once('close', end);
}
