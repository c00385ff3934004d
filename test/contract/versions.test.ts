/** Versions side by side on a real disk, and a daemon on trial that is, or is not, what it was before. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { ClusterView, Release, Upgrade } from '../../src/core/model.ts';
import { Packages } from '../../src/release/files/packages.ts';
import { Upgrader } from '../../src/release/files/upgrader.ts';
import { Versions } from '../../src/release/files/versions.ts';
import { compareVersions } from '../../src/release/release.ts';
import { until } from '../until.ts';

const folder = mkdtempSync(join(tmpdir(), 'osca-versions-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let at: (...parts: string[]) => string;
let count = 0;
beforeEach(() => {
  const own = join(folder, String(count++));
  at = (...parts) => join(own, ...parts);
  mkdirSync(at('base'), { recursive: true });
});

/** A package whose launcher says its version. */
function pack(version: string, says = version, name = 'osca'): string {
  const lib = at('tree', 'usr/lib/osca');
  rmSync(at('tree'), { recursive: true, force: true });
  mkdirSync(join(lib, 'dist'), { recursive: true });
  writeFileSync(join(lib, 'dist/.stamp'), '');
  writeFileSync(join(lib, 'osca'), `#!/bin/sh\necho ${says}\n`);
  chmodSync(join(lib, 'osca'), 0o755);
  mkdirSync(at('tree/DEBIAN'));
  writeFileSync(
    at('tree/DEBIAN/control'),
    `Package: ${name}\nVersion: ${version}\nArchitecture: amd64\nMaintainer: nobody <a@b>\nDescription: a test\n`,
  );
  execFileSync('dpkg-deb', ['-Znone', '--build', at('tree'), at(`${version}.deb`)], { stdio: 'ignore' });
  return at(`${version}.deb`);
}

const bytesOf = (path: string): Readable => Readable.from([execFileSync('cat', [path])]);
const member = { id: 'me', state: 'alive', units: [{ replica: 'app/web/1', hash: 'a', state: 'ready' }] };
const other = { id: 'other', state: 'alive', units: [] };
const viewOf = (change: object = {}): ClusterView =>
  ({
    ...{ self: 'me', phase: 'member', members: [member, other] },
    assignments: [{ replica: 'app/web/1', hash: 'a', cell: 'me' }],
    ...change,
  }) as unknown as ClusterView;

interface Run {
  upgrader: Upgrader;
  told: (Upgrade | undefined)[];
  restarts: number;
}

function upgraderOf(root: string, view: () => ClusterView, answer?: () => IncomingMessage, trialMs = 1_000): Run {
  const run = { told: [], restarts: 0 } as unknown as Run;
  run.upgrader = new Upgrader({
    packages: new Packages(at('packages')),
    versions: new Versions(at('versions'), root),
    ...{ arch: 'amd64', view, trialMs, pauseMs: 10, fetchMs: 100, againMs: 50 },
    request: async () =>
      answer?.() ?? (Object.assign(Readable.from([]), { statusCode: 404 }) as unknown as IncomingMessage),
    tell: (upgrade) => run.told.push(upgrade),
    log: () => {},
    restart: async () => void run.restarts++,
  });
  return run;
}

async function releaseOf(version: string, path: string): Promise<Release> {
  const { sha256, bytes } = await new Packages(at('packages')).put(bytesOf(path));
  return {
    id: `r-${version}`,
    version,
    packages: { amd64: { sha256, bytes } },
    wellMs: 100,
    atMs: 1,
    by: 'other',
    sig: '',
  };
}

/** As the launcher does after the third start of what is on trial. */
const giveUp = (): void => renameSync(at('versions/trial'), at('versions/failed'));

it('versions are in the order that dpkg has them in', () => {
  const version = fc.stringMatching(/^[0-9][0-9a-c.+~]{0,6}$/);
  fc.assert(
    fc.property(version, version, (a, b) => {
      const relation = compareVersions(a, b) < 0 ? 'lt' : compareVersions(a, b) > 0 ? 'gt' : 'eq';
      execFileSync('dpkg', ['--compare-versions', a, relation, b]);
    }),
    { numRuns: 300 },
  );
});

