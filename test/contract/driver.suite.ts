/** What every runtime driver must do; run against each real one. */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { UnitSpec } from '../../src/core/events.ts';
import type { DriverChange, LogLine, RuntimeDriver } from '../../src/core/ports.ts';
import type { ServiceSpec } from '../../src/core/spec.ts';
import { UnitFiles } from '../../src/runtime/files/files.ts';
import { Fuses } from '../../src/runtime/process/fuses.ts';
import { simService } from '../sim/makers.ts';

/** For all drivers under test, where each engine sees it; a blob is what its name says. */
export const testFiles = new UnitFiles(
  mkdtempSync(join(tmpdir(), 'osca-files-')),
  (app, blob) => (blob === 'unknown' ? undefined : Buffer.from(`${blob} of ${app}`).toString('base64url')),
  () => ({ name: 'attic', address: '192.0.2.7' }),
);

export interface DriverCase {
  driver(): RuntimeDriver;
  /** A second driver on the same engine or folder, as a restarted daemon would make it. */
  again(): RuntimeDriver;
  /** A driver of another cell on the same engine, where there is such a thing. */
  stranger?(): RuntimeDriver;
  service: Partial<ServiceSpec>;
  /** Socket of its engine. */
  engine?(): string;
  until<T>(
    what: string,
    look: () => Promise<T | undefined | false> | T | undefined | false,
    withinMs?: number,
  ): Promise<T>;
}

