/**
 * What `osca.yaml` on a board's FAT partition says, checked whole, and the files of the system that it becomes. Any computer can edit it, before the
 * first start or later; the board reads it at each start.
 */
import type { SpecProblem } from '../core/errors.ts';
import { SpecError } from '../core/errors.ts';
import { isWhole } from '../gossip/trust.ts';
import type { Path, Source } from '../specs/source.ts';
import type { Mesh, Wifi } from './wireless.ts';
import { meshKeys, meshOf, wifiKeys, wifiOf, wirelessFiles } from './wireless.ts';

export interface BoardSettings {
  name?: string;
  /** Of names that end in letters and digits of the board's own. */
  prefix: string;
  ticket?: string;
  sshKeys: string[];
  timezone?: string;
  /** Updates of the system by themselves. */
  updates: boolean;
  wifi?: Wifi;
  mesh?: Mesh;
  network?: { address: string; gateway?: string; dns: string[] };
}

/** What is the same on no two boards, and what the system has. */
export interface BoardFacts {
  /** Hex digits: of its serial number or network card. */
  serial: string;
  hasTimezone(name: string): boolean;
}

/** A file of the system; without text it is not there. */
export interface BoardFile {
  path: string;
  text?: string;
  mode: number;
}

const keys = ['name', 'prefix', 'ticket', 'ssh_key', 'timezone', 'updates', 'wifi', 'mesh', 'network'];
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const key =
  /^(ssh-(ed25519|rsa)|ecdsa-sha2-nistp\d+|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/=]+( [^\n]*)?$/;

/** Throws SpecError with all that is wrong, by place. */
export function readSettings(source: Source, facts: BoardFacts): BoardSettings {
  const problems: SpecProblem[] = [];
  const report = (path: Path, message: string, hint: string): void =>
    void problems.push(source.problem(path, message, hint));
  const top = mapping(source.value ?? {}, [], keys, report);
  const text = (one: Record<string, unknown>, name: string, path: Path = []): string | undefined => {
    const value = one[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string' || typeof value === 'number') return String(value);
    report([...path, name], `${name} is no text`, 'put it into quotes');
    return undefined;
  };
  const checked = (name: string, isFine: (value: string) => boolean, hint: string): string | undefined => {
    const value = text(top, name);
    if (value === undefined || isFine(value)) return value;
    report([name], `'${value.slice(0, 40)}' is no ${name}`, hint);
    return undefined;
  };
  const name = checked('name', (value) => label.test(value), 'use a-z, 0-9 and -, at most 63 letters');
  const prefix = checked(
    'prefix',
    (value) => label.test(value) && value.length <= 50,
    'use a-z, 0-9 and -, at most 50 letters',
  );
  const ticket = checked('ticket', isWhole, 'copy the whole line that osca ticket create printed');
  const timezone = checked('timezone', facts.hasTimezone, 'write one as Europe/Berlin');
  const sshKeys = listOf(top.ssh_key).flatMap((value, i): string[] => {
    if (typeof value === 'string' && key.test(value.trim())) return [value.trim()];
    report(
      Array.isArray(top.ssh_key) ? ['ssh_key', i] : ['ssh_key'],
      'that is no public key',
      'copy the line of id_ed25519.pub',
    );
    return [];
  });
  const { updates = true } = top;
  if (typeof updates !== 'boolean') report(['updates'], 'updates is neither true nor false', 'write updates: false');
  const within = (name: string, known: readonly string[]): ((key: string) => string | undefined) | undefined => {
    if (top[name] === undefined || top[name] === null) return undefined;
    const given = mapping(top[name], [name], known, report);
    return (one) => text(given, one, [name]);
  };
  const [inWifi, inMesh] = [within('wifi', wifiKeys), within('mesh', meshKeys)];
  const wifi = inWifi && wifiOf(inWifi, report);
  const mesh = inMesh && meshOf(inMesh, report);
  if (wifi !== undefined && mesh !== undefined)
    report(['mesh'], 'a board is a client of a network or one of a mesh, not both', 'take out wifi, or mesh');
  const network =
    top.network === undefined || top.network === null
      ? undefined
      : networkOf(mapping(top.network, ['network'], ['address', 'gateway', 'dns'], report), text, report);
  if (problems.length > 0) throw new SpecError(problems);
  return {
    ...{ prefix: prefix ?? 'osca', sshKeys, updates: updates !== false },
    ...(name === undefined ? {} : { name }),
    ...(ticket === undefined ? {} : { ticket }),
    ...(timezone === undefined ? {} : { timezone }),
    ...(wifi === undefined ? {} : { wifi }),
    ...(mesh === undefined ? {} : { mesh }),
    ...(network === undefined ? {} : { network }),
  };
}

type Report = (path: Path, message: string, hint: string) => void;
type Text = (one: Record<string, unknown>, name: string, path?: Path) => string | undefined;

function mapping(value: unknown, path: Path, known: readonly string[], report: Report): Record<string, unknown> {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    report(path, `${path.at(-1) ?? 'the file'} has no keys`, `write ${known.map((one) => `${one}: …`).join(', ')}`);
    return {};
  }
  for (const one of Object.keys(value))
    if (!known.includes(one)) report([...path, one], `there is no key '${one}'`, `there are: ${known.join(', ')}`);
  return value as Record<string, unknown>;
}

