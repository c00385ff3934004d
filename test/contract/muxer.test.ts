/** Yamux with our window rule, on a pair of connections in memory. */
import type { MultiaddrConnection, Stream } from '@libp2p/interface';
import { multiaddrConnectionPair } from '@libp2p/utils';
import { describe, expect, it } from 'vitest';
import { thriftyYamux } from '../../src/gossip/libp2p/muxer.ts';
import { until } from '../until.ts';

function pair(isSlow = false) {
  const [near, far] = multiaddrConnectionPair();
  let answers = 0;
  const send = far.send.bind(far);
  far.send = (data: Parameters<MultiaddrConnection['send']>[0]) => {
    answers++;
    return send(data);
  };
  const [client, server] = [thriftyYamux()().createStreamMuxer(near), thriftyYamux()().createStreamMuxer(far)];
  let received = 0;
  server.addEventListener('stream', ({ detail }: CustomEvent<Stream>) => {
    detail.addEventListener('message', ({ data }) => {
      received += data.byteLength;
      if (!isSlow) return;
      detail.pause();
      setTimeout(() => detail.readStatus === 'paused' && detail.resume(), 1);
    });
  });
  return { client, received: () => received, answers: () => answers };
}

describe('thrifty yamux', () => {
  it('sends nothing back for small messages', async () => {
    const { client, received, answers } = pair();
    const stream = await client.createStream();
    for (let i = 0; i < 100; i++) stream.send(new Uint8Array(100));
    await until('all are there', () => received() === 10_000);
    expect(answers()).toBeLessThan(5);
  });

  it.each([
    ['', false],
    [', to a reader who pauses at every message', true],
  ])('carries far more than one window%s', async (_words, isSlow) => {
    const { client, received } = pair(isSlow);
    const stream = await client.createStream();
    const chunk = new Uint8Array(65_536);
    for (let i = 0; i < 256; i++) if (!stream.send(chunk)) await stream.onDrain();
    await until('all is there', () => received() === 256 * chunk.byteLength);
  });
});
