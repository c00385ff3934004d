/**
 * What this machine is and how busy it is. Facts once, by systeminformation; load every few seconds from two small files
 * of /proc, which costs a Pi nothing.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { arch, hostname, totalmem } from 'node:os';
import si from 'systeminformation';
import type { AppState, CellFacts, Load } from '../../core/model.ts';

const arches: Record<string, string> = { x64: 'amd64', arm64: 'arm64', arm: 'arm' };

export async function machineFacts(version: string): Promise<Omit<CellFacts, 'engine'>> {
  const cpu = await si.cpu().catch(() => ({ cores: 1 }));
  const cpuMilli = Math.max(1, cpu.cores) * 1_000;
  const facts = {
    version,
    os: 'linux',
    arch: debianArch(),
    cpuMilli,
    memoryBytes: memoryLimit(),
    hostname: hostname(),
  };
  return facts;
}

/** As Debian calls it. */
export const debianArch = (): string => arches[arch()] ?? arch();

/** Of the devices that services name, those that are there now: a stick may come and go. */
export function presentDevices(apps: readonly AppState[]): string[] {
  const services = apps.flatMap(({ revision, next, runs }) => [
    ...[...revision.spec.services, ...(next?.spec.services ?? [])],
    ...runs.flatMap(({ work }) => (work === undefined ? [] : [work.spec])),
  ]);
  const named = services.flatMap(({ engine }) => (engine?.devices ?? []).map(({ host }) => host));
  return [...new Set(named)].filter((path) => existsSync(path)).sort();
}

/** As NVIDIA's driver shows them. */
export function gpuCount(): number {
  try {
    return readdirSync('/dev').filter((name) => /^nvidia\d+$/.test(name)).length;
  } catch {
    return 0;
  }
}

/** The smaller of the machine's memory and the cgroup's. */
function memoryLimit(): number {
  const limit = Number(read('/sys/fs/cgroup/memory.max') ?? Number.NaN);
  return Number.isFinite(limit) ? Math.min(limit, totalmem()) : totalmem();
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Measures load from one call to the next. */
export class LoadMeter {
  #last: { busy: number; total: number } | undefined;

  read(): Load {
    const times = (read('/proc/stat')?.split('\n')[0] ?? '').split(/\s+/).slice(1).map(Number);
    const total = times.reduce((sum, time) => sum + time, 0);
    const busy = total - (times[3] ?? 0) - (times[4] ?? 0);
    const last = this.#last;
    this.#last = { busy, total };
    const spent = last === undefined ? 0 : total - last.total;
    const cpuPercent = spent <= 0 ? 0 : Math.round((100 * (busy - last!.busy)) / spent);
    const meminfo = read('/proc/meminfo') ?? '';
    const field = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(meminfo)?.[1] ?? 0) * 1_024;
    return { cpuPercent, memoryUsedBytes: Math.max(0, field('MemTotal') - field('MemAvailable')) };
  }
}
