/** Routes of jobs: their runs, their times, and runs that people ask for. */
import type { FastifyInstance } from 'fastify';
import type { ApiDeps } from './context.ts';
import { endOf, selfName, targetOf } from './context.ts';
import { runRows, runSteps, scheduleRows } from './running.ts';
import { flag, object, text } from './schemas.ts';
import { ndjson } from './streams.ts';

interface RunBody {
  service: string;
  command?: string[];
  environment?: Record<string, string>;
  detach?: boolean;
}

export function addRunRoutes(app: FastifyInstance, deps: ApiDeps): void {
  const { host } = deps;
  app.get<{ Querystring: { target?: string } }>(
    '/v1/runs',
    {
      schema: {
        summary: 'Runs of jobs, newest first, and when schedules run next; of one app or service, or of all',
        querystring: object({ target: text }),
      },
    },
    ({ query }) => {
      const target = query.target === undefined ? undefined : targetOf(host.view(), query.target);
      const of = [target?.app, target?.service] as const;
      return { runs: runRows(host.view(), ...of), schedules: scheduleRows(deps, ...of) };
    },
  );
  const environment = { type: 'object', additionalProperties: text };
  app.post<{ Params: { app: string }; Body: RunBody }>(
    '/v1/apps/:app/run',
    {
      schema: {
        summary: 'Run a command, or a job, once beside a service; lines of JSON until it has ended',
        body: object({ service: text, command: { type: 'array', items: text }, environment, detach: flag }, [
          'service',
        ]),
      },
    },
    ({ params, body: { detach = false, ...asked } }, reply) => {
      const request = { app: params.app, ...asked, by: selfName(deps) };
      return ndjson(reply, runSteps(deps, request, { detach, signal: endOf(reply) }));
    },
  );
  app.post<{ Params: { app: string }; Body: { run: string } }>(
    '/v1/apps/:app/cancel',
    {
      schema: {
        summary: 'End a run: what it runs is stopped, and it has failed',
        body: object({ run: text }, ['run']),
      },
    },
    async ({ params, body }) =>
      await host.ask({ op: 'run.cancel', app: params.app, run: body.run, by: selfName(deps) }),
  );
}
