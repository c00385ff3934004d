/** The real network on loopback: garbage, strangers, frames over the limit, and a peer that is gone. */
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, describe, expect, it } from 'vitest';
import { createSealer } from '../../src/gossip/libp2p/seal.ts';
import { packFrame, Unpacker } from '../../src/gossip/libp2p/streams.ts';
import type { TransportHandlers } from '../../src/gossip/libp2p/transport.ts';
import { Transport } from '../../src/gossip/libp2p/transport.ts';
import { until } from '../until.ts';

interface Node {
  id: string;
  transport: Transport;
  frames: { from: string; text: string; sealed: boolean }[];
  connected: Set<string>;
  refused: string[];
  there: string[];
  admitted: Set<string>;
}

const open: Node[] = [];
afterAll(async () => await Promise.all(open.map(({ transport }) => transport.stop())));

async function node(
  fill: number,
  onHttp: TransportHandlers['onHttp'] = (stream) => void stream.end('hello over http'),
) {
  const seed = new Uint8Array(32).fill(fill);
  const made = {
    id: createSealer(seed).id,
    frames: [],
    connected: new Set<string>(),
    refused: [],
    there: [],
    admitted: new Set<string>(),
  } as unknown as Node;
  const handlers: TransportHandlers = {
    onFrame: (from, text, sealed) => made.frames.push({ from, text, sealed }),
    onHttp,
    onConnected: (peer) => made.connected.add(peer),
    onDisconnected: (peer) => made.connected.delete(peer),
    onRefused: (peer) => made.refused.push(peer),
    onThere: (peer) => made.there.push(peer),
    isAdmitted: (peer) => made.admitted.has(peer),
    isNewcomer: () => false,
  };
  made.transport = await Transport.open(
    { seed, listen: ['/ip4/127.0.0.1/tcp/0'], appliance: 'test', mdns: false },
    handlers,
  );
  open.push(made);
  return made;
}

const know = (a: Node, b: Node): void => a.transport.know(b.id, b.transport.addrs());

describe('the libp2p transport', () => {
  it('carries frames, gossip and HTTP between members', async () => {
    const [a, b] = [await node(1), await node(2)];
    a.admitted.add(b.id);
    b.admitted.add(a.id);
    know(a, b);
    await until('connected', () => b.connected.has(a.id));
    a.transport.send(b.id, 'direct', false);
    await until('the frame', () => b.frames.some(({ text }) => text === 'direct'));
    await until('gossip', () => {
      a.transport.publish(`gossip ${performance.now()}`);
      return b.frames.some(({ text, sealed }) => sealed && text.startsWith('gossip'));
    });
    const stream = await a.transport.openHttp(b.id);
    stream.end();
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe('hello over http');
  });

  it.each([
    ['slow reader', 2],
    ['fast reader', 0],
  ])('carries far more than any buffer holds, whole, to a %s', async (_name, waitMs) => {
    const [pieces, size] = [400, 100_000];
    const [a, b] = [
      await node(21 + waitMs),
      await node(31 + waitMs, (stream) => {
        const all = Array.from({ length: pieces }, (_, i) => Buffer.alloc(size, i));
        Readable.from(all).pipe(stream);
      }),
    ];
    a.admitted.add(b.id);
    b.admitted.add(a.id);
    know(a, b);
    await until('connected', () => b.connected.has(a.id));
    const stream = await a.transport.openHttp(b.id);
    let at = 0;
    for await (const chunk of stream) {
      const bytes = chunk as Buffer;
      expect(bytes[0]).toBe(Math.floor(at / size) & 255);
      at += bytes.length;
      expect(bytes.at(-1)).toBe(Math.floor((at - 1) / size) & 255);
      if (waitMs > 0) await new Promise((done) => setTimeout(done, waitMs));
    }
    expect(at).toBe(pieces * size);
  });

  it('lets who writes wait for who reads, each time', async () => {
    const chunk = Buffer.alloc(100_000);
    let written = 0;
    const [a, b] = [
      await node(41),
      await node(42, (stream) => {
        if (written > 0) return void stream.end('pong');
        const more = (error?: Error | null): void => {
          if (error) return;
          written += chunk.length;
          stream.write(chunk, more);
        };
        more();
      }),
    ];
    a.admitted.add(b.id);
    b.admitted.add(a.id);
    know(a, b);
    await until('connected', () => b.connected.has(a.id));
    const stream = await a.transport.openHttp(b.id);
    let read = 0;
    // More than the largest window several times over, then no more.
    stream.on('data', (bytes: Buffer) => {
      read += bytes.length;
      if (read > 8_000_000) stream.pause();
    });
    await until('it is read', () => read > 8_000_000);
    for (let i = 0; i < 50; i++) {
      const ping = await a.transport.openHttp(b.id);
      ping.end();
      await text(ping);
    }
    expect(written - read).toBeLessThan(8_000_000);
    stream.destroy();
  });

  it('finds a member by the DHT alone', async () => {
    const [a, b, c] = [await node(11), await node(12), await node(13)];
    for (const one of [a, b, c]) for (const other of [a, b, c]) one.admitted.add(other.id);
    know(a, b);
    know(c, b);
    await until('both meet the one in the middle', () => b.connected.has(a.id) && b.connected.has(c.id));
    // a has the name of c, and no address.
    await until('c is found', async () => {
      a.transport.know(c.id, []);
      return a.connected.has(c.id);
    });
  });

  it('lets a stranger speak at the door, and nowhere else', async () => {
    const [member, stranger] = [await node(3), await node(4)];
    stranger.admitted.add(member.id);
    know(stranger, member);
    stranger.transport.send(member.id, 'knock', true);
    await until('the knock', () => member.frames.some(({ text }) => text === 'knock'));
    stranger.transport.send(member.id, 'inside', false);
    stranger.transport.publish('gossip from outside');
    await expect(
      (async () => {
        for await (const _chunk of await stranger.transport.openHttp(member.id)) break;
      })(),
    ).rejects.toThrow();
    stranger.transport.send(member.id, 'knock again', true);
    await until('the second knock', () => member.frames.some(({ text }) => text === 'knock again'));
    expect(member.frames.map(({ text }) => text)).toEqual(['knock', 'knock again']);
    stranger.transport.send(member.id, 'x'.repeat(70_000), true);
    stranger.transport.send(member.id, 'after', true);
    await until('the door is open still', () => {
      stranger.transport.send(member.id, 'later', true);
      return member.frames.some(({ text }) => text === 'later');
    });
    expect(member.frames.some(({ text }) => text.length > 65_536)).toBe(false);
  });

  it('survives garbage on its port', async () => {
    const [a, b] = [await node(5), await node(6)];
    const port = Number(a.transport.addrs()[0]!.split('/')[4]);
    await Promise.all(
      ['GET / HTTP/1.1\r\n\r\n', '\0'.repeat(10_000), '/multistream/1.0.0\n'].map(
        (text) =>
          new Promise<void>((done) => {
            const socket = connect(port, '127.0.0.1', () => socket.end(text));
            socket
              .once('close', () => done())
              .once('error', () => done())
              .resume();
          }),
      ),
    );
    a.admitted.add(b.id);
    b.admitted.add(a.id);
    know(b, a);
    await until('still there', () => a.connected.has(b.id));
  });

  it('looks whether a machine is there, whatever its daemon does', async () => {
    const [a, b] = [await node(14), await node(15)];
    know(a, b);
    a.transport.look(b.id);
    await until('it is there', () => a.there.includes(b.id));
  });

  it('looks where it is connected with it too: a machine whose cable was out told other addresses', async () => {
    const [a, b] = [await node(16), await node(17)];
    a.admitted.add(b.id);
    b.admitted.add(a.id);
    know(b, a);
    await until('connected', () => a.connected.has(b.id));
    const port = b.transport.addrs()[0]!.split('/')[4];
    // Anybody in the same network may say this of it.
    a.transport.know(b.id, [
      '/dnsaddr/nowhere.invalid',
      '/ip4/192.0.2.1',
      '/ip4/192.0.2.1/tcp/99999',
      '/ip4/192.0.2.1/udp/1',
    ]);
    a.transport.look(b.id);
    a.transport.know(b.id, [`/ip4/192.0.2.1/tcp/${port}`]);
    a.transport.look(b.id);
    await until('it is there', () => a.there.includes(b.id));
  });

  it('says that nobody listens any more', async () => {
    const [a, b] = [await node(7), await node(8)];
    a.admitted.add(b.id);
    b.admitted.add(a.id);
    know(a, b);
    await until('connected', () => a.connected.has(b.id));
    await b.transport.stop();
    await until('disconnected', () => !a.connected.has(b.id));
    a.transport.send(b.id, 'are you there', false);
    await until('refused', () => a.refused.includes(b.id));
  });
});

