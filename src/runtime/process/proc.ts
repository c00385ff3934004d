/** Telling a process from a later one with the same number: by the clock tick in which it started. */
import { readFileSync } from 'node:fs';

/** Field 22 of /proc/PID/stat, and no zombie; undefined where there is none. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

export const isSame = (pid: number, start: string): boolean => start !== '' && startTimeOf(pid) === start;
