/** The package for arm64 is a cell beside cells of x64 (here under qemu-user where this machine is none): one appliance, replicas on both. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CellRow } from '../../src/api/rows.ts';
import { until } from '../until.ts';
import type { LabHost } from './host.ts';
import { root as checkout } from './host.ts';
import { Lab } from './lab.ts';
import { debOf } from './machine.ts';
import type { Ran } from './shell.ts';
import { run, sh } from './shell.ts';

let lab: Lab;
let host: LabHost;
let board: LabHost;
let root: string;

/** The CLI of the board, as the board runs it. */
const osca = async (...args: string[]): Promise<Ran> =>
  await board.sh('chroot', root, '/usr/bin/osca', '--data', '/root/data', ...args);

beforeAll(async () => {
  const made = await run('npm', ['run', '--silent', 'package', '--', '--arch', 'arm64', '--fast'], { cwd: checkout });
  expect(made.code, made.stderr).toBe(0);
  lab = await Lab.up(2);
  [host, board] = [lab.host(1), lab.host(2)];
  root = join(lab.folder, 'board');
  const packages = 'libc6,libstdc++6,dash,coreutils,procps';
  const debian = ['--arch=arm64', '--variant=extract', `--include=${packages}`, 'bookworm', root];
  const extracted = await run('mmdebstrap', debian);
  expect(extracted.code, extracted.stderr.slice(-2_000)).toBe(0);
  sh('ln', '-sf', 'dash', join(root, 'bin/sh'));
  sh('dpkg-deb', '-x', debOf('arm64'), root);
  for (const name of ['dev', 'proc', 'sys', 'root']) mkdirSync(join(root, name), { recursive: true });
  await host.up('--found', '--name', 'h1', '--engine', 'none');
}, 300_000);
afterAll(() => lab?.down());

it('joins, runs what asks for its architecture, and is found when it is gone', async () => {
  const { ticket } = await host.json<{ ticket: string }>('ticket', 'create');
  writeFileSync(join(root, 'root/ticket'), ticket);
  const mounts = ['dev', 'proc', 'sys'].map((name) => `mount --rbind /${name} ${root}/${name}`).join('; ');
  const up = `chroot ${root} /usr/bin/osca --data /root/data up --name board --engine none --no-mdns`;
  const started = await board.sh(
    'sh',
    '-c',
    `${mounts}; OSCA_TICKET=$(cat ${root}/root/ticket) setsid ${up} >${root}/log 2>&1 </dev/null &`,
  );
  expect(started.code, started.stderr).toBe(0);
  await until('it is a member', async () => (await host.alive()).includes('board'), 120_000).catch((error: Error) => {
    throw new Error(`${error.message}; it wrote: ${readFileSync(join(root, 'log'), 'utf8')}`);
  });
  const { cells } = JSON.parse((await osca('cell', 'ls', '--json')).stdout) as { cells: CellRow[] };
  expect(cells.map(({ name, arch, state }) => `${name} ${arch} ${state}`).sort()).toEqual(
    expect.arrayContaining(['board arm64 alive']),
  );
  const file = join(lab.folder, 'app.yaml');
  const on = (arch: string): string => `deploy: {placement: {constraints: [node.platform.arch == ${arch}]}}`;
  const service = `command: sh -c 'uname -m; exec sleep 100000', working_dir: /, x-osca: {driver: process}`;
  writeFileSync(
    file,
    `name: app\nservices:\n  own: {${service}, ${on('arm64')}}\n  any: {${service}, deploy: {replicas: 2}}\n`,
  );
  await host.ok('deploy', file, '--timeout', '90s');
  const rows = await host.replicas();
  expect(rows.filter(({ service: of }) => of === 'own').map(({ cell, state }) => `${cell} ${state}`)).toEqual([
    'board ready',
  ]);
  expect(new Set(rows.filter(({ service: of }) => of === 'any').map(({ cell }) => cell))).toEqual(
    new Set(['h1', 'board']),
  );
  await until(
    'its words are read from here',
    async () => (await host.ok('logs', 'app/own')).includes('aarch64'),
    30_000,
  );
  board.powerOff();
  await until('it is down', async () => (await host.alive()).join() === 'h1', 30_000);
  await until(
    'its replica runs here',
    async () => {
      const now = await host.replicas('app/any');
      return now.filter(({ cell, state }) => cell === 'h1' && state === 'ready').length === 2;
    },
    30_000,
  );
}, 300_000);
