/**
 * The Debian package, from a checkout that is built or from an installed copy: the launcher, the bundles, Node, the unit. So any cell
 * can give a new machine what it runs itself.
 */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { OscaError, reasonOf } from '../core/errors.ts';

/** As Debian calls them. */
export type Arch = 'amd64' | 'arm64';

export const arches: readonly Arch[] = ['amd64', 'arm64'];

export const archOf = (node: string): Arch | undefined =>
  node === 'x64' ? 'amd64' : node === 'arm64' ? 'arm64' : undefined;

export interface PackageRequest {
  /** A checkout, or /usr/lib/osca. */
  root: string;
  arch: Arch;
  /** The bundles, where they are not in its dist. */
  dist?: string;
  /** The Node binary of that architecture. */
  node: string;
  version: string;
  folder: string;
  /** Small takes a minute, fast a few seconds. */
  small: boolean;
  /** Seconds since 1970 of all files: the same sources make the same package. Without it, when the bundle was built. */
  epoch?: number;
}

export const packageName = (version: string, arch: Arch): string => `osca_${version}_${arch}.deb`;

const control = (version: string, arch: Arch, kilobytes: number): string => `Package: osca
Version: ${version}
Architecture: ${arch}
Maintainer: The OSCA authors <osca@localhost>
Installed-Size: ${kilobytes}
Depends: libc6 (>= 2.28), libstdc++6, init-system-helpers
Recommends: docker.io | docker-ce | podman, ca-certificates
Section: admin
Priority: optional
Description: a handful of small machines as one cloud that nobody has to run
 The daemons of an appliance find each other, decide together where services
 run, and run them elsewhere when a machine dies. This package makes this
 machine a cell: it founds an appliance, or waits for approval where it hears
 one, or joins with the ticket in /etc/default/osca.
`;

const copies = [
  'osca',
  ...['cli', 'daemon', 'provision'].flatMap((name) => [`dist/${name}.cjs`, `dist/${name}.cjs.LEGAL.txt`]),
  'dist/kad-prefixes.bin',
  ...['examples', 'packaging', 'images', 'docs', 'README.md', 'LICENSE'],
];

/** Path of the package. Throws OscaError where a part or dpkg-deb is missing. */
export async function makePackage({
  root,
  dist = join(root, 'dist'),
  arch,
  node,
  version,
  folder,
  small,
  epoch,
}: PackageRequest): Promise<string> {
  const stage = mkdtempSync(join(tmpdir(), 'osca-package-'));
  try {
    const lib = join(stage, 'usr/lib/osca');
    for (const one of copies) {
      const from = one.startsWith('dist/') ? join(dist, one.slice(5)) : join(root, one);
      if (!existsSync(from)) throw new OscaError('internal', `${from} is missing`, 'build it first: ./osca --version');
      cpSync(from, join(lib, one), { recursive: true });
    }
    put(join(lib, 'node_modules/.bin/node'), node, 0o755);
    writeFileSync(join(lib, 'dist/.stamp'), '');
    const packaging = join(root, 'packaging');
    put(join(stage, 'usr/lib/systemd/system/osca.service'), join(packaging, 'osca.service'));
    put(join(stage, 'usr/share/doc/osca/README.md'), join(root, 'README.md'));
    put(join(stage, 'usr/share/doc/osca/copyright'), join(root, 'LICENSE'));
    // What the README points to.
    symlinkSync('../../../lib/osca/docs', join(stage, 'usr/share/doc/osca/docs'));
    mkdirSync(join(stage, 'usr/bin'));
    symlinkSync('../lib/osca/osca', join(stage, 'usr/bin/osca'));
    for (const name of ['postinst', 'prerm', 'postrm']) put(join(stage, 'DEBIAN', name), join(packaging, name), 0o755);
    // Whatever the umask of this shell is.
    await run('chmod', ['-R', 'u=rwX,go=rX', stage]);
    const { stdout } = await run('du', ['-sk', '--apparent-size', '--exclude=DEBIAN', stage]);
    writeFileSync(join(stage, 'DEBIAN/control'), control(version, arch, Number.parseInt(stdout, 10)));
    mkdirSync(folder, { recursive: true });
    const file = join(folder, packageName(version, arch));
    const packing = small ? ['-Zxz', '-z6'] : ['-Zgzip', '-z1'];
    const built = Math.floor(statSync(join(dist, 'daemon.cjs')).mtimeMs / 1_000);
    const env = { ...process.env, SOURCE_DATE_EPOCH: String(epoch ?? built) };
    await run('dpkg-deb', ['--root-owner-group', ...packing, '--build', stage, file], { env });
    return file;
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

function put(to: string, from: string, mode = 0o644): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, mode);
}

const execute = promisify(execFile);

async function run(
  command: string,
  args: string[],
  options: { env?: NodeJS.ProcessEnv } = {},
): Promise<{ stdout: string }> {
  try {
    return await execute(command, args, options);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new OscaError(
      'internal',
      isMissing ? `${command} is missing` : `no package was made: ${reasonOf(error)}`,
      isMissing
        ? `packages are made on Debian or Ubuntu, or: apt-get install ${command === 'dpkg-deb' ? 'dpkg' : 'coreutils'}`
        : '',
    );
  }
}
