/**
 * The real network of a cell: TCP, Noise, Yamux and identify; gossipsub for what everybody should hear; mDNS and a DHT
 * of the appliance's own to find each other; and one long-lived stream per peer for the rest.
 *
 * Strangers may open the join protocol and nothing else. A peer that becomes a member is dialled anew, so that every
 * protocol starts with it as a member.
 */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { GossipSub } from '@libp2p/gossipsub';
import { gossipsub, StrictNoSign } from '@libp2p/gossipsub';
import { identify } from '@libp2p/identify';
import type { Connection, Libp2p, PeerId, Stream, Topology } from '@libp2p/interface';
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht';
import { mdns } from '@libp2p/mdns';
import { noise } from '@libp2p/noise';
import { peerIdFromString } from '@libp2p/peer-id';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import type { Multiaddr } from '@multiformats/multiaddr';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { limits } from '../../core/limits.ts';
import type { CellId } from '../../core/model.ts';
import { Dialler } from './dialler.ts';
import { guarded, meet } from './guard.ts';
import { Link } from './link.ts';
import { thriftyYamux } from './muxer.ts';
import { chunkOf, toDuplex, Unpacker } from './streams.ts';

export interface TransportHandlers {
  onFrame(from: CellId, text: string, sealed: boolean): void;
  onConnected(peer: CellId): void;
  onDisconnected(peer: CellId): void;
  onRefused(peer: CellId): void;
  onThere(peer: CellId): void;
  onHttp(stream: Duplex): void;
  isAdmitted(peer: CellId): boolean;
  /** Joining still, so that a welcome with the whole document may come. */
  isNewcomer(): boolean;
}

export interface TransportOptions {
  seed: Uint8Array;
  listen: string[];
  /** Absent while the cell belongs to none: then only the join protocol is spoken. */
  appliance?: string;
  mdns: boolean;
}

/** Its map of streams is public, and not in its type. */
type Services = { pubsub?: GossipSub & { streamsOutbound: Map<string, { rawStream: Stream }> } };
const joinProtocol = '/osca/join/2';
const strangerFrameBytes = 65_536;
/** A kernel on the same network answers within milliseconds; over the world within a few hundred. */
const lookMs = 1_000;
/** Two that dial each other at once get two connections within this time. */
const dialMs = 5_000;
const mendEveryMs = 2_000;

export class Transport {
  readonly #node: Libp2p<Services>;
  readonly #handlers: TransportHandlers;
  readonly #links = new Map<string, Link>();
  readonly #dialler: Dialler;
  /** Connected since before they were members. */
  readonly #strangers = new Set<CellId>();
  readonly #appliance: string | undefined;
  /** How gossip is told who is connected. */
  readonly #gossip: readonly Topology[];
  #mendedMs = 0;
  #tending: NodeJS.Timeout | undefined;
  #stopped = false;

  private constructor(
    node: Libp2p<Services>,
    handlers: TransportHandlers,
    appliance: string | undefined,
    gossip: readonly Topology[],
  ) {
    this.#node = node;
    this.#handlers = handlers;
    this.#appliance = appliance;
    this.#gossip = gossip;
    this.#dialler = new Dialler(node.peerId.toString());
  }

  /** Listens and starts to look for others. Throws where no address can be listened on. */
  static async open(options: TransportOptions, handlers: TransportHandlers): Promise<Transport> {
    const { appliance } = options;
    const gossip: Topology[] = [];
    const loopbackOnly = options.listen.every((addr) => addr.startsWith('/ip4/127.'));
    const announceFilter = (addrs: Multiaddr[]): Multiaddr[] =>
      loopbackOnly
        ? addrs
        : addrs.filter((addr) => !String(addr).startsWith('/ip4/127.') && !String(addr).startsWith('/ip6/::1'));
    const node: Libp2p<Services> = await createLibp2p({
      privateKey: await generateKeyPairFromSeed('Ed25519', options.seed),
      nodeInfo: { name: 'osca', version: '1', userAgent: 'osca' },
      addresses: { listen: options.listen, announceFilter },
      transports: [tcp({ listenOpts: { noDelay: true }, dialOpts: { noDelay: true } })],
      connectionEncrypters: [noise()],
      streamMuxers: [thriftyYamux()],
      connectionManager: {
        ...{ maxConnections: 128, inboundConnectionThreshold: 50, maxIncomingPendingConnections: 32 },
        ...{ dialTimeout: 3_000, addressDialTimeout: 2_000, connectionCloseTimeout: 500, reconnectRetries: 0 },
      },
      connectionMonitor: { enabled: false },
      peerDiscovery: options.mdns ? [mdns({ serviceTag: '_osca._udp.local', interval: 20_000 })] : [],
      services: {
        identify: identify({ protocolPrefix: 'osca' }),
        ping: ping({ protocolPrefix: 'osca' }),
        ...(appliance === undefined ? {} : memberServices(appliance, handlers, gossip)),
      },
    });
    const transport = new Transport(node, handlers, appliance, gossip);
    await transport.#wire();
    return transport;
  }

