/** When a schedule's times are. Fields as in crontab(5), with L, W and # and seconds in front if need be (croner). */
import { Cron } from 'croner';
import type { Schedule } from '../core/spec.ts';

const jobs = new Map<string, Cron>();

function jobOf({ cron, zone }: Schedule): Cron {
  const key = `${cron} ${zone}`;
  let job = jobs.get(key);
  if (job === undefined) jobs.set(key, (job = new Cron(cron, { timezone: zone, paused: true })));
  return job;
}

/** Why it is no schedule, in words; undefined where it is one. */
export function scheduleFault(schedule: Schedule): string | undefined {
  if (!isZone(schedule.zone)) return `'${schedule.zone}' is no time zone; write one like Europe/Berlin or UTC`;
  try {
    return nextTime(schedule, 0) === undefined ? 'there is no such day' : undefined;
  } catch (error) {
    return (error as Error).message.replace(/^Cron\w+: /, '');
  }
}

function isZone(timeZone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone }) !== undefined;
  } catch {
    return false;
  }
}

/** The first time after `afterMs` (ms since 1970); undefined where there is none. */
export function nextTime(schedule: Schedule, afterMs: number): number | undefined {
  return jobOf(schedule).nextRun(new Date(afterMs))?.getTime();
}

/** The last time up to `untilMs`, if it is after `afterMs`. */
export function lastTime(schedule: Schedule, afterMs: number, untilMs: number): number | undefined {
  const next = nextTime(schedule, afterMs);
  if (next === undefined || next > untilMs) return undefined;
  // Times are whole seconds, and a reference is no time of itself.
  const [last] = jobOf(schedule).previousRuns(1, new Date(Math.floor(untilMs / 1_000) * 1_000 + 1_000));
  return last?.getTime() ?? next;
}
