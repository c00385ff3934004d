/**
 * Machines without an OSCA start from the network: PCs with a BIOS and by UEFI, and a Pi, which QEMU's board stands for. An empty disk takes it, and another is
 * left as it is until somebody says so.
 */
import { execFileSync, spawn } from 'node:child_process';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Arch } from '../../src/provision/package.ts';
import { root } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { run, sh } from '../lab/shell.ts';
import { until } from '../until.ts';
import { Board } from './board.ts';

let lab: Lab;
let boards: Board[];
let key: string;
const services: ReturnType<typeof spawn>[] = [];

/** Until the end of the test, in one of its networks. */
function serve(network: string, log: string, ...command: string[]): void {
  const file = openSync(join(lab.folder, log), 'a');
  services.push(spawn('ip', ['netns', 'exec', `${lab.id}-${network}`, ...command], { stdio: ['ignore', file, file] }));
}

/** What is served from then on. */
async function served(arch: Arch): Promise<string> {
  for (const service of services.splice(1)) service.kill();
  const folder = join(lab.folder, arch);
  const { address } = lab.host(1);
  const { ticket } = await lab.host(1).json<{ ticket: string }>('ticket', 'create', '--uses', '9');
  const words = ['--ticket', ticket, '--ssh-key', `${key}.pub`, '--netboot', address, '-o', folder, '--json'];
  const made = await run(join(root, 'osca'), ['image', 'build', '--arch', arch, ...words]);
  if (made.code !== 0 || made.stderr !== '') throw new Error(`nothing to start from: ${made.stderr}`);
  console.log(made.stdout);
  serve('h1', 'serve', join(root, 'osca'), 'image', 'serve', folder);
  return folder;
}

beforeAll(async () => {
  lab = await Lab.up(1);
  key = join(lab.folder, 'key');
  sh('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key);
  await lab.host(1).up('--name', 'h1', '--engine', 'none', '--found');
  boards = (['bios', 'uefi', 'virt'] as const).map((kind, i) => {
    const disk = join(lab.folder, `b${i + 1}.img`);
    sh('truncate', '-s', '8G', disk);
    const board = new Board(lab, i + 1, kind, disk, key);
    board.fromNetwork = !board.isPi;
    return board;
  });
  // A router, as anywhere; and beside it what serves the folder.
  sh('ip', '-n', `${lab.id}-lan`, 'addr', 'add', '10.77.0.254/24', 'dev', 'br0');
  const fixed = boards.map(({ address }, i) => `--dhcp-host=52:54:00:77:00:0${i + 1},${address}`);
  const range = ['--dhcp-range=10.77.0.100,10.77.0.199,255.255.255.0', '--interface=br0', ...fixed];
  const own = [`--dhcp-leasefile=${join(lab.folder, 'leases')}`, '--conf-file=/dev/null', '--port=0'];
  serve('lan', 'router', 'dnsmasq', '--no-daemon', ...own, ...range);
});
afterAll(async () => {
  for (const board of boards ?? []) await board.powerOff();
  for (const service of services) service.kill();
  await lab?.down();
});

const said = (board: Board, text: string): number => board.serial.split(text).length - 1;
const members = async (): Promise<number> => (await lab.host(1).alive()).length;
const comes = 'the image comes onto';

it('comes onto the empty disk of a PC with a BIOS, also where the power goes meanwhile', async () => {
  const [board] = boards as [Board];
  await served('amd64');
  board.powerOn();
  await until('the image comes', () => said(board, comes) === 1, 300_000);
  // Some of it is there, and no table of partitions.
  const written = (): number => Number(sh('du', '-m', board.image).split('\t')[0]);
  await until('a part of it has come', () => written() > 100, 300_000);
  await board.powerOff();
  expect(execFileSync('head', ['-c', '1048576', board.image]).every((byte) => byte === 0)).toBe(true);
  board.powerOn();
  await until(
    'it comes anew',
    () => said(board, comes) === 2 || (said(board, comes) === 1 && written() > 100),
    300_000,
  );
  const startMs = performance.now();
  await until('it is a member', async () => (await members()) === 2, 1_200_000);
  console.log(
    `a member ${Math.round((performance.now() - startMs) / 1_000)} s after the image began to come (emulated)`,
  );
  await until('ssh answers', async () => (await board.sh('true')).code === 0, 300_000);
  expect(await board.ok('systemctl --failed --no-legend --plain')).toBe('');
  expect(Number(await board.ok('df --output=size -BM /var/lib/osca | tail -1 | tr -dc 0-9'))).toBeGreaterThan(1_800);
  // One address, of the system's own asking.
  expect((await board.ok('ip -o -4 addr show eth0 | wc -l')).trim()).toBe('1');
});

it('starts from that disk from then on, by way of the network', async () => {
  const [board] = boards as [Board];
  await board.powerOff();
  await until('it is missed', async () => (await members()) === 1, 60_000);
  board.powerOn();
  await until('it is a member', async () => (await members()) === 2, 600_000);
  // Its console begins anew with each start.
  expect(said(board, comes)).toBe(0);
  expect(await board.ok('cat /proc/cmdline')).not.toContain('boot=osca');
  await board.powerOff();
});

it('leaves what is on a disk, by UEFI too, until somebody says so', async () => {
  const board = boards[1]!;
  sh('mke2fs', '-q', '-t', 'ext4', '-L', 'photos', board.image);
  const before = sh('sha256sum', board.image);
  board.powerOn();
  await until('it says why', () => said(board, 'there is something on the disk (/dev/vda)') > 0, 600_000);
  await board.powerOff();
  expect(sh('sha256sum', board.image)).toBe(before);
  // The second in the menu.
  const menu = join(lab.folder, 'amd64/grub/grub.cfg');
  writeFileSync(menu, readFileSync(menu, 'utf8').replace('set timeout=10', 'set timeout=1\nset default=1'));
  board.powerOn();
  await until('it is a member', async () => (await members()) === 2, 1_200_000);
  await until('ssh answers', async () => (await board.sh('true')).code === 0, 300_000);
  expect(await board.ok('systemctl --failed --no-legend --plain')).toBe('');
});

it('comes onto the empty card of a Pi', async () => {
  await boards[1]!.powerOff();
  await until('the PC is missed', async () => (await members()) === 1, 60_000);
  const board = boards[2]!;
  board.served = await served('arm64');
  board.powerOn();
  await until('it is a member', async () => (await members()) === 2, 1_200_000);
  await until('ssh answers', async () => (await board.sh('true')).code === 0, 300_000);
  expect(await board.ok('systemctl --failed --no-legend --plain')).toBe('');
  expect(await board.ok('findmnt -no LABEL /')).toBe('osca-a\n');
  // Its card has its own words.
  expect(await board.ok('cat /boot/firmware/cmdline.txt')).not.toContain('boot=osca');
});
