/**
 * Replicas as plain supervised processes: the driver that needs nothing but a kernel.
 *
 * Each unit has a folder: `unit.json` (what it is), `pid`, `log`, `exit`. A few lines of sh stand between the
 * daemon and the process and write its exit code down, so that the process outlives the daemon and the next daemon
 * knows what became of it. With a lifeline (demo) the process dies with the daemon instead.
 */

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { leaseLost, OscaError, reasonOf } from '../../core/errors.ts';
import type { Observed, UnitSpec } from '../../core/events.ts';
import { unitKey } from '../../core/events.ts';
import type { DriverChange, ExecQuery, ExecSession, Life, LogLine, LogQuery, RuntimeDriver } from '../../core/ports.ts';
import { firstMoment } from '../facts/moment.ts';
import type { UnitFiles } from '../files/files.ts';
import { hookFailed, runHooks, timed } from '../hooks/hooks.ts';
import { createCgroup, enterCgroups } from './cgroup.ts';
import { LogKeeper, openLog, readLog } from './log.ts';
import { isSame, startTimeOf } from './proc.ts';
import { checkCommand, environment, freePort, portEnvironment } from './surroundings.ts';
import type { UnitFile } from './unit.ts';
import { endUnit, exitCodeOf, killGroup, readUnit } from './unit.ts';

export interface ProcessDriverOptions {
  folder: string;
  files: UnitFiles;
  /** Processes end when the daemon does, however it ends. */
  lifeline: boolean;
}

/**
 * $1: folder; the rest: argv. Its own session. Writes the child's pid, waits for it, and renames its exit code into place, so
 * that it is there whole or not at all. Signals are for the child; the wrapper outlives them to tell how it ended. (sh
 * makes a background child deaf to INT and QUIT; env gives them back.)
 */
const wrapper =
  'd=$1; shift; trap : TERM INT HUP QUIT USR1 USR2; env --default-signal=INT,QUIT,TERM,HUP,USR1,USR2 -- "$@" 3<&- & c=$!; echo $c >"$d/child"; ' +
  'while :; do wait $c; r=$?; kill -0 $c 2>/dev/null || break; done; echo $r >"$d/exit.new"; mv "$d/exit.new" "$d/exit"';
/** The same, and a reader of descriptor 3 that ends the whole group when the daemon's end of the pipe closes. */
const lifelineWrapper = `( exec 0<&3; trap : TERM INT HUP QUIT USR1 USR2; read _; kill -KILL 0 ) & ${wrapper}; kill -KILL 0`;

export class ProcessDriver implements RuntimeDriver {
  readonly kind = 'process';
  readonly #options: ProcessDriverOptions;
  readonly #watchers = new Set<(change: DriverChange) => void>();
  readonly #running = new Map<string, NodeJS.Timeout>();

  constructor(options: ProcessDriverOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  }

  async version(): Promise<string> {
    return '';
  }

  async list(): Promise<Observed[]> {
    return readdirSync(this.#options.folder).flatMap((name) => {
      const handle = join(this.#options.folder, name);
      const file = readUnit(handle);
      if (file === undefined) return [];
      if (isSame(file.pid, file.pidStart)) this.#await(handle, file);
      return [this.#observe(handle, file)];
    });
  }

  #observe(handle: string, file: UnitFile): Observed {
    const { replica, hash } = file.unit;
    const running = runsStill(handle, file);
    const base = {
      replica,
      hash,
      handle,
      running,
      startedAtMs: file.startedAtMs,
      ports: file.ports,
      driver: this.kind,
    } as const;
    return running ? base : { ...base, exit: { exitCode: exitCodeOf(handle), oom: false } };
  }

