/** What the API tells and changes of cells, tickets and the appliance as a whole. */
import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { ApplianceSettings, CellsChange } from '../core/model.ts';
import type { ApiDeps } from './context.ts';
import { cellOf } from './context.ts';
import { drainSteps } from './draining.ts';
import { movesOf } from './plan.ts';
import { cellRows, replicaRows } from './rows.ts';
import { flag, object, text, whole } from './schemas.ts';
import { ndjson } from './streams.ts';

const freshSeed = (): string => randomBytes(32).toString('base64url');

export function addCellRoutes(app: FastifyInstance, deps: ApiDeps): void {
  const { host } = deps;
  app.get('/v1/status', { schema: { summary: 'What this cell is and waits for' } }, () => {
    const { members, apps, assignments, waits: _w, tickets: _t, pending, duties, ...rest } = host.view();
    const nameOf = (id: string): string => members.find((member) => member.id === id)?.name ?? id;
    const replicas = replicaRows(host.view()).filter(({ current }) => current);
    const me = members.find(({ self }) => self);
    return {
      ...rest,
      ...{ version: deps.version, name: me?.name ?? '', engine: me?.facts.engine ?? '', pid: process.pid },
      counters: host.cell.counters(),
      duties: duties.map(({ by, ...order }) => ({ ...order, by: nameOf(by) })),
      ...{
        cells: members.filter(({ state }) => state !== 'left').length,
        alive: members.filter(({ state }) => state === 'alive').length,
        waiting: pending.length,
      },
      ...{
        apps: apps.length,
        replicas: replicas.length,
        ready: replicas.filter(({ state }) => state === 'ready').length,
      },
      strict: apps.flatMap(({ revision }) => revision.spec.services).filter(({ strict }) => strict === true).length,
      pendingReplicas: assignments.filter(({ cell }) => cell === undefined).length,
    };
  });
  app.get('/v1/view', { schema: { summary: 'Everything this cell believes now' } }, () => host.view());
  app.get('/v1/cells', { schema: { summary: 'All cells, and those that wait for approval' } }, () => ({
    cells: cellRows(host.view(), (ms) => host.wallMs(ms)),
    pending: host.view().pending,
  }));
  app.patch<{
    Params: { cell: string };
    Body: { name?: string; labels?: Record<string, string | null>; drain?: boolean; cordon?: boolean };
  }>(
    '/v1/cells/:cell',
    {
      schema: {
        summary: 'Rename, label, cordon or drain a cell',
        body: object({ name: text, labels: { type: 'object' }, drain: flag, cordon: flag }),
      },
    },
    async ({ params, body }) => await host.ask({ op: 'cell.set', cell: cellOf(host.view(), params.cell), ...body }),
  );
  app.post<{ Params: { cell: string }; Body: { detach?: boolean; timeoutMs?: number } }>(
    '/v1/cells/:cell/drain',
    {
      schema: {
        summary: 'Move everything off a cell; lines of JSON until all has moved',
        body: object({ detach: flag, timeoutMs: whole }),
      },
    },
    ({ params, body: { detach = false, timeoutMs = 300_000 } }, reply) =>
      ndjson(reply, drainSteps(deps, params.cell, { detach, timeoutMs })),
  );
  app.post<{ Params: { cell: string }; Body: { by: string } }>(
    '/v1/cells/:cell/replace',
    {
      schema: {
        summary: 'Put another cell in the place of one: it gets its name and labels',
        body: object({ by: text }, ['by']),
      },
    },
    async ({ params, body }) => {
      const [cell, by] = [params.cell, body.by].map((name) => cellOf(host.view(), name)) as [string, string];
      return await host.ask({ op: 'cell.replace', cell, by, keySeed: freshSeed() });
    },
  );
  app.delete<{ Params: { cell: string } }>(
    '/v1/cells/:cell',
    { schema: { summary: 'Remove a cell from the appliance' } },
    async ({ params }) =>
      await host.ask({ op: 'cell.rm', cell: cellOf(host.view(), params.cell), keySeed: freshSeed() }),
  );
  app.post<{ Params: { cell: string } }>(
    '/v1/cells/:cell/approve',
    { schema: { summary: 'Admit a waiting cell' } },
    async ({ params }) => await host.ask({ op: 'cell.approve', cell: cellOf(host.view(), params.cell) }),
  );
  app.get('/v1/settings', { schema: { summary: 'Settings of the whole appliance' } }, () => host.view().settings);
  app.patch<{ Body: Partial<ApplianceSettings> }>(
    '/v1/settings',
    {
      schema: {
        summary: 'Change settings of the whole appliance',
        body: object({ mastersThreshold: whole, mastersMaximum: whole, maxMoves: whole }),
      },
    },
    async ({ body }) => await host.ask({ op: 'settings.set', settings: body }),
  );
  app.get('/v1/tickets', { schema: { summary: 'All tickets' } }, () => host.view().tickets);
  app.post<{ Body: { uses: number; expiresInMs: number } }>(
    '/v1/tickets',
    {
      schema: {
        summary: 'Make a ticket',
        body: object({ uses: whole, expiresInMs: { type: 'number' } }, ['uses', 'expiresInMs']),
      },
    },
    async ({ body }) => await host.ask({ op: 'ticket.create', ...body, seed: freshSeed() }),
  );
  app.delete<{ Params: { ticket: string } }>(
    '/v1/tickets/:ticket',
    { schema: { summary: 'Revoke a ticket' } },
    async ({ params }) => await host.ask({ op: 'ticket.revoke', ticket: params.ticket }),
  );
  app.post<{ Body: { ticket: string } }>(
    '/v1/join',
    { schema: { summary: 'Join an appliance', body: object({ ticket: text }, ['ticket']) } },
    async ({ body }) => await host.ask({ op: 'join', ticket: body.ticket }),
  );
  app.post(
    '/v1/found',
    { schema: { summary: 'Found an appliance' } },
    async () => await host.ask({ op: 'found', seed: freshSeed() }),
  );
  app.post<{ Body: { remove?: string; add?: CellsChange['add'] } }>(
    '/v1/plan/cells',
    {
      schema: {
        summary: 'What would move if a cell went or came',
        body: object({
          remove: text,
          add: object({ cpus: { type: 'number' }, memoryBytes: whole, labels: { type: 'object' } }),
        }),
      },
    },
    ({ body: { remove, add } }) =>
      movesOf(host, {
        ...(remove === undefined ? {} : { remove: cellOf(host.view(), remove) }),
        ...(add === undefined ? {} : { add }),
      }),
  );
}
