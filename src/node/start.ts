/** Builds one daemon out of its parts, in order, and takes it down in the opposite one. The only place that makes adapters. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Docker from 'dockerode';
import type { ApiServer } from '../api/server.ts';
import { startApi } from '../api/server.ts';
import { OscaError, reasonOf } from '../core/errors.ts';
import type { Effect } from '../core/events.ts';
import type { AppState, CellId } from '../core/model.ts';
import type { RuntimeDriver } from '../core/ports.ts';
import { Random } from '../core/random.ts';
import type { DriverKind } from '../core/spec.ts';
import { Store } from '../crdt/sqlite/store.ts';
import { createVault } from '../crdt/vault/vault.ts';
import { createSealer } from '../gossip/libp2p/seal.ts';
import { Transport } from '../gossip/libp2p/transport.ts';
import { Packages } from '../release/files/packages.ts';
import { Upgrader } from '../release/files/upgrader.ts';
import { Versions } from '../release/files/versions.ts';
import { DockerDriver } from '../runtime/docker/driver.ts';
import { buildImage, loadImage, saveImage, tagImage } from '../runtime/docker/images.ts';
import { debianArch, gpuCount, LoadMeter, machineFacts, presentDevices } from '../runtime/facts/machine.ts';
import { makeHousekeeping } from '../runtime/facts/memory.ts';
import { memoryFolder, UnitFiles } from '../runtime/files/files.ts';
import { probe } from '../runtime/probe/probe.ts';
import { ProcessDriver } from '../runtime/process/driver.ts';
import { Fuses } from '../runtime/process/fuses.ts';
import { nextTime } from '../specs/cron.ts';
import { Cell } from './cell.ts';
import type { Config } from './config.ts';
import { announceReturn, earlierStarts, farewell, handOver } from './departure.ts';
import { Deployer } from './deployer.ts';
import { EngineName } from './engine.ts';
import { Host } from './host.ts';
import { apiToken, cellSeed, freshSeed, prepareFolder, writeSecret } from './identity.ts';
import { checkTicket, foundLater } from './joining.ts';
import { ownFacts } from './machine.ts';
import { Peers } from './peers.ts';
import type { Deployed } from './specs-folder.ts';
import { SpecsFolder } from './specs-folder.ts';
import { version } from './version.ts';

export interface Daemon {
  host: Host;
  /** http://127.0.0.1:PORT */
  url: string;
  /** Resolves when others run what this cell ran, or after a while. */
  handOver(): Promise<void>;
  /** Says that it is back at once, and stops: others wait for it. */
  rest(): Promise<void>;
  stop(): Promise<void>;
}