describe('a version on trial', () => {
  it('is kept where the cell is what it was, and those before it go', async () => {
    for (const version of ['1.1.0', '1.2.0']) {
      const release = await releaseOf(version, pack(version));
      const before = upgraderOf(at('base'), viewOf);
      await before.upgrader.take(release);
      expect([before.told, before.restarts]).toEqual([[{ release: release.id, state: 'trying' }], 1]);
      const name = readdirSync(at('versions')).find((one) => one.startsWith(version))!;
      const after = upgraderOf(at('versions', name), viewOf);
      expect(after.upgrader.atStart()).toEqual({ release: release.id, state: 'trying' });
      await after.upgrader.judge();
      expect([after.told, after.restarts]).toEqual([[undefined], 0]);
      expect(readlinkSync(at('versions/current'))).toBe(name);
      expect(readdirSync(at('versions')).sort()).toEqual([name, 'current'].sort());
      expect(upgraderOf(at('versions', name), viewOf).upgrader.atStart()).toBeUndefined();
    }
  });

  it.each([
    ['is no member', () => viewOf({ phase: 'listening' }), 'it was no member'],
    ['hears nobody', () => viewOf({ members: [member] }), 'it heard no other cell'],
    ['lost a replica', () => viewOf({ members: [{ ...member, units: [] }, other] }), 'app/web/1 was not ready again'],
  ])('is taken back where the cell %s', async (_name, view, lacks) => {
    const release = await releaseOf('1.1.0', pack('1.1.0'));
    await upgraderOf(at('base'), viewOf).upgrader.take(release);
    const name = readdirSync(at('versions')).find((one) => one.startsWith('1.1.0'))!;
    const after = upgraderOf(at('versions', name), view);
    await after.upgrader.judge();
    expect(after.restarts).toBe(1);
    expect(existsSync(at('versions/trial'))).toBe(false);
    expect(existsSync(at('versions/current'))).toBe(false);
    const reason = expect.stringContaining(lacks);
    expect(upgraderOf(at('base'), viewOf).upgrader.atStart()).toEqual({ release: release.id, state: 'failed', reason });
  });

  it('is told of where it never came up, until another is tried', async () => {
    const release = await releaseOf('1.1.0', pack('1.1.0'));
    await upgraderOf(at('base'), viewOf).upgrader.take(release);
    giveUp();
    const back = upgraderOf(at('base'), viewOf);
    const reason = expect.stringContaining('did not come up in three starts');
    expect(back.upgrader.atStart()).toEqual({ release: release.id, state: 'failed', reason });
    await back.upgrader.take(await releaseOf('1.2.0', pack('1.2.0')));
    expect(existsSync(at('versions/failed'))).toBe(false);
    // Of what failed nothing is left.
    expect(readdirSync(at('versions')).filter((name) => /^1/.test(name))).toEqual([expect.stringMatching(/^1\.2/)]);
  });
});

describe('a package', () => {
  const failing = async (release: Release, answer?: () => IncomingMessage): Promise<string> => {
    const run = upgraderOf(at('base'), viewOf, answer);
    await run.upgrader.take(release);
    expect(run.restarts).toBe(0);
    expect(existsSync(at('versions/trial'))).toBe(false);
    expect(readdirSync(at('packages')).filter((name) => name.endsWith('.part'))).toEqual([]);
    return run.told.at(-1)?.reason ?? '';
  };

  it('that is not what was signed is not taken, also where it lies here already', async () => {
    const path = pack('1.1.0');
    const release = await releaseOf('1.1.0', path);
    const { sha256 } = release.packages.amd64!;
    writeFileSync(at('packages', `${sha256}.deb`), 'changed where it lies');
    expect(await failing(release)).toContain('no cell that is up has the package');
    const whole = execFileSync('cat', [path]);
    const sent = (bytes: Buffer) => () =>
      Object.assign(Readable.from([bytes]), { statusCode: 200 }) as unknown as IncomingMessage;
    expect(await failing(release, sent(whole.subarray(0, 1_000)))).toContain(
      'is not the one that was signed: 1000 bytes',
    );
    expect(await failing(release, sent(Buffer.concat([whole, Buffer.from('x')])))).toContain(
      'is not the one that was signed',
    );
    const run = upgraderOf(at('base'), viewOf, sent(whole));
    await run.upgrader.take(release);
    await until('it is taken', () => run.restarts === 1);
  });

  it('that nobody had when a late cell asked is asked for again; one that halts the others is not', async () => {
    const release = await releaseOf('1.1.0', pack('1.1.0'));
    rmSync(at('packages', `${release.packages.amd64!.sha256}.deb`));
    const late = upgraderOf(at('base'), viewOf);
    await late.upgrader.take({ ...release, outcome: { state: 'done', reason: '', atMs: 2 } });
    expect(late.told[0]).toMatchObject({ state: 'failed' });
    await until('it may be told to again', () => late.told.length === 2);
    expect(late.told[1]).toBeUndefined();
    const first = upgraderOf(at('base'), viewOf);
    await first.upgrader.take(release);
    expect(await failing(release)).toContain('no cell that is up');
    expect(first.told).toHaveLength(1);
  });

  it('that is larger than any is not taken in', async () => {
    const piece = Buffer.alloc(1_048_576);
    const large = Readable.from(Array.from({ length: 129 }, () => piece));
    await expect(new Packages(at('packages')).put(large)).rejects.toThrow('it is larger than 128 MB');
    expect(readdirSync(at('packages'))).toEqual([]);
  });

  it('that does not run here, or is another version, is not taken', async () => {
    expect(await failing(await releaseOf('1.1.0', pack('1.1.0', '1.0.0')))).toContain(
      'it says that it is 1.0.0, not 1.1.0',
    );
    expect(await failing(await releaseOf('1.2.0', pack('1.2.0', '; exit 3')))).toContain(
      'it does not run on this machine',
    );
    await expect(releaseOf('1.3.0', pack('1.3.0', '1.3.0', 'nginx'))).rejects.toThrow('it is a package of nginx');
  });
});
