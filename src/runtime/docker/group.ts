/**
 * Replicas of several containers: one network and some volumes in common, told apart by labels. What ends and is to be brought back
 * makes the whole replica fall, so that the supervisor brings it back; a new start begins what does not run.
 */
import type Docker from 'dockerode';
import type { ContainerInfo } from 'dockerode';
import { OscaError } from '../../core/errors.ts';
import type { Exit, Observed } from '../../core/events.ts';
import { limits } from '../../core/limits.ts';
import type { LogLine, LogQuery } from '../../core/ports.ts';
import { labelKeys, scratchName } from './container.ts';
import { wrap } from './errors.ts';
import { readLogs } from './logs.ts';

/** One container of a replica, as the engine has it. `only`: there are no others. */
export interface Standing {
  id: string;
  part: string;
  kind: 'only' | 'first' | 'init' | 'peer' | 'sidecar';
  running: boolean;
  /** It was made, and never started. */
  isNew: boolean;
  exit: Exit;
  info: ContainerInfo;
}

/** Containers with these labels, by replica and form: 'REPLICA@HASH'. */
export async function gather(
  docker: Docker,
  labels: Readonly<Record<string, string>>,
): Promise<Map<string, Standing[]>> {
  const filters = { label: Object.entries(labels).map(([key, value]) => `${key}=${value}`) };
  const containers = await wrap(() => docker.listContainers({ all: true, filters }));
  const all = await Promise.all(containers.map((info) => standingOf(docker, info)));
  const groups = new Map<string, Standing[]>();
  for (const one of all) {
    const { [labelKeys.replica]: replica = '', [labelKeys.hash]: hash = '' } = one.info.Labels;
    const key = `${replica}@${hash}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return groups;
}

async function standingOf(docker: Docker, info: ContainerInfo): Promise<Standing> {
  const { [labelKeys.part]: part = '', [labelKeys.kind]: kind = 'only' } = info.Labels;
  const running = info.State === 'running';
  const inspected = running
    ? undefined
    : await docker
        .getContainer(info.Id)
        .inspect()
        .catch(() => undefined);
  const state = inspected?.State;
  const exit = { exitCode: state?.ExitCode ?? 137, oom: state?.OOMKilled ?? false };
  return {
    ...{ id: info.Id, part, kind: kind as Standing['kind'], running, info },
    isNew: ['created', 'initialized', 'configured'].includes(info.State),
    exit: part === '' ? exit : { ...exit, part },
  };
}

/** The container that stands for the replica. */
export const leadOf = (group: readonly Standing[]): Standing => group.find(isLead) ?? group[0]!;

/** Its first container was not begun. */
export const neverRan = (group: readonly Standing[]): boolean => {
  const lead = group.find(isLead);
  return lead === undefined || lead.isNew;
};

export const isLead = ({ kind }: Standing): boolean => kind === 'first' || kind === 'only';

/** Those that are called so; the first by the name of the service. Throws where there is none. */
export function chosen(group: readonly Standing[], name: string): Standing {
  const first = group.find(isLead);
  const found = group.find(({ part }) => part !== '' && part === name);
  if (found !== undefined) return found;
  if (name === first?.info.Labels[labelKeys.service]) return first;
  const names = group.flatMap(({ part }) => (part === '' ? [] : [part])).sort();
  const hint = `it has: ${[first?.info.Labels[labelKeys.service] ?? '', ...names].filter((one) => one !== '').join(', ')}`;
  throw new OscaError('not-found', `the replica has no container '${name}'`, hint);
}

/** The replica as a whole. */
export function observedOf(group: readonly Standing[]): Observed {
  const lead = leadOf(group);
  const { Labels, Created, Ports } = lead.info;
  const ports = (Ports ?? []).flatMap(({ PublicPort }) => (PublicPort === undefined ? [] : [PublicPort]));
  const exit = exitOf(group, lead);
  return {
    ...{ replica: Labels[labelKeys.replica] ?? '', hash: Labels[labelKeys.hash] ?? '', handle: lead.id },
    ...{ running: exit === undefined, startedAtMs: Created * 1_000, ports: [...new Set(ports)], driver: 'docker' },
    ...(exit === undefined ? {} : { exit }),
  };
}

/** Undefined where it runs: all that should, and one at least. */
function exitOf(group: readonly Standing[], lead: Standing): Exit | undefined {
  if (lead.kind === 'only') return lead.running ? undefined : lead.exit;
  if (lead.kind !== 'first') return lead.exit;
  const missing = (lead.info.Labels[labelKeys.parts] ?? '')
    .split(',')
    .find((name) => name !== '' && !group.some(({ part }) => part === name));
  if (missing !== undefined) return { exitCode: 137, oom: false, part: missing };
  const counted = group.filter(counts);
  const fallen = counted.find((one) => !one.running && returns(one));
  if (fallen !== undefined) return fallen.exit;
  if (counted.some(({ running }) => running)) return undefined;
  return (counted.find(({ exit }) => exit.exitCode !== 0 || exit.oom) ?? lead).exit;
}

/** Its end is the replica's. */
const counts = ({ kind }: Standing): boolean => kind === 'only' || kind === 'first' || kind === 'peer';

/** It should be brought back. */
function returns({ exit, info, isNew }: Standing): boolean {
  const condition = info.Labels[labelKeys.restart];
  return isNew || condition === 'any' || (condition === 'on-failure' && (exit.exitCode !== 0 || exit.oom));
}

/** Sidecars that still run although all has ended for good. */
export function leftOver(group: readonly Standing[]): Standing[] {
  const isOver = group.filter(counts).every((one) => !one.running && !returns(one));
  return isOver ? group.filter(({ kind, running }) => kind === 'sidecar' && running) : [];
}

/** Volumes that only this replica has. */
export const scratchOf = (group: readonly Standing[]): Set<string> =>
  new Set(
    group.flatMap(({ info, part }) => {
      const own = (info.Names[0] ?? '').replace(/^\//, '');
      const unitName = part === '' ? own : own.slice(0, -part.length - 1);
      return (info.Mounts ?? []).flatMap(({ Name }) => (Name?.startsWith(scratchName(unitName, '')) ? [Name] : []));
    }),
  );

/** What all wrote: by time where it ends, as it comes where it is followed, until one of those that run ends. */
export async function* logsOf(docker: Docker, group: readonly Standing[], query: LogQuery): AsyncGenerator<LogLine> {
  const all = query.part === undefined ? group : [chosen(group, query.part)];
  if (query.follow) {
    const [first] = all;
    if (first !== undefined && all.length === 1)
      for await (const line of readLogs(docker.getContainer(first.id), query)) yield of(line, first.part);
    else yield* followed(docker, all, query);
    return;
  }
  const lines: LogLine[] = [];
  for (const { id, part } of all)
    for await (const line of readLogs(docker.getContainer(id), query)) lines.push(of(line, part));
  lines.sort((a, b) => a.atMs - b.atMs);
  yield* query.tail === undefined ? lines : lines.slice(-query.tail);
}

const of = (line: LogLine, part: string): LogLine => (part === '' ? line : { ...line, part });

async function* followed(docker: Docker, all: readonly Standing[], query: LogQuery): AsyncGenerator<LogLine> {
  const ending = new AbortController();
  const one = { ...query, signal: AbortSignal.any([query.signal, ending.signal]) };
  const waiting: LogLine[] = [];
  let isOver = false;
  let wake = (): void => {};
  const pump = async ({ id, part, running }: Standing): Promise<void> => {
    try {
      for await (const line of readLogs(docker.getContainer(id), one)) {
        waiting.push(of(line, part));
        if (waiting.length > limits.logLines) waiting.shift();
        wake();
      }
    } catch {
      // It went away, as others may have.
    }
    // Who follows begins anew, with what is there then.
    if (running) isOver = true;
    wake();
  };
  const pumps = Promise.all(all.map(pump)).then(() => {
    isOver = true;
    wake();
  });
  try {
    for (;;) {
      yield* waiting.splice(0);
      if (waiting.length > 0) continue;
      if (isOver) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    ending.abort();
    void pumps;
  }
}
