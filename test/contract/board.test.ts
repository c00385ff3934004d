/** osca.yaml of a board: what it becomes below a root, and what is said where it is wrong. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyBoard } from '../../src/board/files/apply.ts';
import { SpecError } from '../../src/core/errors.ts';
import { encodeTicket } from '../../src/gossip/trust.ts';

const ticket = encodeTicket({ founder: 'f', chain: [], seed: 's', addrs: [] });
let root: string;
const at = (path: string): string => join(root, path);
const write = (path: string, text: string): void => {
  mkdirSync(dirname(at(path)), { recursive: true });
  writeFileSync(at(path), text);
};
const read = (path: string): string => readFileSync(at(path), 'utf8');

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'osca-board-'));
  write('sys/firmware/devicetree/base/serial-number', '10000000abcdef12\0');
  write('usr/share/zoneinfo/Europe/Berlin', '');
  write('boot/firmware/config.txt', '');
  mkdirSync(at('run'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const apply = (text: string) => {
  write('boot/firmware/osca.yaml', text);
  return applyBoard(root);
};

describe('a board', () => {
  it('has a name of its own where nothing is said', () => {
    expect(applyBoard(root).name).toBe('osca-cdef12');
    expect(apply('# prefix: attic\n').changed).toEqual([]);
    expect(apply('prefix: pi\n').name).toBe('pi-cdef12');
    expect(read('etc/hostname')).toBe('pi-cdef12\n');
    expect(read('etc/default/osca')).toContain('OSCA_UP="--name pi-cdef12"\nOSCA_ALONE_AFTER=60\n');
    for (const path of ['var/lib/osca/ticket', 'root/.ssh/authorized_keys', 'etc/systemd/network/10-static.network'])
      expect(existsSync(at(path))).toBe(false);
  });

  it('keeps its name on a PC, whichever cards are there', () => {
    rmSync(at('sys/firmware'), { recursive: true });
    write('etc/machine-id', '0123456789abcdef0123456789abcdef\n');
    expect(applyBoard(root).name).toBe('osca-abcdef');
    write('sys/class/net/docker0/address', '02:42:11:33:44:55\n');
    expect(apply('{}\n').name).toBe('osca-abcdef');
  });

  it('keeps what it had where the file is lost', () => {
    apply('name: attic\n');
    const words = 'osca.yaml is lost';
    expect(() => apply('')).toThrow(words);
    rmSync(at('boot/firmware/osca.yaml'));
    expect(() => applyBoard(root)).toThrow(words);
    expect(read('boot/firmware/osca-errors.txt')).toContain(words);
    expect(read('etc/hostname')).toBe('attic\n');
    expect(apply('{}\n').name).toBe('osca-cdef12');
  });

  it('begins with nothing where its first partition can not be read, at the next start too', () => {
    rmSync(at('boot/firmware/config.txt'));
    for (const _ of [1, 2]) expect(() => applyBoard(root)).toThrow("the first partition can't be read");
    expect(read('run/osca-errors.txt')).toContain('flash the card again');
    expect(existsSync(at('etc/default/osca-board'))).toBe(false);
  });

  it('becomes what the file says, and not what it says no more', () => {
    const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE ann@home';
    apply(
      [
        ...['name: attic', `ticket: ${ticket}`, `ssh_key: ${key}`, 'timezone: Europe/Berlin'],
        'wifi: { ssid: "Grüner \\"Baum\\"", password: "correct horse", country: DE }',
        'network: { address: 192.168.1.20/24, gateway: 192.168.1.1, dns: [192.168.1.1, 9.9.9.9] }',
      ].join('\n'),
    );
    expect(read('var/lib/osca/ticket')).toBe(`${ticket}\n`);
    expect(read('root/.ssh/authorized_keys')).toBe(`${key}\n`);
    expect(readlinkSync(at('etc/localtime'))).toBe('../usr/share/zoneinfo/Europe/Berlin');
    expect(read('etc/systemd/network/10-static.network')).toContain(
      'Address=192.168.1.20/24\nGateway=192.168.1.1\nDNS=192.168.1.1\nDNS=9.9.9.9\n',
    );
    const wifi = read('etc/wpa_supplicant/wpa_supplicant-wlan0.conf');
    expect(wifi).toContain('ssid=4772c3bc6e657220224261756d22');
    expect(wifi).toContain('psk="correct horse"');
    for (const path of [
      'var/lib/osca/ticket',
      'root/.ssh/authorized_keys',
      'etc/wpa_supplicant/wpa_supplicant-wlan0.conf',
      'etc/default/osca',
    ])
      expect(statSync(at(path)).mode & 0o777, path).toBe(0o600);
    expect(apply('name: attic\n').changed).toEqual([
      '/etc/timezone',
      '/var/lib/osca/ticket',
      '/root/.ssh/authorized_keys',
      '/etc/systemd/network/10-static.network',
      '/etc/wpa_supplicant/wpa_supplicant-wlan0.conf',
    ]);
    expect(existsSync(at('etc/wpa_supplicant/wpa_supplicant-wlan0.conf'))).toBe(false);
  });

  it('is one of a mesh, with its cable, where it is told so', () => {
    apply('mesh: { id: attic, password: "correct horse" }\nnetwork: { address: 192.168.1.20/24 }\n');
    const mesh = read('etc/wpa_supplicant/osca-mesh.conf');
    for (const line of ['ssid=6174746963', 'mode=5', 'frequency=2437', 'key_mgmt=SAE', 'sae_password="correct horse"'])
      expect(mesh).toContain(`  ${line}\n`);
    expect(statSync(at('etc/wpa_supplicant/osca-mesh.conf')).mode & 0o777).toBe(0o600);
    expect(existsSync(at('etc/wpa_supplicant/wpa_supplicant-wlan0.conf'))).toBe(false);
    expect(read('etc/systemd/network/10-static.network')).toContain('[Match]\nName=br0\n');
    expect(read('etc/systemd/network/05-mesh-radio.network')).toContain('BatmanAdvanced=bat0');
    apply('mesh: { id: attic, channel: 36, country: DE }\n');
    expect(read('etc/wpa_supplicant/osca-mesh.conf')).toContain('country=DE\n');
    expect(read('etc/wpa_supplicant/osca-mesh.conf')).toContain('frequency=5180\n  mesh_fwding=0\n  key_mgmt=NONE\n');
    expect(apply('{}\n').changed.filter((path) => path.includes('mesh'))).toHaveLength(7);
    expect(existsSync(at('etc/systemd/network/05-mesh-cable.network'))).toBe(false);
  });

  it.each([
    ['mesh: { password: "correct horse" }', 'the mesh has no name'],
    ['mesh: { id: attic, password: short }', 'a password has 8 to 63 letters'],
    ['mesh: { id: attic, channel: 52, country: DE }', 'there is no channel 52 for a mesh'],
    ['mesh: { id: attic, channel: 36 }', 'channel 36 is not allowed everywhere'],
    ['mesh: { id: attic, country: Germany }', "'Germany' is no country"],
    ['mesh: { id: attic }\nwifi: { ssid: a, country: DE }', 'not both'],
    ['nme: attic', "1, column 1: there is no key 'nme'"],
    ['name: The Attic', "'The Attic' is no name"],
    ['name: [a]', 'name is no text'],
    ['ticket: hello', "'hello' is no ticket"],
    [`ticket: ${ticket.slice(0, -9)}`, 'is no ticket'],
    [`ticket: ${ticket.replace('osca1-e', 'osca1-f')}`, 'is no ticket'],
    [`wifi: { ssid: ${'ü'.repeat(17)}, country: DE }`, 'the network has no name'],
    ['network: { address: 192.168.1.20/24/x }', 'is no address'],
    ['ssh_key: ssh-ed25519', 'that is no public key'],
    ['ssh_key: [ssh-ed25519 AAAA, "ssh-dss AAAA"]', 'that is no public key'],
    ['ssh_key: "ssh-ed25519 AAAA x\\nssh-ed25519 BBBB"', 'that is no public key'],
    ['timezone: Berlin', "'Berlin' is no timezone"],
    ['timezone: ../../../etc/passwd', 'is no timezone'],
    ['wifi: attic', 'wifi has no keys'],
    ['wifi: { ssid: a, country: de }', 'the country is missing'],
    ['wifi: { country: DE }', 'the network has no name'],
    ['wifi: { ssid: a, country: DE, password: short }', 'a password has 8 to 63 letters'],
    ['wifi: { ssid: a, country: DE, pasword: "correct horse" }', "there is no key 'pasword'"],
    ['network: { address: 192.168.1.20 }', "'192.168.1.20' is no address"],
    ['network: { address: 192.168.1.300/24 }', 'is no address'],
    ['network: { address: 10.0.0.1/8, gateway: home }', "'home' is no address"],
    ['- a', 'the file has no keys'],
    ['name: "attic', 'osca.yaml, line '],
    ['name: a\n\tprefix: b', 'line 2'],
  ])('says what is wrong with %s, and changes nothing', (text, words) => {
    apply('name: attic\n');
    const before = read('etc/hostname');
    expect(() => apply(text)).toThrow(SpecError);
    const said = ['boot/firmware/osca-errors.txt', 'run/osca-errors.txt'];
    for (const path of said) expect(read(path)).toContain(words);
    expect(read('etc/hostname')).toBe(before);
    apply('name: cellar\n');
    for (const path of said) expect(existsSync(at(path))).toBe(false);
  });
});
