/** Medians, and what a process uses. */
import { readFileSync } from 'node:fs';

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

export interface Series {
  runs: number[];
  median: number;
  worst: number;
}

export const series = (runs: number[]): Series => ({ runs, median: median(runs), worst: Math.max(...runs) });

export async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return Math.round(performance.now() - start);
}

/** Resident memory in MB (10^6 bytes / 1.048576: as `ps` shows it, MiB). */
export function residentMb(pid: number): number {
  const kb = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  return Math.round(kb / 1_024);
}

const ticksOf = (pid: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
};

/** Percent of one core over `ms`, from 100 clock ticks a second. */
export async function cpuPercent(pid: number, ms: number): Promise<number> {
  const before = ticksOf(pid);
  await new Promise((done) => setTimeout(done, ms));
  return Math.round(((ticksOf(pid) - before) / (ms / 10)) * 1_000) / 10;
}

/** Waits until the machine has done next to nothing for 300 ms: what the run before left behind is not measured in the next. */
export async function quietMachine(): Promise<void> {
  for (let still = 0, i = 0; still < 3 && i < 300; i++) {
    const [idle, total] = cpuTicks();
    await new Promise((done) => setTimeout(done, 100));
    const [idleAfter, totalAfter] = cpuTicks();
    still = (idleAfter - idle) / Math.max(1, totalAfter - total) >= 0.9 ? still + 1 : 0;
  }
}

function cpuTicks(): [idle: number, total: number] {
  const times = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.split(/\s+/).slice(1, 9).map(Number);
  return [(times[3] ?? 0) + (times[4] ?? 0), times.reduce((sum, time) => sum + time, 0)];
}
