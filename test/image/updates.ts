/**
 * Updates of a board's system: they come to its other system, which is kept where the cell does well with it, and left where it does not. Packages of our own
 * stand for Debian's, at a mirror of our own.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Lab } from '../lab/lab.ts';
import { sh } from '../lab/shell.ts';
import { until } from '../until.ts';
import type { BoardKind } from './board.ts';
import { Board, buildImage } from './board.ts';

let lab: Lab;
let board: Board;
let mirror: ChildProcess;
const url = 'http://10.77.0.1:8000';
const mirrorFolder = (): string => join(lab.folder, 'mirror');

/** The newest that the mirror has. */
function publish(version: string, postinst: string): void {
  const tree = join(lab.folder, `example-${version}`);
  for (const folder of ['DEBIAN', 'usr/share/osca-example']) mkdirSync(join(tree, folder), { recursive: true });
  const control = [
    'Package: osca-example',
    `Version: ${version}`,
    'Architecture: all',
    'Maintainer: osca',
    'Description: example',
  ];
  writeFileSync(join(tree, 'DEBIAN/control'), `${control.join('\n')}\n`);
  writeFileSync(join(tree, 'DEBIAN/postinst'), `#!/bin/sh\nset -e\n${postinst}\n`, { mode: 0o755 });
  writeFileSync(join(tree, 'usr/share/osca-example/version'), `${version}\n`);
  const deb = join(mirrorFolder(), `example_${version}.deb`);
  sh('dpkg-deb', '--root-owner-group', '-b', tree, deb);
  const sum = createHash('sha256').update(readFileSync(deb)).digest('hex');
  const index = [...control, `Filename: ./example_${version}.deb`, `Size: ${statSync(deb).size}`, `SHA256: ${sum}`];
  writeFileSync(join(mirrorFolder(), 'Packages'), `${index.join('\n')}\n`);
}

const said = async (text: string): Promise<boolean> =>
  (await board.sh('journalctl', '-b', '--no-pager', '-q', '-u', 'osca-update', '-u', 'osca-settle')).stdout.includes(
    text,
  );
const slot = async (): Promise<string> => (await board.sh('cat', '/etc/osca-slot')).stdout.trim();
const kept = async (): Promise<string> =>
  /slot=(.)/.exec(
    await board.ok(`head -c 100 /boot/firmware/${board.isPi ? 'osca-slots' : 'EFI/debian/grubenv'}`),
  )?.[1] ?? '';
const isThere = async (): Promise<boolean> => (await lab.host(1).alive()).includes('b1');

/** Asks for updates, and lets it be the board's turn when it waits for that. */
async function update(waits = 'ready; waits for its turn'): Promise<void> {
  await board.ok('systemctl reset-failed osca-update; systemctl start --no-block osca-update');
  await until(`it says: ${waits}`, async () => await said(waits), 900_000, 5_000);
  const ids = (await lab.host(1).cells()).map(({ name, id }) => `${id} ${name}`).sort();
  const turn = ids.findIndex((one) => one.endsWith(' b1'));
  const round = ids.length * 600;
  await board.ok(`date -s @$(( $(date +%s) / ${round} * ${round} + ${turn * 600} + 1 ))`);
  await until('it starts anew', async () => board.isOff, 300_000);
}

/** The power goes at any moment while the other system is made. */
async function cutWhileMade(): Promise<void> {
  // What was set up for the test is on the disk.
  await board.ok('sync; systemctl start --no-block osca-update');
  await until('it is made', async () => await said('is made of this one'), 600_000, 5_000);
  await new Promise((done) => setTimeout(done, 20_000 * Math.random()));
  expect((await board.sh('systemctl', 'is-active', 'osca-update')).stdout.trim()).toBe('activating');
  await board.powerOff();
  board.powerOn();
  await until('b1 is a member', isThere, 600_000);
  await until('ssh answers', async () => (await board.sh('true')).code === 0, 300_000, 5_000);
}

const brokenInitrd = 'for one in /boot/initrd.img-*; do echo broken >"$one"; done';
const anotherKernel =
  'cd /boot; k=$(ls -v vmlinuz-* | tail -n 1); cp "$k" vmlinuz-99.9-test; cp "initrd.img-${k#vmlinuz-}" initrd.img-99.9-test';

