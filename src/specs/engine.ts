/** What a service asks of its container engine and of nothing else: handed on as it is, after its form was checked. */

import type { Blkio, DiskRate, EngineOptions } from '../core/spec.ts';
import type { Report } from './context.ts';
import type { Raw } from './extend.ts';
import { hostList, isRaw, pairs } from './extend.ts';
import type { Path } from './source.ts';
import { parseBytes } from './values.ts';

const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [String(value)]);
const isFlag = (value: unknown): boolean => value === true || value === 'true';

/** Each key with how it is read; `undefined` says that it was no good and was reported. */
const readers: Record<string, (value: unknown, path: Path, report: Report) => Partial<EngineOptions>> = {
  hostname: (value) => ({ hostname: String(value) }),
  domainname: (value) => ({ domainname: String(value) }),
  extra_hosts: (value) => ({ extraHosts: hostList(value) }),
  dns: (value) => ({ dns: texts(value) }),
  dns_search: (value) => ({ dnsSearch: texts(value) }),
  dns_opt: (value) => ({ dnsOptions: texts(value) }),
  group_add: (value) => ({ groupAdd: texts(value) }),
  privileged: (value) => ({ privileged: isFlag(value) }),
  shm_size: (value, path, report) => ({ shmBytes: bytes(value, path, report) }),
  sysctls: (value) => ({ sysctls: named(value) }),
  security_opt: (value) => ({ securityOpt: texts(value) }),
  devices: (value, path, report) => ({ devices: devices(value, path, report) }),
  device_cgroup_rules: (value) => ({ deviceCgroupRules: texts(value) }),
  oom_score_adj: (value, path, report) => ({ oomScoreAdj: within(value, -1_000, 1_000, path, report) }),
  oom_kill_disable: (value) => ({ oomKillDisable: isFlag(value) }),
  memswap_limit: (value, path, report) => ({
    memorySwapBytes: String(value) === '-1' ? -1 : bytes(value, path, report),
  }),
  mem_swappiness: (value, path, report) => ({ memorySwappiness: within(value, 0, 100, path, report) }),
  cpu_period: (value) => ({ cpuPeriod: Number(value) }),
  cpu_quota: (value) => ({ cpuQuota: Number(value) }),
  cpu_shares: (value) => ({ cpuShares: Number(value) }),
  cpuset: (value) => ({ cpuset: String(value) }),
  cgroup_parent: (value) => ({ cgroupParent: String(value) }),
  runtime: (value) => ({ runtime: String(value) }),
  storage_opt: (value) => ({ storageOptions: named(value) }),
  userns_mode: (value, path, report) => ({ userns: mode(value, ['host'], path, report) }),
  uts: (value, path, report) => ({ uts: mode(value, ['host'], path, report) }),
  pid: (value, path, report) => ({ pid: mode(value, ['host'], path, report) }),
  ipc: (value, path, report) => ({ ipc: mode(value, ['host', 'none', 'private', 'shareable'], path, report) }),
  cgroup: (value, path, report) => ({ cgroup: mode(value, ['host', 'private'], path, report) }),
  // 'service:NAME' is another's (joined.ts).
  network_mode: (value, path, report) =>
    String(value).startsWith('service:') ? {} : { network: mode(value, ['host', 'none', 'bridge'], path, report) },
  logging: (value) => ({ logging: logging(value) }),
  blkio_config: (value, path, report) => ({ blkio: blkio(value, path, report) }),
};

/** The Compose keys that are for the engine alone. */
export const engineKeys: readonly string[] = Object.keys(readers);

/** Undefined where it asks nothing. */
export function engineOf(service: Raw, report: Report): EngineOptions | undefined {
  const options: EngineOptions = {};
  for (const [key, read] of Object.entries(readers)) {
    const value = service[key];
    if (value !== undefined && value !== null) Object.assign(options, read(value, [key], report));
  }
  return Object.keys(options).length === 0 ? undefined : options;
}

