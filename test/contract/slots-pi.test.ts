/** The two systems of a Pi: its initrd finds out which it is, and its kernel comes onto the card when it is its turn; wherever the power goes. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const recipe = new URL('../../images/pi-flash', import.meta.url).pathname;
let root: string;
const at = (path: string): string => join(root, path);
const write = (path: string, text: string): void => {
  mkdirSync(dirname(at(path)), { recursive: true });
  writeFileSync(at(path), text, { mode: 0o755 });
};
const tool = (name: string, text: string): void => write(`tools/${name}`, `#!/bin/sh\n${text}\n`);
/** Each of these is where the power may go: before the one whose turn it is. */
const cutTools = (...names: string[]): void => {
  for (const name of names)
    tool(
      name,
      `n=$(($(cat "$OSCA_ROOT/turn") - 1)); echo $n >"$OSCA_ROOT/turn"; [ $n != 0 ] || kill -9 $PPID\nexec /bin/${name} "$@"`,
    );
};
/** True where it came to its end; `cutAt`: the number of a step. */
const run = (script: string, { cutAt = 0, ROOT = 'LABEL=osca-root', words = [] as string[] } = {}): boolean => {
  write('turn', String(cutAt));
  const env = { PATH: `${at('tools')}:/usr/bin:/bin`, OSCA_ROOT: root, ROOT };
  const done = spawnSync('sh', [script, ...words], { env, encoding: 'utf8' });
  expect(done.stderr).toBe('');
  return done.status === 0;
};
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'osca-slots-pi-'));
});
afterEach(() => rmSync(root, { recursive: true }));

describe('a Pi starts', () => {
  const slots = 'osca-boot/osca-slots';
  beforeEach(() => {
    write('scripts/functions', 'wait_for_udev() { :; }\n');
    for (const label of ['OSCA-BOOT', 'osca-a', 'osca-b']) write(`dev/disk/by-label/${label}`, '');
    write('conf/param.conf', '');
    for (const name of ['mount', 'umount', 'sleep']) tool(name, 'exit 0');
  });
  const starts = (options: { cutAt?: number; ROOT?: string } = {}): string => {
    write('conf/param.conf', '');
    run(join(recipe, 'base/etc/initramfs-tools/scripts/local-top/osca'), options);
    return readFileSync(at('conf/param.conf'), 'utf8').trim().replace('ROOT=LABEL=osca-', '');
  };

  it.each(['a', 'b'])('the system that was kept: %s', (slot) => {
    write(slots, `# GRUB Environment Block\nslot=${slot}\ntrial=\n####`);
    expect([starts(), starts()]).toEqual([slot, slot]);
  });

  it('one on trial once, wherever the power goes', () => {
    cutTools('sync', 'mv');
    for (let cutAt = 1, isWhole = false; !isWhole; cutAt++) {
      write(slots, '# GRUB Environment Block\nslot=a\ntrial=b\n####');
      rmSync(at(`${slots}.new`), { force: true });
      const first = starts({ cutAt });
      isWhole = first !== '';
      const all = [first, starts(), starts(), starts()];
      expect(all.slice(2), `cut at ${cutAt}`).toEqual(['a', 'a']);
      expect(all.filter((one) => one === 'b').length).toBeLessThanOrEqual(1);
      if (isWhole) expect(all).toEqual(['b', 'a', 'a', 'a']);
    }
  });

  it('the one that was kept where its card can not be written to', () => {
    write(slots, 'slot=b\ntrial=a\n');
    tool('mount', '[ "$4" = ro ]');
    expect([starts(), starts()]).toEqual(['b', 'b']);
  });

  it('what there is, where its card is lost, or a system is half made', () => {
    tool('mount', 'exit 1');
    expect(starts()).toBe('a');
    rmSync(at('dev/disk/by-label/osca-a'));
    expect(starts()).toBe('b');
    tool('mount', 'exit 0');
    write(slots, 'slot=a\n');
    expect(starts()).toBe('b');
    // A cut between taking the old away and putting the new in its place.
    write('dev/disk/by-label/osca-a', '');
    rmSync(at(slots));
    write(`${slots}.new`, 'slot=b\n');
    expect(starts()).toBe('b');
    write(slots, '');
    expect(starts()).toBe('b');
  });

  it('the one that was kept, also where its partition takes its time', () => {
    write(slots, 'slot=b\n');
    rmSync(at('dev/disk/by-label/osca-b'));
    tool('sleep', ': >"$OSCA_ROOT/dev/disk/by-label/osca-b"');
    expect(starts()).toBe('b');
  });

  it('what the kernel was told, on a PC', () => {
    expect(starts({ ROOT: 'LABEL=osca-a' })).toBe('');
  });
});

