/** Every route of the API, with its words for the OpenAPI document. Handlers translate; decisions are the cell's. */
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { OscaError } from '../core/errors.ts';
import { addCellRoutes } from './cell-routes.ts';
import type { ApiDeps } from './context.ts';
import { endOf, selfName, targetOf } from './context.ts';
import { deploySteps, rollbackSteps } from './deploying.ts';
import { localLogs, mergedLogs, serverSent } from './follow.ts';
import { planOf } from './plan.ts';
import { appRow, cellRows, replicaRows, revisionRows } from './rows.ts';
import { addRunRoutes } from './run-routes.ts';
import { flag, object, text, whole } from './schemas.ts';
import { ndjson } from './streams.ts';
import { addUpgradeRoutes } from './upgrade-routes.ts';

const file = {
  file: text,
  over: { type: 'array', items: text },
  name: text,
  profiles: { type: 'array', items: text },
  env: { type: 'object', additionalProperties: text },
};

interface FileBody {
  file: string;
  over?: string[];
  name?: string;
  profiles?: string[];
  env?: Record<string, string>;
}

const composeRequest = ({ file: path, over, name, profiles, env }: FileBody) => ({
  ...{ file: path, over: over ?? [], profiles: profiles ?? [], env: env ?? {} },
  ...(name === undefined ? {} : { name }),
});

export function addRoutes(app: FastifyInstance, deps: ApiDeps): void {
  addAppRoutes(app, deps);
  addRunRoutes(app, deps);
  addCellRoutes(app, deps);
  addUpgradeRoutes(app, deps);
  addStreamRoutes(app, deps);
}

function addAppRoutes(app: FastifyInstance, deps: ApiDeps): void {
  const { host } = deps;
  const byName = (reply: { name: string }): string => reply.name;
  app.get('/v1/apps', { schema: { summary: 'All apps' } }, () =>
    host.view().apps.map((state) => appRow(host.view(), state)),
  );
  app.get<{ Params: { app: string } }>(
    '/v1/apps/:app',
    { schema: { summary: 'One app: its revision, history and replicas' } },
    ({ params }) => {
      const { app: name } = targetOf(host.view(), params.app);
      const state = host.view().apps.find((one) => byName(one) === name)!;
      return { ...state, summary: appRow(host.view(), state), replicas: replicaRows(host.view(), name) };
    },
  );
  app.get<{ Querystring: { target?: string } }>(
    '/v1/replicas',
    { schema: { summary: 'Replicas, of one app or all', querystring: object({ target: text }) } },
    ({ query }) => {
      if (query.target === undefined) return replicaRows(host.view());
      const target = targetOf(host.view(), query.target);
      return replicaRows(host.view(), target.app, target.service).filter(
        ({ index }) => target.index === undefined || index === target.index,
      );
    },
  );
  app.post<{ Body: FileBody }>(
    '/v1/plan',
    { schema: { summary: 'What a deploy of a file would change', body: object(file, ['file']) } },
    ({ body }) => planOf(host, deps.deployer.read(composeRequest(body))),
  );
  app.post<{ Body: FileBody }>(
    '/v1/convert',
    { schema: { summary: 'What a file means: the app as it would be deployed', body: object(file, ['file']) } },
    ({ body }) => {
      const { app: spec, builds, files: contents, warnings } = deps.deployer.read(composeRequest(body));
      return { app: spec, builds, files: Object.keys(contents), warnings };
    },
  );
  app.delete<{ Params: { app: string } }>(
    '/v1/apps/:app',
    { schema: { summary: 'Remove an app' } },
    async ({ params }) => await host.ask({ op: 'remove', app: params.app }),
  );
  const service = { schema: { summary: '', body: object({ service: text }) } };
  for (const verb of ['stop', 'start', 'restart'] as const) {
    app.post<{ Params: { app: string }; Body: { service?: string } }>(
      `/v1/apps/:app/${verb}`,
      { schema: { ...service.schema, summary: `${verb} an app, or one service of it` } },
      async ({ params, body }) => {
        const target = { app: params.app, ...(body.service === undefined ? {} : { service: body.service }) };
        return await host.ask(
          verb === 'restart' ? { op: 'restart', ...target } : { op: 'stop', stopped: verb === 'stop', ...target },
        );
      },
    );
  }
  app.post<{ Params: { app: string }; Body: { service: string; replicas: number } }>(
    '/v1/apps/:app/scale',
    {
      schema: {
        summary: 'Set how many replicas a service has',
        body: object({ service: text, replicas: whole }, ['service', 'replicas']),
      },
    },
    async ({ params, body }) => await host.ask({ op: 'scale', app: params.app, ...body, by: selfName(deps) }),
  );
  app.get<{ Params: { app: string } }>(
    '/v1/apps/:app/history',
    { schema: { summary: 'The revisions of an app, newest first, and how their rollouts ended' } },
    ({ params }) => {
      const { app: name } = targetOf(host.view(), params.app);
      return revisionRows(host.view().apps.find((one) => byName(one) === name)!);
    },
  );
  for (const verb of ['pause', 'resume'] as const) {
    app.post<{ Params: { app: string } }>(
      `/v1/apps/:app/${verb}`,
      { schema: { summary: `${verb} the rollout of an app` } },
      async ({ params }) =>
        await host.ask({ op: 'pause', app: params.app, paused: verb === 'pause', by: selfName(deps) }),
    );
  }
  app.get<{ Querystring: { target: string } }>(
    '/v1/explain',
    {
      schema: {
        summary: 'Where the replicas of a service are, and why',
        querystring: object({ target: text }, ['target']),
      },
    },
    ({ query }) => {
      const target = targetOf(host.view(), query.target);
      const rows = host
        .view()
        .assignments.filter(
          (one) =>
            one.app === target.app &&
            (target.service === undefined || one.service === target.service) &&
            (target.index === undefined || one.index === target.index),
        );
      return rows.map(({ replica }) => host.cell.explain(replica)!);
    },
  );
}

