/** An image without a registry: a static busybox, its links, and nothing else. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export function busyboxImage(folder: string): string {
  const archive = join(folder, 'busybox.tar');
  if (existsSync(archive)) return archive;
  const root = join(folder, 'rootfs');
  for (const name of ['bin', 'tmp', 'etc', 'www']) mkdirSync(join(root, name), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  const names = execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' })
    .split('\n')
    .filter((name) => name !== '' && name !== 'busybox');
  for (const name of names) if (!existsSync(join(root, 'bin', name))) symlinkSync('busybox', join(root, 'bin', name));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n');
  writeFileSync(join(root, 'www/index.html'), 'hello\n');
  execFileSync('tar', ['-C', root, '--numeric-owner', '--owner=0', '--group=0', '-cf', archive, '.']);
  return archive;
}
