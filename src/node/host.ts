/**
 * The real driver of a Cell: hands it what happens and does what it says. One queue, one event at a time; the clock is
 * monotonic, so that a wall clock that jumps changes nothing but the times people read.
 */

import { uptime } from 'node:os';
import { OscaError, reasonOf, wordsOf } from '../core/errors.ts';
import type { Effect, Event, Observed, Reply, Request } from '../core/events.ts';
import { unitKey } from '../core/events.ts';
import type { CellId, ClusterView, LogEvent, Release } from '../core/model.ts';
import type { DriverChange, Life, RuntimeDriver } from '../core/ports.ts';
import type { Check, DriverKind } from '../core/spec.ts';
import type { Cell } from './cell.ts';
import { sleepCountingClock } from './clock.ts';

/** The fewest verbs that Host asks of the network. */
export interface HostTransport {
  send(to: CellId, text: string, door: boolean): void;
  publish(text: string): void;
  look(peer: CellId): void;
  reach(addrs: readonly string[]): void;
  know(peer: CellId, addrs: readonly string[]): void;
  forget(peer: CellId): void;
  drop(peer: CellId): void;
  keep(peers: ReadonlySet<CellId> | undefined): void;
  renew(peer: CellId): void;
}

type LogEntry = Effect & { type: 'persist' };

export interface HostStore {
  append(log: readonly Pick<LogEntry, 'update' | 'whole'>[]): void;
  addEvents(events: readonly Omit<LogEvent, 'seq'>[]): LogEvent[];
  events(): LogEvent[];
  rememberPeer(id: CellId, addrs: readonly string[]): void;
}

/** Ends what runs by a lease when it is not put off in time, with or without this daemon. */
export interface HostFuses {
  light(key: string, lives: readonly Life[], forMs: number): void;
  putOut(key: string): void;
}

export interface HostDeps {
  cell: Cell;
  store: HostStore;
  drivers: ReadonlyMap<DriverKind, RuntimeDriver>;
  fuses: HostFuses;
  /** Asks a replica how it is; never rejects. */
  probe(
    driver: RuntimeDriver,
    of: { handle: string; part?: string },
    check: Check,
    timeoutMs: number,
  ): Promise<{ ok: boolean; output: string }>;
  /** This cell now belongs to an appliance: remember it and open its protocols. */
  onAppliance(effect: Effect & { type: 'appliance' }): void;
  /** It is this cell's turn to take it; told of by `upgrade` events. */
  onUpgrade(release: Release): void;
  /** The cell threw: our bug. */
  onBug(error: unknown): void;
  log: { info(text: string): void; warn(text: string): void; error(text: string): void };
  now?: () => number;
}

type Listener = () => void;

const listEveryMs = 30_000;
/** What is told is on the disk after this long. */
const tellMs = 100;
/** A start takes a moment; one that would end after the lease is not begun. */
const startWithinMs = 1_000;

export class Host {
  readonly #deps: HostDeps;
  readonly #now: () => number;
  readonly #replies = new Map<number, (reply: Reply) => void>();
  readonly #listeners = new Set<Listener>();
  readonly #eventListeners = new Set<(event: LogEvent) => void>();
  #told: Omit<LogEvent, 'seq'>[] = [];
  #telling: NodeJS.Timeout | undefined;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #states = new Map<CellId, string>();
  /** Units that are being started. */
  readonly #starting = new Map<string, AbortController>();
  /** unit -> until when it may run. */
  readonly #leases = new Map<string, number>();
  #transport: HostTransport | undefined;
  /** Addresses from a ticket, for the network that is still to be opened. */
  #reach: string[] = [];
  #queue: Event[] = [];
  #busy = false;
  #request = 0;
  #persist: LogEntry[] = [];
  #flushing = false;
  #stopped = false;

  constructor(deps: HostDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? sleepCountingClock();
  }

  get cell(): Cell {
    return this.#deps.cell;
  }

  view(): ClusterView {
    return this.#deps.cell.view(this.#now());
  }

  /** Wall clock of a time that the cell speaks of. */
  wallMs(ms: number): number {
    return Date.now() - this.#now() + ms;
  }

  setTransport(transport: HostTransport | undefined): void {
    this.#transport = transport;
    this.#states.clear();
    if (transport === undefined) return;
    if (this.#reach.length > 0) transport.reach(this.#reach);
    this.#keepConnections();
  }

  // -- events in ---------------------------------------------------------------------------------------------------

  give(event: Event): void {
    if (this.#stopped) return;
    this.#queue.push(event);
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        for (const effect of this.#think(next)) this.#perform(effect);
      }
    } finally {
      this.#busy = false;
    }
  }

  /** A bug in the brain leaves it in doubt: better to start again from the disk than to go on. */
  #think(event: Event): Effect[] {
    try {
      return this.#deps.cell.handle(event, this.#now());
    } catch (error) {
      this.#deps.onBug(error);
      return [];
    }
  }

