/**
 * The HTTP API on two doors. A Unix socket in the data folder (mode 0600): whoever may open it is the owner. And
 * 127.0.0.1 with a bearer token: Host and Origin are checked as well, so that a web page in the user's browser, which can
 * reach 127.0.0.1 too, can do nothing. Requests of other cells come over libp2p and are authenticated there.
 */
import { timingSafeEqual } from 'node:crypto';
import { chmodSync, rmSync } from 'node:fs';
import type { IncomingMessage, Server } from 'node:http';
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import fastify from 'fastify';
import { OscaError, reasonOf, SpecError } from '../core/errors.ts';
import type { ApiDeps } from './context.ts';
import { handleExec } from './exec.ts';
import { addRoutes } from './routes.ts';
import { lazyValidator } from './validator.ts';

export interface ApiServer {
  url: string;
  /** Speaks HTTP with a member over a stream. */
  serve(stream: Duplex): void;
  stop(): Promise<void>;
}

const statusOf: Record<string, number> = {
  'not-found': 404,
  denied: 401,
  conflict: 409,
  internal: 500,
  timeout: 504,
  'daemon-away': 502,
  'engine-away': 503,
  'data-unusable': 507,
};

async function build(deps: ApiDeps): Promise<FastifyInstance> {
  const app = fastify({
    ...{ bodyLimit: 4_194_304, forceCloseConnections: true },
    schemaController: { compilersFactory: { buildValidator: lazyValidator } },
    // A whole ticket may stand in a path.
    routerOptions: { maxParamLength: 16_384 },
  });
  await app.register(swagger, {
    openapi: {
      info: { title: 'OSCA', version: deps.version, description: 'The API of one cell of an OSCA appliance' },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      // By TCP; on the socket nothing asks for it.
      security: [{ token: [] }],
    },
  });
  app.setErrorHandler((error, _request, reply) => {
    const known = error instanceof OscaError;
    const invalid = (error as { validation?: unknown }).validation !== undefined;
    const given = (error as { statusCode?: number }).statusCode ?? 500;
    const code = known ? error.code : invalid || given < 500 ? 'bad-request' : 'internal';
    const problems = error instanceof SpecError ? { problems: error.problems } : {};
    const status = known ? (statusOf[code] ?? 400) : invalid ? 400 : given;
    void reply.code(status).send({ code, message: reasonOf(error), hint: known ? error.hint : '', ...problems });
  });
  app.setNotFoundHandler((request, reply) => {
    void reply.code(404).send({
      code: 'not-found',
      message: `there is no ${request.method} ${request.url}`,
      hint: 'GET /v1/openapi.json lists every route',
    });
  });
  await app.register(async (scope) => {
    addRoutes(scope, deps);
    scope.get('/v1/openapi.json', { schema: { hide: true } }, () => app.swagger());
  });
  return app;
}

export interface Denial {
  status: 401 | 403;
  message: string;
  hint: string;
}

/** Refuses whoever has no token, and every web page. Undefined for fine. */
export function denial(request: IncomingMessage, token: string, port: number): Denial | undefined {
  const { host, origin, authorization } = request.headers;
  const hosts = ['127.0.0.1', 'localhost'].map((name) => `${name}:${port}`);
  if (host === undefined || !hosts.includes(host))
    return forbidden(`Host '${host ?? ''}' is not this cell`, `ask http://127.0.0.1:${port}`);
  if (origin !== undefined && !hosts.some((name) => origin === `http://${name}`))
    return forbidden(`Origin '${origin}' may not use this API`, 'web pages may not; a program sends no Origin');
  const given = Buffer.from(authorization?.replace(/^Bearer /, '') ?? '');
  const wanted = Buffer.from(token);
  if (given.length === wanted.length && timingSafeEqual(given, wanted)) return undefined;
  const hint = 'send Authorization: Bearer with the content of the file token in the data folder';
  return { status: 401, message: 'the token is missing or wrong', hint };
}

const forbidden = (message: string, hint: string): Denial => ({ status: 403, message, hint });

export async function startApi(deps: ApiDeps, listen: { socket: string; port: number }): Promise<ApiServer> {
  const app = await build(deps);
  // One set of routes behind both doors; the second only asks for the token first.
  const network = createServer((request, response) => {
    const denied = denial(request, deps.token, port);
    if (denied === undefined) return app.routing(request, response);
    const { status, message, hint } = denied;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ code: 'denied', message, hint }));
  });
  upgrades(app.server, deps, () => undefined);
  upgrades(network, deps, (request) => denial(request, deps.token, port));
  rmSync(listen.socket, { force: true });
  await app.listen({ path: listen.socket });
  chmodSync(listen.socket, 0o600);
  const port = await listenTcp(network, listen.port, deps);
  return {
    url: `http://127.0.0.1:${port}`,
    serve: (stream) => void app.server.emit('connection', stream),
    stop: async () => {
      network.close();
      network.closeAllConnections();
      await app.close();
      rmSync(listen.socket, { force: true });
    },
  };
}

/** The usual port, or where another daemon has it any free one: the socket is what the CLI uses. */
async function listenTcp(server: Server, port: number, deps: ApiDeps): Promise<number> {
  const listenOn = (wanted: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(wanted, '127.0.0.1', () => {
        server.removeListener('error', reject);
        resolve();
      });
    });
  try {
    await listenOn(port);
  } catch (error) {
    if ((error as { code?: string }).code !== 'EADDRINUSE') throw error;
    const message = `port ${port} is taken; the API is on a free one (the log says which)`;
    deps.host.tell({ level: 'warn', kind: 'network', message });
    await listenOn(0);
  }
  return (server.address() as { port: number }).port;
}

function upgrades(server: Server, deps: ApiDeps, denied: (request: IncomingMessage) => Denial | undefined): void {
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    const denial = denied(request);
    const isExec = request.url?.startsWith('/v1/exec?') ?? false;
    if (denial === undefined && isExec) void handleExec(deps, request, socket);
    else
      socket.end(
        `HTTP/1.1 ${denial === undefined ? '404 Not Found' : denial.status === 401 ? '401 Unauthorized' : '403 Forbidden'}\r\nconnection: close\r\n\r\n`,
      );
  });
}