/** A cable to a member that can be pulled where only one end notices. */
async function cable(to: Node) {
  const port = Number(to.transport.addrs()[0]!.split('/')[4]);
  const near: Socket[] = [];
  const server = createServer((socket) => {
    const onward = connect(port, '127.0.0.1');
    near.push(socket);
    socket.pipe(onward, { end: false });
    onward.pipe(socket, { end: false });
    // The member's end stays as it is when the other breaks.
    for (const one of [socket, onward]) one.on('error', () => {});
    ends.push(onward);
  });
  const ends: Socket[] = [];
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port: at } = server.address() as { port: number };
  return {
    addr: `/ip4/127.0.0.1/tcp/${at}`,
    breakNear: () => near.splice(0).forEach((socket) => void socket.destroy()),
    close: () => {
      server.close();
      for (const socket of [...near, ...ends]) socket.destroy();
    },
  };
}

describe('a line that broke where one end did not notice', () => {
  it('is taken up again, gossip too, as often as it happens', async () => {
    const [a, b] = [await node(41), await node(42)];
    a.admitted.add(b.id);
    b.admitted.add(a.id);
    const line = await cable(a);
    try {
      b.transport.know(a.id, [line.addr]);
      for (let round = 0; round < 4; round++) {
        await until('connected', () => b.connected.has(a.id));
        await until(`gossip both ways, round ${round}`, () => {
          a.transport.publish(`of a in ${round}: ${performance.now()}`);
          b.transport.publish(`of b in ${round}: ${performance.now()}`);
          const hears = (node: Node, said: string): boolean => node.frames.some(({ text }) => text.startsWith(said));
          return hears(b, `of a in ${round}`) && hears(a, `of b in ${round}`);
        });
        line.breakNear();
      }
    } finally {
      line.close();
    }
  });
});

describe('the unpacker', () => {
  it('cuts frames however they come, and stops at one that is too large', () => {
    const unpacker = new Unpacker(() => 100);
    const bytes = Buffer.concat([packFrame('one'), packFrame('zwei ü')]);
    const seen = [...bytes].flatMap((byte) => unpacker.push(Uint8Array.of(byte)));
    expect(seen).toEqual(['one', 'zwei ü']);
    expect(() => unpacker.push(packFrame('x'.repeat(101)))).toThrow('over the limit');
  });
});
