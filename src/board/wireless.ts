/** A board without a cable: a client of some Wi-Fi, or one of a mesh (IEEE 802.11s below, B.A.T.M.A.N. advanced above) that boards make among themselves. */
import type { Path } from '../specs/source.ts';
import type { BoardFile } from './settings.ts';

export interface Wifi {
  ssid: string;
  password?: string;
  country: string;
}

export interface Mesh {
  id: string;
  password?: string;
  country?: string;
  channel: number;
}

type Report = (path: Path, message: string, hint: string) => void;
/** The text of a key. */
type Get = (name: string) => string | undefined;

export const wifiKeys = ['ssid', 'password', 'country'];
export const meshKeys = ['id', 'password', 'country', 'channel'];

const isName = (name: string | undefined): name is string =>
  name !== undefined && name !== '' && new TextEncoder().encode(name).length <= 32;

function checkPassword(password: string | undefined, path: Path, report: Report): void {
  if (password !== undefined && !/^[\x20-\x7e]{8,63}$/.test(password))
    report(path, 'a password has 8 to 63 letters', 'leave it out where the network is open');
}

export function wifiOf(get: Get, report: Report): Wifi {
  const [ssid, password, country] = [get('ssid'), get('password'), get('country')];
  if (!isName(ssid)) report(['wifi', 'ssid'], 'the network has no name', 'wifi: {ssid: NAME, …}');
  checkPassword(password, ['wifi', 'password'], report);
  if (country === undefined || !/^[A-Z]{2}$/.test(country))
    report(['wifi', 'country'], 'the country is missing', 'two capitals, as DE: it says which channels are allowed');
  return { ssid: ssid ?? '', country: country ?? '', ...(password === undefined ? {} : { password }) };
}

/** What no radar has to be listened for on. */
const channels = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 36, 40, 44, 48];

export function meshOf(get: Get, report: Report): Mesh {
  const [id, password, country, given = '6'] = [get('id'), get('password'), get('country'), get('channel')];
  const channel = Number(given);
  if (!isName(id)) report(['mesh', 'id'], 'the mesh has no name', 'mesh: {id: NAME, …}, the same on all boards');
  checkPassword(password, ['mesh', 'password'], report);
  if (country !== undefined && !/^[A-Z]{2}$/.test(country))
    report(
      ['mesh', 'country'],
      `'${country}' is no country`,
      'two capitals, as DE: it says which channels are allowed',
    );
  if (!channels.includes(channel))
    report(['mesh', 'channel'], `there is no channel ${given} for a mesh`, `there are: ${channels.join(', ')}`);
  // Allowed everywhere are the first eleven.
  else if (channel > 11 && country === undefined)
    report(['mesh', 'channel'], `channel ${channel} is not allowed everywhere`, 'say where: country: DE');
  return {
    ...{ id: id ?? '', channel },
    ...(password === undefined ? {} : { password }),
    ...(country === undefined ? {} : { country }),
  };
}

const hexOf = (text: string): string =>
  [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** Of wpa_supplicant.conf(5). Names in hex: whatever letters they have. */
const supplicant = (name: string, country: string | undefined, lines: readonly string[]): string =>
  [
    'ctrl_interface=/run/wpa_supplicant',
    ...(country === undefined ? [] : [`country=${country}`]),
    'network={',
    ...[`ssid=${hexOf(name)}`, ...lines].map((line) => `  ${line}`),
    '}',
    '',
  ].join('\n');

const clientOf = ({ ssid, password, country }: Wifi): string =>
  supplicant(
    ssid,
    country,
    password === undefined ? ['key_mgmt=NONE'] : ['key_mgmt=WPA-PSK SAE', `psk="${password}"`, 'ieee80211w=1'],
  );

const frequencyOf = (channel: number): number => (channel > 14 ? 5_000 : 2_407) + 5 * channel;

/** Frames are passed on by batman-adv alone, not by 802.11s too. */
const peerOf = ({ id, password, country, channel }: Mesh): string =>
  supplicant(id, country, [
    ...['mode=5', `frequency=${frequencyOf(channel)}`, 'mesh_fwding=0'],
    ...(password === undefined ? ['key_mgmt=NONE'] : ['key_mgmt=SAE', `sae_password="${password}"`, 'ieee80211w=2']),
  ]);

/** Cable and mesh are one network: a board with a cable brings the others to what is behind it, and two of them make no loop. */
const meshNetwork: Readonly<Record<string, string>> = {
  '05-mesh-bat0.netdev':
    '[NetDev]\nName=bat0\nKind=batadv\n\n[BatmanAdvanced]\nRoutingAlgorithm=batman-v\nBridgeLoopAvoidance=yes\n',
  '05-mesh-br0.netdev': '[NetDev]\nName=br0\nKind=bridge\n',
  '05-mesh-radio.network':
    '[Match]\nType=wlan\n\n[Link]\nMTUBytes=1532\n\n[Network]\nBatmanAdvanced=bat0\nLinkLocalAddressing=no\n',
  '05-mesh-cable.network': '[Match]\nType=ether\nKind=!*\n\n[Network]\nBridge=br0\n',
  '05-mesh-bat0.network': '[Match]\nName=bat0\n\n[Network]\nBridge=br0\n',
  '15-mesh-br0.network': '[Match]\nName=br0\n\n[Network]\nDHCP=yes\nLinkLocalAddressing=yes\nMulticastDNS=no\n',
};

/** What they become; files without text are not there. */
export function wirelessFiles(wifi: Wifi | undefined, mesh: Mesh | undefined): BoardFile[] {
  const file = (path: string, text: string | undefined, mode: number): BoardFile => ({
    ...{ path, mode },
    ...(text === undefined ? {} : { text }),
  });
  return [
    file('/etc/wpa_supplicant/wpa_supplicant-wlan0.conf', wifi === undefined ? undefined : clientOf(wifi), 0o600),
    file('/etc/wpa_supplicant/osca-mesh.conf', mesh === undefined ? undefined : peerOf(mesh), 0o600),
    ...Object.entries(meshNetwork).map(([name, text]) =>
      file(`/etc/systemd/network/${name}`, mesh === undefined ? undefined : text, 0o644),
    ),
  ];
}
