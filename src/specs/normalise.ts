/** One checked service as the rest of OSCA knows it: defaults filled in, paths absolute, durations in ms. */

import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { limits } from '../core/limits.ts';
import type { BuildSpec, Healthcheck, Port, Resources, RestartPolicy, ServiceSpec } from '../core/spec.ts';
import type { Report, ServiceContext } from './context.ts';
import { readEnv } from './dotenv.ts';
import { engineKeys, engineOf } from './engine.ts';
import type { Raw } from './extend.ts';
import { hostList, isRaw, pairs } from './extend.ts';
import { hooksOf } from './hooks.ts';
import { jobsOf } from './jobs.ts';
import { deployOf } from './legacy.ts';
import { mountsOf } from './mounts.ts';
import { constraintsOf, gpusOf, mostPerCell, platformOf } from './placement.ts';
import { readSome } from './reading.ts';
import type { Path } from './source.ts';
import { policyOf } from './update.ts';
import { parseBytes, parseCpus, parseDuration, parsePorts, parseRange, splitCommand } from './values.ts';

const grace = 10_000;
const raw = (value: unknown): Raw => (isRaw(value) ? value : {});
const maybe = (value: unknown): Raw | undefined => (isRaw(value) ? value : undefined);
const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.map(String) : value === undefined ? [] : [String(value)];
const flag = (value: unknown): boolean => value === true || value === 'true';
const ms = (value: unknown): number | undefined => (typeof value === 'string' ? parseDuration(value) : undefined);
/** { key: value } without the keys that have none. */
const given = <T extends object>(values: { [K in keyof T]?: T[K] | undefined }): Partial<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;

export function normaliseService(service: Raw, context: ServiceContext): { spec: ServiceSpec; build?: BuildSpec } {
  const report = (path: Path, message: string, hint: string): void => {
    context.problems.push(context.source.problem(['services', context.service, ...path], message, hint));
  };
  const deploy = deployOf(service, report);
  const driver = driverOf(service, report);
  const build = buildOf(service, context, report);
  const replicas = deploy.replicas === undefined ? 1 : Number(deploy.replicas);
  if (replicas > limits.replicas || replicas < 0) report(['deploy', 'replicas'], `must be 0 to ${limits.replicas}`, '');
  const jobs = jobsOf(service, deploy, report);
  const mounts = mountsOf(service, context, report);
  const strict =
    jobs.job === undefined && isStrict(service, jobs.mode === 'replicated' && replicas === 1, mounts, report);
  const spec: ServiceSpec = {
    name: context.service,
    driver,
    environment: environmentOf(service, context, report),
    ports: portsOf(service, context, report),
    mounts,
    ...(strict ? { strict } : {}),
    labels: strings({
      ...pairs(service.annotations),
      ...variablesIn(service, 'label_file', context, report),
      ...pairs(service.labels),
      ...pairs(deploy.labels),
    }),
    restart: jobs.job === undefined ? restartOf(service, deploy, report) : delayOf(deploy),
    stopGraceMs: ms(service.stop_grace_period) ?? grace,
    ...jobs,
    ...mostPerCell(raw(deploy.placement), report),
    ...hooksOf(service, report),
    ...pullOf(service, report),
    replicas,
    resources: resourcesOf(service, raw(deploy.resources), report),
    constraints: [...constraintsOf(raw(deploy.placement), report), ...platformOf(service, report)],
    ...given<ServiceSpec>({
      image: typeof service.image === 'string' && service.image !== '' ? service.image : undefined,
      command: commandOf(service.command, () =>
        report(['command'], 'has a quote that is not closed', 'close it, or write a list: [program, argument]'),
      ),
      entrypoint: commandOf(service.entrypoint, () =>
        report(['entrypoint'], 'has a quote that is not closed', 'close it, or write a list: [program, argument]'),
      ),
      workingDir: workingDirOf(service, driver, context),
      user: service.user === undefined ? undefined : String(service.user),
      healthcheck: healthcheckOf(raw(service.healthcheck), report),
      init: service.init === undefined ? undefined : flag(service.init),
      capAdd: service.cap_add === undefined ? undefined : texts(service.cap_add),
      capDrop: service.cap_drop === undefined ? undefined : texts(service.cap_drop),
      readOnly: service.read_only === undefined ? undefined : flag(service.read_only),
      ulimits: service.ulimits === undefined ? undefined : ulimitsOf(raw(service.ulimits)),
      stopSignal: service.stop_signal === undefined ? undefined : String(service.stop_signal),
      engine: driver === 'docker' ? engineOf(service, report) : undefined,
      update: policyOf(maybe(deploy.update_config), 'update_config', report),
      rollback: policyOf(maybe(deploy.rollback_config), 'rollback_config', report),
    }),
  };
  return build === undefined ? { spec } : { spec, build };
}