  /** Asks the cell; resolves with the reply's value, rejects with what it refused. */
  async ask(request: Request): Promise<{ value: Record<string, unknown>; warning?: string }> {
    const id = ++this.#request;
    const reply = await new Promise<Reply>((resolve) => {
      this.#replies.set(id, resolve);
      this.give({ type: 'request', id, request });
    });
    if (reply.ok)
      return reply.warning === undefined ? { value: reply.value } : { value: reply.value, warning: reply.warning };
    throw new OscaError(reply.code, reply.message, reply.hint);
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  onEvent(listener: (event: LogEvent) => void): () => void {
    this.#eventListeners.add(listener);
    return () => void this.#eventListeners.delete(listener);
  }

  /** Something happened that people should read. */
  tell(event: Omit<LogEvent, 'seq' | 'atMs'>): void {
    this.#deps.log[event.level](event.message);
    this.#told.push({ ...event, atMs: Date.now() });
    this.#telling ??= setTimeout(() => this.#storeEvents(), tellMs);
  }

  /** Those of a moment wait for the disk once. */
  #storeEvents(): void {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    const told = this.#told.splice(0);
    if (told.length === 0) return;
    try {
      for (const stored of this.#deps.store.addEvents(told))
        for (const listener of this.#eventListeners) listener(stored);
    } catch (error) {
      this.#deps.log.error(reasonOf(error));
    }
  }

  /** What happened, as far back as it is kept. */
  events(): LogEvent[] {
    this.#storeEvents();
    return this.#deps.store.events();
  }

  // -- effects out -------------------------------------------------------------------------------------------------

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'timer':
        return this.#setTimer(effect);
      case 'send':
        return this.#transport?.send(effect.to, effect.text, effect.door ?? false);
      case 'look':
        return this.#transport?.look(effect.to);
      case 'publish':
        return this.#transport?.publish(effect.text);
      case 'reach':
        this.#reach = effect.addrs;
        return this.#transport?.reach(effect.addrs);
      case 'expel':
        this.#transport?.forget(effect.peer);
        return this.#transport?.drop(effect.peer);
      case 'appliance':
        return this.#deps.onAppliance(effect);
      case 'persist':
        return this.#store(effect);
      case 'unit.start':
        return void this.#start(effect);
      case 'unit.cancel':
        return this.#starting.get(effect.key)?.abort();
      case 'unit.fuse':
        if (effect.forMs === Number.POSITIVE_INFINITY) return this.#putOut(effect.key);
        this.#leases.set(effect.key, this.#now() + effect.forMs);
        return void this.#light(effect.key, effect.driver, effect.handle);
      case 'unit.stop':
        return void this.#stop(effect);
      case 'unit.probe':
        return void this.#probe(effect);
      case 'upgrade':
        return this.#deps.onUpgrade(effect.release);
      case 'reply':
        this.#replies.get(effect.id)?.(effect.reply);
        return void this.#replies.delete(effect.id);
      case 'event':
        return this.tell(effect.event);
      case 'changed':
        return this.#changed();
    }
  }

