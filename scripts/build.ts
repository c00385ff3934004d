/** Bundles the CLI and the daemon: one file each, a third less memory than the sources, and a fast start. */
import { readFileSync } from 'node:fs';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string };

await build({
  absWorkingDir: root,
  entryPoints: { cli: 'src/cli/main.ts', daemon: 'src/node/main.ts' },
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  // An ESM import of a built-in module touches all that it exports, and so loads what it would only load when asked: for
  // node:http that is a whole HTTP client and a WebSocket, 12 MB. require() does not.
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  target: 'node24',
  minify: true,
  logLevel: 'warning',
  // ssh2 (an optional way of dockerode to reach an engine) has native parts; engines are reached by their socket.
  alias: { ssh2: './scripts/no-ssh.ts' },
  define: {
    OSCA_VERSION: JSON.stringify(version),
    'import.meta.url': 'osca_url',
    'import.meta.dirname': '__dirname',
  },
  banner: { js: "const osca_url=require('node:url').pathToFileURL(__filename).href;" },
});
