/** Upgrades: packages come in and go out as bytes, a release is told to all, and where each cell stands with it. */
import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { OscaError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { ClusterView, MemberView, PackageSum, Release } from '../core/model.ts';
import type { PackageFacts } from '../release/files/packages.ts';
import type { ApiDeps } from './context.ts';
import { object, whole } from './schemas.ts';

export interface UpgradeRow {
  cell: string;
  /** What it runs. */
  version: string;
  state: 'done' | 'waiting' | 'fetching' | 'trying' | 'failed' | 'away' | 'by hand';
  reason: string;
}

export interface UpgradeStatus {
  /** Absent: nobody asked for one. */
  release?: Pick<Release, 'id' | 'version' | 'atMs' | 'outcome'> & { by: string };
  cells: UpgradeRow[];
}

/** Longer than leases, probes and the first pulse take to fail. */
const defaultWellMs = 30_000;

interface Wanted {
  packages: PackageFacts[];
  wellMs?: number;
}

export function addUpgradeRoutes(app: FastifyInstance, deps: ApiDeps): void {
  const { host, packages } = deps;
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
  app.post(
    '/v1/packages',
    {
      bodyLimit: limits.packageBytes,
      schema: {
        summary: 'Keep a package here, as bytes: its version, architecture and SHA-256',
        consumes: ['application/octet-stream'],
      },
    },
    async ({ body, headers }) => {
      const bytes = body as Readable;
      try {
        packages.checkRoom(Number(headers['content-length'] ?? 0));
        return await packages.put(bytes);
      } finally {
        // Who still sends would not hear the answer.
        if (!bytes.destroyed) for await (const _ of bytes);
      }
    },
  );
  app.get<{ Params: { sha256: string } }>(
    '/v1/packages/:sha256',
    { schema: { summary: 'A package that this cell has, as bytes' } },
    ({ params }, reply) => {
      const bytes = packages.read(params.sha256);
      if (bytes === undefined)
        throw new OscaError('not-found', 'that package is not here', 'osca upgrade FILE brings one');
      return reply.type('application/octet-stream').send(bytes);
    },
  );
  app.post<{ Body: Wanted }>(
    '/v1/upgrade',
    {
      schema: {
        summary: 'All cells are to run the version of these packages, which are kept here',
        body: object({ packages: { type: 'array', items: { type: 'object' }, minItems: 1 }, wellMs: whole }, [
          'packages',
        ]),
      },
    },
    async ({ body }) => {
      const version = oneVersion(body.packages);
      const sums = Object.fromEntries(
        body.packages.map(({ arch, sha256, bytes }): [string, PackageSum] => [arch, { sha256, bytes }]),
      );
      const answer = await host.ask({ op: 'upgrade', version, packages: sums, wellMs: body.wellMs ?? defaultWellMs });
      packages.keep(Object.values(sums).map(({ sha256 }) => sha256));
      return answer;
    },
  );
  app.get(
    '/v1/upgrade',
    { schema: { summary: 'The last upgrade, and where each cell stands with it' } },
    (): UpgradeStatus => statusOf(host.view()),
  );
}

function oneVersion(packages: readonly PackageFacts[]): string {
  const versions = [...new Set(packages.map(({ version }) => version))];
  if (versions.length === 1) return versions[0]!;
  throw new OscaError('bad-request', `these are packages of ${versions.join(' and ')}`, 'name those of one version');
}

function statusOf({ release, members }: ClusterView): UpgradeStatus {
  const cells = members.map((member) => rowOf(member, release));
  if (release === undefined) return { cells };
  const { id, version, atMs, outcome } = release;
  const by = members.find((member) => member.id === release.by)?.name ?? release.by;
  return { release: { id, version, atMs, by, ...(outcome === undefined ? {} : { outcome }) }, cells };
}

function rowOf({ name, state, facts, upgrade }: MemberView, release: Release | undefined): UpgradeRow {
  const row = { cell: name, version: facts.version };
  if (release === undefined) return { ...row, state: facts.upgrades === true ? 'done' : 'by hand', reason: '' };
  const isOf = upgrade?.release === release.id;
  if (isOf && upgrade.state !== 'trying') return { ...row, state: upgrade.state, reason: upgrade.reason ?? '' };
  if (state === 'down' || state === 'left')
    return { ...row, state: 'away', reason: 'it takes the version when it is back' };
  if (isOf) return { ...row, state: 'trying', reason: '' };
  if (facts.version === release.version) return { ...row, state: 'done', reason: '' };
  if (facts.upgrades !== true)
    return {
      ...row,
      state: 'by hand',
      reason: 'it does so by itself only as the service of the package; a checkout: git pull there',
    };
  if (release.packages[facts.arch] === undefined)
    return { ...row, state: 'by hand', reason: `there was no package for ${facts.arch}` };
  return { ...row, state: 'waiting', reason: '' };
}
