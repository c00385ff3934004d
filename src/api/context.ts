/** What the routes work with, and how names that people type become ids. */
import type { FastifyReply } from 'fastify';
import { OscaError } from '../core/errors.ts';
import type { CellId, ClusterView, LogEvent } from '../core/model.ts';
import type { RuntimeDriver } from '../core/ports.ts';
import type { DriverKind, Schedule } from '../core/spec.ts';
import type { Deployer } from '../node/deployer.ts';
import type { Host } from '../node/host.ts';
import type { Peers } from '../node/peers.ts';
import type { Packages } from '../release/files/packages.ts';

export interface ApiDeps {
  host: Host;
  deployer: Deployer;
  peers: Peers;
  packages: Packages;
  drivers: ReadonlyMap<DriverKind, RuntimeDriver>;
  store: { events(): LogEvent[] };
  /** The first time of a schedule after another, in ms since 1970. */
  nextTime(schedule: Schedule, afterMs: number): number | undefined;
  /** Six letters and digits that nobody has drawn yet. */
  randomId(): string;
  saveImage(image: string): Promise<NodeJS.ReadableStream>;
  token: string;
  version: string;
}

/** What this cell is called. */
export const selfName = ({ host }: ApiDeps): string => host.view().members.find(({ self }) => self)?.name ?? 'cell';

/** Aborts when whoever asked is gone. */
export function endOf(reply: FastifyReply): AbortSignal {
  const ending = new AbortController();
  reply.raw.once('close', () => ending.abort());
  return ending.signal;
}

/** A cell by name, id, or the end of its id. */
export function cellOf(view: ClusterView, text: string): CellId {
  const all = [
    ...view.members.map(({ id, name }) => ({ id, name })),
    ...view.pending.map(({ id, name }) => ({ id, name })),
  ];
  const found = all.filter(({ id, name }) => name === text || id === text || (text.length >= 6 && id.endsWith(text)));
  if (found.length === 1) return found[0]!.id;
  if (found.length > 1)
    throw new OscaError(
      'bad-request',
      `${found.length} cells are called '${text}'`,
      `name one by the end of its id: ${found.map(({ id }) => id.slice(-8)).join(', ')}`,
    );
  throw new OscaError('not-found', `there is no cell '${text}'`, 'osca cell ls shows the cells');
}

export interface Target {
  app: string;
  service?: string;
  index?: string;
}

/** APP[/SERVICE[/N]], checked against what is deployed. */
export function targetOf(view: ClusterView, text: string): Target {
  const [app, service, index, more] = text.split('/');
  if (more !== undefined)
    throw new OscaError('bad-request', `'${text}' names nothing`, 'write APP, APP/SERVICE or APP/SERVICE/N');
  const state = view.apps.find(({ name }) => name === app);
  if (state === undefined) throw new OscaError('not-found', `there is no app '${app}'`, 'osca ls shows the apps');
  const services = state.revision.spec.services.map(({ name }) => name);
  const isKnown =
    service === undefined || services.includes(service) || state.runs.some(({ name }) => name === service);
  if (!isKnown) {
    throw new OscaError('not-found', `app '${app}' has no service '${service}'`, `it has: ${services.join(', ')}`);
  }
  const known = view.assignments.some((one) => one.app === app && one.service === service && one.index === index);
  if (
    index !== undefined &&
    !known &&
    !view.members.some(({ units }) => units.some(({ replica }) => replica === text))
  ) {
    throw new OscaError('not-found', `there is no replica '${text}'`, `osca ps ${app} shows the replicas`);
  }
  return { app: app!, ...(service === undefined ? {} : { service }), ...(index === undefined ? {} : { index }) };
}
