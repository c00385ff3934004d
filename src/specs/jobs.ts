/** What runs to its end: jobs, schedules, and what has to run before a change. */

import type { JobPolicy, Schedule, ServiceSpec } from '../core/spec.ts';
import type { Report } from './context.ts';
import { scheduleFault } from './cron.ts';
import type { Raw } from './extend.ts';
import { isRaw } from './extend.ts';
import { parseDuration, splitCommand } from './values.ts';

/** So often a job that fails is tried again, where nothing is said. */
const retriesDefault = 3;

const modes = ['replicated', 'global', 'replicated-job', 'global-job'];

type Jobs = Pick<ServiceSpec, 'mode' | 'job' | 'schedule' | 'preDeploy'>;

/** `deploy`: of the service, older keys merged in. */
export function jobsOf(service: Raw, deploy: Raw, report: Report): Jobs {
  const mode = String(deploy.mode ?? 'replicated');
  if (!modes.includes(mode)) report(['deploy', 'mode'], `'${mode}' is not supported`, `use ${modes.join(', ')}`);
  const osca = isRaw(service['x-osca']) ? service['x-osca'] : {};
  const schedule = scheduleOf(osca.schedule, report);
  const isJob = mode.endsWith('-job') || osca.job !== undefined || schedule !== undefined;
  if (schedule !== undefined && mode.startsWith('global'))
    report(['deploy', 'mode'], 'a schedule runs on one cell at a time', 'remove deploy.mode, or set deploy.replicas');
  const preDeploy = hookOf(osca.pre_deploy, report);
  if (preDeploy !== undefined && isJob)
    report(['x-osca', 'pre_deploy'], 'a job has no change to wait for', 'put it into the command of the job');
  return {
    mode: mode.startsWith('global') ? 'global' : 'replicated',
    ...(isJob ? { job: jobOf(isRaw(osca.job) ? osca.job : {}, service, deploy, report) } : {}),
    ...(schedule === undefined ? {} : { schedule }),
    ...(preDeploy === undefined ? {} : { preDeploy }),
  };
}

function jobOf(job: Raw, service: Raw, deploy: Raw, report: Report): JobPolicy {
  const count = (key: string, value: unknown, least: number): number => {
    const number = Number(value);
    if (number < least) report(['x-osca', 'job', key], `must be ${least} or more`, '');
    return number;
  };
  const singleton = isRaw(service['x-osca']) ? service['x-osca'].singleton : undefined;
  const deadlineMs = job.deadline === undefined ? undefined : parseDuration(String(job.deadline))!;
  return {
    parallelism: job.parallelism === undefined ? 1 : count('parallelism', job.parallelism, 1),
    retries: job.retries === undefined ? retriesOf(service, deploy, report) : count('retries', job.retries, 0),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    ...(singleton === 'loose' ? { loose: true } : {}),
  };
}

/** As its restart policy has it. */
function retriesOf(service: Raw, deploy: Raw, report: Report): number {
  const policy = isRaw(deploy.restart_policy) ? deploy.restart_policy : undefined;
  const text = service.restart === false ? 'no' : String(service.restart ?? '');
  if (text === 'no' || policy?.condition === 'none') return 0;
  if (text === 'always' || text === 'unless-stopped')
    report(['restart'], 'a job that has ended is not begun again', 'remove the key, or say on-failure:N');
  const tries = /^on-failure:(\d+)$/.exec(text)?.[1] ?? policy?.max_attempts;
  return tries === undefined ? retriesDefault : Number(tries);
}

function scheduleOf(value: unknown, report: Report): Schedule | undefined {
  if (value === undefined) return undefined;
  const given = isRaw(value) ? value : { cron: value };
  const path = ['x-osca', 'schedule'];
  if (given.cron === undefined) report(path, 'has no cron', "write cron: '0 3 * * *'");
  const pick = <T extends string>(key: string, names: readonly T[]): T => {
    const name = String(given[key] ?? names[0]) as T;
    if (!names.includes(name)) report([...path, key], `'${name}' is not known`, `use ${names.join(' or ')}`);
    return name;
  };
  const schedule: Schedule = {
    ...{ cron: String(given.cron ?? '').trim(), zone: String(given.timezone ?? 'UTC') },
    ...{ missed: pick('missed', ['run', 'skip']), overlap: pick('overlap', ['skip', 'allow']) },
  };
  const fault = given.cron === undefined ? undefined : scheduleFault(schedule);
  if (fault !== undefined)
    report(path, fault, "minute, hour, day, month, weekday, as in '30 3 * * mon-fri'; docs/SPEC.md tells more");
  return schedule;
}

function hookOf(value: unknown, report: Report): ServiceSpec['preDeploy'] {
  if (!isRaw(value)) return undefined;
  const path = ['x-osca', 'pre_deploy', 'command'];
  const { command, deadline } = value;
  const words = Array.isArray(command) ? command.map(String) : splitCommand(String(command ?? ''));
  if (words === undefined) report(path, 'has a quote that is not closed', '');
  else if (words.length === 0) report(path, 'must be a command', 'write command: [program, argument]');
  const deadlineMs = deadline === undefined ? {} : { deadlineMs: parseDuration(String(deadline))! };
  return { command: words ?? [], ...deadlineMs };
}