  async start(unit: UnitSpec, _progress: (text: string) => void = () => {}, mayStart = () => true): Promise<Observed> {
    const { service } = this.#options.files.bind(unit);
    const argv = [...(service.entrypoint ?? []), ...(service.command ?? [])];
    if (argv.length === 0)
      throw new OscaError(
        'bad-spec',
        `${unit.replica} has no command to run as a process`,
        'give the service a command',
      );
    const handle = join(this.#options.folder, `${unit.replica.replaceAll('/', '_')}@${unit.hash}`);
    await this.#endFormer(handle);
    const ports = await Promise.all(service.ports.map(({ published, hostIp }) => freePort(published, hostIp)));
    const key = unitKey(unit.replica, unit.hash);
    const { files } = this.#options;
    for (const { source, target } of files.place(key, unit)) linkFile(handle, source, target);
    const env: Record<string, string> = {
      ...environment(),
      OSCA_REPLICA: unit.replica,
      ...(service.files === undefined ? {} : { OSCA_FILES: join(handle, 'files') }),
      ...portEnvironment(service.ports, ports),
      ...service.environment,
    };
    checkCommand(argv[0]!, env.PATH ?? '', service.workingDir ?? process.cwd());
    const { lifeline } = this.#options;
    const cgroup = createCgroup(handle, service.resources);
    const log = openLog(handle);
    for (const name of ['exit', 'child']) rmSync(join(handle, name), { force: true });
    if (!mayStart()) throw leaseLost(unit);
    const script = lifeline ? lifelineWrapper : wrapper;
    const child = spawn('/bin/sh', ['-c', `${cgroup.enter}${script}`, 'osca-unit', handle, ...argv], {
      cwd: service.workingDir ?? process.cwd(),
      env,
      detached: true,
      stdio: ['ignore', log, log, lifeline ? 'pipe' : 'ignore'],
    });
    closeSync(log);
    await spawned(child, unit, service.workingDir);
    child.unref();
    // The pipe stays open as long as this process lives; it must not keep it alive.
    (child.stdio[3] as { unref?(): void } | null)?.unref?.();
    const pidStart = startTimeOf(child.pid!) ?? '';
    const file: UnitFile = { unit, ports, startedAtMs: Date.now(), pid: child.pid!, pidStart, cgroups: cgroup.folders };
    try {
      writeFileSync(join(handle, 'unit.json.new'), JSON.stringify(file), { mode: 0o600 });
      renameSync(join(handle, 'unit.json.new'), join(handle, 'unit.json'));
    } catch (error) {
      // What can't be written down can't be found again: it must not run.
      await endUnit(handle, file, 0);
      throw new OscaError(
        'start-failed',
        `${unit.replica} can't be written down: ${reasonOf(error)}`,
        'is the disk full?',
        error,
      );
    }
    this.#await(handle, file);
    try {
      await runHooks(this, handle, service.postStart);
    } catch (error) {
      await this.stop(handle, 0);
      throw hookFailed(unit, error);
    }
    await forked(handle);
    await firstMoment();
    return this.#observe(handle, file);
  }

  /** Whoever still runs from an earlier start of the same unit. */
  async #endFormer(handle: string): Promise<void> {
    const file = readUnit(handle);
    this.#forget(handle);
    if (file !== undefined) await endUnit(handle, file, 0);
  }

