/** Five machines with systemd take another version while they serve: no request fails, and power may go in the middle. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReplicaRow } from '../../src/api/rows.ts';
import type { UpgradeRow, UpgradeStatus } from '../../src/api/upgrade-routes.ts';
import { until } from '../until.ts';
import { root } from './host.ts';
import { Lab } from './lab.ts';
import { debOf, Machine } from './machine.ts';
import type { Ran } from './shell.ts';
import { run } from './shell.ts';

const arch = process.arch === 'x64' ? 'amd64' : 'arm64';
let lab: Lab;
let machines: Machine[];
const m = (number: number): Machine => machines[number - 1]!;

const packageOf = async (version: string): Promise<string> => {
  const out = join(lab.folder, version);
  const args = ['run', '--silent', 'package', '--', '--arch', arch, '--fast', '--as', version, '--out', out];
  const made = await run('npm', args, { cwd: root });
  expect(made.code, made.stderr).toBe(0);
  return join(out, `osca_${version}_${arch}.deb`);
};
const upgrade = async (version: string, ...args: string[]): Promise<Ran> => {
  m(1).put(await packageOf(version), `root/${version}.deb`);
  return await m(1).sh('osca', 'upgrade', '--well', '3s', ...args, `/root/${version}.deb`);
};
const cells = async (): Promise<UpgradeRow[]> =>
  (JSON.parse(await m(1).ok('osca', 'upgrade', '--json')) as UpgradeStatus).cells;
const versions = async (): Promise<string[]> => (await cells()).map(({ version }) => version).sort();
const replicas = async (): Promise<ReplicaRow[]> => JSON.parse(await m(1).ok('osca', 'ps', '--json')) as ReplicaRow[];
const pids = async (): Promise<string[]> =>
  await Promise.all(machines.map(async (one) => await one.ok('pgrep', '-f', 'createServer')));

/** Asks each replica again and again, with a new connection each time. */
const client = `
const http = require('node:http'), fs = require('node:fs');
const [file, ...urls] = process.argv.slice(1);
const told = { asked: 0, failed: [] };
const ask = (url) => http.get(url, { agent: false, timeout: 2000 }, (answer) => {
  told.asked++;
  if (answer.statusCode !== 200) told.failed.push(url);
  answer.resume().on('end', () => setTimeout(() => ask(url), 10));
}).on('error', (error) => { told.asked++; told.failed.push(url + ' ' + error.message); setTimeout(() => ask(url), 10); });
urls.forEach(ask);
setInterval(() => fs.writeFileSync(file, JSON.stringify(told)), 100);
`;

beforeAll(async () => {
  const made = await run('npm', ['run', '--silent', 'package', '--', '--arch', arch, '--fast'], { cwd: root });
  expect(made.code, made.stderr).toBe(0);
  lab = await Lab.up(1);
  machines = await Promise.all([1, 2, 3, 4, 5].map((number) => Machine.up(lab, number)));
  for (const one of machines) {
    one.put(debOf(arch), 'root/osca.deb');
    one.put(join(root, 'out/install.sh'), 'root/install.sh');
    one.write('etc/default/osca', `OSCA_UP="--no-mdns${one === m(1) ? ' --found' : ''}"\n`);
  }
  const install = async (one: Machine, ...args: string[]): Promise<string> =>
    await one.ok('sh', '/root/install.sh', '--package', '/root/osca.deb', '--no-engine', ...args);
  await install(m(1));
  const { ticket } = JSON.parse(await m(1).ok('osca', 'ticket', 'create', '--uses', '4', '--json')) as {
    ticket: string;
  };
  await Promise.all(machines.slice(1).map((one) => install(one, '--ticket', ticket)));
  await until('five cells', async () => (await cells()).length === 5);
  const script = 'require("node:http").createServer((_, a) => a.end("ok")).listen(process.env.PORT)';
  const node = '/usr/lib/osca/node_modules/.bin/node';
  m(1).write(
    'root/web.yaml',
    `name: web
services:
  web:
    command: [${node}, -e, '${script}']
    working_dir: /
    ports: ["80"]
    x-osca: { driver: process }
    healthcheck: { test: "curl -fs http://127.0.0.1:$$PORT", interval: 1s, start_interval: 200ms }
    deploy: { mode: global }
`,
  );
  await m(1).ok('osca', 'deploy', '/root/web.yaml');
}, 240_000);
afterAll(() => lab?.down());

