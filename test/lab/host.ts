/** One host of the lab: its power, its cable, its engine, its cell. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, existsSync, globSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import Docker from 'dockerode';
import type { CellRow, ReplicaRow } from '../../src/api/rows.ts';
import { Client } from '../../src/cli/client.ts';
import type { LogEvent } from '../../src/core/model.ts';
import { until } from '../until.ts';
import { busyboxImage } from './image.ts';
import type { Lab } from './lab.ts';
import { makeFolder } from './lab.ts';
import type { Ran } from './shell.ts';
import { childOf, halt, isAlive, run, sh, trySh } from './shell.ts';

export const root = new URL('../..', import.meta.url).pathname;
/** The launcher, as people run it. */
const osca = join(root, 'osca');

/** A network of its own with one card, its cable in the bridge. */
export function plugIn(lab: Lab, space: string, port: string, address: string): void {
  const lan = `${lab.id}-lan`;
  sh('ip', 'netns', 'add', space);
  sh('ip', '-n', space, 'link', 'set', 'lo', 'up');
  sh('ip', '-n', lan, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space);
  sh('ip', '-n', lan, 'link', 'set', port, 'master', 'br0', 'up');
  sh('ip', '-n', space, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
  sh('ip', '-n', space, 'link', 'set', 'eth0', 'up');
  routes(space);
}

function routes(space: string): void {
  sh('ip', '-n', space, 'route', 'replace', 'unreachable', 'default');
  sh('ip', '-n', space, 'route', 'replace', '224.0.0.0/4', 'dev', 'eth0');
}

/** What makes a program read another time of day; timers go on as they are. */
function wrongClock(file: string): NodeJS.ProcessEnv {
  const library = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1')[0];
  if (library === undefined) throw new Error('libfaketime is missing: apt-get install libfaketime');
  const only = { DONT_FAKE_MONOTONIC: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1', NO_FAKE_STAT: '1' };
  return { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1', ...only };
}

export class LabHost {
  readonly lab: Lab;
  readonly name: string;
  readonly space: string;
  /** Its port on the bridge. */
  readonly port: string;
  readonly address: string;
  readonly folder: string;
  readonly dataDir: string;
  readonly engineSocket: string;
  /** What is asked again and again is asked without the CLI, which would take the core from what is watched. */
  readonly #api: Client;
  #box = 0;
  #daemon: ChildProcess | undefined;
  #engine: ChildProcess | undefined;

  constructor(lab: Lab, number: number) {
    this.lab = lab;
    this.name = `h${number}`;
    this.space = `${lab.id}-h${number}`;
    this.port = `v${number}`;
    this.address = `10.77.0.${number}`;
    this.folder = makeFolder(join(lab.folder, this.name));
    this.dataDir = join(this.folder, 'osca');
    this.engineSocket = join(this.folder, 'engine.sock');
    this.#api = new Client(this.dataDir);
  }

  // -- cable and power ---------------------------------------------------------------------------------------------

  plug(): void {
    plugIn(this.lab, this.space, this.port, this.address);
    sh('nsenter', `--net=/run/netns/${this.space}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
  }

  cut(): void {
    sh('ip', '-n', `${this.lab.id}-lan`, 'link', 'set', this.port, 'down');
  }

  uncut(): void {
    sh('ip', '-n', `${this.lab.id}-lan`, 'link', 'set', this.port, 'up');
    routes(this.space);
  }

  async powerOn(): Promise<void> {
    const ready = join(this.folder, 'ready');
    rmSync(ready, { force: true });
    const script = `hostname ${this.name}; mount -t tmpfs -o mode=755 run /run; mkdir -p /run/netns /run/lock; : >${ready}; trap : TERM INT; while :; do sleep 86400 & wait; done`;
    const args = [
      `--net=/run/netns/${this.space}`,
      'unshare',
      '--mount',
      '--uts',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      '--propagation',
      'private',
      'bash',
      '-c',
      script,
    ];
    const child = this.#spawn('nsenter', args, 'box.log');
    await until(`${this.name} is on`, () => existsSync(ready));
    this.#box = childOf(child);
  }

  /** Everything on it ends at once, without a word. */
  powerOff(): void {
    if (this.#box > 0 && isAlive(this.#box)) trySh('kill', '-9', String(this.#box));
    this.#box = 0;
    this.#daemon = undefined;
    this.#engine = undefined;
  }

  #spawn(command: string, args: string[], log: string, env: NodeJS.ProcessEnv = {}): ChildProcess {
    const file = openSync(join(this.folder, log), 'a');
    const child = spawn(command, args, {
      detached: true,
      stdio: ['ignore', file, file],
      env: { ...process.env, ...env, OSCA_LAB: this.lab.id },
    });
    closeSync(file);
    child.unref();
    child.on('error', () => {});
    return child;
  }

  #inside(command: string, args: string[], log: string, env: NodeJS.ProcessEnv = {}): ChildProcess {
    return this.#spawn('nsenter', ['-t', String(this.#box), '-n', '-m', '-u', '-p', command, ...args], log, env);
  }

  /** Runs a command on the host until it is ended. */
  begin(command: string, ...args: string[]): { end(): void } {
    const child = this.#inside(command, args, `${basename(command)}.log`);
    return { end: () => void trySh('kill', String(childOf(child))) };
  }

  /** Runs a command on the host to its end. */
  async sh(...command: string[]): Promise<Ran> {
    return await run('nsenter', ['-t', String(this.#box), '-n', '-m', '-u', '-p', ...command]);
  }

  // -- engine ------------------------------------------------------------------------------------------------------

  get docker(): Docker {
    return new Docker({ socketPath: this.engineSocket });
  }

  async startDocker(): Promise<void> {
    const { folder, engineSocket } = this;
    // What an engine that lost its power left behind: pids of another life, and the socket.
    for (const left of ['docker.pid', 'exec', 'engine.sock'])
      rmSync(join(folder, left), { force: true, recursive: true });
    const args = [
      '--data-root',
      join(folder, 'data'),
      '--exec-root',
      join(folder, 'exec'),
      '-H',
      `unix://${engineSocket}`,
    ];
    this.#engine = this.#inside(
      'dockerd',
      [...args, '--pidfile', join(folder, 'docker.pid'), '--cgroup-parent', `/${this.lab.id}/${this.name}`],
      'dockerd.log',
    );
    await this.#imported('dockerd', 'dockerd.log');
  }

  async startPodman(): Promise<void> {
    const { folder } = this;
    const conf = `[containers]\ndefault_ulimits=["nofile=4096:4096","nproc=4096:4096"]\n[engine]\nruntime="runc"\ncgroup_manager="cgroupfs"\nevents_logger="file"\nevents_logfile_path="${folder}/pevents.log"\nlock_type="file"\n[network]\nnetwork_backend="netavark"\nnetwork_config_dir="${folder}/pnet"\n`;
    writeFileSync(join(folder, 'containers.conf'), conf);
    writeFileSync(
      join(folder, 'storage.conf'),
      `[storage]\ndriver="overlay"\ngraphroot="${folder}/proot"\nrunroot="${folder}/prun"\n`,
    );
    for (const name of ['prun', 'proot', 'ptmp', 'pnet']) makeFolder(join(folder, name));
    const env = {
      CONTAINERS_CONF: join(folder, 'containers.conf'),
      CONTAINERS_STORAGE_CONF: join(folder, 'storage.conf'),
    };
    const args = ['--root', join(folder, 'proot'), '--runroot', join(folder, 'prun'), '--tmpdir', join(folder, 'ptmp')];
    this.#engine = this.#inside(
      'podman',
      [...args, 'system', 'service', '--time=0', `unix://${this.engineSocket}`],
      'podman.log',
      env,
    );
    await this.#imported('podman', 'podman.log');
  }

  async #imported(what: string, log: string): Promise<void> {
    const answers = async (): Promise<boolean> => (await this.docker.ping()) !== undefined;
    await until(`${what} of ${this.name} answers`, answers, 40_000).catch((error: Error) => {
      throw new Error(`${error.message}; it wrote: ${readFileSync(join(this.folder, log), 'utf8').slice(-2_000)}`);
    });
    const images = await this.docker.listImages();
    if (images.some(({ RepoTags }) => RepoTags?.some((tag) => tag.endsWith('busybox:lab')))) return;
    await this.importImage('busybox:lab', ['sleep', '86400']);
  }

  async importImage(name: string, command: string[]): Promise<void> {
    const changes = encodeURIComponent(`CMD ${JSON.stringify(command)}`);
    const path = `/images/create?fromSrc=-&repo=${encodeURIComponent(name)}&changes=${changes}`;
    const done = await run('curl', [
      '-sS',
      '--unix-socket',
      this.engineSocket,
      '-X',
      'POST',
      '-H',
      'content-type: application/x-tar',
      '-H',
      'Expect:',
      '--data-binary',
      `@${busyboxImage(this.lab.folder)}`,
      `http://d${path}`,
    ]);
    if (done.code !== 0 || done.stdout.includes('"error"'))
      throw new Error(`import failed: ${done.stdout}${done.stderr}`);
  }

  /** Stops the engine as its service manager would; without --live-restore its containers stop too. */
  async stopDocker(): Promise<void> {
    const pid = this.#engine === undefined ? 0 : childOf(this.#engine);
    if (pid > 0) trySh('kill', '-TERM', String(pid));
    await until('dockerd has ended', () => !isAlive(pid), 40_000);
    this.#engine = undefined;
  }

  /** Names of running containers. */
  async containers(): Promise<string[]> {
    const list = await this.docker.listContainers();
    return list.map(({ Names }) => (Names[0] ?? '').replace(/^\//, '')).sort();
  }

  /** When the newest container of that name began and ended, by the engine. */
  async lifeOf(prefix: string): Promise<{ running: boolean; startedMs: number; endedMs: number }> {
    const list = await this.docker.listContainers({ all: true });
    const named = list.filter(({ Names }) => Names.some((name) => name.startsWith(`/${prefix}`)));
    const newest = named.sort((a, b) => b.Created - a.Created)[0]!;
    const { State } = await this.docker.getContainer(newest.Id).inspect();
    return { running: State.Running, startedMs: Date.parse(State.StartedAt), endedMs: Date.parse(State.FinishedAt) };
  }

  // -- cell --------------------------------------------------------------------------------------------------------

  /** Starts the daemon with `osca up`; resolves when its API answers. */
  async up(...more: string[]): Promise<void> {
    const args = ['--data', this.dataDir, 'up', '--engine', this.engineSocket, ...more];
    this.#daemon = this.#inside(osca, args, 'osca.log', existsSync(this.#clock) ? wrongClock(this.#clock) : {});
    await until(
      `the cell of ${this.name} answers`,
      async () => (await this.#api.call('GET', '/v1/status')) !== undefined,
      15_000,
    );
  }

  /** How far the clock of its daemon is off, from the next `up` or, where it was set before that, at once: '-1h', '+90d'. */
  setClock(off: string): void {
    writeFileSync(this.#clock, off);
  }

  get #clock(): string {
    return join(this.folder, 'clock');
  }

  /** Another daemon on the same machine and engine, of an appliance of its own. Returns its CLI. */
  async upBeside(name: string): Promise<(...args: string[]) => Promise<Ran>> {
    const data = ['--data', join(this.folder, name)];
    const apart = ['--found', '--no-mdns', '--listen', '/ip4/127.0.0.1/tcp/0', '--api-port', '0'];
    this.#inside(osca, [...data, 'up', '--name', name, '--engine', this.engineSocket, ...apart], `${name}.log`);
    const cli = async (...args: string[]): Promise<Ran> => await run(osca, [...data, ...args]);
    await until(`the cell ${name} answers`, async () => (await cli('status', '--json')).code === 0, 15_000);
    return cli;
  }

  get daemonPid(): number {
    return this.#daemon === undefined ? 0 : childOf(this.#daemon);
  }

  /** dockerd and its containerd. */
  get enginePids(): number[] {
    const pid = this.#engine === undefined ? 0 : childOf(this.#engine);
    const children = trySh('cat', `/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number);
    return [pid, ...children].filter((one) => one > 0);
  }

  /** The daemon is stopped for a while, as by a busy board; its kernel and containers go on. */
  async freeze(ms: number): Promise<void> {
    const thaw = halt(this.#daemon!);
    await new Promise((done) => setTimeout(done, ms));
    thaw();
  }

  /** Its engine takes connections and does not answer, until what is returned is called. */
  freezeEngine(): () => void {
    return halt(this.#engine!);
  }

  crashDaemon(): void {
    const pid = this.daemonPid;
    if (pid > 0) trySh('kill', '-9', String(pid));
    this.#daemon = undefined;
  }

  /** Asks the daemon to go, as a service manager does; resolves when it is gone. */
  async leave(): Promise<void> {
    const pid = this.daemonPid;
    sh('kill', '-TERM', String(pid));
    await until(`the daemon of ${this.name} has ended`, () => !isAlive(pid), 40_000);
    this.#daemon = undefined;
  }

  log(): string {
    return readFileSync(join(this.folder, 'osca.log'), 'utf8');
  }

  /** The CLI against this host's daemon. */
  async osca(...args: string[]): Promise<Ran> {
    return await run(osca, ['--data', this.dataDir, ...args]);
  }

  /** The same, which must succeed. */
  async ok(...args: string[]): Promise<string> {
    const done = await this.osca(...args);
    if (done.code !== 0)
      throw new Error(
        `osca ${args.join(' ')} ended with ${done.code}: ${done.stderr}${done.stdout}\n${this.log().slice(-3_000)}`,
      );
    return done.stdout;
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, '--json')) as T;
  }

  async cells(): Promise<CellRow[]> {
    return (await this.#api.call<{ cells: CellRow[] }>('GET', '/v1/cells')).cells;
  }

  async alive(): Promise<string[]> {
    return (await this.cells())
      .filter(({ state }) => state === 'alive')
      .map(({ name }) => name)
      .sort();
  }

  async replicas(target?: string): Promise<ReplicaRow[]> {
    const search = target === undefined ? '' : `?target=${encodeURIComponent(target)}`;
    return await this.#api.call<ReplicaRow[]>('GET', `/v1/replicas${search}`);
  }

  async events(): Promise<LogEvent[]> {
    return await this.#api.call<LogEvent[]>('GET', '/v1/events');
  }
}
