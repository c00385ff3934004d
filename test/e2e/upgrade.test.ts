/** Installed cells take another version from each other, one at a time, and go back by themselves where that does not run. */
import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UpgradeStatus } from '../../src/api/upgrade-routes.ts';
import { loopback } from '../loopback.ts';
import { until } from '../until.ts';
import type { Ran } from './cells.ts';
import { root, runIt } from './cells.ts';

const folder = mkdtempSync(join(tmpdir(), 'osca-e2e-upgrade-'));
const arch = process.arch === 'x64' ? 'amd64' : 'arm64';
const at = (...parts: string[]): string => join(folder, ...parts);
const debOf = (version: string): string => at(version, `osca_${version}_${arch}.deb`);

function makePackage(version: string): void {
  const args = ['run', '--silent', 'package', '--', '--arch', arch, '--fast', '--as', version, '--out', at(version)];
  execFileSync('npm', args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
}

/** The same as 1.1.0, but another version, and bent. */
function bend(version: string, edit: (tree: string) => void, more = ''): string {
  const tree = at(`${version}-tree`);
  execFileSync('dpkg-deb', ['-R', debOf('1.1.0'), tree]);
  const cli = join(tree, 'usr/lib/osca/dist/cli.cjs');
  writeFileSync(cli, readFileSync(cli, 'utf8').replaceAll('"1.1.0"', `"${version}"`));
  const control = join(tree, 'DEBIAN/control');
  writeFileSync(control, `${more}${readFileSync(control, 'utf8').replace('1.1.0', version)}`);
  edit(tree);
  mkdirSync(at(version));
  execFileSync('dpkg-deb', ['-Zgzip', '-z1', '--build', tree, debOf(version)], { stdio: 'ignore' });
  return debOf(version);
}

/** A cell as its package's unit runs it: started again whenever it ends. */
class Installed {
  readonly name: string;
  readonly data: string;
  readonly #env: NodeJS.ProcessEnv;
  #loop: ChildProcess | undefined;

  constructor(name: string) {
    this.name = name;
    this.data = at(name);
    this.#env = { ...process.env, OSCA_VERSIONS: at(`${name}-versions`), OSCA_SUPERVISED: '1' };
  }

  async up(...more: string[]): Promise<void> {
    const args = ['--data', this.data, 'up', '--name', this.name, ...loopback, ...more];
    const script = 'while [ ! -e "$0" ]; do "$@"; sleep 0.3; done';
    const words = ['-c', script, at(`${this.name}-stop`), at('base/usr/lib/osca/osca'), ...args];
    this.#loop = spawn('/bin/sh', words, { env: this.#env, stdio: ['ignore', 'ignore', 'inherit'] });
    await until(`${this.name} answers`, async () => (await this.osca('status')).code === 0);
  }

  async osca(...args: string[]): Promise<Ran> {
    return await runIt(at('base/usr/lib/osca/osca'), ['--data', this.data, ...args], this.#env);
  }

  async ok(...args: string[]): Promise<string> {
    const done = await this.osca(...args);
    if (done.code !== 0) throw new Error(`osca ${args.join(' ')}: ${done.stderr}${done.stdout}`);
    return done.stdout;
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, '--json')) as T;
  }

  get versions(): string[] {
    return readdirSync(at(`${this.name}-versions`));
  }

  async stop(): Promise<void> {
    writeFileSync(at(`${this.name}-stop`), '');
    const ended = new Promise((done) => this.#loop!.once('exit', done));
    const { pid } = await this.json<{ pid: number }>('status');
    process.kill(pid, 'SIGINT');
    await ended;
  }
}

const cells = ['ann', 'ben', 'cat'].map((name) => new Installed(name));
const [ann, ben, cat] = cells as [Installed, Installed, Installed];
const status = async (): Promise<UpgradeStatus> => await ann.json<UpgradeStatus>('upgrade');
const running = async (): Promise<string[]> => (await status()).cells.map(({ version }) => version);
const pids = (): string[] =>
  cells.flatMap(({ data }) =>
    readdirSync(join(data, 'process')).map((name) => readFileSync(join(data, 'process', name, 'child'), 'utf8').trim()),
  );

beforeAll(async () => {
  makePackage('1.0.0');
  makePackage('1.1.0');
  execFileSync('dpkg-deb', ['-x', debOf('1.0.0'), at('base')]);
  await ann.up('--found');
  const { ticket } = await ann.json<{ ticket: string }>('ticket', 'create', '--uses', '2');
  for (const cell of [ben, cat]) await cell.up('--ticket', ticket);
  await until('three cells', async () => (await ann.json<{ alive: number }>('status')).alive === 3);
  writeFileSync(
    at('app.yaml'),
    'name: app\nservices:\n  web: { command: sleep 100000, working_dir: /, x-osca: { driver: process }, deploy: { replicas: 6 } }\n',
  );
  await ann.ok('deploy', at('app.yaml'));
}, 120_000);
afterAll(async () => {
  await ann.osca('rm', 'app');
  await until('all has ended', () => pids().length === 0);
  for (const cell of cells) await cell.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

describe('osca upgrade', () => {
  it('says what is wrong before anything is told', async () => {
    const says = async (...args: string[]): Promise<string> => {
      const done = await ann.osca('upgrade', ...args);
      expect(done.code).not.toBe(0);
      return done.stderr;
    };
    writeFileSync(at('notes.deb'), 'no package');
    expect(await says(at('notes.deb'))).toContain('notes.deb: it is no Debian package, or not whole');
    cpSync(debOf('1.1.0'), at('cut.deb'));
    truncateSync(at('cut.deb'), 200);
    expect(await says(at('cut.deb'))).toContain('cut.deb: it is no Debian package, or not whole');
    writeFileSync(at('large.deb'), '');
    truncateSync(at('large.deb'), 200_000_000);
    expect(await says(at('large.deb'))).toContain('large.deb: it is larger than 128 MB');
    expect(await says(folder)).toContain('there is no file');
    expect(await says('--well', '10m', debOf('1.1.0'))).toContain("a cell can't have to be well for 600 s");
    expect(await says(at('none.deb'))).toContain('there is no file');
    expect(await says(debOf('1.0.0'), debOf('1.1.0'))).toContain('these are packages of 1.0.0 and 1.1.0');
    expect(await says('1.1.0')).toContain('it is not known where version 1.1.0 is');
    expect(await says('1.1.0', '--url', 'http://127.0.0.1:9')).toContain('is the machine online');
    const other = bend('1.1.9', (tree) => {
      const path = join(tree, 'DEBIAN/control');
      const foreign = arch === 'amd64' ? 'arm64' : 'amd64';
      writeFileSync(path, readFileSync(path, 'utf8').replace(`Architecture: ${arch}`, `Architecture: ${foreign}`));
    });
    expect(await says(other)).toMatch(new RegExp(`there is no package for ${arch}, which (ann|ben|cat) needs`));
    expect((await status()).release).toBeUndefined();
    expect(await ann.ok('upgrade')).toContain('no upgrade was asked for yet');
  }, 30_000);

  it('goes from cell to cell, and what they run goes on', async () => {
    const before = pids();
    // As somebody put it on a server.
    const site = createServer((asked, answer) => {
      const file = at('1.1.0', basename(asked.url!));
      if (existsSync(file)) createReadStream(file).pipe(answer);
      else answer.writeHead(404).end();
    });
    const port = await new Promise<number>((done) => {
      site.listen(0, '127.0.0.1', () => done((site.address() as AddressInfo).port));
    });
    const url = `http://127.0.0.1:${port}`;
    const none = await ben.osca('upgrade', '9.9.9', '--url', url);
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining(`9.9.9_${arch}.deb can't be had: 404`)]);
    const done = await ben.ok('upgrade', '--well', '2s', '1.1.0', '--url', url);
    site.close();
    expect(done).toMatch(/3 of 3 cells run 1\.1\.0 \(\d/);
    expect(await running()).toEqual(['1.1.0', '1.1.0', '1.1.0']);
    expect(pids()).toEqual(before);
    expect((await ann.ok('--version')).trim()).toBe('1.1.0');
    const rows = await ann.json<{ restarts: number; state: string }[]>('ps', 'app');
    expect(rows.map(({ restarts, state }) => [restarts, state])).toEqual(Array(6).fill([0, 'ready']));
    const words = (await ann.ok('events')).split('\n').filter((line) => /is down|left/.test(line));
    expect(words).toEqual([]);
    for (const cell of cells) expect(cell.versions).toHaveLength(2);
  }, 90_000);

  it('is taken back where it does not come up, and no other cell tries', async () => {
    const before = pids();
    const crashes = bend('1.2.0', (tree) =>
      writeFileSync(join(tree, 'usr/lib/osca/dist/daemon.cjs'), 'process.exit(1)\n'),
    );
    const done = await ann.osca('upgrade', '--well', '2s', crashes);
    expect([done.code, done.stderr]).toEqual([
      1,
      expect.stringMatching(/halted: (ann|ben|cat): it did not come up in three starts/),
    ]);
    expect(await running()).toEqual(['1.1.0', '1.1.0', '1.1.0']);
    expect(pids()).toEqual(before);
    const said = await ann.ok('upgrade');
    expect(said).toContain('1.2.0, asked for on ann: halted: ');
  }, 90_000);

  it('is refused by a cell where it does not run, or is not what was signed', async () => {
    const wrong = bend('1.3.0', (tree) => {
      const cli = join(tree, 'usr/lib/osca/dist/cli.cjs');
      writeFileSync(cli, readFileSync(cli, 'utf8').replaceAll('"1.3.0"', '"1.3.1"'));
    });
    const done = await ann.osca('upgrade', '--well', '2s', wrong);
    expect([done.code, done.stderr]).toEqual([1, expect.stringContaining('it says that it is 1.3.1, not 1.3.0')]);
    // Bytes that change where they lie: the others notice.
    await ann.ok('upgrade', '--well', '2s', '--detach', debOf('1.1.0'));
    await until('nothing to do', async () => (await status()).release?.outcome?.state === 'done');
    const changed = bend('1.4.0', () => {});
    const waiting = ann.osca('upgrade', '--well', '2s', changed);
    await until('it is told', async () => (await status()).release?.version === '1.4.0');
    for (const name of readdirSync(join(ann.data, 'releases'))) appendFileSync(join(ann.data, 'releases', name), 'x');
    const refused = await waiting;
    // The first may have had it by then.
    expect(refused.stderr).toMatch(/is not the one that was signed|no cell that is up has the package/);
    expect(existsSync(at('ann-versions/current'))).toBe(true);
  }, 120_000);
});