function named(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(pairs(value)).map(([key, one]) => [key, String(one ?? '')]));
}

function within(value: unknown, least: number, most: number, path: Path, report: Report): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < least || number > most)
    report(path, `${String(value)} can't be`, `use a whole number from ${least} to ${most}`);
  return number;
}

function bytes(value: unknown, path: Path, report: Report): number {
  const size = parseBytes(value as string | number);
  if (size === undefined) report(path, `'${String(value)}' is no size`, 'write 64m or 1g');
  return size ?? 0;
}

/** HOST[:CONTAINER[:rwm]], or source, target and permissions. */
function devices(value: unknown, path: Path, report: Report): NonNullable<EngineOptions['devices']> {
  const all = (Array.isArray(value) ? value : []).map((one: unknown, i) => {
    const device = isRaw(one) ? [one.source, one.target ?? one.source, one.permissions] : String(one).split(':');
    const [host, inside = host, permissions = 'rwm'] = device.map((part) =>
      part === undefined ? undefined : String(part),
    );
    if (host === undefined || !host.startsWith('/') || !/^[rwm]+$/.test(permissions))
      report(
        [...path, i],
        `'${isRaw(one) ? String(host) : String(one)}' is no device`,
        'write /dev/ttyUSB0, /dev/a:/dev/b or /dev/a:/dev/b:r',
      );
    return { host: host ?? '', inside: inside ?? '', permissions };
  });
  // At one place the last is meant.
  return [...new Map(all.map((one) => [one.inside, one])).values()];
}

function mode(value: unknown, allowed: readonly string[], path: Path, report: Report): string {
  const text = String(value);
  if (!allowed.includes(text)) {
    const hint = /^(service|container):/.test(text)
      ? 'replicas of two services may be on two cells; put both programs into one image, or remove the key'
      : `use ${allowed.join(', ')}, or remove the key`;
    report(path, `'${text}' can't be had`, hint);
  }
  return text;
}

function logging(value: unknown): NonNullable<EngineOptions['logging']> {
  const { driver, options } = isRaw(value) ? value : {};
  return { driver: String(driver ?? 'json-file'), options: named(options) };
}

const rateKeys = {
  device_read_bps: 'readBps',
  device_write_bps: 'writeBps',
  device_read_iops: 'readIops',
  device_write_iops: 'writeIops',
} as const;

function blkio(value: unknown, path: Path, report: Report): Blkio {
  const given = isRaw(value) ? value : {};
  const items = (key: string): Raw[] => (Array.isArray(given[key]) ? given[key].filter(isRaw) : []);
  const device = (one: Raw, at: Path): string => {
    const text = String(one.path ?? '');
    if (!text.startsWith('/')) report(at, `'${text}' is no device`, 'write path: /dev/sda');
    return text;
  };
  const weight = (one: unknown, at: Path): number => within(one, 10, 1_000, at, report);
  const rates = Object.entries(rateKeys).flatMap(([key, name]): [string, DiskRate[]][] => {
    const list = items(key).map((one, i): DiskRate => {
      const at = [...path, key, i];
      const rate = key.endsWith('bps')
        ? bytes(one.rate, [...at, 'rate'], report)
        : within(one.rate, 1, Number.MAX_SAFE_INTEGER, [...at, 'rate'], report);
      return { path: device(one, at), rate };
    });
    return list.length === 0 ? [] : [[name, list]];
  });
  const weights = items('weight_device').map((one, i) => {
    const at = [...path, 'weight_device', i];
    return { path: device(one, at), weight: weight(one.weight, [...at, 'weight']) };
  });
  return {
    ...(given.weight === undefined ? {} : { weight: weight(given.weight, [...path, 'weight']) }),
    ...(weights.length === 0 ? {} : { weightDevice: weights }),
    ...Object.fromEntries(rates),
  };
}
