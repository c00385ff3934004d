/** A mesh of one board and a radio beside it, both emulated by the board's kernel: who has the password reaches the board, and by its cable what is behind it. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Lab } from '../lab/lab.ts';
import { until } from '../until.ts';
import { Board, buildImage } from './board.ts';

const password = 'correct horse';
let lab: Lab;
let board: Board;
beforeAll(async () => {
  lab = await Lab.up(1);
  const { image, key, ticket } = await buildImage(lab, 'arm64', undefined, [
    ...['--mesh', 'attic', '--wifi-password', password],
  ]);
  board = new Board(lab, 1, 'virt', image, key);
  board.powerOn();
  await lab.host(1).up('--name', 'h1', '--engine', 'none', '--ticket', ticket);
});
afterAll(async () => {
  await board?.powerOff();
  await lab?.down();
});

/** In the other machine, which is a namespace of the board with a radio of its own. */
const other = async (command: string) => await board.sh('ip', 'netns', 'exec', 'other', 'sh', '-c', `'${command}'`);
const reaches = async (address: string): Promise<boolean> => (await other(`ping -c 1 -W 2 ${address}`)).code === 0;

/** Begins to be part of the mesh with the password that it knows, as another each time: whom a board has refused it does not listen to for an hour. */
async function join(known: string, address: string): Promise<void> {
  const file = '/run/other.conf';
  await board.ok(
    `sed "s/sae_password=.*/sae_password=\\"${known}\\"/; s|/run/wpa_supplicant|/run/other|" /etc/wpa_supplicant/osca-mesh.conf >${file}`,
  );
  await board.sh('pkill -F /run/other.pid');
  expect((await other(`ip link set wlan1 down; ip link set wlan1 address ${address}`)).code).toBe(0);
  expect((await other(`wpa_supplicant -B -P /run/other.pid -c ${file} -D nl80211 -i wlan1`)).code).toBe(0);
}

it('is one network with the cable, for whoever has its password', async () => {
  await until('b1 is a member by its cable', async () => (await lab.host(1).alive()).includes('b1'), 600_000);
  expect(await board.ok('ip -o -4 addr show br0')).toContain('10.77.0.201/24');
  // It has its say in what is passed on.
  await until('Docker runs', async () => (await board.sh('systemctl is-active docker')).code === 0, 200_000);
  await board.ok('modprobe mac80211_hwsim radios=2');
  await until(
    'both radios are taken',
    async () => (await board.sh('ls /sys/class/net/bat0/lower_wlan1')).code === 0,
    60_000,
  );
  await board.ok('systemctl stop osca-mesh@wlan1 && ip netns add other && iw phy phy1 set netns name other');
  await board.ok(
    'ip netns exec other sh -c "ip link add bat0 type batadv ra BATMAN_V && ip link set wlan1 master bat0 && ip link set bat0 up && ip addr add 10.77.0.99/24 dev bat0"',
  );
  await join('battery staple', '02:00:00:00:09:01');
  for (let i = 0; i < 5; i++) expect(await reaches('10.77.0.201')).toBe(false);
  await join(password, '02:00:00:00:09:02');
  await until('the board is in reach', async () => await reaches('10.77.0.201'), 60_000);
  await until('what is behind it is too', async () => await reaches('10.77.0.1'), 30_000);
  // All of it, not only what is small.
  expect((await other('ping -c 2 -W 2 -s 1472 -M do 10.77.0.1')).code).toBe(0);
  expect(await board.ok('batctl meshif bat0 neighbors -n -H')).toMatch(/wlan0/);
}, 900_000);
