/** A board that starts from the image is a member by itself, has all of its card, and nothing that another has. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { run, sh } from '../lab/shell.ts';
import { until } from '../until.ts';
import { Board } from './board.ts';

let lab: Lab;
let board: Board;
let image: string;
const key = (): string => join(lab.folder, 'key');

beforeAll(async () => {
  lab = await Lab.up(1);
  await lab.host(1).up('--found', '--name', 'h1', '--engine', 'none');
  sh('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key());
  const { ticket } = await lab.host(1).json<{ ticket: string }>('ticket', 'create');
  image = join(lab.folder, 'board.img');
  const words = ['--ticket', ticket, '--name', 'b1', '--static-ip', '10.77.0.201/24', '--ssh-key', `${key()}.pub`];
  const made = await run(join(root, 'osca'), ['image', 'build', ...words, '--timezone', 'Europe/Berlin', '-o', image]);
  console.log(`${made.stderr}${made.stdout}`);
  expect(made.code).toBe(0);
  // A card is larger than the image.
  sh('truncate', '-s', '4G', image);
  board = new Board(lab, 1, image, key());
});
afterAll(async () => {
  board?.powerOff();
  await lab?.down();
});

const isThere = async (): Promise<boolean> => (await lab.host(1).alive()).includes('b1');

describe('a board', () => {
  it('is a member after its first start', async () => {
    const startMs = performance.now();
    board.powerOn();
    await until('it is a member', isThere, 300_000);
    console.log(`member after ${Math.round((performance.now() - startMs) / 1_000)} s (emulated)`);
    const facts = (await lab.host(1).cells()).find(({ name }) => name === 'b1');
    expect(facts).toMatchObject({ arch: 'arm64', engine: expect.stringMatching(/^Docker/) });
  });

  it('has its whole card, keys of its own, and no password', async () => {
    await until('ssh answers', async () => (await board.sh('true')).code === 0, 120_000);
    expect(Number(await board.ok('df --output=size -BM /var/lib/osca | tail -1 | tr -dc 0-9'))).toBeGreaterThan(1_800);
    expect(await board.ok('passwd -S root')).toMatch(/^root L/);
    expect((await board.ok('cat /etc/machine-id')).trim()).toMatch(/^[0-9a-f]{32}$/);
    expect(await board.ok('ls /etc/ssh/ssh_host_ed25519_key /var/lib/osca/cell.key')).toContain('cell.key');
    expect(await board.ok('systemctl --failed --no-legend --plain')).toBe('');
    expect((await board.ok('readlink /etc/localtime')).trim()).toContain('Europe/Berlin');
    // A container, and its network: none of networkd's business.
    const parts = '/usr/bin/sleep /lib/ld-linux-aarch64.so.1 /lib/aarch64-linux-gnu/libc.so.6';
    await board.ok(
      `tar -ch ${parts} 2>/dev/null | docker import - idle && docker run -d --name idle idle /usr/bin/sleep 1000`,
    );
    expect(await board.ok('networkctl list --no-legend | grep veth')).toMatch(/unmanaged/);
    expect(await board.ok('cat /boot/firmware/cmdline.txt')).toMatch(/root=LABEL=osca-root.*rootwait.*quiet/);
    const rss = Number(
      await board.ok('awk "/VmRSS/{print \\$2}" /proc/$(systemctl show -p MainPID --value osca)/status'),
    );
    const used = await board.ok('free -m | awk "/Mem:/{print \\$3}"');
    console.log(`daemon ${Math.round(rss / 1_024)} MB RSS; system, Docker and daemon ${used.trim()} MB used`);
    console.log(await board.ok('systemd-analyze; systemd-analyze blame | head -12'));
  });

  it('comes back after its power was cut', async () => {
    board.powerOff();
    await until('it is missed', async () => !(await isThere()), 60_000);
    board.powerOn();
    await until('it is a member again', isThere, 300_000);
    expect(existsSync(image) && statSync(image).size).toBeGreaterThan(2 ** 31);
  });
});