const listOf = (value: unknown): unknown[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];

const ipv4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
const isIpv4 = (value: string): boolean =>
  ipv4
    .exec(value)
    ?.slice(1)
    .every((part) => Number(part) < 256) === true;

function networkOf(given: Record<string, unknown>, text: Text, report: Report): BoardSettings['network'] {
  const [address, gateway] = ['address', 'gateway'].map((name) => text(given, name, ['network']));
  const [ip = '', bits = '', ...more] = (address ?? '').split('/');
  if (more.length > 0 || !isIpv4(ip) || !/^\d{1,2}$/.test(bits) || Number(bits) > 32)
    report(['network', 'address'], `'${address ?? ''}' is no address`, 'write 192.168.1.20/24');
  if (gateway !== undefined && !isIpv4(gateway))
    report(['network', 'gateway'], `'${gateway}' is no address`, 'write 192.168.1.1');
  const dns = listOf(given.dns).map(String);
  dns.forEach((one, i) => {
    if (!isIpv4(one)) report(['network', 'dns', i], `'${one}' is no address`, 'write 192.168.1.1');
  });
  return { address: address ?? '', dns, ...(gateway === undefined ? {} : { gateway }) };
}

/** What the settings become. */
export function filesOf(settings: BoardSettings, { serial }: BoardFacts): BoardFile[] {
  const {
    name = `${settings.prefix}-${serial.slice(-6)}`,
    ticket,
    sshKeys,
    timezone = 'Etc/UTC',
    wifi,
    mesh,
    network,
  } = settings;
  return [
    { path: '/etc/hostname', text: `${name}\n`, mode: 0o644 },
    { path: '/etc/hosts', text: `127.0.0.1 localhost\n::1 localhost\n127.0.1.1 ${name}\n`, mode: 0o644 },
    { path: '/etc/timezone', text: `${timezone}\n`, mode: 0o644 },
    {
      path: '/etc/default/osca',
      text: `# Of osca.yaml on the boot partition.\nOSCA_UP="--name ${name}"\nOSCA_ALONE_AFTER=60\n`,
      mode: 0o600,
    },
    { path: '/var/lib/osca/ticket', ...(ticket === undefined ? {} : { text: `${ticket}\n` }), mode: 0o600 },
    {
      path: '/root/.ssh/authorized_keys',
      ...(sshKeys.length === 0 ? {} : { text: `${sshKeys.join('\n')}\n` }),
      mode: 0o600,
    },
    { path: '/etc/osca-updates-off', ...(settings.updates ? {} : { text: 'Of osca.yaml.\n' }), mode: 0o644 },
    {
      path: '/etc/systemd/network/10-static.network',
      ...(network === undefined ? {} : { text: staticNetwork(network, mesh !== undefined) }),
      mode: 0o644,
    },
    ...wirelessFiles(wifi, mesh),
  ];
}

const staticNetwork = ({ address, gateway, dns }: NonNullable<BoardSettings['network']>, hasBridge: boolean): string =>
  [
    '[Match]',
    ...(hasBridge ? ['Name=br0'] : ['Type=ether', 'Kind=!*']),
    '',
    '[Network]',
    `Address=${address}`,
    ...(gateway === undefined ? [] : [`Gateway=${gateway}`]),
    ...dns.map((one) => `DNS=${one}`),
    '',
  ].join('\n');