  /** Watches one process until it ends. /proc has no events for processes of others, so it is asked four times a second. */
  #await(handle: string, file: UnitFile): void {
    if (this.#running.has(handle)) return;
    const keeper = new LogKeeper(handle);
    const timer = setInterval(() => {
      if (isSame(file.pid, file.pidStart)) return keeper.look();
      keeper.look(true);
      this.#forget(handle);
      const { replica, hash } = file.unit;
      const change: DriverChange = { kind: 'exited', replica, hash, exitCode: exitCodeOf(handle), oom: false };
      for (const onChange of this.#watchers) onChange(change);
    }, 250);
    timer.unref();
    this.#running.set(handle, timer);
  }

  #forget(handle: string): void {
    clearInterval(this.#running.get(handle));
    this.#running.delete(handle);
  }

  livesOf(handle: string): Promise<Life[]> {
    const file = readUnit(handle);
    const runs = file !== undefined && isSame(file.pid, file.pidStart);
    return Promise.resolve(runs ? [{ pid: file.pid, isGroup: true, id: handle }] : []);
  }

  async stop(handle: string, graceMs: number, keep = false): Promise<void> {
    const file = readUnit(handle);
    const hooks = file?.unit.service.preStop;
    if (hooks !== undefined && graceMs > 0 && isSame(file!.pid, file!.pidStart))
      graceMs -= await timed(graceMs, runHooks(this, handle, hooks));
    if (!keep) this.#forget(handle);
    if (file !== undefined) await endUnit(handle, file, graceMs);
    if (keep) return;
    if (file !== undefined) this.#options.files.remove(unitKey(file.unit.replica, file.unit.hash));
    rmSync(handle, { recursive: true, force: true });
  }

  async addressOf(handle: string, port: number): Promise<{ host: string; port: number } | undefined> {
    const file = readUnit(handle);
    const index = file?.unit.service.ports.findIndex(({ target }) => target === port) ?? -1;
    return { host: '127.0.0.1', port: file?.ports[index] ?? port };
  }

  logs(handle: string, query: LogQuery): AsyncIterable<LogLine> {
    refusePart(query, handle);
    return readLog(handle, query, () => runsStill(handle));
  }

  async exec(handle: string, query: ExecQuery): Promise<ExecSession> {
    const file = readUnit(handle);
    if (file === undefined) throw new OscaError('not-found', 'the replica is gone', 'osca ps shows what runs');
    refusePart(query, handle);
    const { service } = this.#options.files.bind(file.unit);
    const env = {
      ...environment(),
      OSCA_REPLICA: file.unit.replica,
      ...(service.files === undefined ? {} : { OSCA_FILES: join(handle, 'files') }),
      ...portEnvironment(service.ports, file.ports),
      ...service.environment,
      ...query.environment,
    };
    const size = `stty rows ${query.rows ?? 24} cols ${query.columns ?? 80}; exec ${query.argv.map(quote).join(' ')}`;
    const [command, ...args] = query.tty ? ['script', '-qec', size, '/dev/null'] : query.argv;
    const child = spawn(command!, args, {
      cwd: query.workingDir ?? service.workingDir ?? process.cwd(),
      env,
      stdio: 'pipe',
      detached: true,
    });
    if (child.pid !== undefined) enterCgroups(file.cgroups, child.pid);
    const exitCode = new Promise<number>((resolve, reject) => {
      child.on('exit', (code) => resolve(code ?? 137));
      child.on('error', (error) =>
        reject(new OscaError('start-failed', `'${query.argv[0]}' can't run: ${error.message}`, 'check the command')),
      );
    });
    exitCode.catch(() => {});
    const session = {
      input: child.stdin,
      output: child.stdout,
      exitCode,
      resize: async () => {},
      kill: () => killGroup(child.pid, 'SIGKILL'),
    };
    return query.tty ? session : { ...session, errors: child.stderr };
  }

  watch(onChange: (change: DriverChange) => void): () => void {
    this.#watchers.add(onChange);
    return () => void this.#watchers.delete(onChange);
  }
}

const runsStill = (handle: string, file = readUnit(handle)): boolean =>
  file !== undefined && isSame(file.pid, file.pidStart) && !existsSync(join(handle, 'exit'));

/** A process has no root of its own: it finds its files by their last names, in the folder that OSCA_FILES names. */
function linkFile(handle: string, source: string, target: string): void {
  const link = join(handle, 'files', basename(target));
  mkdirSync(join(handle, 'files'), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(source, link);
}

/** On a busy machine the wrapper itself takes its time: what it runs has its first moment after that. */
async function forked(handle: string): Promise<void> {
  const deadline = performance.now() + slowForkMs;
  while (!existsSync(join(handle, 'child')) && performance.now() < deadline) await delay(5);
}

const slowForkMs = 2_000;

const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

function spawned(child: ChildProcess, unit: UnitSpec, cwd: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => {
      const reason = cwd !== undefined && !existsSync(cwd) ? `there is no folder ${cwd} on this cell` : reasonOf(error);
      reject(
        new OscaError('start-failed', `${unit.replica} can't start: ${reason}`, 'check working_dir and command', error),
      );
    });
  });
}

/** `handle`: the service stands in it, and is a name for the only one. */
function refusePart({ part }: { part?: string }, handle: string): void {
  if (part === undefined || part === readUnit(handle)?.unit.service.name) return;
  throw new OscaError('not-found', `the replica has no container '${part}'`, 'it is a process, and has only one');
}
