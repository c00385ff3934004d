/**
 * One real daemon that belongs to an appliance of 1,000: its document admits them all, it knows a record of each, signed with a key
 * of its own, and those with whom it keeps connections (it computes who) are real libp2p nodes that answer its probes and probe
 * it. The others are on record only: what a cell at rest has to do with them is to keep them.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Sealer } from '../src/core/frames.ts';
import { encodeFrame, seal } from '../src/core/frames.ts';
import { hash32 } from '../src/core/hash.ts';
import type { MemberRecord } from '../src/core/model.ts';
import { WantedDocument } from '../src/crdt/document.ts';
import { Store } from '../src/crdt/sqlite/store.ts';
import { createSealer } from '../src/gossip/libp2p/seal.ts';
import { Transport } from '../src/gossip/libp2p/transport.ts';
import { Observers } from '../src/gossip/observers.ts';
import { applianceId, signLink } from '../src/gossip/trust.ts';
import { cellSeed, freshSeed, prepareFolder } from '../src/node/identity.ts';
import { root } from '../test/lab/host.ts';
import { trySh } from '../test/lab/shell.ts';
import { loopback } from '../test/loopback.ts';
import { until } from '../test/until.ts';
import { cpuPercent, residentMb } from './measure.ts';

interface Peer {
  sealer: Sealer;
  seed: Uint8Array;
  name: string;
}

const probeEveryMs = 750;

function recordOf({ name }: Peer, addrs: string[]): MemberRecord {
  const facts = { version: 'bench', os: 'linux', arch: 'arm64', engine: 'Docker 26.1.5', hostname: name };
  const unit = (i: number) => ({
    replica: `app-${i}/web/1`,
    hash: 'abcdef123456',
    state: 'ready' as const,
    sinceMs: 1,
    restarts: 0,
    ports: [],
  });
  return {
    ...{
      name,
      addrs,
      facts: { ...facts, cpuMilli: 4_000, memoryBytes: 4 * 2 ** 30 },
      load: { cpuPercent: 3, memoryUsedBytes: 2 ** 30 },
    },
    ...{ units: [unit(1), unit(2)], vetoes: [], master: 0, left: false },
  };
}

/** With whom the daemon keeps connections, as Membership.neighbours() has it, and who keeps one with it. */
function nearOf(self: string, ids: readonly string[]): Set<string> {
  const observers = new Observers(5);
  for (const id of [self, ...ids]) {
    observers.addSubject(id);
    observers.setFit(id, true);
  }
  const drawnBy = (one: string): string[] =>
    [self, ...ids]
      .filter((id) => id !== one)
      .map((id) => ({ id, at: hash32(id + one, 5) }))
      .sort((a, b) => a.at - b.at)
      .slice(0, 8)
      .map(({ id }) => id);
  const choosers = ids.filter((id) => drawnBy(id).includes(self));
  return new Set([...observers.subjectsOf(self), ...observers.of(self), ...drawnBy(self), ...choosers]);
}

