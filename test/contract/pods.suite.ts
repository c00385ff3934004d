/** What a driver must do with replicas of several containers; run against each real engine. */
import { afterEach, describe, expect, it } from 'vitest';
import type { UnitSpec } from '../../src/core/events.ts';
import type { DriverChange, LogLine } from '../../src/core/ports.ts';
import type { PartSpec, ServiceSpec } from '../../src/core/spec.ts';
import { runCommand } from '../../src/runtime/exec/command.ts';
import { simService } from '../sim/makers.ts';
import type { DriverCase } from './driver.suite.ts';

const forever = 'while :; do sleep 0.1; done';

export function podSuite(name: string, given: DriverCase & { volumes(): Promise<string[]> }): void {
  describe(`replicas of several containers on ${name}`, () => {
    const made = new Set<string>();
    const shell = (line: string) => ({ image: String(given.service.image), command: ['sh', '-c', line] });
    const part = (name: string, kind: PartSpec['kind'], line: string, more: Partial<PartSpec> = {}): PartSpec => ({
      ...{ name, kind, ...shell(line), environment: {}, mounts: [], resources: {} },
      ...more,
    });
    const inWww = (name: string) => ({ target: `/www/${name}`, folder: '/www', blob: name });
    const share = { kind: 'scratch' as const, source: 'share', target: '/share' };
    const memory = { ...share, source: 'memory', target: '/memory', inMemory: true };
    const pod = (replica: string, line: string, parts: PartSpec[], more: Partial<ServiceSpec> = {}): UnitSpec => {
      const service = simService('web', 1, { ...given.service, ...shell(line), stopGraceMs: 1_000, parts, ...more });
      const [app, , index] = replica.split('/') as [string, string, string];
      return { replica, app, index, hash: 'abcdef123456', service };
    };
    const start = async (unit: UnitSpec, signal?: AbortSignal) => {
      const observed = await given.driver().start(unit, () => {}, undefined, signal);
      made.add(observed.handle);
      return observed;
    };
    const said = async (handle: string, argv: string[], part?: string): Promise<string> => {
      const query = { argv, ...(part === undefined ? {} : { part }) };
      const { code, output } = await runCommand(given.driver(), handle, query, 10_000);
      return `${code} ${output}`.trim();
    };
    const logs = async (handle: string, part?: string): Promise<LogLine[]> => {
      const lines: LogLine[] = [];
      const query = { follow: false, signal: AbortSignal.timeout(5_000), ...(part === undefined ? {} : { part }) };
      for await (const line of given.driver().logs(handle, query)) lines.push(line);
      return lines;
    };
    afterEach(async () => {
      for (const handle of made) await given.driver().stop(handle, 200);
      made.clear();
      expect(await given.driver().list()).toEqual([]);
      expect((await given.volumes()).filter((volume) => volume.includes('-scratch-'))).toEqual([]);
    });

    it('share one network and volumes; what runs first has run, and is told apart', async () => {
      const mounts = [share, memory];
      const own = { kind: 'volume' as const, target: '/own', options: ['nocopy'] };
      const unit = pod(
        'a/web/1',
        `cat /share/first; while :; do echo hello | nc -l -p 7000; done`,
        [
          part('prepare', 'init', 'echo prepared > /share/first; echo secret > /memory/s; echo done', { mounts }),
          part('shipper', 'peer', `echo I ship; ${forever}`, { mounts, environment: { WHO: 'shipper' }, user: '1000' }),
        ],
        { mounts: [...mounts, own], ordinals: true, sharedProcesses: true, files: ['a', 'b/c'].map(inWww) },
      );
      const { handle, running } = await start(unit);
      expect(running).toBe(true);
      expect(await given.driver().list()).toMatchObject([{ replica: 'a/web/1', handle, running: true }]);
      const ask = ['sh', '-c', 'echo $WHO; nc 127.0.0.1 7000 </dev/null'];
      await given.until('an answer', async () => (await said(handle, ask, 'shipper')) === '0 shipper\nhello');
      expect(await said(handle, ['cat', '/memory/s'])).toBe('0 secret');
      // Its folder is covered as a whole, also what the image has in it.
      expect(await said(handle, ['sh', '-c', 'hostname; ls /www; cat /www/b/c'])).toBe('0 web-0\na\nb\nb/c of a');
      expect(await said(handle, ['ps'], 'shipper')).toContain('nc -l');
      expect(await said(handle, ['sh', '-c', 'echo $WHO'], 'web')).toBe('0');
      await expect(said(handle, ['true'], 'shiper')).rejects.toThrow("no container 'shiper'");
      // Whoever it runs as.
      expect(await said(handle, ['sh', '-c', 'touch /share/mine && echo mine'], 'shipper')).toBe('0 mine');
      expect(await said(handle, ['stat', '-c', '%a', '/own'])).toBe('0 777');
      const all = await logs(handle);
      expect(all.map(({ part, text }) => `${part ?? ''}: ${text}`).sort()).toEqual([
        ': prepared',
        'prepare: done',
        'shipper: I ship',
      ]);
      expect((await logs(handle, 'shipper')).map(({ text }) => text)).toEqual(['I ship']);
      expect(await given.driver().livesOf(handle)).toHaveLength(2);
      // A daemon that was restarted knows it too.
      expect(await given.again().list()).toMatchObject([{ replica: 'a/web/1', handle, running: true }]);
    });

    it('fall when one of them does, and come back with the others as they were', async () => {
      const ended: DriverChange[] = [];
      const driver = given.driver();
      const off = driver.watch((change) => ended.push(change));
      const unit = pod('b/web/1', `echo started; ${forever}`, [
        part('peer', 'peer', 'echo peer; while [ ! -f /tmp/end ]; do sleep 0.1; done; rm /tmp/end; exit 3'),
      ]);
      const { handle } = await driver.start(unit, () => {});
      made.add(handle);
      expect(await said(handle, ['touch', '/tmp/end'], 'peer')).toBe('0');
      await given.until('its end', () => ended.length > 0);
      expect(ended).toEqual([
        { kind: 'exited', replica: 'b/web/1', hash: 'abcdef123456', exitCode: 3, oom: false, part: 'peer' },
      ]);
      await given.until('the list', async () => (await driver.list()).every(({ running }) => !running));
      expect(await driver.list()).toMatchObject([{ handle, exit: { exitCode: 3, part: 'peer' } }]);
      expect(await driver.start(unit, () => {})).toMatchObject({ handle, running: true });
      expect((await logs(handle)).map(({ text }) => text).sort()).toEqual(['peer', 'peer', 'started']);
      off();
    });

    it('enter the new network of the first where that was started again', async () => {
      const listen = (port: number, text: string): string => `while :; do echo ${text} | nc -l -p ${port}; done`;
      const unit = pod(
        'c/web/1',
        `echo up; ${listen(7000, 'first')} & while [ ! -f /tmp/end ]; do sleep 0.1; done; rm /tmp/end`,
        [part('peer', 'peer', listen(7001, 'peer'))],
      );
      const ended: DriverChange[] = [];
      const driver = given.driver();
      const off = driver.watch((change) => ended.push(change));
      const { handle } = await driver.start(unit, () => {});
      made.add(handle);
      await said(handle, ['touch', '/tmp/end']);
      await given.until('its end', () => ended.length > 0);
      expect(ended).toMatchObject([{ exitCode: 0 }]);
      expect(await driver.start(unit, () => {})).toMatchObject({ handle, running: true });
      const reached = (port: number, from: string, text: string) => async (): Promise<boolean> =>
        (await said(handle, ['sh', '-c', `nc 127.0.0.1 ${port} </dev/null`], from)) === `0 ${text}`;
      await given.until('the peer', reached(7001, 'web', 'peer'));
      await given.until('the first', reached(7000, 'peer', 'first'));
      expect(ended).toHaveLength(1);
      off();
    });

    it('do not start where what runs first fails, and say why', async () => {
      const unit = pod('d/web/1', forever, [
        part('good', 'init', 'exit 0'),
        part('bad', 'init', 'echo no such table; exit 4'),
      ]);
      await expect(start(unit)).rejects.toMatchObject({
        code: 'start-failed',
        message: 'd/web/1: container bad: exit code 4: no such table',
      });
      expect(await given.driver().list()).toEqual([]);
    });

    it('are not waited for when nobody wants them any more', async () => {
      const cancelled = new AbortController();
      const words: string[] = [];
      const starting = given.driver().start(
        pod('e/web/1', forever, [part('wait', 'init', forever)]),
        (text) => {
          words.push(text);
          setTimeout(() => cancelled.abort(), 200);
        },
        undefined,
        cancelled.signal,
      );
      await expect(starting).rejects.toThrow('cancelled');
      expect(words.at(-1)).toBe('container wait runs first');
      expect(await given.driver().list()).toEqual([]);
    });

    it('that are a job have ended when all but sidecars have, and those are ended then', async () => {
      const ended: DriverChange[] = [];
      const driver = given.driver();
      const off = driver.watch((change) => ended.push(change));
      const unit = pod(
        'f/web/1',
        'sleep 0.4',
        [part('slow', 'peer', 'sleep 1; exit 2'), part('proxy', 'sidecar', forever)],
        {
          restart: { condition: 'none' },
        },
      );
      const { handle } = await driver.start(unit, () => {});
      made.add(handle);
      await given.until('its end', () => ended.length > 0);
      expect(ended).toMatchObject([{ exitCode: 2, part: 'slow' }]);
      await given.until('no life', async () => (await driver.livesOf(handle)).length === 0);
      expect(await driver.list()).toMatchObject([{ handle, running: false, exit: { exitCode: 2 } }]);
      off();
    });
  });
}
