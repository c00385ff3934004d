/**
 * npm run package [-- --arch amd64,arm64] [--fast] [--url URL] [--as VERSION] [--out DIR]: the packages of this checkout in out/, their checksums, and install.sh. What is in
 * out/ can be put on any web server; --url says where, so that install.sh finds the packages. --as makes one that says it is another version, to
 * try an upgrade.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Arch } from '../src/provision/package.ts';
import { arches, archOf, makePackage, packageName } from '../src/provision/package.ts';

const root = new URL('..', import.meta.url).pathname;
const { values: given } = parseArgs({
  options: {
    arch: { type: 'string', default: 'amd64,arm64' },
    fast: { type: 'boolean', default: false },
    url: { type: 'string', default: '' },
    as: { type: 'string' },
    out: { type: 'string', default: join(root, 'out') },
  },
});
const { out } = given;

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const version = given.as ?? (JSON.parse(read('package.json')) as { version: string }).version;

/** Node of another architecture comes as its npm package, held against the lock file. */
function nodeOf(arch: Arch): string {
  if (archOf(process.arch) === arch) return join(root, 'node_modules/.bin/node');
  const name = `node-linux-${arch === 'amd64' ? 'x64' : 'arm64'}`;
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { version: string; integrity: string }>;
  };
  const locked = packages[`node_modules/${name}`]!;
  const kept = join(root, 'out/.cache', `${name}-${locked.version}`);
  if (existsSync(kept)) return kept;
  console.log(`  fetching ${name} ${locked.version}`);
  const folder = mkdtempSync(join(tmpdir(), 'osca-node-'));
  try {
    execFileSync('npm', ['pack', '--silent', `${name}@${locked.version}`], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const archive = join(folder, `${name}-${locked.version}.tgz`);
    const sum = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (sum !== locked.integrity) throw new Error(`${name} is not what the lock file says: ${sum}`);
    execFileSync('tar', ['-C', folder, '-xzf', archive, 'package/bin/node']);
    mkdirSync(join(root, 'out/.cache'), { recursive: true });
    execFileSync('cp', [join(folder, 'package/bin/node'), `${kept}.part`]);
    renameSync(`${kept}.part`, kept);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return kept;
}

const epoch = (): number => Number(execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' }));
const wanted = given.arch.split(',');
const odd = wanted.find((one) => !arches.some((arch) => arch === one));
if (odd !== undefined) {
  console.error(`'${odd}' is no architecture: ${arches.join(' and ')} are`);
  process.exit(2);
}
const dist = given.as === undefined ? join(root, 'dist') : join(out, '.dist');
if (given.as !== undefined)
  execFileSync(process.execPath, [join(root, 'scripts/build.ts'), '--as', version, '--out', dist], {
    stdio: 'inherit',
  });
for (const arch of wanted as Arch[]) {
  const node = nodeOf(arch);
  const isCheckout = existsSync(join(root, '.git'));
  const file = await makePackage({
    ...{ root, dist, arch, node, version, folder: out, small: !given.fast },
    ...(isCheckout ? { epoch: epoch() } : {}),
  });
  console.log(`${file}  ${(statSync(file).size / 1e6).toFixed(1)} MB`);
}
if (given.as !== undefined) rmSync(dist, { recursive: true, force: true });
// Of what was made before, too.
const made = arches.map((arch) => packageName(version, arch)).filter((name) => existsSync(join(out, name)));
const sumOf = (name: string): string =>
  createHash('sha256')
    .update(readFileSync(join(out, name)))
    .digest('hex');
writeFileSync(join(out, 'SHA256SUMS'), made.map((name) => `${sumOf(name)}  ${name}\n`).join(''));
writeFileSync(
  join(out, 'install.sh'),
  read('packaging/install.sh')
    .replace(/^version=.*$/m, `version=${version}`)
    .replace(/^url=.*$/m, `url=\${OSCA_URL-${given.url}}`),
);
chmodSync(join(out, 'install.sh'), 0o755);