  #setTimer({ name, epoch, afterMs }: Effect & { type: 'timer' }): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.give({ type: 'timer', name, epoch });
    }, afterMs);
    this.#timers.add(timer);
  }

  /** Updates of one turn share one fsync. */
  #store(entry: LogEntry): void {
    this.#persist.push(entry);
    if (!this.#flushing) this.#flush(0);
  }

  /** In order: an update that could not be written is tried again before any later one. */
  #flush(afterMs: number): void {
    this.#flushing = true;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      const batch = this.#persist.slice();
      try {
        this.#deps.store.append(batch);
      } catch (error) {
        this.tell({
          level: 'error',
          kind: 'disk',
          message: `${reasonOf(error)}; changes are kept in memory and tried again`,
        });
        this.#flush(2_000);
        this.give({ type: 'persist.failed', reason: reasonOf(error) });
        return;
      }
      this.#persist = this.#persist.slice(batch.length);
      this.#flushing = false;
      if (this.#persist.length > 0) this.#flush(0);
      this.give({ type: 'persisted', token: batch.at(-1)!.token });
    }, afterMs);
    this.#timers.add(timer);
  }

  #driver(kind: DriverKind): RuntimeDriver {
    const driver = this.#deps.drivers.get(kind);
    if (driver === undefined)
      throw new OscaError('engine-away', `no ${kind} driver on this cell`, 'start a container engine');
    return driver;
  }

  #putOut(key: string): void {
    if (this.#leases.delete(key)) this.#deps.fuses.putOut(key);
  }

  #leftMs(key: string): number {
    return (this.#leases.get(key) ?? 0) - this.#now();
  }

  /** What runs by a lease ends with it. */
  async #light(key: string, driver: DriverKind, handle: string): Promise<void> {
    if (handle === '' || !this.#leases.has(key)) return;
    try {
      const lives = await this.#driver(driver).livesOf(handle);
      if (this.#leases.has(key)) this.#deps.fuses.light(key, lives, this.#leftMs(key));
    } catch (error) {
      this.#deps.log.warn(`the lease of ${key} could not be written down: ${reasonOf(error)}`);
    }
  }

  async #start({ key, unit }: Effect & { type: 'unit.start' }): Promise<void> {
    const cancelled = new AbortController();
    this.#starting.set(key, cancelled);
    try {
      const progress = (text: string): void => this.give({ type: 'unit.progress', key, text });
      const mayStart = (): boolean => unit.service.strict !== true || this.#leftMs(key) > startWithinMs;
      const { driver } = unit.service;
      const begun = (handle: string): void => void this.#light(key, driver, handle);
      const observed = await this.#driver(driver).start(unit, progress, mayStart, cancelled.signal, begun);
      await this.#light(key, unit.service.driver, observed.handle);
      this.give({ type: 'unit.started', key, observed });
    } catch (error) {
      const code = error instanceof OscaError ? error.code : 'start-failed';
      this.give({ type: 'unit.failed', key, code, message: wordsOf(error) });
    } finally {
      if (this.#starting.get(key) === cancelled) this.#starting.delete(key);
    }
  }

  async #stop({ key, handle, driver, graceMs, keep = false }: Effect & { type: 'unit.stop' }): Promise<void> {
    try {
      await this.#driver(driver).stop(handle, graceMs, keep);
      if (keep) return;
      this.#putOut(key);
      this.give({ type: 'unit.stopped', key });
    } catch (error) {
      this.#deps.log.warn(`stop of ${key}: ${reasonOf(error)}; it is tried again`);
    }
  }

  async #probe({ key, handle, driver, name, part, check, timeoutMs }: Effect & { type: 'unit.probe' }): Promise<void> {
    const of = part === undefined ? {} : { part };
    const answer = await this.#deps.probe(this.#driver(driver), { handle, ...of }, check, timeoutMs);
    this.give({ type: 'unit.probed', key, name, ...of, ...answer });
  }

  #changed(): void {
    this.#keepConnections();
    for (const listener of this.#listeners) listener();
  }

  /** Members are known to the transport; a line to a dead one is cut, so that its return finds a fresh one. */
  #keepConnections(): void {
    if (this.#transport === undefined) return;
    this.#transport.keep(this.#deps.cell.neighbours());
    for (const { id, self, state, addrs } of this.view().members) {
      if (self) continue;
      const key = addrs.join();
      const before = this.#states.get(id);
      if (before === `${state} ${key}`) continue;
      this.#states.set(id, `${state} ${key}`);
      this.#transport.know(id, addrs);
      if (before === undefined) this.#transport.renew(id);
      if (state === 'down' || state === 'left') this.#transport.drop(id);
      if (addrs.length > 0) this.#deps.store.rememberPeer(id, addrs);
    }
  }

  // -- drivers -----------------------------------------------------------------------------------------------------

  /** Watches a driver and hands on its list, now and whenever it comes back. */
  async attach(driver: RuntimeDriver, onEngine: (up: boolean) => Promise<void>): Promise<() => void> {
    const list = async (): Promise<void> => {
      try {
        // A clock that jumped makes nothing older than the machine.
        const ageOf = ({ startedAtMs }: Observed): number =>
          Math.min(Math.max(0, Date.now() - startedAtMs), uptime() * 1_000);
        const units = (await driver.list()).map((one) => ({ ...one, ageMs: ageOf(one) }));
        this.give({ type: 'units.observed', driver: driver.kind, units });
      } catch (error) {
        this.#deps.log.warn(reasonOf(error));
      }
    };
    const unwatch = driver.watch((change: DriverChange) => {
      if (change.kind === 'exited') {
        const { kind: _, replica, hash, ...exit } = change;
        this.give({ type: 'unit.exited', key: unitKey(replica, hash), ...exit });
      } else void onEngine(change.kind === 'back').then(change.kind === 'back' ? list : undefined);
    });
    const listIfThere = async (): Promise<void> => {
      if (driver.kind === 'process' || (await driver.version()) !== '') await list();
    };
    await listIfThere();
    // An event that was missed must not stay missed.
    const timer = setInterval(() => void listIfThere(), listEveryMs);
    return () => {
      clearInterval(timer);
      unwatch();
    };
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#storeEvents();
  }
}
