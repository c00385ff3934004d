/** Two machines that start from one image are an appliance by themselves, outlive each other, and have nothing in common that they should not. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Arch } from '../../src/provision/package.ts';
import { Lab } from '../lab/lab.ts';
import { sh } from '../lab/shell.ts';
import { until } from '../until.ts';
import type { BoardKind } from './board.ts';
import { Board, buildImage, edit } from './board.ts';

let lab: Lab;
let boards: [Board, Board];
let ticket: string;

const isThere = async (name: string): Promise<boolean> => (await lab.host(1).alive()).includes(name);

/** On which boards it is ready. */
const homes = async (): Promise<string[]> =>
  (await lab.host(1).replicas('idle'))
    .filter(({ state }) => state === 'ready')
    .map(({ cell }) => cell)
    .sort();

export function applianceOf(arch: Arch, kinds: [BoardKind, BoardKind]): void {
  beforeAll(async () => {
    lab = await Lab.up(1);
    const { image: first, key, ticket: forOthers } = await buildImage(lab, arch);
    ticket = forOthers;
    const second = join(lab.folder, 'b2.img');
    sh('cp', '--sparse=always', first, second);
    edit(lab, second, (yaml) => yaml.replace('"b1"', '"b2"').replace('10.77.0.201', '10.77.0.202'));
    boards = [new Board(lab, 1, kinds[0], first, key), new Board(lab, 2, kinds[1], second, key)];
  });
  afterAll(async () => {
    for (const board of boards ?? []) await board.powerOff();
    await lab?.down();
  });

  describe(`two boards of one image: ${kinds.join(' and ')}`, () => {
    it('begin an appliance, with nobody near', async () => {
      const startMs = performance.now();
      for (const board of boards) board.powerOn();
      await lab.host(1).up('--name', 'h1', '--engine', 'none', '--ticket', ticket);
      for (const { name } of boards) {
        await until(`${name} is a member`, async () => await isThere(name), 600_000);
        console.log(`${name} is a member after ${Math.round((performance.now() - startMs) / 1_000)} s (emulated)`);
      }
      const facts = async () => (await lab.host(1).cells()).filter(({ name }) => name !== 'h1');
      expect((await facts()).map((cell) => cell.arch)).toEqual([arch, arch]);
      // They are started by the first question.
      await until(
        'their engines answer',
        async () => (await facts()).every(({ engine }) => engine.startsWith('Docker')),
        300_000,
      );
    });

    it('have their whole card, keys of their own, and no password', async () => {
      const own = async (command: string): Promise<string[]> =>
        await Promise.all(boards.map(async (board) => (await board.ok(command)).trim()));
      for (const board of boards) {
        await until('ssh answers', async () => (await board.sh('true')).code === 0, 300_000);
        const size = await board.ok('df --output=size -BM /var/lib/osca | tail -1 | tr -dc 0-9');
        expect(Number(size)).toBeGreaterThan(1_800);
        expect(await board.ok('passwd -S root')).toMatch(/^root L/);
        expect(await board.ok('systemctl --failed --no-legend --plain')).toBe('');
        expect((await board.ok('readlink /etc/localtime')).trim()).toContain('Europe/Berlin');
        const words = board.isPi ? '/boot/firmware/cmdline.txt' : '/proc/cmdline';
        expect(await board.ok(`cat ${words}`)).toMatch(/root=LABEL=osca-(root|a).*rootwait.*quiet/);
      }
      for (const command of [
        'cat /etc/machine-id',
        'sha256sum < /etc/ssh/ssh_host_ed25519_key',
        'sha256sum < /var/lib/osca/cell.key',
      ]) {
        const [one, other] = await own(command);
        expect(one).toMatch(/^[0-9a-f]{32}/);
        expect(one).not.toBe(other);
      }
      const used = await own(
        'echo $(($(awk "/VmRSS/{print \\$2}" /proc/$(systemctl show -p MainPID --value osca)/status) / 1024)) $(free -m | awk "/Mem:/{print \\$3}")',
      );
      for (const one of used) {
        const [daemon, all] = one.split(' ');
        console.log(`daemon ${daemon} MB RSS; system, Docker and daemon ${all} MB used`);
      }
      console.log(
        await boards[0].ok('systemd-analyze; systemd-analyze blame | head -14; systemd-analyze critical-chain'),
      );
    });

    it('run a Compose file, and one goes on where the power of the other is cut', async () => {
      const parts =
        arch === 'arm64'
          ? '/usr/bin/sleep /lib/ld-linux-aarch64.so.1 /lib/aarch64-linux-gnu/libc.so.6'
          : '/usr/bin/sleep /lib64/ld-linux-x86-64.so.2 /lib/x86_64-linux-gnu/libc.so.6';
      for (const board of boards) await board.ok(`tar -ch ${parts} 2>/dev/null | docker import - idle:1 && sync`);
      const spec = join(lab.folder, 'idle.yaml');
      writeFileSync(
        spec,
        'name: idle\nservices:\n  web:\n    image: idle:1\n    command: [/usr/bin/sleep, "100000"]\n    stop_signal: SIGKILL\n    deploy: { replicas: 2 }\n',
      );
      await lab.host(1).ok('deploy', spec);
      expect(await homes()).toEqual(['b1', 'b2']);
      // The network of a container is none of networkd's business.
      expect(await boards[0].ok('networkctl list --no-legend | grep veth')).toMatch(/unmanaged/);
      // In the middle of a change of its kernel, where it has that of a PC.
      const replaced = 'head -c 512 /dev/zero >>/boot/initrd.img-$(uname -r) && /usr/lib/osca-board/kernel';
      const half = 'cd /boot/firmware && cmp a/initrd.img /boot/initrd.img-$(uname -r) && mv a a.old && sync';
      if (!boards[1].isPi) await boards[1].ok(`${replaced} && ${half}`);
      await boards[1].powerOff();
      const cutMs = performance.now();
      await until('both replicas on the other', async () => (await homes()).join() === 'b1,b1', 60_000);
      console.log(`both replicas run on b1 ${Math.round(performance.now() - cutMs)} ms after the cut (emulated)`);
    });

    it('are whole again when the power is back', async () => {
      boards[1].powerOn();
      await until('its replica is back', async () => (await homes()).join() === 'b1,b2', 600_000);
      await until('ssh answers', async () => (await boards[1].sh('true')).code === 0, 120_000);
      expect(await boards[1].ok('systemctl --failed --no-legend --plain')).toBe('');
      expect(
        await boards[1].ok('journalctl -k --no-pager -q | grep -ciE "ext4-fs (error|warning)|i/o error" || true'),
      ).toBe('0\n');
      expect(await boards[1].ok('OSCA_DATA=/var/lib/osca osca cell ls')).toContain('b1');
      if (!boards[1].isPi) expect(await boards[1].ok('/usr/lib/osca-board/kernel; ls /boot/firmware')).toMatch(/^a$/m);
    });
  });
}
