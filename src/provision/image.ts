/**
 * Images for cards and disks, without loop devices or mounts: a base that is Debian (kept, a quarter of an hour for another processor), on it the package (kept, a
 * minute), and a small file that is personal (seconds). The partition table is an MBR, which every Pi's ROM and every PC reads: FAT with what the firmware starts and
 * osca.yaml, two of the system, of which updates come to the one that does not run, data.
 */
import { createHash } from 'node:crypto';
import {
  chownSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { readSettings } from '../board/settings.ts';
import { OscaError, reasonOf } from '../core/errors.ts';
import { Source } from '../specs/source.ts';
import { checkNetboot, imageName, makeNetboot } from './netboot.ts';
import type { Arch } from './package.ts';
import { archOf } from './package.ts';
import { run } from './run.ts';

export interface ImageRequest {
  /** arm64: for Raspberry Pis; amd64: for PCs. */
  arch: Arch;
  /** As osca.yaml has them; undefined where nothing is said. */
  settings: Record<string, unknown>;
  /** A function makes one when all else is checked. */
  ticket?: string | (() => Promise<string>);
  /** Files of public keys. */
  sshKeys: readonly string[];
  /** Ends in .img or .img.zst; a folder with `netboot`. */
  output: string;
  /** Machines start over the network, from the one with this IPv4 address. */
  netboot?: string;
  cache: string;
  /** One for `arch` may be among them. */
  packages: readonly string[];
  /** Where packages are kept that were made elsewhere. */
  dataFolder: string;
  version: string;
}

export interface ImageMade {
  file: string;
  bytes: number;
  ms: number;
}

interface Places {
  /** images/pi-flash */
  recipe: string;
  /** The package for that architecture. */
  packageFor(arch: Arch): Promise<string>;
}

const mib = 1_048_576;
/** MiB from the start of the card. */
interface Layout {
  boot: Extent;
  root: Extent;
  /** The other system, empty: updates come to it. */
  other: Extent;
  data: Extent;
  whole: number;
}

interface Extent {
  at: number;
  size: number;
}

const layout: Layout = {
  boot: { at: 4, size: 384 },
  // Twice what it is when new: three kernels are in it for a moment while updates come.
  root: { at: 388, size: 2_304 },
  other: { at: 2_692, size: 2_304 },
  data: { at: 4_996, size: 123 },
  whole: 5_120,
};

const tools: Record<string, string> = {
  mmdebstrap: 'mmdebstrap',
  'mkfs.vfat': 'dosfstools',
  mcopy: 'mtools',
  mke2fs: 'e2fsprogs',
  sfdisk: 'fdisk',
  zstd: 'zstd',
};

/** What runs programs of an architecture on another. */
const emulators: Readonly<Record<Arch, string>> = { arm64: 'qemu-aarch64', amd64: 'qemu-x86_64' };

/** Throws OscaError where a tool or a right is missing, or the settings are wrong, before anything long begins. */
export async function makeImage(
  request: ImageRequest,
  places: Places,
  tell: (text: string) => void,
): Promise<ImageMade> {
  const startMs = performance.now();
  const yaml = (ticket: string | undefined): string => oscaYaml(join(places.recipe, 'osca.yaml'), request, ticket);
  const { ticket } = request;
  yaml(typeof ticket === 'string' ? ticket : undefined);
  const { netboot, output } = request;
  if (netboot !== undefined) checkNetboot({ address: netboot, folder: output });
  else if (!/\.img(\.zst)?$/.test(output))
    throw new OscaError('bad-request', `'${output}' is no image`, 'name it osca.img or osca.img.zst');
  if (process.getuid?.() !== 0) throw new OscaError('denied', 'an image is built as root', 'sudo osca image build …');
  const { arch, cache } = request;
  checkTools(arch);
  mkdirSync(cache, { recursive: true });
  sweep(cache);
  const deb = await places.packageFor(arch);
  const base = await kept(
    cache,
    `base-${arch}`,
    hashOf(places.recipe, 'base.sh', 'inside.sh', 'base'),
    '.tar',
    async (out) => {
      const time = isNative(arch) ? 'some minutes' : 'about a quarter of an hour';
      tell(`1/4 the base: Debian for ${arch}, ${time}; kept for the next image`);
      await run('sh', [join(places.recipe, 'base.sh'), out, arch]);
    },
  );
  const sum = createHash('sha256')
    .update(readFileSync(deb))
    .update(base)
    .update(hashOf(places.recipe, 'overlay', 'netboot'))
    .update(JSON.stringify(layout))
    .digest('hex')
    .slice(0, 16);
  const system = await kept(cache, `system-${arch}`, sum, '', async (out) => {
    tell('2/4 the system: the package on the base, about a minute; kept for the next image');
    await makeSystem({ base, recipe: places.recipe, deb, arch, cache }, out);
  });
  tell('3/4 what is yours');
  const text = yaml(typeof ticket === 'function' ? await ticket() : ticket);
  const image = async (file: string): Promise<void> => await personal(system, text, file);
  if (netboot === undefined) await image(output);
  else
    await makeNetboot(
      { arch, address: netboot, mib: layout.whole, folder: output },
      { parts: join(system, 'netboot'), image },
    );
  const { size } = statSync(netboot === undefined ? output : join(output, imageName));
  tell('4/4 done');
  return { file: output, bytes: size, ms: Math.round(performance.now() - startMs) };
}

/** As it stands on the card; checked as the board will. */
function oscaYaml(template: string, { settings, sshKeys }: ImageRequest, ticket: string | undefined): string {
  const keys = sshKeys.map((file) => {
    try {
      return readFileSync(file, 'utf8').trim();
    } catch (error) {
      throw new OscaError(
        'bad-request',
        `${file} can't be read: ${reasonOf(error)}`,
        'name the public key: id_ed25519.pub',
      );
    }
  });
  const given = Object.entries({ ...settings, ticket, ...(keys.length === 0 ? {} : { ssh_key: keys }) });
  // JSON values are YAML.
  const lines = given.flatMap(([key, value]) => (value === undefined ? [] : [`${key}: ${JSON.stringify(value)}`]));
  const text = [readFileSync(template, 'utf8'), ...lines, ''].join('\n');
  readSettings(Source.one('osca.yaml', text), {
    serial: '000000',
    hasTimezone: (name) => existsSync(join('/usr/share/zoneinfo', name)),
  });
  return text;
}

const isNative = (arch: Arch): boolean => archOf(process.arch) === arch;

function checkTools(arch: Arch): void {
  const missing: string[] = [];
  const emulator = emulators[arch];
  const needed = isNative(arch)
    ? tools
    : { ...tools, [`${emulator}-static`]: 'qemu-user-static binfmt-support', 'arch-test': 'arch-test' };
  for (const [tool, from] of Object.entries(needed))
    if (!['/usr/bin', '/usr/sbin', '/bin', '/sbin', '/usr/local/bin'].some((folder) => existsSync(join(folder, tool))))
      missing.push(from);
  if (!existsSync('/usr/share/keyrings/debian-archive-keyring.gpg')) missing.push('debian-archive-keyring');
  if (missing.length > 0)
    throw new OscaError('bad-request', 'tools are missing', `apt-get install ${missing.join(' ')}`);
  if (!isNative(arch) && !existsSync(`/proc/sys/fs/binfmt_misc/${emulator}`))
    throw new OscaError(
      'bad-request',
      `programs for ${arch} do not run here`,
      `update-binfmts --enable ${emulator} (package binfmt-support)`,
    );
}

/** What builds left there that were ended in the middle, days ago: gigabytes. */
function sweep(cache: string): void {
  for (const name of readdirSync(cache)) {
    const path = join(cache, name);
    const isLeft = /^(\.(work|base|system)-|mmdebstrap\.)/.test(name);
    if (isLeft && statSync(path).mtimeMs < Date.now() - 172_800_000) rmSync(path, { recursive: true, force: true });
  }
}

/** What was made of the same before; older ones of the kind go. */
async function kept(
  cache: string,
  kind: string,
  hash: string,
  ending: string,
  make: (out: string) => Promise<void>,
): Promise<string> {
  const name = `${kind}-${hash}${ending}`;
  const path = join(cache, name);
  if (existsSync(path)) return path;
  const part = join(cache, `.${name}.${process.pid}`);
  try {
    await make(part);
    for (const old of readdirSync(cache))
      if (old.startsWith(`${kind}-`)) rmSync(join(cache, old), { recursive: true, force: true });
    renameSync(part, path);
    return path;
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

/** Of all files below, names and contents. */
function hashOf(folder: string, ...names: string[]): string {
  const hash = createHash('sha256');
  const add = (path: string): void => {
    if (statSync(path).isDirectory()) for (const name of readdirSync(path).sort()) add(join(path, name));
    else hash.update(path.slice(folder.length)).update('\0').update(readFileSync(path)).update('\0');
  };
  for (const name of names) add(join(folder, name));
  return hash.digest('hex').slice(0, 16);
}

/** A folder with `head.img`, up to the end of the FAT partition, `tail.img.zst`, the rest, and `netboot`, what brings them over the network. */
async function makeSystem(
  { base, recipe, deb, arch, cache }: { base: string; recipe: string; deb: string; arch: Arch; cache: string },
  out: string,
): Promise<void> {
  // Not in /tmp, which may be memory: it is three gigabytes.
  const work = mkdtempSync(join(cache, '.work-'));
  const [tree, boot, data, image] = ['tree', 'boot', 'data', 'image'].map((name) => join(work, name)) as [
    string,
    string,
    string,
    string,
  ];
  try {
    for (const folder of [tree, boot, data, out]) mkdirSync(folder);
    await run('tar', ['-C', tree, '--numeric-owner', '-xf', base]);
    await run('sh', [
      '-c',
      'tar -C "$1" --mode=u+rwX,go=rX -c . | tar -C "$2" -x --no-same-owner && chmod 755 "$2"/usr/lib/osca-board/*',
      'sh',
      join(recipe, 'overlay'),
      tree,
    ]);
    await run('cp', [deb, join(tree, 'root/osca.deb')]);
    // Its start is not tried here: there is no systemd, and the kernel is another.
    // What is compiled ahead holds for processors with the same features: those of a Pi 3 and 4, not all that QEMU has.
    const cpu = arch === 'arm64' ? 'cortex-a72' : 'Nehalem';
    const clean = ['env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', `QEMU_CPU=${cpu}`];
    await run('chroot', [tree, ...clean, 'dpkg', '-i', '/root/osca.deb']);
    rmSync(join(tree, 'root/osca.deb'));
    await run('chroot', [tree, ...clean, '/usr/lib/osca-board/prepare', arch]);
    await run('cp', ['-r', join(recipe, 'netboot'), join(tree, 'netboot')]);
    await run('chroot', [tree, ...clean, 'sh', '/netboot/make', arch]);
    await run('mv', [join(tree, 'netboot/out'), join(out, 'netboot')]);
    rmSync(join(tree, 'netboot'), { recursive: true });
    for (const name of readdirSync(join(tree, 'boot/firmware')))
      renameSync(join(tree, 'boot/firmware', name), join(boot, name));
    for (const name of ['osca', 'docker', 'containerd']) mkdirSync(join(data, name), { mode: 0o700 });
    await makeParts(image, { tree, boot, data });
    await run('dd', [
      `if=${image}`,
      `of=${join(out, 'head.img')}`,
      'bs=1M',
      `count=${layout.root.at}`,
      'conv=sparse',
      'status=none',
    ]);
    await run('sh', [
      '-c',
      `dd if="$1" bs=1M skip=${layout.root.at} status=none | zstd -q -T0 -9 -o "$2"`,
      'sh',
      image,
      join(out, 'tail.img.zst'),
    ]);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function makeParts(image: string, { tree, boot, data }: Record<'tree' | 'boot' | 'data', string>): Promise<void> {
  const { boot: b, root: r, other, data: d, whole } = layout;
  await run('truncate', ['-s', String(whole * mib), image]);
  const part = ({ at, size }: Extent, type: string): string => `${at * 2_048},${size * 2_048},${type}`;
  const table = ['label: dos', ...[part(b, 'c,*'), part(r, '83')], ...[part(other, '83'), part(d, '83'), '']].join(
    '\n',
  );
  await run('sh', ['-c', 'printf %s "$1" | sfdisk -q "$2"', 'sh', table, image]);
  // What a BIOS starts stands before the first partition; the table is in the first sector, behind its first 440 bytes.
  const bios = join(tree, 'usr/lib/osca-board/bios.img');
  if (existsSync(bios)) {
    await run('dd', [`if=${bios}`, `of=${image}`, 'bs=440', 'count=1', 'conv=notrunc', 'status=none']);
    await run('dd', [`if=${bios}`, `of=${image}`, 'bs=512', 'skip=1', 'seek=1', 'conv=notrunc', 'status=none']);
  }
  const fat = `${image}.fat`;
  await run('truncate', ['-s', String(b.size * mib), fat]);
  await run('mkfs.vfat', ['-F', '32', '-n', 'OSCA-BOOT', fat]);
  await run('mcopy', ['-s', '-i', fat, ...readdirSync(boot).map((name) => join(boot, name)), '::']);
  await run('dd', [`if=${fat}`, `of=${image}`, 'bs=1M', `seek=${b.at}`, 'conv=notrunc,sparse', 'status=none']);
  const ext4 = async (label: string, { at, size }: Extent, from: string, more: string[] = []): Promise<void> => {
    const place = `offset=${at * mib},lazy_itable_init=0,lazy_journal_init=0`;
    await run('mke2fs', [
      '-q',
      '-t',
      'ext4',
      '-m',
      '1',
      ...more,
      '-L',
      label,
      '-E',
      place,
      '-d',
      from,
      image,
      `${size}M`,
    ]);
  };
  await ext4('osca-a', r, tree);
  // As on a large disk, though it begins small: it grows over the card.
  await ext4('osca-data', d, data, ['-b', '4096', '-i', '16384', '-J', 'size=16']);
}

async function personal(system: string, text: string, output: string): Promise<void> {
  const work = mkdtempSync(join(dirname(system), '.work-'));
  const part = `${output}.part`;
  // It holds a ticket, and the password of a network.
  const umask = process.umask(0o077);
  try {
    const [head, yaml] = [join(work, 'head.img'), join(work, 'osca.yaml')];
    await run('cp', ['--sparse=always', join(system, 'head.img'), head]);
    writeFileSync(yaml, text);
    await run('mcopy', ['-o', '-i', `${head}@@${layout.boot.at}M`, yaml, '::osca.yaml']);
    if (output.endsWith('.zst')) {
      // Two frames one after the other are one file (RFC 8878, section 3).
      await run('zstd', ['-q', '-f', '-T0', '-6', head, '-o', part]);
      await pipeline(createReadStream(join(system, 'tail.img.zst')), createWriteStream(part, { flags: 'a' }));
    } else {
      await run('sh', [
        '-c',
        `cp --sparse=always "$1" "$3" && zstd -q -dc "$2" | dd of="$3" bs=1M seek=${layout.root.at} conv=notrunc,sparse status=none iflag=fullblock && truncate -s ${layout.whole * mib} "$3"`,
        'sh',
        head,
        join(system, 'tail.img.zst'),
        part,
      ]);
    }
    // Of whoever asked for it, who is to write it to a card.
    const { SUDO_UID: user, SUDO_GID: group } = process.env;
    if (user !== undefined && group !== undefined) chownSync(part, Number(user), Number(group));
    renameSync(part, output);
  } finally {
    process.umask(umask);
    rmSync(work, { recursive: true, force: true });
    rmSync(part, { force: true });
  }
}