describe('an upgrade of five machines', () => {
  it('fails no request of what they serve', async () => {
    const rows = await replicas();
    expect(rows.map(({ state }) => state)).toEqual(Array(5).fill('ready'));
    const urls = rows.map(({ cell, ports }) => `http://${m(Number(cell.slice(1))).address}:${ports[0]}/`);
    const before = await pids();
    const file = join(lab.folder, 'told.json');
    writeFileSync(join(lab.folder, 'client.cjs'), client);
    const told = (): { asked: number; failed: string[] } =>
      existsSync(file)
        ? (JSON.parse(readFileSync(file, 'utf8') || '{"asked":0,"failed":[]}') as { asked: number; failed: string[] })
        : { asked: 0, failed: [] };
    const asking = lab.host(1).begin(join(root, 'node_modules/.bin/node'), '-e', client, file, ...urls);
    await until('it is asked', () => told().asked > 100);
    const done = await upgrade('0.1.1');
    expect(done.stdout, done.stderr).toMatch(/5 of 5 cells run 0\.1\.1/);
    const { asked, failed } = told();
    asking.end();
    console.log(`${done.stdout.trim().split('\n').at(-1)}; ${asked} requests, ${failed.length} failed`);
    expect(failed).toEqual([]);
    expect(await pids()).toEqual(before);
    expect(await versions()).toEqual(Array(5).fill('0.1.1'));
  }, 180_000);

  it('is brought to its end where power goes in the middle, twice', async () => {
    expect((await upgrade('0.1.2', '--detach')).code).toBe(0);
    for (const state of ['fetching', 'trying']) {
      const found = await until(
        `one is ${state}`,
        async () => (await cells().catch(() => [])).find((row) => row.state === state && row.cell !== 'm1'),
        60_000,
      );
      const cut = m(Number(found.cell.slice(1)));
      await cut.powerOff();
      await cut.boot();
    }
    await until(
      'all have it',
      async () => (await versions().catch(() => [])).filter((one) => one === '0.1.2').length === 5,
      180_000,
    );
    await until(
      'all serve',
      async () => (await replicas()).filter(({ state }) => state === 'ready').length === 5,
      30_000,
    );
  }, 400_000);

  it('halts on a full disk, and goes on when there is room', async () => {
    await m(4).ok('mount', '-t', 'tmpfs', '-o', 'size=20m', 'tmpfs', '/var/lib/osca/releases');
    const full = await upgrade('0.1.3');
    expect([full.code, full.stderr]).toEqual([
      1,
      expect.stringMatching(/halted: m4: the disk of .* is full: \d+ MB are needed/),
    ]);
    await m(4).ok('umount', '/var/lib/osca/releases');
    const done = await m(1).sh('osca', 'upgrade', '--well', '3s', '/root/0.1.3.deb');
    expect(done.stdout, done.stderr).toMatch(/5 of 5 cells run 0\.1\.3/);
  }, 300_000);

  it('gives way to a package that somebody installs', async () => {
    m(2).put(await packageOf('0.2.0'), 'root/0.2.0.deb');
    await m(2).ok('apt-get', 'install', '-y', '/root/0.2.0.deb');
    expect((await m(2).ok('osca', '--version')).trim()).toBe('0.2.0');
    await until('the others see it', async () => (await versions()).includes('0.2.0'));
    await m(2).ok('apt-get', 'purge', '-y', 'osca');
    expect(existsSync(join(m(2).root, 'var/lib/osca/versions'))).toBe(false);
  }, 120_000);
});