  async #wire(): Promise<void> {
    const node = this.#node;
    node.addEventListener('peer:discovery', ({ detail }) => {
      const peer = detail.id.toString();
      this.#dialler.learn(peer, detail.multiaddrs.map(String));
      if (this.#dialler.wants(peer)) void this.#dial(peer);
    });
    node.addEventListener('connection:open', ({ detail }) => this.#onOpen(detail));
    node.addEventListener('peer:disconnect', ({ detail }) => this.#onGone(detail));
    const accept = (protocol: string, onStream: (stream: Stream, peer: CellId) => void, door = false) =>
      node.handle(
        protocol,
        (stream, connection) => {
          const peer = connection.remotePeer.toString();
          if (door || this.#handlers.isAdmitted(peer)) onStream(stream, peer);
          else stream.abort(new Error('not a member'));
        },
        { maxInboundStreams: door ? 2 : 256, maxOutboundStreams: 256 },
      );
    const strangerMax = (): number => (this.#handlers.isNewcomer() ? limits.documentBytes * 2 : strangerFrameBytes);
    await accept(joinProtocol, (stream, peer) => this.#read(stream, peer, strangerMax), true);
    if (this.#appliance !== undefined) {
      await accept(this.#protocol('cell'), (stream, peer) => this.#read(stream, peer, () => limits.documentBytes * 2));
      await accept(this.#protocol('http'), (stream) => this.#handlers.onHttp(toDuplex(stream)));
      const { pubsub } = node.services;
      pubsub?.addEventListener('gossipsub:message', ({ detail }) => {
        const text = new TextDecoder().decode(detail.msg.data);
        this.#handlers.onFrame(detail.propagationSource.toString(), text, true);
      });
      pubsub?.subscribe(this.#topic());
    }
    this.#tending = setInterval(() => this.#tend(), 500);
  }

  #protocol(kind: 'cell' | 'http'): string {
    return `/osca/${this.#appliance}/${kind}/2`;
  }

  #topic(): string {
    return `osca/${this.#appliance}`;
  }

  #read(stream: Stream, peer: CellId, maxBytes: () => number): void {
    const unpacker = new Unpacker(maxBytes);
    stream.addEventListener('message', (event) => {
      try {
        this.#dialler.used(peer, performance.now());
        for (const text of unpacker.push(chunkOf(event))) this.#handlers.onFrame(peer, text, false);
      } catch (error) {
        stream.abort(error as Error);
      }
    });
    stream.addEventListener('remoteCloseWrite', () => void stream.close().catch(() => {}));
  }

  // -- sending -----------------------------------------------------------------------------------------------------

  send(to: CellId, text: string, door: boolean): void {
    if (this.#stopped || (!door && this.#appliance === undefined)) return;
    const protocol = door ? joinProtocol : this.#protocol('cell');
    const key = `${to} ${protocol}`;
    let link = this.#links.get(key);
    if (link === undefined) {
      link = new Link((signal) => this.#open(to, protocol, signal));
      this.#links.set(key, link);
    }
    this.#dialler.used(to, performance.now());
    link.send(text);
  }

  async #open(to: CellId, protocol: string, signal: AbortSignal): Promise<Stream> {
    const peer = peerIdFromString(to);
    const connections = this.#node.getConnections(peer);
    const newest = connections.reduce<Connection | undefined>(
      (best, one) => (best === undefined || one.timeline.open > best.timeline.open ? one : best),
      undefined,
    );
    const connection = newest ?? (await this.#connect(to));
    return await connection.newStream(protocol, { signal, maxOutboundStreams: 256 });
  }

  async #connect(to: CellId): Promise<Connection> {
    try {
      const addrs = this.#dialler.addrsOf(to).flatMap(parseAddr);
      if (addrs.length > 0) await this.#node.peerStore.merge(peerIdFromString(to), { multiaddrs: addrs });
      return await this.#node.dial(peerIdFromString(to), { signal: AbortSignal.timeout(3_000) });
    } catch (error) {
      if (isRefusal(error)) this.#handlers.onRefused(to);
      throw error;
    }
  }

  /** Is its machine there? A kernel takes a connection also while its daemon is stopped or too busy to speak. */
  look(peer: CellId): void {
    // Bridges of engines have the same address on every machine: what is mine tells nothing of another.
    const mine = new Set(this.addrs());
    const told = this.#dialler.addrsOf(peer).map(plain);
    // Where it is connected now, at the port that it listens on: what it told may be of a while when its cable was out.
    const ports = new Set(told.flatMap((addr) => /^\/ip[46]\/[^/]+\/tcp\/(\d+)$/.exec(addr)?.[1] ?? []));
    const lines = this.#node.getConnections(peerIdFromString(peer)).flatMap(({ remoteAddr }) => {
      const [, ip, host] = plain(remoteAddr).split('/');
      return [...ports].map((port) => `/${ip}/${host}/tcp/${port}`);
    });
    const theirs = [...new Set([...lines, ...told])].filter((addr) => !mine.has(addr));
    for (const addr of theirs.slice(0, 4)) {
      const [, ip, host, tcp, port] = addr.split('/');
      if (host === undefined || tcp !== 'tcp' || (ip !== 'ip4' && ip !== 'ip6') || !(Number(port) < 65_536)) continue;
      const socket = connect({ host, port: Number(port), timeout: lookMs });
      const end = (): void => void socket.destroy();
      socket.once('connect', () => {
        end();
        if (!this.#stopped) this.#handlers.onThere(peer);
      });
      socket.once('timeout', end).once('error', end);
    }
  }

  publish(text: string): void {
    const { pubsub } = this.#node.services;
    void pubsub?.publish(this.#topic(), new TextEncoder().encode(text)).catch(() => {});
  }

  /** An HTTP stream to a member's API. Throws where it can't be reached. */
  async openHttp(to: CellId): Promise<Duplex> {
    return toDuplex(await this.#open(to, this.#protocol('http'), AbortSignal.timeout(5_000)));
  }

  // -- who is there ------------------------------------------------------------------------------------------------

  /** Where this cell can be reached, without its id. */
  addrs(): string[] {
    return this.#node.getMultiaddrs().map(plain);
  }

  /** Members and where they were last: connections to them are kept, or made again. */
  know(peer: CellId, addrs: readonly string[]): void {
    this.#dialler.learn(peer, addrs);
  }

  forget(peer: CellId): void {
    this.#dialler.forget(peer);
  }

  /** Looks for members at addresses from a ticket, again and again while there is nobody. */
  reach(addrs: readonly string[]): void {
    this.#dialler.reach(addrs);
    this.#tend();
  }

  /** Closes what is open to a peer at once, so that nothing waits on a dead line. */
  drop(peer: CellId): void {
    for (const [key, link] of this.#links) if (key.startsWith(`${peer} `)) link.reset();
    for (const connection of this.#node.getConnections(peerIdFromString(peer))) {
      connection.abort(new Error('dropped'));
    }
  }

  /** It became a member: if it was a stranger when it connected, every protocol starts anew with it. */
  renew(peer: CellId): void {
    if (!this.#strangers.delete(peer)) return;
    this.drop(peer);
    const mineFirst = this.#node.peerId.toString() < peer;
    setTimeout(() => void this.#dial(peer), mineFirst ? 0 : 100);
  }

  /** Connections are kept with these; with all where undefined. */
  keep(peers: ReadonlySet<CellId> | undefined): void {
    this.#dialler.keep(peers);
  }

  async #dial(peer: CellId): Promise<void> {
    if (this.#stopped || this.#node.getConnections(peerIdFromString(peer)).length > 0 || !this.#dialler.begin(peer))
      return;
    await this.#connect(peer).catch(() => {});
    this.#dialler.end(peer);
  }

  #tend(): void {
    const now = performance.now();
    for (const addr of this.#dialler.seedsDue(now).flatMap(parseAddr)) void this.#node.dial(addr).catch(() => {});
    for (const peer of this.#dialler.surplus(now, (peer) => this.#isServed(peer))) this.drop(peer);
    for (const peer of this.#dialler.due(now)) void this.#dial(peer);
    if (now - this.#mendedMs >= mendEveryMs) this.#mend(now);
  }

  /**
   * Gossip opens its stream to a peer once. Where that failed, or it ended with one of two connections, or before gossip
   * began to watch it, gossip is told of the peer again.
   */
  #mend(now: number): void {
    this.#mendedMs = now;
    const { pubsub } = this.#node.services;
    if (pubsub === undefined) return;
    for (const connection of this.#node.getConnections()) {
      const peer = connection.remotePeer.toString();
      const isYoung = Date.now() - connection.timeline.open < mendEveryMs;
      const stream = pubsub.streamsOutbound.get(peer)?.rawStream;
      if (isYoung || connection.status !== 'open' || stream?.status === 'open') continue;
      pubsub.streamsOutbound.delete(peer);
      if (this.#handlers.isAdmitted(peer)) meet(this.#gossip, connection);
    }
  }

  /** Somebody reads logs or works in a shell over it. */
  #isServed(peer: CellId): boolean {
    const http = this.#protocol('http');
    return this.#node
      .getConnections(peerIdFromString(peer))
      .some(({ streams }) => streams.some(({ protocol }) => protocol === http));
  }

  #onOpen(connection: Connection): void {
    // It may have ended while it was made: nobody would tell of its end again.
    if (connection.status !== 'open') return;
    const peer = connection.remotePeer.toString();
    if (this.#handlers.isAdmitted(peer)) this.#strangers.delete(peer);
    else this.#strangers.add(peer);
    this.#dialler.opened(peer);
    for (const other of this.#node.getConnections(connection.remotePeer)) {
      if (other !== connection && isBroken(other, connection)) other.abort(new Error('replaced'));
    }
    for (const [key, link] of this.#links) if (key.startsWith(`${peer} `)) link.reset();
    this.#handlers.onConnected(peer);
  }

  #onGone(peer: PeerId): void {
    const id = peer.toString();
    for (const [key, link] of this.#links) if (key.startsWith(`${id} `)) link.reset();
    this.#strangers.delete(id);
    this.#dialler.closed(id);
    if (!this.#stopped) this.#handlers.onDisconnected(id);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#tending);
    await Promise.race([this.#node.stop(), new Promise((done) => setTimeout(done, 1_000))]);
  }
}

function memberServices(appliance: string, handlers: TransportHandlers, gossip: Topology[]) {
  const isAdmitted = (peer: string): boolean => handlers.isAdmitted(peer);
  const pubsub = gossipsub({
    globalSignaturePolicy: StrictNoSign,
    msgIdFn: ({ data }) => createHash('sha256').update(data).digest().subarray(0, 16),
    // What still comes round after that is known by its sequence; a hundred frames a second are remembered one by one till then.
    seenTTL: 30_000,
    // Boards behind one router share an address; scoring by address would silence them.
    scoreParams: { IPColocationFactorWeight: 0, behaviourPenaltyWeight: 0 },
    ...{ allowPublishToZeroTopicPeers: true, ignoreDuplicatePublishError: true, emitSelf: false, floodPublish: true },
    ...{ fallbackToFloodsub: false, doPX: false, maxInboundDataLength: limits.frameBytes * 2 },
  });
  const dht = kadDHT({
    protocol: `/osca/${appliance}/kad/1.0.0`,
    clientMode: false,
    peerInfoMapper: passthroughMapper,
  });
  return {
    pubsub: (components: Parameters<typeof pubsub>[0]) =>
      pubsub(guarded(components, isAdmitted, gossip)) as Required<Services>['pubsub'],
    dht: (components: Parameters<typeof dht>[0]) => dht(guarded(components, isAdmitted)),
  };
}

/** Nobody dials whom it is connected with: to the other side, which dialled now, the older one is gone. */
const isBroken = (older: Connection, dialled: Connection): boolean =>
  dialled.direction === 'inbound' &&
  (older.direction === 'inbound' || dialled.timeline.open - older.timeline.open > dialMs);

/** Without the id of the peer. */
const plain = (addr: Multiaddr | string): string => String(addr).replace(/\/p2p\/.*$/, '');

function parseAddr(text: string): Multiaddr[] {
  try {
    return [multiaddr(text)];
  } catch {
    return [];
  }
}

/** Every address said that nobody listens: the daemon is gone, its machine is not. */
function isRefusal(error: unknown): boolean {
  const errors = error instanceof AggregateError ? error.errors : [error];
  const words = errors.map((one) => (one instanceof Error ? one.message : String(one)));
  return words.length > 0 && words.every((message) => message.includes('ECONNREFUSED'));
}
