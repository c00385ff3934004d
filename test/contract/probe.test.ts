/** Probes by network, against real servers on loopback. */

import { createServer as http } from 'node:http';
import { createServer as http2 } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createServer as tcp } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import type { Check } from '../../src/core/spec.ts';
import { probe } from '../../src/runtime/probe/probe.ts';

const closing: (() => void)[] = [];
afterAll(() => {
  for (const close of closing) close();
});

interface Listening {
  listen(port: number, host: string, ready: () => void): unknown;
  address(): AddressInfo | string | null;
  close(): unknown;
}

async function listening(server: Listening): Promise<number> {
  await new Promise<void>((ready) => void server.listen(0, '127.0.0.1', ready));
  closing.push(() => void server.close());
  return (server.address() as AddressInfo).port;
}

const ask = async (check: Check, timeoutMs = 1_000): Promise<string> => {
  const driver = {
    exec: () => Promise.reject(new Error('nobody is asked by command')),
    addressOf: async (_handle: string, port: number) => (port === 1 ? undefined : { host: '127.0.0.1', port }),
  };
  const { ok, output } = await probe(driver, { handle: 'handle' }, check, timeoutMs);
  return ok ? 'ok' : output;
};
const get = (port: number, path: string, headers = {}): Check => ({
  kind: 'http',
  port,
  path,
  scheme: 'http',
  headers,
});

describe('a probe', () => {
  it('by HTTP: 200 to 399 is well, and it says what else it got', async () => {
    const port = await listening(
      http((request, answer) => {
        if (request.url === '/slow') return;
        const code = request.url === '/moved' ? 302 : request.headers['x-key'] === 'a' ? 200 : 503;
        answer.writeHead(code).end('x'.repeat(100_000));
      }),
    );
    expect(await ask(get(port, '/', { 'x-key': 'a' }))).toBe('ok');
    expect(await ask(get(port, '/moved'))).toBe('ok');
    expect(await ask(get(port, '/health'))).toBe('GET /health was answered with 503');
    expect(await ask(get(port, '/slow'), 200)).toBe(`no answer from 127.0.0.1:${port} within 200 ms`);
  });

  it('by TCP', async () => {
    const server = tcp();
    const port = await listening(server);
    expect(await ask({ kind: 'tcp', port })).toBe('ok');
    server.close();
    expect(await ask({ kind: 'tcp', port })).toContain('ECONNREFUSED');
    expect(await ask({ kind: 'tcp', port: 1 })).toContain("can't be reached");
  });

  it('by gRPC', async () => {
    const server = http2();
    server.on('stream', (stream, headers) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const service = Buffer.concat(chunks).subarray(7).toString();
        const known = headers[':path'] === '/grpc.health.v1.Health/Check' && service !== 'none';
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc', ...(known ? {} : { 'grpc-status': '5' }) },
          { waitForTrailers: known },
        );
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        if (known) stream.end(Buffer.from([0, 0, 0, 0, 2, 8, service === 'sick' ? 2 : 1]));
        else stream.end();
      });
    });
    const port = await listening(server);
    expect(await ask({ kind: 'grpc', port, service: '' })).toBe('ok');
    expect(await ask({ kind: 'grpc', port, service: 'shop' })).toBe('ok');
    expect(await ask({ kind: 'grpc', port, service: 'sick' })).toBe('gRPC says that it is not serving (status 0)');
    expect(await ask({ kind: 'grpc', port, service: 'none' })).toContain('not serving (status 5)');
  });
});
