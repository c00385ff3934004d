/**
 * The power of a machine is cut again and again, while it starts and while it writes; each time it must come back by itself, with all that it had.
 * OSCA_CUTS=50 cuts so often, OSCA_SEED=name at other moments.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { Lab } from '../lab/lab.ts';
import { until } from '../until.ts';
import { Board, buildImage } from './board.ts';

const cuts = Number(process.env.OSCA_CUTS ?? 6);
const seed = process.env.OSCA_SEED ?? `cuts-${Date.now()}`;
const random = new Random(seed);

let lab: Lab;
let board: Board;
beforeAll(async () => {
  lab = await Lab.up(1);
  const { image, key, ticket } = await buildImage(lab, 'amd64');
  board = new Board(lab, 1, 'bios', image, key);
  board.powerOn();
  await lab.host(1).up('--name', 'h1', '--engine', 'none', '--ticket', ticket);
});
afterAll(async () => {
  await board?.powerOff();
  await lab?.down();
});

const pause = async (ms: number): Promise<void> => {
  await new Promise((done) => setTimeout(done, ms));
};
const writer = 'i=$(tail -n 1 /data/n); while :; do i=$((i+1)); echo $i >>/data/n; sync /data/n; sleep 0.1; done';

/** Two services that only the board can run; one of them writes. */
async function deploy(mark: number): Promise<void> {
  const path = join(lab.folder, 'app.yaml');
  const one = `image: tools:1\n    stop_signal: SIGKILL\n`;
  const script = writer.replaceAll('$', '$$$$');
  const writes = `    command: [/usr/bin/sh, -c, '${script}']\n    volumes: ['kept:/data']\n`;
  const idle = `    command: [/usr/bin/sleep, '100000']\n    labels: { mark: '${mark % 2}' }\n`;
  writeFileSync(
    path,
    `name: app\nservices:\n  writer:\n    ${one}${writes}  idle:\n    ${one}${idle}volumes: { kept: {} }\n`,
  );
  await lab.host(1).ok('deploy', '--detach', path);
}

const isRunning = async (): Promise<boolean> => {
  const rows = (await lab.host(1).replicas('app')).filter(({ current }) => current);
  return rows.length === 2 && rows.every(({ state, cell }) => state === 'ready' && cell === 'b1');
};
const bootId = async (): Promise<string> => (await board.sh('cat', '/proc/sys/kernel/random/boot_id')).stdout;
const written = async (): Promise<number> => Number(await board.ok('tail -n 1 /var/lib/docker/volumes/*/_data/n'));

/** All that was there is there, and nothing twice. */
async function checked(before: { id: string; count: number }): Promise<void> {
  expect(await board.ok('systemctl --failed --no-legend --plain')).toBe('');
  expect((await lab.host(1).cells()).find(({ name }) => name === 'b1')!.id).toBe(before.id);
  expect(await written()).toBeGreaterThanOrEqual(before.count);
  await until('one container of each', async () => (await board.ok('docker ps -aq | wc -l')).trim() === '2');
  const bad = 'journalctl -k --no-pager -q | grep -ciE "ext4-fs (error|warning)|i/o error" || true';
  expect(await board.ok(bad)).toBe('0\n');
  // The daemon holds it for itself: a copy is looked at.
  const copy = 'rm -rf /tmp/db; mkdir /tmp/db; cp /var/lib/osca/osca.db /var/lib/osca/osca.db-wal /tmp/db';
  const check = `new (require("node:sqlite").DatabaseSync)("/tmp/db/osca.db").prepare("PRAGMA integrity_check").get()`;
  const node = '/usr/lib/osca/node_modules/.bin/node';
  const sound = await board.ok(`${copy}; ${node} -e 'console.log(JSON.stringify(${check}))' 2>&1`);
  expect(sound).toContain('"ok"');
}

it(`comes back from ${cuts} cuts, seed ${seed}`, async () => {
  const isThere = async (): Promise<boolean> => (await lab.host(1).alive()).includes('b1');
  await until('b1 is a member', isThere, 600_000);
  const { id } = (await lab.host(1).cells()).find(({ name }) => name === 'b1')!;
  const parts =
    '/usr/bin/sh /usr/bin/sleep /usr/bin/sync /usr/bin/tail /lib64/ld-linux-x86-64.so.2 /lib/x86_64-linux-gnu/libc.so.6';
  await until('ssh answers', async () => (await board.sh('true')).code === 0, 300_000);
  await board.ok(`tar -ch ${parts} 2>/dev/null | docker import - tools:1`);
  await deploy(0);
  await until('it runs', isRunning, 300_000).catch(async (error: unknown) => {
    console.log(await lab.host(1).ok('ps'), await lab.host(1).ok('events'));
    throw error;
  });
  let count = 0;
  let started = await bootId();
  // Not what the others still think of it.
  const startedAnew = async (): Promise<boolean> => !['', started].includes(await bootId());
  for (let cut = 1; cut <= cuts; cut++) {
    if (random.below(3) === 0) {
      // While it starts.
      await board.powerOff();
      board.powerOn();
      await pause(random.between(1_000, 45_000));
      console.log(`cut ${cut}: while it starts`);
    } else {
      if (cut > 1) await until('it has started', startedAnew, 300_000);
      started = await bootId();
      await until('the app runs', async () => (await isThere()) && (await isRunning()), 300_000);
      await checked({ id, count });
      count = await written();
      // A deploy stops and starts a container, and writes a revision.
      const load = (async () => {
        for (let i = 0; i < 3; i++) await deploy(random.below(2)).catch(() => {});
      })();
      await pause(random.between(0, 6_000));
      console.log(`cut ${cut}: under load, ${count} lines written`);
      await board.powerOff();
      await load;
    }
    await board.powerOff();
    board.powerOn();
  }
  await until('it has started', startedAnew, 300_000);
  await until('the app runs', async () => (await isThere()) && (await isRunning()), 600_000);
  await checked({ id, count });
}, 7_200_000);
