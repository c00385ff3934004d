import { mkdtempSync } from 'node:fs';
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