describe('the kernel of a Pi', () => {
  const card = 'boot/firmware';
  const kernel = (version: string, initrd: string): void => {
    rmSync(at('boot'), { recursive: true, force: true });
    add(version, initrd);
  };
  const add = (version: string, initrd: string): void => {
    write(`boot/vmlinuz-${version}`, `kernel ${version}`);
    write(`boot/initrd.img-${version}`, `initrd ${version} ${initrd}`);
    mkdirSync(at(card), { recursive: true });
  };
  /** What its firmware would start. */
  const starts = (): string => {
    const config = readFileSync(at(`${card}/config.txt`), 'utf8');
    const [image, initrd] = [/^kernel=(.*)$/m, /^initramfs (.*)$/m].map((one) => one.exec(config)![1]!);
    return `${readFileSync(at(`${card}/${image}`), 'utf8')}, ${readFileSync(at(`${card}/${initrd}`), 'utf8')}`;
  };

  beforeEach(() => {
    cpSync(join(recipe, 'overlay/usr/lib/osca-board'), at('usr/lib/osca-board'), { recursive: true });
    write('etc/osca-slot', 'b\n');
    mkdirSync(at('data/system'), { recursive: true });
    mkdirSync(at('run'));
    // Debian's, which writes to what is /boot/firmware for it.
    tool('uname', 'echo 6.10');
    tool('unshare', 'MADE=$6 exec "$8"');
    write(
      'etc/kernel/postinst.d/z50-raspi-firmware',
      '#!/bin/sh\nv=$(ls -v "$OSCA_ROOT"/boot/vmlinuz-* | tail -n 1)\nv=${v##*vmlinuz-}\n/bin/cp "$OSCA_ROOT/boot/vmlinuz-$v" "$OSCA_ROOT/boot/initrd.img-$v" "$MADE"\n: >"$MADE/config.txt"\necho "kernel=vmlinuz-$v" >>"$MADE/config.txt"\necho "initramfs initrd.img-$v" >>"$MADE/config.txt"\necho root=LABEL=osca-root >"$MADE/cmdline.txt"\n',
    );
    cutTools('cp', 'mv', 'rm', 'mkdir', 'sync');
  });
  const put = (cutAt = 0): boolean => run(at('usr/lib/osca-board/kernel'), { cutAt });
  const isNew = (): boolean => run(at('usr/lib/osca-board/kernel'), { words: ['--is-new'] });

  it.each([
    ['a kernel', '6.11', 'b'],
    ['an initrd', '6.10', 'another'],
  ])('is whole on its card wherever the power goes while %s comes', (_what, version, initrd) => {
    for (let cutAt = 1, isWhole = false; !isWhole; cutAt++) {
      kernel('6.9', 'a');
      write(`${card}/config.txt`, '');
      put();
      add('6.10', 'a');
      put();
      write(`${card}/start4.elf`, 'firmware');
      add(version, initrd);
      expect(isNew()).toBe(true);
      isWhole = put(cutAt);
      expect(starts(), `cut at ${cutAt}`).toMatch(/^kernel (6\.1[01]), initrd \1 /);
      put();
      expect(starts(), `after the cut at ${cutAt}`).toBe(`kernel ${version}, initrd ${version} ${initrd}`);
      if (isWhole) {
        expect(isNew()).toBe(false);
        expect(cutAt).toBeGreaterThan(8);
        // With the one that runs.
        const kernels = [...new Set(['6.10', version])].flatMap((one) => [`initrd.img-${one}`, `vmlinuz-${one}`]);
        expect(readdirSync(at(card)).sort()).toEqual(
          ['cmdline.txt', 'config.txt', 'osca-kernel', 'start4.elf', ...kernels].sort(),
        );
      }
    }
  });

  it('is left alone where it is the same, as it came with the image', () => {
    kernel('6.10', 'a');
    write(`${card}/config.txt`, 'kernel=vmlinuz-6.10\ninitramfs initrd.img-6.10\n');
    for (const name of ['vmlinuz-6.10', 'initrd.img-6.10'])
      write(`${card}/${name}`, readFileSync(at(`boot/${name}`), 'utf8'));
    tool('unshare', 'echo not again >&2; exit 1');
    expect(isNew()).toBe(false);
    expect(put()).toBe(true);
    // Another of the same size is another.
    add('6.10', 'b');
    expect(isNew()).toBe(true);
  });

  it('is left alone where somebody has put the card right by hand', () => {
    kernel('6.10', 'a');
    write(`${card}/config.txt`, '');
    put();
    add('6.11', 'a');
    put();
    write(`${card}/config.txt`, 'kernel=vmlinuz-6.10\ninitramfs initrd.img-6.10\n');
    expect(isNew()).toBe(false);
    expect(put()).toBe(true);
    expect(starts()).toBe('kernel 6.10, initrd 6.10 a');
    add('6.12', 'a');
    expect(isNew()).toBe(true);
  });

  it('stays where it is while the first partition is not there', () => {
    kernel('6.10', 'a');
    expect([isNew(), put()]).toEqual([false, false]);
    expect(readdirSync(at(card))).toEqual([]);
  });
});