export interface DaemonLog {
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

const loadEveryMs = 5_000;
const tidyEveryMs = 30_000;
const slowEngineMs = 5_000;

function onBug(error: unknown): void {
  process.stderr.write(
    `osca: a bug ended this daemon; please report it:\n${error instanceof Error ? error.stack : String(error)}\n`,
  );
  process.exit(70);
}

/** Throws OscaError where the folder, the ports or the network can't be used. */
export async function startDaemon(config: Config, log: DaemonLog, restart: () => Promise<void>): Promise<Daemon> {
  prepareFolder(config.dataDir);
  const store = Store.open(config.dataDir);
  const closing: (() => unknown)[] = [() => store.close()];
  const stop = async (): Promise<void> => {
    for (const close of closing.splice(0).reverse()) await close();
  };
  try {
    return await assemble(config, log, store, closing, { stop, restart });
  } catch (error) {
    await stop();
    throw error;
  }
}

async function assemble(
  config: Config,
  log: DaemonLog,
  store: Store,
  closing: (() => unknown)[],
  { stop, restart }: { stop(): Promise<void>; restart(): Promise<void> },
): Promise<Daemon> {
  const seed = cellSeed(config.dataDir);
  const sealer = createSealer(seed);
  checkTicket(config, store.get('founder'), sealer);
  const random = new Random(freshSeed());
  const cell = new Cell({ sealer, vault: createVault(seed), random: random.fork('cell') });
  const docker = new Docker({ socketPath: engineSocket(config) });
  const drivers = new Map<DriverKind, RuntimeDriver>();
  let transport: Transport | undefined;
  let api: ApiServer | undefined;
  let reopening = Promise.resolve();
  const fuses = new Fuses({ folder: join(config.dataDir, 'fuses'), engine: engineSocket(config) });
  const host = new Host({
    cell,
    store,
    drivers,
    fuses,
    log,
    probe,
    onAppliance: (effect) => belong(effect),
    onUpgrade: (release) => void upgrader?.take(release),
    onBug,
  });
  const peers = new Peers(host, () => transport);
  const packages = new Packages(join(config.dataDir, 'releases'));
  const upgrader = makeUpgrader(config, { host, peers, packages, restart });

  const belong = ({ founder, seed: founding, ticket }: Effect & { type: 'appliance' }): void => {
    const isNew = store.get('founder') !== founder;
    store.set('founder', founder);
    // Until a member has let this cell in, it must be able to show it again after a restart.
    if (ticket !== undefined) store.set('ticket', ticket);
    if (founding !== undefined) writeSecret(join(config.dataDir, 'founding.key'), `${founding}\n`);
    // Who begins what its ticket is for has its network already.
    if (transport !== undefined && (isNew || founding === undefined)) reopening = reopening.then(() => open());
  };
  const open = async (): Promise<void> => {
    host.setTransport(undefined);
    await transport?.stop();
    const appliance = host.view().appliance;
    const options = { seed, listen: config.listen, mdns: config.mdns, ...(appliance === '' ? {} : { appliance }) };
    const handlers = {
      onFrame: (from: CellId, text: string, sealed: boolean) => host.give({ type: 'frame', from, text, sealed }),
      onConnected: (peer: CellId) => host.give({ type: 'peer.connected', peer }),
      onDisconnected: (peer: CellId) => host.give({ type: 'peer.disconnected', peer }),
      onRefused: (peer: CellId) => host.give({ type: 'peer.refused', peer }),
      onThere: (peer: CellId) => host.give({ type: 'peer.there', peer }),
      onHttp: (stream: Duplex) => api?.serve(stream),
      isAdmitted: (peer: CellId) => cell.isAdmitted(peer),
      isNewcomer: () => host.view().phase !== 'member',
    };
    transport = await openTransport(options, handlers, host);
    for (const { id, addrs } of store.peers()) transport.know(id, addrs);
    host.setTransport(transport);
    await tellFacts();
  };

  const base = { ...(await machineFacts(version)), ...(upgrader === undefined ? {} : { upgrades: true as const }) };
  const files = new UnitFiles(
    memoryFolder(config.dataDir),
    (app, blob) => cell.reveal(app, blob),
    () => ownFacts(host.view()),
  );
  const dockerDriver = new DockerDriver({
    ...{ docker, files },
    owner: () => ({ cell: cell.id, appliance: host.view().appliance }),
    fetchImage: async (image, from, progress) =>
      await peers.fetchImage(image, from, progress, (archive) => loadImage(docker, archive)),
  });
  if (config.engine !== '') drivers.set('docker', dockerDriver);
  drivers.set(
    'process',
    new ProcessDriver({ files, folder: join(config.dataDir, 'process'), lifeline: config.lifeline }),
  );
  const engineName = new EngineName({
    ask: () => (config.engine === '' ? Promise.resolve('') : dockerDriver.version()),
    kept: () => store.get('engine') ?? '',
    keep: (name) => store.set('engine', name),
    nowMs: () => performance.now(),
    pause: (ms) => pause(ms, undefined, { ref: false }),
  });
  closing.push(() => engineName.stop());
  let told = '';
  let seen: readonly AppState[] = [];
  const tellFacts = async (): Promise<void> => {
    const engine = await engineName.now();
    const addrs = transport?.addrs() ?? [];
    const devices = presentDevices(seen);
    const gpus = gpuCount();
    const text = `${engine} ${addrs.join()} ${devices.join()} ${gpus}`;
    if (text === told) return;
    told = text;
    const more = { ...(devices.length === 0 ? {} : { devices }), ...(gpus === 0 ? {} : { gpus }) };
    host.give({ type: 'facts', name: config.name, facts: { ...base, ...more, engine }, addrs });
  };

  const clock = (): void => host.give({ type: 'clock', offsetMs: Date.now() - performance.now() });
  clock();
  await tellFacts();
  const founder = store.get('founder');
  const ticket = config.ticket ?? store.get('ticket');
  const upgrade = upgrader?.atStart();
  host.give({
    ...{
      type: 'boot',
      incarnation: store.nextIncarnation(),
      startsAgoMs: earlierStarts(store),
      updates: store.updates(),
      clientId: random.fork('document').next(),
    },
    ...(founder === undefined ? {} : { founder }),
    ...(ticket === undefined ? {} : { ticket }),
    ...(upgrade === undefined ? {} : { upgrade }),
  });
  closing.push(() => host.stop());
  if (founder === undefined && config.ticket === undefined && config.found)
    await host.ask({ op: 'found', seed: freshSeed() });

  const builder = {
    build: (tag: string, build: { context: string; args: Record<string, string> }, progress: (text: string) => void) =>
      buildImage(docker, { ...build, tag }, progress),
    tag: (image: string, repo: string, tag: string) => tagImage(docker, image, repo, tag),
  };
  const deployer = new Deployer(host, builder);
  api = await startApi(
    {
      host,
      deployer,
      peers,
      packages,
      drivers,
      store,
      nextTime,
      randomId: () => randomBytes(3).toString('hex'),
      saveImage: (image) => saveImage(docker, image),
      token: apiToken(config.dataDir),
      version,
    },
    { socket: join(config.dataDir, 'osca.sock'), port: config.apiPort },
  );
  closing.push(() => api?.stop());
  closing.push(() => transport?.stop());
  // What runs here is told with the first word, but where the engine is slow to say it.
  const attached = Promise.all([...drivers.values()].map((driver) => host.attach(driver, tellFacts)));
  closing.push(async () => {
    for (const detach of await Promise.race([attached, []])) detach();
  });
  if (!engineName.isSilent) await Promise.race([attached, pause(slowEngineMs)]);
  if (config.engine !== undefined && config.engine !== '' && told.startsWith(' '))
    host.tell({
      level: 'warn',
      kind: 'engine',
      message: `no engine answers at ${config.engine}; it is used when it does`,
    });
  await open();

  // A device that a new app names is looked for at once.
  const offDevices = host.onChange(() => {
    const { apps } = host.view();
    if (apps === seen) return;
    seen = apps;
    void tellFacts();
  });
  closing.push(offDevices);
  const folder = specsFolder(config, store, host, deployer);
  folder.start();
  closing.push(() => folder.stop());
  const meter = new LoadMeter();
  const pulse = setInterval(() => {
    clock();
    host.give({ type: 'load', load: meter.read() });
    void tellFacts();
  }, loadEveryMs);
  closing.push(() => clearInterval(pulse));
  const housekeeping = setInterval(makeHousekeeping(), tidyEveryMs);
  closing.push(() => clearInterval(housekeeping));
  const listening = foundLater(config.listenMs, host, {
    addrs: () => transport?.addrs() ?? [],
    listenAnew: () => {
      reopening = reopening.then(() => open());
    },
  });
  closing.push(() => listening.stop());
  void upgrader?.judge();
  closing.push(() => upgrader?.stop());
  let isResting = false;
  closing.push(() => (isResting ? undefined : farewell(host)));
  const rest = async (): Promise<void> => {
    isResting = true;
    await announceReturn(host, store);
    await stop();
  };
  return { host, url: api.url, handOver: async () => await handOver(host), rest, stop };
}

/** Undefined where the daemon can't be followed by another version of itself. */
function makeUpgrader(
  { versions }: Config,
  { host, peers, packages, restart }: { host: Host; peers: Peers; packages: Packages; restart(): Promise<void> },
): Upgrader | undefined {
  if (versions === undefined || !existsSync('/usr/bin/dpkg-deb')) return undefined;
  const root = fileURLToPath(new URL('..', import.meta.url));
  return new Upgrader({
    ...{ packages, versions: new Versions(versions, root), arch: debianArch(), restart },
    view: () => host.view(),
    request: (cell, path) => peers.request(cell, { path }),
    tell: (upgrade) => host.give({ type: 'upgrade', ...(upgrade === undefined ? {} : { upgrade }) }),
    log: (event) => host.tell(event),
  });
}

/** Listens, and on a taken port anywhere else: a cell without its usual port is still found. */
async function openTransport(
  options: Parameters<typeof Transport.open>[0],
  handlers: Parameters<typeof Transport.open>[1],
  host: Host,
): Promise<Transport> {
  try {
    return await Transport.open(options, handlers);
  } catch (error) {
    const listen = options.listen.map((addr) => addr.replace(/\/tcp\/\d+/, '/tcp/0'));
    if (listen.join() === options.listen.join()) {
      throw new OscaError(
        'data-unusable',
        `can't listen on ${options.listen.join()}: ${reasonOf(error)}`,
        'give another address with --listen',
        error,
      );
    }
    host.tell({
      level: 'warn',
      kind: 'network',
      message: `${options.listen.join()} is taken; listening on a free port`,
    });
    return await Transport.open({ ...options, listen }, handlers);
  }
}

function specsFolder(config: Config, store: Store, host: Host, deployer: Deployer): SpecsFolder {
  return new SpecsFolder({
    folder: join(config.dataDir, 'specs'),
    deploy: async (file, check) => {
      const fallbackName = file
        .split('/')
        .at(-1)!
        .replace(/\.ya?ml$/, '')
        .toLowerCase();
      const request = {
        file,
        env: {},
        profiles: [],
        fallbackName,
        by: host.view().members.find(({ self }) => self)?.name ?? 'specs',
        acks: 1,
      };
      check(deployer.read(request).app.name);
      return (await deployer.deploy(request, () => {})).app.name;
    },
    remove: async (app) => void (await host.ask({ op: 'remove', app })),
    tell: (event) => host.tell(event),
    load: () => JSON.parse(store.get('specs') ?? '{}') as Record<string, Deployed>,
    save: (files) => store.set('specs', JSON.stringify(files)),
  });
}

/** The engine's socket: what was asked for, or the first of the usual places. */
function engineSocket({ engine }: Config): string {
  if (engine !== undefined && engine !== '') return engine.replace(/^unix:\/\//, '');
  const runtime = process.env.XDG_RUNTIME_DIR ?? '/run';
  const env = process.env.DOCKER_HOST?.replace(/^unix:\/\//, '');
  const places = [
    ...(env === undefined ? [] : [env]),
    '/var/run/docker.sock',
    '/run/podman/podman.sock',
    join(runtime, 'podman/podman.sock'),
  ];
  return places.find((place) => existsSync(place)) ?? '/var/run/docker.sock';
}