function driverOf(service: Raw, report: Report): ServiceSpec['driver'] {
  const driver = String(raw(service['x-osca']).driver ?? 'docker');
  if (driver !== 'docker' && driver !== 'process')
    report(['x-osca', 'driver'], `'${driver}' is no driver`, 'use docker or process');
  if (driver === 'process') {
    if (service.image !== undefined || service.build !== undefined)
      report([], 'a process has no image', 'remove image and build, or x-osca.driver');
    const images = [
      'user',
      'read_only',
      'cap_add',
      'cap_drop',
      'volumes',
      'volumes_from',
      'tmpfs',
      'ulimits',
      'init',
      'platform',
      'gpus',
    ];
    for (const key of [...images, ...engineKeys]) {
      if (service[key] !== undefined)
        report(
          [key],
          'a plain process on the cell can not have it',
          'remove the key, or run the service from an image',
        );
    }
    if (service.command === undefined && service.entrypoint === undefined)
      report([], 'a process needs a command', 'add command:');
    for (const hook of ['post_start', 'pre_stop']) {
      for (const [i, item] of (Array.isArray(service[hook]) ? service[hook] : []).entries()) {
        for (const key of ['user', 'privileged'])
          if (raw(item)[key] !== undefined)
            report([hook, i, key], 'a plain process on the cell can not have it', 'remove the key');
      }
    }
    return 'process';
  }
  if ((service.image === undefined || service.image === '') && service.build === undefined) {
    report(
      service.image === '' ? ['image'] : [],
      service.image === '' ? 'is empty' : 'has neither image nor build',
      'name an image; a file that changes another goes behind it: osca deploy compose.yaml THIS; a plain process needs x-osca: {driver: process}',
    );
  }
  return 'docker';
}

/** One copy only: by default where there is one, and it keeps data. */
function isStrict(service: Raw, isSingle: boolean, mounts: ServiceSpec['mounts'], report: Report): boolean {
  const singleton = raw(service['x-osca']).singleton;
  const path = ['x-osca', 'singleton'];
  if (singleton === undefined)
    return isSingle && mounts.some(({ kind, source }) => kind === 'volume' && source !== undefined);
  if (singleton !== 'strict' && singleton !== 'loose')
    report(path, `'${String(singleton)}' is not known`, 'use strict or loose');
  if (singleton === 'strict' && !isSingle)
    report(path, 'a strict service has one replica', 'remove deploy.replicas and deploy.mode, or the key');
  return singleton === 'strict';
}

function buildOf(service: Raw, { folder, env }: ServiceContext, report: Report): BuildSpec | undefined {
  if (service.build === undefined) return undefined;
  const build = typeof service.build === 'string' ? { context: service.build } : raw(service.build);
  const context = String(build.context ?? '.');
  if (/^(https?|git|ssh):\/\/|^git@|^github\.com\/|^[\w.-]+\.[a-z]+\/.*\.git(#|$)/.test(context))
    report(
      typeof service.build === 'string' ? ['build'] : ['build', 'context'],
      `${context} is not on this machine`,
      'clone it beside the file, and name the folder',
    );
  if (build.dockerfile !== undefined && build.dockerfile_inline !== undefined)
    report(['build', 'dockerfile_inline'], 'there are two Dockerfiles', 'remove dockerfile or dockerfile_inline');
  // One that is only named is taken from outside, or left to the Dockerfile.
  const args = Object.entries(pairs(build.args)).flatMap(([name, value]) => {
    const known = value ?? env[name];
    return known === undefined ? [] : [[name, String(known)]];
  });
  return {
    context: resolve(folder, context),
    args: Object.fromEntries(args) as Record<string, string>,
    ...given<BuildSpec>({
      labels: build.labels === undefined ? undefined : strings(pairs(build.labels)),
      network: build.network === undefined ? undefined : String(build.network),
      extraHosts: build.extra_hosts === undefined ? undefined : hostList(build.extra_hosts),
      shmBytes: build.shm_size === undefined ? undefined : parseBytes(build.shm_size as string | number),
      noCache: build.no_cache === undefined ? undefined : flag(build.no_cache),
      pull: build.pull === undefined ? undefined : flag(build.pull),
      dockerfile: build.dockerfile === undefined ? undefined : String(build.dockerfile),
      inline: build.dockerfile_inline === undefined ? undefined : String(build.dockerfile_inline),
      target: build.target === undefined ? undefined : String(build.target),
    }),
  };
}

function workingDirOf(service: Raw, driver: ServiceSpec['driver'], { folder }: ServiceContext): string | undefined {
  // A process starts beside its file; a container in what its image says.
  if (driver === 'process') return resolve(folder, String(service.working_dir ?? '.'));
  return service.working_dir === undefined ? undefined : String(service.working_dir);
}

function commandOf(value: unknown, onBad: () => void): string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value)) return value.map(String);
  const words = splitCommand(String(value));
  if (words === undefined) onBad();
  return words ?? [];
}

