/**
 * Limits for plain processes, by a cgroup (v2, or v1's cpu, memory and pids) where root allows; elsewhere they are not
 * enforced, and the documentation says so.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Resources } from '../../core/spec.ts';

const root = '/sys/fs/cgroup';
/** Named after the unit's folder: two forms of a replica, and two daemons, have their own. */
const nameOf = (handle: string): string => `osca-${createHash('sha256').update(handle).digest('hex').slice(0, 16)}`;

/** The folders to be in, and shell text that enters them before anything else runs. */
export function createCgroup(handle: string, resources: Resources): { enter: string; folders: string[] } {
  const { limitCpuMilli: cpu, limitMemoryBytes: memory, limitPids: pids } = resources;
  const settings = new Map<string, [file: string, value: string][]>();
  const v2 = existsSync(join(root, 'cgroup.controllers'));
  // One of its own in any case: what the service manager allows the daemon is not for what it runs.
  if (v2) settings.set(join(root, nameOf(handle)), []);
  const set = (controller: string, file: string, value: string): void => {
    const folder = v2 ? join(root, nameOf(handle)) : join(root, controller, nameOf(handle));
    settings.set(folder, [...(settings.get(folder) ?? []), [file, value]]);
  };
  if (cpu !== undefined) {
    if (v2) set('cpu', 'cpu.max', `${cpu * 100} 100000`);
    else set('cpu', 'cpu.cfs_quota_us', String(cpu * 100));
  }
  if (memory !== undefined) set('memory', v2 ? 'memory.max' : 'memory.limit_in_bytes', String(memory));
  if (pids !== undefined) set('pids', 'pids.max', String(pids));
  const entered: string[] = [];
  const folders: string[] = [];
  for (const [folder, files] of settings) {
    try {
      mkdirSync(folder, { recursive: true });
      for (const [file, value] of files) writeFileSync(join(folder, file), value);
      folders.push(folder);
      entered.push(`echo $$ >'${folder}/cgroup.procs'; `);
    } catch {
      // No right to: the limit is not enforced.
    }
  }
  return { enter: entered.join(''), folders };
}

/** What is run beside a unit is within its limits. */
export function enterCgroups(folders: readonly string[] | undefined, pid: number): void {
  for (const folder of folders ?? []) {
    try {
      writeFileSync(join(folder, 'cgroup.procs'), String(pid));
    } catch {
      // It has ended, or the unit has.
    }
  }
}

/** Ends what is left in the unit's cgroups and removes them. */
export function killCgroups(folders: readonly string[]): void {
  for (const folder of folders) {
    try {
      const pids = readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean);
      for (const pid of pids) process.kill(Number(pid), 'SIGKILL');
      rmdirSync(folder);
    } catch {
      // Gone, or still busy: an empty folder is left, nothing runs in it.
    }
  }
}