export async function benchMemory(count: number, tell: (text: string) => void): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), 'osca-bench-'));
  prepareFolder(folder);
  const me = createSealer(cellSeed(folder));
  const peers = Array.from({ length: count - 1 }, (_, i): Peer => {
    const seed = new Uint8Array(32).map((_byte, at) => hash32(`${i} ${at}`) & 255);
    return { seed, sealer: createSealer(seed), name: `p${i + 1}` };
  });
  const founding = me.derive(freshSeed())!;
  const app = applianceId(founding.id);
  const document = new WantedDocument(7);
  const admit = (id: string, name: string): void =>
    document.addTrust({ kind: 'admit', chain: [signLink(founding, { kind: 'cell', app, sub: id, name, at: 1 })] });
  const update = document.change(() => {
    admit(me.id, 'real');
    for (const { sealer, name } of peers) admit(sealer.id, name);
    document.setVoters({ ids: peers.slice(0, 15).map(({ sealer }) => sealer.id), number: 1 });
    document.setVoters({ counts: 1 });
  })!;
  const store = Store.open(folder);
  store.append([{ update }]);
  store.set('founder', founding.id);
  store.close();
  const near = nearOf(
    me.id,
    peers.map(({ sealer }) => sealer.id),
  );
  const closing: (() => unknown)[] = [];
  try {
    const records = new Map<string, string>();
    const speakers = await Promise.all(
      peers
        .filter(({ sealer }) => near.has(sealer.id))
        .map(async (peer) => {
          const transport: Transport = await Transport.open(
            { seed: peer.seed, listen: ['/ip4/127.0.0.1/tcp/0'], appliance: app, mdns: false },
            {
              onFrame: (from, text) => {
                const frame = JSON.parse(text.startsWith('{') ? text : '{}') as { t?: string; q?: number };
                if (frame.t === 'ping') transport.send(from, encodeFrame({ t: 'pong', q: frame.q!, inc: 1 }), false);
              },
              ...{
                onConnected: () => {},
                onDisconnected: () => {},
                onRefused: () => {},
                onThere: () => {},
                onHttp: () => {},
              },
              ...{ isAdmitted: () => true, isNewcomer: () => false },
            },
          );
          closing.push(() => transport.stop());
          records.set(peer.sealer.id, seal(peer.sealer, 1, 1, { t: 'rec', rec: recordOf(peer, transport.addrs()) }));
          return { peer, transport };
        }),
    );
    for (const peer of peers) {
      if (!records.has(peer.sealer.id))
        records.set(
          peer.sealer.id,
          seal(peer.sealer, 1, 1, { t: 'rec', rec: recordOf(peer, ['/ip4/127.0.0.1/tcp/9']) }),
        );
    }
    tell(`  ${speakers.length} peers speak`);
    const local = [...loopback, '--lifeline'];
    const child = spawn(join(root, 'osca'), ['--data', folder, 'up', '--name', 'real', ...local], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    closing.push(() => child.stdin.end());
    const json = <T>(...args: string[]): T =>
      JSON.parse(trySh(join(root, 'osca'), '--data', folder, ...args, '--json') || '{}') as T;
    const addr = await until('its address', () => {
      const mine = json<{ cells?: { self: boolean; addrs: string[] }[] }>('cell', 'ls').cells?.find(({ self }) => self);
      return mine?.addrs[0];
    });
    const all = [...records.values()];
    for (const { transport } of speakers) transport.know(me.id, [addr]);
    await until('connected', () => speakers.every(({ transport }) => transport.addrs().length > 0));
    await new Promise((done) => setTimeout(done, 3_000));
    for (let at = 0; at < all.length; at += 100)
      speakers[0]!.transport.send(me.id, encodeFrame({ t: 'give', sealed: all.slice(at, at + 100) }), false);
    let q = 0;
    const probing = setInterval(() => {
      for (const { transport } of speakers.slice(0, 5))
        transport.send(me.id, encodeFrame({ t: 'ping', q: ++q, inc: 1 }), false);
    }, probeEveryMs);
    closing.push(() => clearInterval(probing));
    const alive = await until(
      'all are in its view',
      () => {
        const { alive } = json<{ alive?: number }>('status');
        return (alive ?? 0) >= count ? alive : undefined;
      },
      60_000,
    );
    tell(`  it sees ${alive}`);
    await new Promise((done) => setTimeout(done, 30_000));
    const pid = child.pid!;
    const before = bytesOf(pid);
    const cpu = await cpuPercent(pid, 30_000);
    const bytes = Math.round((bytesOf(pid) - before) / 30);
    const after = json<{ alive: number }>('status').alive;
    const connections = trySh('ss', '-tnpH', 'state', 'established')
      .split('\n')
      .filter((line) => line.includes(`pid=${pid},`)).length;
    const memoryMb = residentMb(pid);
    return {
      what: `a real daemon that sees ${count} members`,
      ...{ memoryMb, cpuPercent: cpu, bytesPerSecond: bytes, connections, aliveAtTheEnd: after },
      target: { memoryMb: 110, cpuPercent: 3, connections: 40 },
      met: memoryMb <= 110 && cpu <= 3 && connections <= 40 && after === count,
    };
  } finally {
    for (const close of closing.reverse()) await close();
    await new Promise((done) => setTimeout(done, 500));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What the process read and wrote, sockets among it. */
function bytesOf(pid: number): number {
  const io = readFileSync(`/proc/${pid}/io`, 'utf8');
  return ['rchar', 'wchar'].reduce((sum, name) => sum + Number(new RegExp(`${name}: (\\d+)`).exec(io)?.[1] ?? 0), 0);
}