const strings = (values: Raw): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, value === null ? '' : String(value)]));

/** What the files hold that `key` of the service names, those before in those after. `own`: what they may name besides, of the service. */
function variablesIn(
  service: Raw,
  key: 'env_file' | 'label_file',
  { folder, env, unset }: ServiceContext,
  report: Report,
  own: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const out: Record<string, string> = {};
  const given = service[key];
  const files: unknown[] = Array.isArray(given) ? given : given === undefined ? [] : [given];
  files.forEach((item, i) => {
    const path = resolve(folder, isRaw(item) ? String(item.path) : String(item));
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === true)
      Object.assign(
        out,
        readEnv({ path, text: readSome(path, limits.specBytes).toString() }, { ...out, ...own, ...env }, unset),
      );
    else if (!isRaw(item) || item.required === undefined || flag(item.required)) {
      const hint = key === 'env_file' ? 'make it, or say required: false' : 'make it, or remove the key';
      report(Array.isArray(given) ? [key, i] : [key], `there is no file ${path}`, hint);
    }
  });
  return out;
}

function environmentOf(service: Raw, context: ServiceContext, report: Report): Record<string, string> {
  const { env } = context;
  const own: Record<string, string> = {};
  for (const [key, value] of Object.entries(pairs(service.environment))) {
    if (value !== null) own[key] = String(value);
    else if (env[key] !== undefined) own[key] = env[key];
  }
  return { ...variablesIn(service, 'env_file', context, report, own), ...own };
}

function portsOf(service: Raw, { service: name, warn }: ServiceContext, report: Report): Port[] {
  const items = Array.isArray(service.ports) ? service.ports : [];
  const all = items.flatMap((item: unknown, i): Port[] => {
    if (!isRaw(item)) {
      const ports = parsePorts(String(item));
      if (ports === undefined)
        report(
          ['ports', i],
          `'${String(item)}' is no port`,
          'write TARGET, PUBLISHED:TARGET or IP:PUBLISHED:TARGET, with /udp for UDP',
        );
      return ports ?? [];
    }
    const protocol = String(item.protocol ?? 'tcp').toLowerCase();
    const said = String(item.published ?? '');
    const [published, last] = parseRange(said) ?? [];
    if (said !== '' && published === undefined)
      report(['ports', i, 'published'], `'${said}' is no port`, '1 to 65535, or a range as 8000-8010');
    if (published !== last) warn(`${name}: of the ports ${said} the first is published, on each cell`);
    const isPort = (port: number): boolean => Number.isSafeInteger(port) && port >= 1 && port <= 65_535;
    if (!isPort(Number(item.target))) report(['ports', i, 'target'], 'must be 1 to 65535', '');
    if (protocol !== 'tcp' && protocol !== 'udp')
      report(['ports', i, 'protocol'], `'${protocol}' is not supported`, 'use tcp or udp');
    const hostIp = item.host_ip === undefined ? undefined : String(item.host_ip);
    return [
      {
        target: Number(item.target),
        protocol: protocol === 'udp' ? 'udp' : 'tcp',
        ...given<Port>({ published, hostIp }),
      } as Port,
    ];
  });
  const once = [...new Map(all.map((port) => [JSON.stringify(Object.entries(port).sort()), port])).values()];
  if (service.network_mode !== 'host') return once;
  // In the cell's network it has the ports that its program opens.
  return once.map(({ published, ...port }) => {
    if (published !== undefined && published !== port.target)
      warn(`${name}: with network_mode: host its port is ${port.target} on the cell, not ${published}`);
    return { ...port, published: port.target };
  });
}

