/**
 * A whole appliance in one process and in no time: up to a thousand real Cells, one agenda of things to happen, a virtual
 * clock, a network that misbehaves to order. The seed decides everything: the same seed replays bit for bit
 * (`World.digest`). Real libp2p, disks and engines stay outside; contract, lab and e2e suites hold those.
 */
import type { Effect, Event, Reply, Request } from '../../src/core/events.ts';
import { nextIncarnation } from '../../src/core/frames.ts';
import { hash32 } from '../../src/core/hash.ts';
import type { ClusterView, LogEvent, Release } from '../../src/core/model.ts';
import { Random } from '../../src/core/random.ts';
import type { CellOptions } from '../../src/node/cell.ts';
import { Cell, cellDefaults } from '../../src/node/cell.ts';
import { Engines } from './engines.ts';
import { Agenda } from './heap.ts';
import type { SimHost } from './host.ts';
import { clockOf, simHost, simSealer, simVault } from './host.ts';
import type { NetworkOptions } from './network.ts';
import { lan, Network } from './network.ts';

export interface WorldOptions {
  seed: string;
  network?: NetworkOptions;
  cell?: CellOptions;
  /** How many peers a starting cell hears of by itself; all where absent. */
  hears?: number;
  startMs?: [number, number];
  fsyncMs?: [number, number];
  /** It is this host's turn to take a release. */
  onUpgrade?: (world: World, host: SimHost, release: Release) => void;
}

type Happening = { kind: 'event'; host: string; life: number; event: Event } | { kind: 'act'; run: () => void };

/** An engine is asked what it has. */
export const listEveryMs = 30_000;

/** What is done once in a while happens often here. */
const often: CellOptions = { ...cellDefaults, document: { sweepAfter: 20, logUpdates: 10, logBytes: 1_048_576 } };