export function updatesOf(kind: BoardKind): void {
  beforeAll(async () => {
    lab = await Lab.up(1);
    const { image, key, ticket } = await buildImage(lab, kind === 'virt' ? 'arm64' : 'amd64');
    mkdirSync(mirrorFolder());
    publish('1', '');
    const words = ['busybox', 'httpd', '-f', '-p', '8000', '-h', mirrorFolder()];
    mirror = spawn('ip', ['netns', 'exec', `${lab.id}-h1`, ...words], {
      stdio: 'ignore',
      env: { ...process.env, OSCA_LAB: lab.id },
    });
    board = new Board(lab, 1, kind, image, key);
    board.powerOn();
    await lab.host(1).up('--name', 'h1', '--engine', 'none', '--ticket', ticket);
  });
  afterAll(async () => {
    mirror?.kill();
    await board?.powerOff();
    await lab?.down();
  });

  describe(`updates of a board: ${kind}`, () => {
    it('come to its other system, which is kept where the cell does well', async () => {
      await until('b1 is a member', isThere, 600_000);
      await until('ssh answers', async () => (await board.sh('true')).code === 0, 300_000);
      expect(await slot()).toBe('a');
      await board.ok(`curl -sf -o /tmp/1.deb ${url}/example_1.deb && dpkg -i /tmp/1.deb`);
      const sources = '/etc/apt/sources.list.d';
      await board.ok(`rm ${sources}/*; echo 'deb [trusted=yes] ${url} ./' >${sources}/test.list`);
      await board.ok("echo 'OSCA_TRIAL=5m' >/etc/default/osca-update");
      await board.ok('systemctl start osca-update');
      expect(await said('there are none')).toBe(true);
      // Of a Pi the kernel comes after its system was kept.
      publish('2', kind === 'virt' ? anotherKernel : '');
      await cutWhileMade();
      expect([await slot(), await kept()]).toEqual(['a', 'a']);
      expect(await board.ok('cat /usr/share/osca-example/version; ls /data/system')).toBe('1\n');
      await update();
      board.powerOn();
      await until('it runs the other system', async () => (await slot()) === 'b', 600_000, 5_000);
      await until('that is kept', async () => (await kept()) === 'b', 600_000, 5_000);
      expect(await board.ok('cat /usr/share/osca-example/version')).toBe('2\n');
      expect(await board.ok('findmnt -no LABEL /')).toBe('osca-b\n');
      expect(await board.ok('ls /data/system')).toBe('');
      // The end of the start before.
      expect(await board.ok('cat /data/log/log')).toContain('ready; waits for its turn');
      if (!board.isPi) expect(await board.ok('ls /boot/firmware')).toMatch(/^a\nb$/m);
      await until('b1 is a member', isThere, 120_000);
    });

    it.runIf(kind === 'virt')('bring a kernel in a turn of its own', async () => {
      expect(await board.ok('cat /boot/firmware/config.txt')).not.toContain('99.9-test');
      await update('a new kernel waits for its turn');
      board.powerOn();
      await until('it runs again', async () => (await slot()) === 'b', 600_000, 5_000);
      expect(await board.ok('cat /boot/firmware/config.txt')).toMatch(/^kernel=vmlinuz-99.9-test$/m);
      await board.ok('/usr/lib/osca-board/kernel --is-new && exit 1 || exit 0');
      await until('b1 is a member', isThere, 600_000);
    });

    it('are left where the cell does not do well with them', async () => {
      await board.ok("echo 'OSCA_TRIAL=20s' >/etc/default/osca-update");
      publish('3', 'ln -sf /dev/null /etc/systemd/system/osca.service');
      await update();
      board.powerOn();
      await until('it gives up by itself', async () => board.isOff, 600_000);
      board.powerOn();
      await until('the one before runs', async () => (await slot()) === 'b', 600_000, 5_000);
      await until('b1 is a member', isThere, 600_000);
      expect(await board.ok('cat /usr/share/osca-example/version; ls /data/system')).toBe('2\nrefused\n');
      expect(await kept()).toBe('b');
      await board.ok('systemctl start osca-update');
      expect(await said('did not do well: system a was left: ')).toBe(true);
    });

    it('are left where they do not even start', async () => {
      publish('4', board.isPi ? 'echo broken >/usr/lib/systemd/systemd' : brokenInitrd);
      await update();
      board.powerOn();
      await until('its kernel gives up', async () => board.isOff, 300_000);
      board.powerOn();
      await until('b1 is a member', isThere, 600_000);
      expect(await slot()).toBe('b');
      // It looks when Docker has come too.
      await until('it is remembered', async () => await said('system a did not come up'), 300_000, 5_000);
      expect(await board.ok('cat /usr/share/osca-example/version')).toBe('2\n');
    });
  });
}