interface LogSearch {
  target?: string;
  key?: string;
  follow?: boolean;
  tail?: number;
  sinceMs?: number;
  container?: string;
  untilExit?: boolean;
}

function addStreamRoutes(app: FastifyInstance, deps: ApiDeps): void {
  const { host } = deps;
  app.post<{ Body: FileBody & { detach?: boolean; timeoutMs?: number; acks?: number } }>(
    '/v1/deploy',
    {
      schema: {
        summary: 'Deploy a file; lines of JSON until all runs',
        body: object({ ...file, detach: flag, timeoutMs: whole, acks: whole }, ['file']),
      },
    },
    ({ body }, reply) => {
      const request = { ...composeRequest(body), by: selfName(deps), acks: body.acks ?? 1 };
      return ndjson(
        reply,
        deploySteps(deps, request, { detach: body.detach ?? false, timeoutMs: body.timeoutMs ?? 300_000 }),
      );
    },
  );
  app.post<{ Params: { app: string }; Body: { revision?: string; detach?: boolean; timeoutMs?: number } }>(
    '/v1/apps/:app/rollback',
    {
      schema: {
        summary: 'Run an earlier revision again; lines of JSON until all runs',
        body: object({ revision: text, detach: flag, timeoutMs: whole }),
      },
    },
    ({ params, body }, reply) => {
      const { revision, detach = false, timeoutMs = 300_000 } = body;
      const request = { app: params.app, by: selfName(deps), ...(revision === undefined ? {} : { to: revision }) };
      return ndjson(reply, rollbackSteps(deps, request, { detach, timeoutMs }));
    },
  );
  const search = { follow: flag, tail: whole, sinceMs: { type: 'number' }, container: text };
  const queryOf = ({ follow, tail, sinceMs, container, untilExit }: LogSearch, signal: AbortSignal) => ({
    ...{ follow: follow ?? false, signal },
    ...(tail === undefined ? {} : { tail }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(container === undefined ? {} : { part: container }),
    ...(untilExit === undefined ? {} : { untilExit }),
  });
  app.get<{ Querystring: LogSearch }>(
    '/v1/logs',
    {
      schema: {
        summary: 'Logs of APP[/SERVICE[/N]] from all cells, as lines of JSON',
        querystring: object({ target: text, ...search }, ['target']),
      },
    },
    ({ query }, reply) =>
      ndjson(reply, mergedLogs(deps, targetOf(host.view(), query.target!), queryOf(query, endOf(reply)))),
  );
  app.get<{ Querystring: LogSearch }>(
    '/v1/units/logs',
    {
      schema: {
        summary: 'Logs of one unit of this cell',
        querystring: object({ key: text, untilExit: flag, ...search }, ['key']),
      },
    },
    ({ query }, reply) => {
      if (host.cell.handleOf(query.key!) === undefined)
        throw new OscaError('not-found', `${query.key} is not here`, 'osca ps shows what runs');
      return ndjson(reply, localLogs(deps, query.key!, queryOf(query, endOf(reply))));
    },
  );
  app.get<{ Querystring: { follow?: boolean } }>(
    '/v1/events',
    { schema: { summary: 'What happened; with follow as server-sent events', querystring: object({ follow: flag }) } },
    ({ query }, reply) => {
      if (query.follow !== true) return host.events();
      const stream = serverSent((push) => host.onEvent(push), host.events().slice(-20));
      return reply.type('text/event-stream').send(Readable.from(stream));
    },
  );
  app.get(
    '/v1/watch',
    { schema: { summary: 'Cells, apps and replicas on every change, as server-sent events' } },
    (_request, reply) => {
      const picture = () => ({
        cells: cellRows(host.view(), (ms) => host.wallMs(ms)),
        apps: host.view().apps.map((one) => appRow(host.view(), one)),
        replicas: replicaRows(host.view()),
      });
      const stream = serverSent((push) => host.onChange(() => push(picture())), [picture()]);
      return reply.type('text/event-stream').send(Readable.from(stream));
    },
  );
  app.get<{ Querystring: { name: string } }>(
    '/v1/images',
    { schema: { summary: 'An image of this cell as an archive', querystring: object({ name: text }, ['name']) } },
    async ({ query }, reply) => {
      if (!/^osca\/[\w./:-]+$/.test(query.name))
        throw new OscaError('not-found', 'only images that OSCA built are given', '');
      try {
        return reply.type('application/x-tar').send(await deps.saveImage(query.name));
      } catch (error) {
        throw new OscaError('not-found', `no image ${query.name} here`, '', error);
      }
    },
  );
}
