/** What machines start from over the network: a folder with a kernel, what brings the image onto an empty disk, and the image. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { isIPv4 } from 'node:net';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { OscaError } from '../core/errors.ts';
import type { Arch } from './package.ts';
import { run } from './run.ts';

export interface Netboot {
  arch: Arch;
  /** IPv4, of the machine that will serve it. */
  address: string;
  /** MiB that a disk must have at least. */
  mib: number;
  folder: string;
}

export const imageName = 'osca.img.zst';
/** It says who serves it; with it a folder is one of these. */
export const servedName = 'netboot.json';
/** Of HTTP, for the image: by TFTP it would take minutes. */
export const imagePort = 8069;

/** Throws OscaError where that can't be. */
export function checkNetboot({ address, folder }: { address: string; folder: string }): void {
  if (!isIPv4(address))
    throw new OscaError(
      'bad-request',
      `'${address}' is no IPv4 address`,
      'give that of the machine which will serve it: --netboot 192.168.1.10',
    );
  if (/\.(img|zst)$/.test(folder))
    throw new OscaError('bad-request', 'what machines start from over the network is a folder', '-o osca-netboot');
  const isEmpty = existsSync(folder) && statSync(folder).isDirectory() && readdirSync(folder).length === 0;
  if (existsSync(folder) && !isEmpty && !existsSync(join(folder, servedName)))
    throw new OscaError('conflict', `${folder} is there, and something else`, 'name another folder with -o');
}

/** `parts`: as images/pi-flash/netboot/make leaves them. `image` makes it at the path that it is given. */
export async function makeNetboot(
  { arch, address, mib, folder: given }: Netboot,
  { parts, image }: { parts: string; image: (output: string) => Promise<void> },
): Promise<void> {
  const folder = resolve(given);
  const [part, old] = [`${folder}.part`, `${folder}.old`];
  rmSync(part, { recursive: true, force: true });
  try {
    // Whoever may read it has the ticket; dnsmasq serves what all may read.
    mkdirSync(part, { mode: 0o700, recursive: true });
    cpSync(parts, part, { recursive: true, verbatimSymlinks: true });
    const file = join(part, imageName);
    await image(file);
    const sum = createHash('sha256');
    await pipeline(createReadStream(file), sum);
    const words = `boot=osca osca.from=${address}:${imagePort} osca.mib=${mib} osca.sum=${sum.digest('hex')}`;
    if (existsSync(join(part, 'tools'))) await makeGrub(part, address);
    if (arch === 'amd64') change(join(part, 'grub/grub.cfg'), (text) => text.replaceAll('@WORDS@', words));
    else change(join(part, 'cmdline.txt'), (text) => `${text.trim()} ${words}\n`);
    writeFileSync(join(part, servedName), `${JSON.stringify({ arch, address })}\n`);
    readable(part);
    chmodSync(part, 0o700);
    rmSync(old, { recursive: true, force: true });
    if (existsSync(folder)) renameSync(folder, old);
    renameSync(part, folder);
    rmSync(old, { recursive: true, force: true });
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

/** For a BIOS: with the address in it, as it asks the server that gives it its own. */
async function makeGrub(part: string, address: string): Promise<void> {
  const tools = join(part, 'tools');
  const modules = 'biosdisk part_msdos part_gpt fat normal linux configfile test loadenv search pxe tftp net';
  const config = `set root=tftp,${address}\nset prefix=($root)/grub\nnormal $prefix/grub.cfg\n`;
  writeFileSync(join(tools, 'early.cfg'), config);
  const words = ['-O', 'i386-pc-pxe', '-c', '/early.cfg', '-p', '/grub', '-o', '/grub.0', ...modules.split(' ')];
  await run('chroot', [tools, '/usr/bin/grub-mkimage', ...words]);
  renameSync(join(tools, 'grub.0'), join(part, 'grub.0'));
  rmSync(tools, { recursive: true });
}

function change(file: string, how: (text: string) => string): void {
  writeFileSync(file, how(readFileSync(file, 'utf8')));
}

function readable(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const isFolder = statSync(path).isDirectory();
    chmodSync(path, isFolder ? 0o755 : 0o644);
    if (isFolder) readable(path);
  }
}
