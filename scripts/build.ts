/**
 * Bundles the CLI and the daemon: one file each, a third less memory than the sources, and a fast start. `--as VERSION` and `--out DIR` for a
 * package of another version.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { BuildOptions } from 'esbuild';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
const { version: own } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string };
const { values: given } = parseArgs({
  options: { as: { type: 'string', default: own }, out: { type: 'string', default: `${root}dist` } },
});
const [version, outdir] = [given.as, given.out];

const shared = {
  absWorkingDir: root,
  outdir,
  bundle: true,
  platform: 'node',
  // An ESM import of a built-in module touches all that it exports, and so loads what it would only load when asked: for
  // node:http that is a whole HTTP client and a WebSocket, 12 MB. require() does not.
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  target: 'node24',
  minify: true,
  legalComments: 'external',
  logLevel: 'warning',
  define: {
    OSCA_VERSION: JSON.stringify(version),
    'import.meta.url': 'osca_url',
    'import.meta.dirname': '__dirname',
  },
  banner: { js: "const osca_url=require('node:url').pathToFileURL(__filename).href;" },
} satisfies BuildOptions;

await build({
  ...shared,
  entryPoints: { cli: 'src/cli/main.ts', daemon: 'src/node/main.ts' },
  // What a daemon never uses, or has in its runtime already, costs it megabytes for its whole life.
  alias: {
    systeminformation: './node_modules/systeminformation/lib/cpu.js',
    ssh2: './scripts/lean/ssh2.ts',
    '@grpc/grpc-js': './scripts/lean/grpc.ts',
    '@grpc/proto-loader': './scripts/lean/grpc.ts',
    protobufjs: './scripts/lean/grpc.ts',
    yaml: './scripts/lean/yaml.ts',
    '@chainsafe/as-chacha20poly1305': './scripts/lean/chacha20poly1305.ts',
    '@chainsafe/as-sha256': './scripts/lean/sha256.ts',
  },
  plugins: [
    {
      name: 'lean',
      setup: ({ onResolve }) =>
        onResolve({ filter: /generated-prefix-list/ }, () => ({ path: `${root}scripts/lean/kad-prefixes.ts` })),
    },
  ],
});

// ssh for `osca cell add` alone; its native parts are faster, and never built.
await build({ ...shared, entryPoints: { provision: 'src/provision/main.ts' }, external: ['*.node', 'cpu-features'] });

// One letter beyond ASCII, and V8 keeps two bytes for each of two million. esbuild escapes those in strings, not those in regular expressions.
for (const name of ['cli', 'daemon', 'provision']) {
  const file = `${outdir}/${name}.cjs`;
  const escaped = (letter: string): string => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
  const text = readFileSync(file, 'utf8');
  if (/\\[^\0-\x7f]/.test(text)) throw new Error(`${file}: a letter behind a backslash can't be escaped`);
  writeFileSync(file, text.replaceAll(/[^\0-\x7f]/g, escaped));
}

const table = `${root}node_modules/@libp2p/kad-dht/dist/src/routing-table/generated-prefix-list.js`;
const { default: prefixes } = (await import(table)) as { default: number[] };
mkdirSync(outdir, { recursive: true });
writeFileSync(`${outdir}/kad-prefixes.bin`, Uint32Array.from(prefixes));
