/** What stands in bundles of its own beside the CLI's, and is loaded when it is needed. */
import { createRequire } from 'node:module';

const isSource = import.meta.url.endsWith('.ts');

/** `import` would keep the source of a bundle in memory a second time, for the names that it exports. */
const load = async (bundle: string, source: string): Promise<unknown> =>
  isSource ? await import(new URL(source, import.meta.url).href) : createRequire(import.meta.url)(bundle);

export const daemonBundle = async (): Promise<typeof import('../node/main.ts')> =>
  (await load('./daemon.cjs', '../node/main.ts')) as typeof import('../node/main.ts');

export const provisionBundle = async (): Promise<typeof import('../provision/main.ts')> =>
  (await load('./provision.cjs', '../provision/main.ts')) as typeof import('../provision/main.ts');
