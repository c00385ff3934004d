/** The script that puts a PC's kernel where GRUB reads it: whatever it is doing when the power goes, a whole kernel is left, and the next run puts all right. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const script = new URL('../../images/pi-flash/overlay/usr/lib/osca-board/kernel', import.meta.url).pathname;
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'osca-kernel-'));
  for (const folder of ['boot/firmware/EFI', 'tools']) mkdirSync(join(root, folder), { recursive: true });
  // Each of these is where the power may go: before the one whose turn it is.
  for (const tool of ['cp', 'mv', 'rm', 'mkdir', 'sync']) {
    const count = `n=$(($(cat "$OSCA_ROOT/turn") - 1)); echo $n >"$OSCA_ROOT/turn"; [ $n != 0 ] || kill -9 $PPID`;
    writeFileSync(join(root, 'tools', tool), `#!/bin/sh\n${count}\nexec /bin/${tool} "$@"\n`, { mode: 0o755 });
  }
});
afterEach(() => rmSync(root, { recursive: true }));

const kernel = (version: string, initrd: string): void => {
  mkdirSync(join(root, 'lib/modules', version), { recursive: true });
  writeFileSync(join(root, `boot/vmlinuz-${version}`), `kernel ${version}`);
  writeFileSync(join(root, `boot/initrd.img-${version}`), `initrd ${version} ${initrd}`);
};
const purge = (version: string): void => {
  for (const one of [`lib/modules/${version}`, `boot/vmlinuz-${version}`, `boot/initrd.img-${version}`])
    rmSync(join(root, one), { recursive: true });
};
/** Ends in the middle where `cutAt` is the number of a step. True where it came to its end. */
const run = (cutAt = 0): boolean => {
  writeFileSync(join(root, 'turn'), String(cutAt));
  const env = { PATH: `${join(root, 'tools')}:/usr/bin:/bin`, OSCA_ROOT: root };
  const done = spawnSync('sh', [script], { env, encoding: 'utf8' });
  expect(done.stderr).toBe('');
  return done.status === 0;
};
const firmware = (): string => join(root, 'boot/firmware');
/** What GRUB would start, in its order. */
const starts = (): string[] =>
  ['now', 'last', 'before'].flatMap((name) => {
    const [image, initrd] = ['vmlinuz', 'initrd.img'].map((file) => join(firmware(), name, file)) as [string, string];
    return existsSync(image) && existsSync(initrd) ? [`${name}: ${readFileSync(initrd, 'utf8')}`] : [];
  });

it('keeps the kernel of another version as a way back, not another initrd of the same', () => {
  kernel('6.9', 'a');
  run();
  kernel('6.10', 'a');
  run();
  expect(starts()).toEqual(['now: initrd 6.10 a', 'before: initrd 6.9 a']);
  kernel('6.10', 'b');
  run();
  expect(starts()).toEqual(['now: initrd 6.10 b', 'before: initrd 6.9 a']);
  purge('6.10');
  run();
  expect(starts()).toEqual(['now: initrd 6.9 a']);
  expect(readdirSync(firmware()).sort()).toEqual(['EFI', 'now']);
});

it.each([
  ['an initrd', '6.10', ['now: initrd 6.10 b', 'before: initrd 6.9 a']],
  ['a kernel', '6.11', ['now: initrd 6.11 b', 'before: initrd 6.10 a']],
])('leaves something to start wherever it is cut while %s is replaced', (_what, version, after) => {
  for (let cutAt = 1, isWhole = false; !isWhole; cutAt++) {
    rmSync(join(root, 'boot'), { recursive: true });
    mkdirSync(join(firmware(), 'EFI'), { recursive: true });
    for (const one of ['6.9', '6.10']) {
      kernel(one, 'a');
      run();
    }
    kernel(version, 'b');
    isWhole = run(cutAt);
    expect(starts()[0], `cut at ${cutAt}`).toMatch(/initrd 6\.1[01] [ab]$/);
    run();
    expect(starts(), `after the cut at ${cutAt}`).toEqual(after);
    if (isWhole) expect(cutAt).toBeGreaterThan(8);
  }
});