export class World {
  readonly hosts = new Map<string, SimHost>();
  readonly network: Network;
  readonly events: (Omit<LogEvent, 'seq'> & { host: string })[] = [];
  readonly replies = new Map<number, Reply>();
  readonly random: Random;
  readonly #options: WorldOptions;
  readonly #agenda = new Agenda<Happening>();
  readonly #work: Random;
  readonly #engines: Engines;
  /** `news`: published records and changes of the document; alerts come and go where frames are lost. */
  readonly frames = { sent: 0, published: 0, news: 0, bytes: 0, longest: 0 };
  /** What must never be, and was. */
  readonly violations: string[] = [];
  /** Containers of images named falls-… end soon after they started. */
  falling = true;
  /** Replicas of jobs, and how often each ran to a good end. */
  readonly worked = new Map<string, number>();
  /** How often a cell brought its view up to date. */
  changes = 0;
  /** Called with each cell that did. */
  onView: ((host: SimHost) => void) | undefined;
  nowMs = 0;
  /** Hosts that began an appliance, in order. */
  readonly founders: string[] = [];
  digest = 0;
  steps = 0;
  #request = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.random = new Random(options.seed);
    this.#work = this.random.fork('work');
    this.#engines = new Engines(this, this.#work);
    this.network = new Network(this.random.fork('network'), options.network ?? lan);
  }

  // -- machines ----------------------------------------------------------------------------------------------------

  addHost(name: string, facts: { cpuMilli?: number; engine?: string } = {}): SimHost {
    const id = `cell-${name}-${hash32(this.#options.seed + name).toString(36)}`;
    const host = simHost(name, id, facts.engine ?? 'Docker', facts.cpuMilli ?? 4_000);
    this.hosts.set(name, host);
    return host;
  }

  start(name: string, given?: string): void {
    const host = this.hosts.get(name)!;
    const ticket = given ?? host.disk.ticket;
    host.life++;
    // A process of its own: what was stopped was the one before.
    host.pausedUntilMs = 0;
    const random = this.random.fork(`cell/${name}/${host.life}`);
    const clientId = random.next();
    host.cell = new Cell({ sealer: simSealer(host.id), vault: simVault(host.id), random }, this.#options.cell ?? often);
    const { disk } = host;
    disk.incarnation = nextIncarnation(disk.incarnation);
    this.setClock(name, host.wallByMs);
    this.#tellFacts(host);
    const remembered = disk.founder === undefined ? {} : { founder: disk.founder };
    const startsAgoMs = disk.starts.map((atMs) => this.nowMs - atMs);
    disk.starts.push(this.nowMs);
    const note = disk.upgrade === undefined ? {} : { upgrade: disk.upgrade };
    const boot = {
      ...note,
      startsAgoMs,
      incarnation: disk.incarnation,
      updates: [...disk.updates],
      clientId,
      ...remembered,
    };
    this.give(name, { type: 'boot', ...boot, ...(ticket === undefined ? {} : { ticket }) });
    this.#list(host, host.life);
    this.give(name, { type: 'units.observed', driver: 'process', units: [] });
    this.#discover(host);
  }

  /** What the engine has, at a start and from time to time, as Host asks. */
  #list(host: SimHost, life: number): void {
    if (host.life !== life || host.cell === undefined) return;
    this.give(host.name, {
      type: 'units.observed',
      driver: 'docker',
      units: [...host.containers.values(), ...host.ended.values()],
    });
    this.after(listEveryMs, () => this.#list(host, life));
  }

  #tellFacts({ name, engine, says, disk }: SimHost): void {
    const machine = {
      version: disk.version ?? '1.0.0',
      upgrades: true as const,
      os: 'linux',
      arch: 'amd64',
      hostname: name,
    };
    const facts = { ...machine, ...says, engine };
    this.give(name, { type: 'facts', name, facts, addrs: [`/sim/${name}`] });
  }

  /** mDNS: those who are there hear of the newcomer and it of them, a little later. */
  #discover(host: SimHost): void {
    const others = [...this.hosts.values()].filter((other) => other !== host && other.cell !== undefined);
    const heard = this.#options.hears === undefined ? others : this.#work.shuffle(others).slice(0, this.#options.hears);
    for (const other of heard) {
      const delay = this.#work.between(20, 200);
      this.after(delay, () => this.connect(host.name, other.name));
    }
  }

  connect(a: string, b: string): void {
    const [one, two] = [this.hosts.get(a), this.hosts.get(b)];
    if (one?.cell === undefined || two?.cell === undefined || !this.network.isBetween(a, b)) return;
    one.connected.add(b);
    two.connected.add(a);
    this.give(a, { type: 'peer.connected', peer: two.id });
    this.give(b, { type: 'peer.connected', peer: one.id });
  }

  /** kill -9 of the daemon: connections close, containers live on. */
  crash(name: string): void {
    const host = this.hosts.get(name);
    if (host === undefined) return;
    host.cell = undefined;
    host.life++;
    for (const peer of host.connected) {
      this.hosts.get(peer)?.connected.delete(name);
      if (!this.network.reaches(name, peer)) continue;
      this.after(2, () => this.give(peer, { type: 'peer.disconnected', peer: host.id }));
    }
    host.connected.clear();
  }

  /** The power goes: daemon and containers die at once, and nobody hears a word. */
  powerOff(name: string): void {
    const host = this.hosts.get(name)!;
    host.cell = undefined;
    host.life++;
    host.boots++;
    for (const handle of [...host.containers.keys()]) this.#engines.end(host, handle);
    for (const peer of host.connected) this.hosts.get(peer)?.connected.delete(name);
    host.connected.clear();
    this.network.cut(name);
  }

  /** It is taken away for good. */
  remove(name: string): void {
    this.powerOff(name);
    this.network.uncut(name);
    this.#byId.delete(this.hosts.get(name)!.id);
    this.hosts.delete(name);
  }

  loseDisk(name: string): void {
    this.hosts.get(name)!.disk = {
      incarnation: 0,
      founder: undefined,
      updates: [],
      former: [],
      starts: [],
      writtenMs: 0,
    };
  }

  /** The last write was not on the disk after all; whether there was one. */
  tear(name: string): boolean {
    const { disk } = this.hosts.get(name)!;
    const isLost = disk.updates.pop() !== undefined;
    if (disk.updates.length === 0) [disk.updates, disk.former] = [disk.former, []];
    return isLost;
  }

  pause(name: string, forMs: number): void {
    const host = this.hosts.get(name)!;
    host.pausedUntilMs = Math.max(host.pausedUntilMs, this.nowMs + forMs);
  }

  partition(islands: string[][], bridges: string[] = [], isOneWay = false): void {
    this.network.partition(islands, bridges, isOneWay);
    // Some may be together that were apart.
    this.#meet();
  }

  /** The wall clock is set, also where the cell is yet to start; nothing but the times that people read may change. */
  setClock(name: string, byMs: number): void {
    const host = this.hosts.get(name)!;
    host.wallByMs = byMs;
    if (host.cell !== undefined) this.give(name, { type: 'clock', offsetMs: 1_700_000_000_000 + byMs });
  }

  /** What it says of its machine from now on, true or not. */
  say(name: string, lie: Partial<SimHost['says']>): void {
    const host = this.hosts.get(name)!;
    Object.assign(host.says, lie);
    this.#tellFacts(host);
  }

  /** Power is back on one board. */
  powerOn(name: string): void {
    this.network.uncut(name);
    const host = this.hosts.get(name);
    if (host === undefined) return;
    if (host.cell === undefined) this.start(name);
    // Whose daemon was started while its cable was out looks for the others again.
    else this.#discover(host);
  }

  /** Cables back in. */
  heal(): void {
    this.network.heal();
    this.#meet();
  }

  /** Those who are within reach of each other find each other again. */
  #meet(): void {
    const up = [...this.hosts.values()].filter(({ cell }) => cell !== undefined);
    for (const host of up) {
      const near = up.filter((one) => one !== host && this.network.isBetween(host.name, one.name));
      for (const other of this.#work.shuffle(near).slice(0, 3)) {
        this.after(this.#work.between(50, 1_000), () => this.connect(host.name, other.name));
      }
    }
  }

  // -- people ------------------------------------------------------------------------------------------------------

  /** Asks a cell; the reply comes while time goes on. */
  ask(name: string, request: Request): () => Reply | undefined {
    const id = ++this.#request;
    this.give(name, { type: 'request', id, request });
    return () => this.replies.get(id);
  }

  /** Asks, lets time go on, and returns the reply's value. Throws on a refusal or after `withinMs`. */
  get(name: string, request: Request, withinMs = 10_000): Record<string, unknown> {
    const answer = this.ask(name, request);
    this.until(() => answer() !== undefined, withinMs, `a reply to ${request.op}`);
    const reply = answer()!;
    if (!reply.ok) throw new Error(`${request.op}: ${reply.message} (${reply.hint})`);
    return reply.value;
  }

  /** Calls back when the answer is there. */
  tellOf(answer: () => Reply | undefined, told: (reply: Reply) => void): void {
    const reply = answer();
    if (reply !== undefined) told(reply);
    else this.after(50, () => this.tellOf(answer, told));
  }

  view(name: string): ClusterView {
    const host = this.hosts.get(name);
    const view = host?.cell?.view(clockOf(host, this.nowMs));
    if (view === undefined) throw new Error(`${name} is not up`);
    return view;
  }

  up(): SimHost[] {
    return [...this.hosts.values()].filter(({ cell }) => cell !== undefined);
  }

  // -- time --------------------------------------------------------------------------------------------------------

  after(delayMs: number, run: () => void): void {
    this.#agenda.push(this.nowMs + delayMs, { kind: 'act', run });
  }

  run(forMs: number): void {
    const endMs = this.nowMs + forMs;
    for (let next = this.#agenda.peekMs(); next !== undefined && next <= endMs; next = this.#agenda.peekMs())
      this.step();
    this.nowMs = endMs;
  }

  /** Lets time go on until `done`; throws after `withinMs` with the seed. */
  until(done: () => boolean, withinMs: number, what: string, everyMs = 5): number {
    const startMs = this.nowMs;
    const endMs = startMs + withinMs;
    let checkedMs = Number.NEGATIVE_INFINITY;
    for (;;) {
      if (this.nowMs - checkedMs >= everyMs) {
        checkedMs = this.nowMs;
        if (done()) return this.nowMs - startMs;
      }
      const next = this.#agenda.peekMs();
      if (next === undefined || next > endMs) {
        this.nowMs = endMs;
        if (done()) return withinMs;
        throw new Error(
          `seed ${this.#options.seed}, step ${this.steps}, ${this.nowMs} ms: not within ${withinMs} ms: ${what}`,
        );
      }
      this.step();
    }
  }

  step(): void {
    const due = this.#agenda.pop();
    if (due === undefined) return;
    this.nowMs = due.atMs;
    this.steps++;
    if (due.what.kind === 'act') {
      due.what.run();
      return;
    }
    const { host: name, life, event } = due.what;
    const host = this.hosts.get(name);
    if (host === undefined || host.life !== life || host.cell === undefined) return;
    if (host.pausedUntilMs > this.nowMs) {
      this.#agenda.push(host.pausedUntilMs, due.what);
      return;
    }
    // A busy loop: each event keeps the next ones waiting.
    if (host.slowMs > 0) {
      host.pausedUntilMs = this.nowMs + this.#work.between(0, host.slowMs);
      host.wasSlowMs = this.nowMs;
    }
    this.#handle(host, event);
  }

  /** Hands an event to a cell at once. */
  give(name: string, event: Event): void {
    const host = this.hosts.get(name)!;
    if (host.cell === undefined) return;
    if (host.pausedUntilMs > this.nowMs) this.#later(host, event, host.pausedUntilMs - this.nowMs);
    else this.#handle(host, event);
  }

  #later(host: SimHost, event: Event, delayMs: number): void {
    this.#agenda.push(this.nowMs + delayMs, { kind: 'event', host: host.name, life: host.life, event });
  }

  #handle(host: SimHost, event: Event): void {
    this.digest = hash32(
      `${this.nowMs} ${host.name} ${event.type} ${event.type === 'frame' ? event.text : ''}`,
      this.digest,
    );
    const before = this.changes;
    for (const effect of host.cell!.handle(event, clockOf(host, this.nowMs))) this.#perform(host, effect);
    if (event.type === 'unit.started') host.told.add(event.observed.handle);
    else if (event.type === 'units.observed') for (const { handle } of event.units) host.told.add(handle);
    if (this.changes > before) this.onView?.(host);
  }

  // -- effects -----------------------------------------------------------------------------------------------------

  #perform(host: SimHost, effect: Effect): void {
    const draw = ([low, high]: [number, number]) => this.#work.between(low, high);
    switch (effect.type) {
      case 'timer':
        return this.#later(host, { type: 'timer', name: effect.name, epoch: effect.epoch }, effect.afterMs / host.rate);
      case 'send':
        return this.#send(host, effect.to, effect.text);
      case 'publish':
        return this.#publish(host, effect.text);
      case 'look':
        return this.#look(host, effect.to);
      case 'appliance':
        host.disk.founder = effect.founder;
        if (effect.ticket !== undefined) host.disk.ticket = effect.ticket;
        if (effect.seed !== undefined) this.founders.push(host.name);
        return;
      case 'persist': {
        const { life, disk } = host;
        disk.writtenMs = Math.max(disk.writtenMs, this.nowMs + draw(this.#options.fsyncMs ?? [1, 8]));
        return this.after(disk.writtenMs - this.nowMs, () => {
          if (host.life !== life) return;
          if (effect.whole === true) [disk.former, disk.updates] = [disk.updates, []];
          disk.updates.push(effect.update);
          this.give(host.name, { type: 'persisted', token: effect.token });
        });
      }
      case 'unit.start':
        return this.#engines.start(host, effect, draw(this.#options.startMs ?? [150, 400]) * host.startFactor);
      case 'unit.stop':
        if (host.engine === '') return;
        if (effect.keep === true) return this.#engines.halt(host, effect.key, effect.handle, 137);
        this.#engines.mayStop(host, effect.key, effect.handle);
        return this.#later(host, { type: 'unit.stopped', key: effect.key }, this.#engines.stop(host, effect.handle));
      case 'unit.cancel':
        return;
      case 'unit.fuse':
        return this.#engines.fuse(host, effect.key, effect.forMs);
      case 'unit.probe':
        return this.#engines.probe(host, effect);
      case 'reply':
        this.replies.set(effect.id, effect.reply);
        return;
      case 'event':
        this.events.push({ host: host.name, atMs: this.nowMs, ...effect.event });
        return;
      case 'changed':
        this.changes++;
        return;
      case 'upgrade':
        return this.#options.onUpgrade?.(this, host, effect.release);
      case 'expel':
        return this.#reopen(host, effect.peer);
      case 'reach':
        return;
    }
  }

  /** Lines to who was removed are closed; it dials again, and hears at the door why. */
  #reopen(host: SimHost, peer: string): void {
    const other = this.hostOf(peer);
    if (other === undefined || !host.connected.delete(other.name)) return;
    other.connected.delete(host.name);
    if (this.network.reaches(host.name, other.name))
      this.#later(other, { type: 'peer.disconnected', peer: host.id }, 2);
    this.after(1_000, () => this.connect(other.name, host.name));
  }

  #send(host: SimHost, to: string, text: string): void {
    this.frames.sent++;
    this.frames.longest = Math.max(this.frames.longest, text.length);
    this.frames.bytes += text.length;
    const target = this.hostOf(to);
    if (target === undefined) return;
    for (const delay of this.network.deliveries(host.name, target.name, this.nowMs)) {
      if (target.cell === undefined) this.#later(host, { type: 'peer.refused', peer: to }, delay);
      else this.#later(target, { type: 'frame', from: host.id, text, sealed: false }, delay);
    }
  }

  /** A kernel answers also while its daemon is paused; where no daemon is, it refuses; a dead machine says nothing. */
  #look(host: SimHost, to: string): void {
    const target = this.hostOf(to);
    if (target === undefined) return;
    const type = target.cell === undefined ? 'peer.refused' : 'peer.there';
    for (const delay of this.network.deliveries(host.name, target.name, this.nowMs, 2))
      this.#later(host, { type, peer: to }, delay);
  }

  #publish(host: SimHost, text: string): void {
    this.frames.longest = Math.max(this.frames.longest, text.length);
    if (!text.includes('\n{"t":"alert"')) this.frames.news++;
    for (const target of this.hosts.values()) {
      // Gossip is for members.
      if (target === host || target.cell === undefined || host.cell?.isAdmitted(target.id) !== true) continue;
      this.frames.published++;
      this.frames.bytes += text.length;
      const hops = this.hosts.size <= 8 ? 1 : this.#work.between(1, 4);
      const delay = this.network.spread(host.name, target.name, this.nowMs, hops);
      if (delay !== undefined) this.#later(target, { type: 'frame', from: host.id, text, sealed: true }, delay);
    }
  }

  readonly #byId = new Map<string, SimHost>();

  hostOf(id: string): SimHost | undefined {
    if (this.#byId.size < this.hosts.size) for (const host of this.hosts.values()) this.#byId.set(host.id, host);
    return this.#byId.get(id);
  }

  /** Everything that runs anywhere, as `replica@host`, sorted. */
  running(): string[] {
    return [...this.hosts.values()]
      .flatMap(({ name, containers }) => [...containers.values()].map(({ replica }) => `${replica}@${name}`))
      .sort();
  }
}
