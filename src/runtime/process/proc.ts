/** Telling a process from a later one with the same number: by the clock tick in which it started. */
import { readdirSync, readFileSync } from 'node:fs';

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

/** The process group of a process; undefined where there is none. */
export function groupOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
  } catch {
    return undefined;
  }
}

/** What a unit left running after its leader ended: in its group, and started with its name in the environment. */
export function orphansOf(group: number, replica: string): number[] {
  return readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || groupOf(pid) !== group) return [];
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`OSCA_REPLICA=${replica}`) ? [pid] : [];
    } catch {
      return [];
    }
  });
}