function restartOf(service: Raw, deploy: Raw, report: Report): RestartPolicy {
  const policy = raw(deploy.restart_policy);
  if (deploy.restart_policy !== undefined) {
    const condition = String(policy.condition ?? 'any');
    if (condition !== 'none' && condition !== 'on-failure' && condition !== 'any') {
      report(
        ['deploy', 'restart_policy', 'condition'],
        `'${condition}' is no condition`,
        'use none, on-failure or any',
      );
    }
    const more = {
      maxAttempts: policy.max_attempts === undefined ? undefined : Number(policy.max_attempts),
      delayMs: ms(policy.delay),
      windowMs: ms(policy.window),
    };
    return { condition: condition as RestartPolicy['condition'], ...given<RestartPolicy>(more as RestartPolicy) };
  }
  const text = service.restart === false ? 'no' : String(service.restart ?? 'always');
  const limited = /^on-failure:(\d+)$/.exec(text);
  if (limited !== null) return { condition: 'on-failure', maxAttempts: Number(limited[1]) };
  if (text === 'no') return { condition: 'none' };
  if (text === 'on-failure') return { condition: 'on-failure' };
  if (text !== 'always' && text !== 'unless-stopped')
    report(['restart'], `'${text}' is no restart policy`, 'use no, always, on-failure[:N] or unless-stopped');
  return { condition: 'any' };
}

/** if_not_present is missing; an image that is built here is never pulled. */
function pullOf({ pull_policy: policy }: Raw, report: Report): Pick<ServiceSpec, 'pull'> {
  const text = String(policy ?? 'missing');
  if (text === 'always' || text === 'never') return { pull: text };
  // Whoever wants it every so often gets it each time.
  if (/^(daily|weekly|every_\w+)$/.test(text)) return { pull: 'always' };
  if (!['missing', 'if_not_present', 'build'].includes(text))
    report(['pull_policy'], `'${text}' is no policy`, 'use always, missing, never or build');
  return {};
}

/** A run is tried again as its job says (core/runs.ts); of the policy only the pause between is left. */
function delayOf(deploy: Raw): RestartPolicy {
  const delayMs = ms(raw(deploy.restart_policy).delay);
  return { condition: 'none', ...(delayMs === undefined ? {} : { delayMs }) };
}

function healthcheckOf(check: Raw, report: Report): Healthcheck | undefined {
  // Without a test it is about the image's own, which nobody asks.
  if (check.test === undefined || flag(check.disable)) return undefined;
  const test = Array.isArray(check.test) ? check.test.map(String) : ['CMD-SHELL', String(check.test)];
  if (test[0] === 'NONE') return undefined;
  if (test.length < 2 || (test[0] !== 'CMD' && test[0] !== 'CMD-SHELL')) {
    report(['healthcheck', 'test'], 'must be a command', 'write a line for a shell, or [CMD, program, argument]');
  }
  // 0 stands for what holds where nothing is said.
  const intervalMs = ms(check.interval) || 30_000;
  return {
    ...{ test, intervalMs, timeoutMs: ms(check.timeout) || 30_000, startPeriodMs: ms(check.start_period) ?? 0 },
    ...{ retries: Number(check.retries ?? 0) || 3 },
    startIntervalMs: Math.min(intervalMs, ms(check.start_interval) || 5_000),
  };
}

function resourcesOf(service: Raw, resources: Raw, report: Report): Resources {
  const cpus = (kind: string): number | undefined => {
    const value = raw(resources[kind]).cpus;
    if (value === undefined) return undefined;
    const milli = parseCpus(value as string | number);
    if (milli === undefined)
      report(['deploy', 'resources', kind, 'cpus'], `'${String(value)}' is no number of cores`, "write '0.5'");
    return milli;
  };
  const memory = (kind: string): number | undefined => {
    const value = raw(resources[kind]).memory;
    return value === undefined ? undefined : parseBytes(value as string | number);
  };
  const pids = raw(resources.limits).pids;
  return given<Resources>({
    ...{
      limitCpuMilli: cpus('limits'),
      limitMemoryBytes: memory('limits'),
      limitPids: pids === undefined ? undefined : Number(pids),
    },
    ...{ reserveCpuMilli: cpus('reservations'), reserveMemoryBytes: memory('reservations') },
    gpus: gpusOf(service, raw(resources.reservations), report),
  });
}

function ulimitsOf(ulimits: Raw): Record<string, { soft: number; hard: number }> {
  return Object.fromEntries(
    Object.entries(ulimits).map(([name, value]) => {
      const both = isRaw(value)
        ? { soft: Number(value.soft ?? value.hard), hard: Number(value.hard ?? value.soft) }
        : { soft: Number(value), hard: Number(value) };
      return [name, both];
    }),
  );
}