export function driverSuite(name: string, given: DriverCase): void {
  describe(`the ${name} driver`, () => {
    const made: string[] = [];
    const unit = (replica: string, line: string, more: Partial<ServiceSpec> = {}): UnitSpec => {
      const service = simService('web', 1, {
        ...given.service,
        command: ['sh', '-c', line],
        stopGraceMs: 2_000,
        ...more,
      });
      const [app, , index] = replica.split('/') as [string, string, string];
      return { replica, app, index, hash: 'abcdef123456', service };
    };
    const start = async (spec: UnitSpec) => {
      const observed = await given.driver().start(spec, () => {});
      made.push(observed.handle);
      return observed;
    };
    const logsOf = async (handle: string, tail?: number): Promise<string[]> => {
      const lines: LogLine[] = [];
      const query = { follow: false, signal: AbortSignal.timeout(5_000), ...(tail === undefined ? {} : { tail }) };
      for await (const line of given.driver().logs(handle, query)) lines.push(line);
      return lines.map(({ text }) => text);
    };
    afterAll(async () => {
      for (const handle of made) await given.driver().stop(handle, 100);
    });

    it('starts, lists, and stops a unit', async () => {
      const observed = await start(unit('a/web/1', 'trap "exit 0" TERM; while :; do sleep 0.1; done'));
      expect(observed).toMatchObject({ replica: 'a/web/1', hash: 'abcdef123456', running: true });
      expect((await given.driver().list()).map(({ replica }) => replica)).toEqual(['a/web/1']);
      await given.driver().stop(observed.handle, 2_000);
      expect(await given.driver().list()).toEqual([]);
      await given.driver().stop(observed.handle, 2_000);
    });

    it('is adopted by the next driver, nothing restarted', async () => {
      const { handle } = await start(unit('b/web/1', 'echo once; while :; do sleep 0.1; done'));
      const next = given.again();
      const [seen] = await next.list();
      expect(seen).toMatchObject({ handle, running: true, replica: 'b/web/1' });
      await given.until('its line', async () => (await logsOf(handle)).length > 0);
      expect(await logsOf(handle)).toEqual(['once']);
      await next.stop(handle, 100);
    });

    it('is followed to its exit: every line, also the last without an end', async () => {
      const { handle } = await start(unit('f/web/1', 'seq 25000; sleep 0.4; printf last'));
      const query = { follow: true, untilExit: true, signal: AbortSignal.timeout(20_000) };
      const lines: string[] = [];
      for await (const { text } of given.driver().logs(handle, query)) lines.push(text);
      expect(lines).toEqual([...Array.from({ length: 25_000 }, (_, i) => String(i + 1)), 'last']);
      await given.driver().stop(handle, 100);
    });

    it('knows which lines are of late', async () => {
      const { handle } = await start(unit('g/web/1', "echo early; sleep 2; echo 'lät\r'; while :; do sleep 0.1; done"));
      const since = async (sinceMs: number): Promise<LogLine[]> => {
        const lines: LogLine[] = [];
        const query = { follow: false, sinceMs, signal: AbortSignal.timeout(5_000) };
        for await (const line of given.driver().logs(handle, query)) lines.push(line);
        return lines;
      };
      await given.until('two lines', async () => (await since(0)).length === 2);
      const [early, late] = await since(0);
      expect(late!.atMs - early!.atMs).toBeGreaterThan(500);
      expect((await since(early!.atMs + 1)).map(({ text }) => text.trim())).toEqual(['lät']);
      await given.driver().stop(handle, 100);
    });

    it('tells of an exit with its code, and still has the log', async () => {
      const changes: DriverChange[] = [];
      const end = given.driver().watch((change) => changes.push(change));
      const { handle } = await start(unit('c/web/1', 'echo out; echo err >&2; sleep 0.3; exit 3'));
      const exit = await given.until(
        'the exit',
        () => changes.find((change) => change.kind === 'exited' && change.replica === 'c/web/1'),
        10_000,
      );
      expect(exit).toMatchObject({ exitCode: 3, hash: 'abcdef123456' });
      expect((await logsOf(handle)).sort()).toEqual(['err', 'out']);
      expect((await logsOf(handle, 1)).length).toBe(1);
      expect((await given.driver().list()).find(({ replica }) => replica === 'c/web/1')).toMatchObject({
        running: false,
        exit: { exitCode: 3 },
      });
      end();
      await given.driver().stop(handle, 100);
    });

    it('says at the start that a unit ended at once, or soon after where the machine is busy', async () => {
      const ended: DriverChange[] = [];
      const end = given.driver().watch((change) => ended.push(change));
      const observed = await start(unit('h/web/1', 'exit 3'));
      if (observed.running) await given.until('its exit', () => ended.some(({ kind }) => kind === 'exited'));
      else expect(observed.exit?.exitCode).toBe(3);
      end();
      await given.driver().stop(observed.handle, 100);
    });

    it('runs a command beside it: output, errors, input, exit code', async () => {
      const { handle } = await start(unit('d/web/1', 'while :; do sleep 0.1; done', { environment: { WHO: 'me' } }));
      const session = await given
        .driver()
        .exec(handle, { argv: ['sh', '-c', 'read x; echo $WHO $x; echo bad >&2; exit 5'], tty: false, stdin: true });
      let [out, err] = ['', ''];
      session.output.on('data', (chunk: Buffer) => (out += chunk.toString()));
      session.errors!.on('data', (chunk: Buffer) => (err += chunk.toString()));
      session.input.write('in\n');
      expect(await session.exitCode).toBe(5);
      await given.until('its output', () => out === 'me in\n' && err === 'bad\n');
      await given.driver().stop(handle, 100);
    });

    it('gives it files and secret variables, again after memory was lost, and takes them away with it', async () => {
      const files = { files: [{ target: '/run/secrets/pw', blob: 'word', mode: 0o440 }] };
      const line = 'echo "$(cat /run/secrets/pw 2>/dev/null || cat $OSCA_FILES/pw) $TOKEN"';
      const spec = unit('k/web/1', line, { ...files, sealedEnvironment: { TOKEN: 'token' } });
      const { handle } = await start(spec);
      await given.until('it wrote', async () => (await logsOf(handle)).includes('word of k token of k'));
      expect(testFiles.placed('k/web/1@abcdef123456')).toBe(true);
      testFiles.remove('k/web/1@abcdef123456');
      const again = await given.again().start(spec, () => {});
      await given.until('it wrote again', async () => (await logsOf(again.handle)).length >= 1);
      expect(new Set(await logsOf(again.handle))).toEqual(new Set(['word of k token of k']));
      await given.driver().stop(again.handle, 100);
      expect(testFiles.placed('k/web/1@abcdef123456')).toBe(false);
      const late = { ...spec, replica: 'p/web/1' };
      late.service = {
        ...late.service,
        command: ['sh', '-c', 'echo "$URL $(ME) $CELL $AT $N" "$0 $1"', '$(TOKEN)', '$$(TOKEN)'],
        ownVariables: { ME: 'replica', CELL: 'cell', AT: 'address', N: 'completion' },
        environment: { URL: 'pg://$(TOKEN)@$(OTHER)' },
      };
      const bound = await start(late);
      await given.until('it wrote', async () =>
        (await logsOf(bound.handle)).includes('pg://token of k@$(OTHER) p-web-1 attic 192.0.2.7 0 token of k $(TOKEN)'),
      );
      await given.driver().stop(bound.handle, 100);
      const out = unit('q/web/1', line, { files: [{ target: '/d/../../x', folder: '/d', blob: 'a' }] });
      await expect(start(out)).rejects.toMatchObject({ message: expect.stringContaining('leads out of its folder') });
      const locked = unit('l/web/1', line, { files: [{ target: '/pw', blob: 'unknown' }] });
      await expect(start(locked)).rejects.toMatchObject({
        ...{ code: 'start-failed', message: expect.stringContaining('has not come to this cell yet') },
      });
    });

    it('runs hooks after its start and before its end, and does not start where one fails', async () => {
      const path = join(mkdtempSync(join(tmpdir(), 'osca-hooks-')), 'log');
      const mounts = [{ kind: 'bind' as const, source: dirname(path), target: dirname(path) }];
      const bind = given.service.driver === 'process' ? {} : { mounts };
      const told = (words: string) => [
        { command: ['sh', '-c', `echo "${words} $WHO" >> ${path}`], environment: { WHO: 'me' } },
      ];
      const line = `echo begun; while :; do sleep 0.1; done`;
      const hooks = { postStart: told('after'), preStop: told('before') };
      const { handle } = await start(unit('m/web/1', line, { ...bind, ...hooks }));
      expect(readFileSync(path, 'utf8')).toBe('after me\n');
      // Also by a daemon that has not started it.
      await given.again().stop(handle, 1_000);
      expect(readFileSync(path, 'utf8')).toBe('after me\nbefore me\n');
      const failing = unit('n/web/1', line, { postStart: [{ command: ['sh', '-c', 'echo no luck; exit 3'] }] });
      await expect(start(failing)).rejects.toMatchObject({
        ...{ code: 'start-failed', message: expect.stringMatching(/post_start: .* exit code 3: no luck/) },
      });
      expect((await given.driver().list()).filter(({ replica }) => replica === 'n/web/1')).toEqual([]);
    });

    it('publishes a free port where none is asked for', async () => {
      const observed = await start(
        unit('e/web/1', 'while :; do sleep 0.1; done', { ports: [{ target: 80, protocol: 'tcp' }] }),
      );
      expect(observed.ports[0]).toBeGreaterThan(1_023);
      await given.driver().stop(observed.handle, 100);
    });

    it('ends what ignores its signal after the grace', async () => {
      const { handle } = await start(unit('f/web/1', 'trap "" TERM; while :; do sleep 0.1; done'));
      await given.driver().stop(handle, 1_000);
      expect(await given.driver().list()).toEqual([]);
    });

    it('ends a unit by its fuse, also where its processes can not be seen', async () => {
      const fuses = new Fuses({ folder: mkdtempSync(join(tmpdir(), 'osca-fuses-')), engine: given.engine?.() ?? '' });
      const blind = given.engine === undefined ? [] : [{ pid: 0 }];
      for (const change of [{}, ...blind]) {
        const { handle } = await start(unit('i/web/1', 'while :; do sleep 0.1; done'));
        const [life] = await given.driver().livesOf(handle);
        fuses.light('i/web/1@abcdef123456', [{ ...life!, ...change }], 0);
        await given.until('its end', async () => (await given.driver().list()).every(({ running }) => !running));
        expect(await given.driver().livesOf(handle)).toEqual([]);
        await given.driver().stop(handle, 100);
      }
    });

    it('starts nothing where the last question is answered with no', async () => {
      const spec = unit('j/web/1', 'sleep 9');
      await expect(
        given.driver().start(
          spec,
          () => {},
          () => false,
        ),
      ).rejects.toMatchObject({ code: 'lease-lost' });
      expect((await given.driver().list()).filter(({ replica }) => replica === 'j/web/1')).toEqual([]);
    });

    it('does not see units of another cell', async () => {
      if (given.stranger === undefined) return;
      const { handle } = await start(unit('g/web/1', 'while :; do sleep 0.1; done'));
      expect(await given.stranger().list()).toEqual([]);
      await given.driver().stop(handle, 100);
    });
  });
}
