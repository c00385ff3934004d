/** A board of 512 MB without a ticket, whose osca.yaml has a typo at first: it begins nothing of its own, and comes in by approval. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Lab } from '../lab/lab.ts';
import { trySh } from '../lab/shell.ts';
import { until } from '../until.ts';
import { Board, bootAt, buildImage, edit } from './board.ts';

let lab: Lab;
let board: Board;

beforeAll(async () => {
  lab = await Lab.up(1);
  const { image, key } = await buildImage(lab, 'amd64', '');
  board = new Board(lab, 1, 'bios', image, key);
  board.memoryMb = 512;
  await lab.host(1).up('--found', '--name', 'h1', '--engine', 'none');
});
afterAll(async () => {
  await board?.powerOff();
  await lab?.down();
});

const onCard = (name: string): string => trySh('mtype', '-i', `${board.image}@@${bootAt}M`, `::${name}`);
const status = async () => await lab.host(1).json<{ waiting: number; cells: number }>('status');

it('does not start as long as it does not understand what it is to be', async () => {
  edit(lab, board.image, (yaml) => `tiket: osca1-x\n${yaml}`);
  board.powerOn();
  await until('it says so on its card', () => onCard('osca-errors.txt').includes("there is no key 'tiket'"), 300_000);
  expect(onCard('osca-errors.txt')).toMatch(/^osca.yaml, line 1, column 1: there is no key 'tiket'/);
  await board.powerOff();
});

it('waits for approval once it does, and is a cell that runs something', async () => {
  edit(lab, board.image, (yaml) => yaml.replace(/^tiket.*\n/, ''));
  board.powerOn();
  await until('it knocks', async () => (await status()).waiting === 1, 300_000);
  expect((await status()).cells).toBe(1);
  expect(onCard('osca-errors.txt')).toBe('');
  await lab.host(1).ok('cell', 'approve', 'b1');
  await until('it is in', async () => (await lab.host(1).alive()).includes('b1'), 60_000);
  await until('ssh answers', async () => (await board.sh('true')).code === 0, 120_000, 5_000);
  const parts = '/usr/bin/sleep /lib64/ld-linux-x86-64.so.2 /lib/x86_64-linux-gnu/libc.so.6';
  await board.ok(`tar -ch ${parts} 2>/dev/null | docker import - idle:1`);
  const spec = join(lab.folder, 'idle.yaml');
  writeFileSync(spec, 'name: idle\nservices: { web: { image: "idle:1", command: [/usr/bin/sleep, "100000"] } }\n');
  await lab.host(1).ok('deploy', spec);
  const replicas = (await lab.host(1).replicas('idle')).map(({ cell, state }) => `${cell} ${state}`);
  expect(replicas).toEqual(['b1 ready']);
  const [total, used] = (await board.ok('free -m | awk "/Mem:/{print \\$2, \\$3}"')).split(' ').map(Number);
  console.log(`${used} of ${total} MB used`);
  expect(total).toBeLessThan(512);
  expect(await board.ok('journalctl -k --no-pager -q | grep -c "Out of memory" || true')).toBe('0\n');
});
