/** What a unit leaves on disk: who runs it, how it ended; and how it is ended, with all that it started. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { UnitSpec } from '../../core/events.ts';
import { killCgroups } from './cgroup.ts';
import { groupOf, isSame, orphansOf } from './proc.ts';

export interface UnitFile {
  unit: UnitSpec;
  ports: number[];
  startedAtMs: number;
  /** The wrapper: leader of the unit's session. */
  pid: number;
  pidStart: string;
  cgroups: string[];
}

export function readUnit(handle: string): UnitFile | undefined {
  try {
    return JSON.parse(readFileSync(join(handle, 'unit.json'), 'utf8')) as UnitFile;
  } catch {
    return undefined;
  }
}

/** The code that the wrapper wrote; 137 where it had no time to. */
export function exitCodeOf(handle: string): number {
  try {
    return Number(readFileSync(join(handle, 'exit'), 'utf8').trim());
  } catch {
    return 137;
  }
}

export function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It ended meanwhile.
  }
}

/** The spec's signal to the process itself; after the grace, or when it ended, the end of all that it left. */
export async function endUnit(handle: string, file: UnitFile, graceMs: number): Promise<void> {
  const runs = (): boolean => isSame(file.pid, file.pidStart);
  const child = readNumber(join(handle, 'child'));
  if (runs() && graceMs > 0 && child !== undefined && groupOf(child) === file.pid) {
    try {
      process.kill(child, (file.unit.service.stopSignal ?? 'SIGTERM') as NodeJS.Signals);
    } catch {
      // It ended meanwhile.
    }
    const deadline = performance.now() + graceMs;
    while (runs() && performance.now() < deadline) await delay(20);
  }
  if (runs()) killGroup(file.pid, 'SIGKILL');
  for (let i = 0; i < 100 && runs(); i++) await delay(10);
  for (const pid of orphansOf(file.pid, file.unit.replica)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  }
  killCgroups(file.cgroups ?? []);
}

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8').trim()) || undefined;
  } catch {
    return undefined;
  }
}
