import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ProcessDriver } from '../../src/runtime/process/driver.ts';
import { simService } from '../sim/makers.ts';
import { until } from '../until.ts';
import { driverSuite, testFiles } from './driver.suite.ts';

const folder = mkdtempSync(join(tmpdir(), 'osca-process-'));
const driver = new ProcessDriver({ files: testFiles, folder, lifeline: false });

driverSuite('process', {
  ...{ driver: () => driver, again: () => new ProcessDriver({ files: testFiles, folder, lifeline: false }) },
  stranger: () =>
    new ProcessDriver({ files: testFiles, folder: mkdtempSync(join(tmpdir(), 'osca-process-')), lifeline: false }),
  ...{ service: { driver: 'process' }, until },
});

it('a command that is not there is a failed start, in words', async () => {
  const service = simService('web', 1, { driver: 'process', command: ['no-such-command'] });
  const unit = { replica: 'x/web/1', app: 'x', index: '1', hash: 'h', service };
  await expect(driver.start(unit)).rejects.toMatchObject({
    code: 'start-failed',
    message: expect.stringContaining('not found'),
  });
});

it('hooks may be requests, and one that is answered with an error is a failed start', async () => {
  const asked: string[] = [];
  const server = createServer((request, answer) => {
    asked.push(`${request.method} ${request.url} ${String(request.headers['x-who'])}`);
    answer.writeHead(request.url === '/broken' ? 500 : 204).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const hook = (path: string) => [
    { check: { kind: 'http' as const, port, path, scheme: 'http' as const, headers: { 'x-who': 'osca' } } },
  ];
  const unitOf = (path: string) => {
    const more = { driver: 'process' as const, command: ['sleep', '1000'], stopGraceMs: 1_000 };
    const service = simService('web', 1, { ...more, postStart: hook(path), preStop: hook('/down') });
    return { replica: 'y/web/1', app: 'y', index: '1', hash: 'h', service };
  };
  try {
    const { handle } = await driver.start(unitOf('/up'));
    expect(asked).toEqual(['GET /up osca']);
    await driver.stop(handle, 1_000);
    expect(asked).toEqual(['GET /up osca', 'GET /down osca']);
    await expect(driver.start(unitOf('/broken'))).rejects.toMatchObject({
      ...{ code: 'start-failed', message: expect.stringMatching(/post_start: GET \/broken was answered with 500/) },
    });
    expect(await driver.list()).toEqual([]);
  } finally {
    server.close();
  }
});
