/**
 * The scripts of a PC's two systems. That which puts a kernel where GRUB reads it: whatever it is doing when the power goes, a whole kernel is left, and the next
 * run puts all right. That which keeps a system, or goes back from it.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const scripts = new URL('../../images/pi-flash/overlay/usr/lib/osca-board', import.meta.url).pathname;
let root: string;
const at = (path: string): string => join(root, path);
const tool = (name: string, text: string): void =>
  writeFileSync(at(`tools/${name}`), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'osca-slots-'));
  for (const folder of ['boot/firmware/EFI/debian', 'tools', 'etc', 'data/system'])
    mkdirSync(at(folder), { recursive: true });
  cpSync(scripts, at('usr/lib/osca-board'), { recursive: true });
  writeFileSync(at('etc/osca-slot'), 'b\n');
});
afterEach(() => rmSync(root, { recursive: true }));
const start = (script: string) =>
  spawnSync('sh', [at(`usr/lib/osca-board/${script}`)], {
    env: { PATH: `${at('tools')}:/usr/bin:/bin`, OSCA_ROOT: root },
    encoding: 'utf8',
  });

describe('a kernel', () => {
  const kernel = (version: string, initrd: string): void => {
    writeFileSync(at(`boot/vmlinuz-${version}`), `kernel ${version}`);
    writeFileSync(at(`boot/initrd.img-${version}`), `initrd ${version} ${initrd}`);
  };
  /** Ends in the middle where `cutAt` is the number of a step. True where it came to its end. */
  const run = (cutAt = 0): boolean => {
    writeFileSync(at('turn'), String(cutAt));
    const done = start('kernel');
    expect(done.stderr).toBe('');
    return done.status === 0;
  };
  const firmware = (): string => at('boot/firmware');
  /** What GRUB would start, in its order. */
  const starts = (): string[] =>
    ['b', 'b.old'].flatMap((name) => {
      const [image, initrd] = ['vmlinuz', 'initrd.img'].map((file) => join(firmware(), name, file)) as [string, string];
      return existsSync(image) && existsSync(initrd) ? [`${name}: ${readFileSync(initrd, 'utf8')}`] : [];
    });

  beforeEach(() => {
    // Each of these is where the power may go: before the one whose turn it is.
    for (const name of ['cp', 'mv', 'rm', 'mkdir', 'sync'])
      tool(
        name,
        `n=$(($(cat "$OSCA_ROOT/turn") - 1)); echo $n >"$OSCA_ROOT/turn"; [ $n != 0 ] || kill -9 $PPID\nexec /bin/${name} "$@"`,
      );
  });

  it('is the newest, in the folder of its system, and leaves that of the other alone', () => {
    mkdirSync(join(firmware(), 'a'));
    kernel('6.9', 'a');
    run();
    kernel('6.10', 'a');
    run();
    expect(starts()).toEqual(['b: initrd 6.10 a']);
    expect(readdirSync(firmware()).sort()).toEqual(['EFI', 'a', 'b']);
  });

  it.each([
    ['an initrd', '6.10'],
    ['a kernel', '6.11'],
  ])('is left for the next start wherever the power goes while %s is replaced', (_what, version) => {
    for (let cutAt = 1, isWhole = false; !isWhole; cutAt++) {
      rmSync(at('boot'), { recursive: true });
      mkdirSync(join(firmware(), 'EFI'), { recursive: true });
      kernel('6.10', 'a');
      run();
      kernel(version, 'b');
      isWhole = run(cutAt);
      expect(starts()[0], `cut at ${cutAt}`).toMatch(/initrd 6\.1[01] [ab]$/);
      run();
      expect(starts(), `after the cut at ${cutAt}`).toEqual([`b: initrd ${version} b`]);
      expect(readdirSync(firmware()).sort()).toEqual(['EFI', 'b']);
      if (isWhole) expect(cutAt).toBeGreaterThan(8);
    }
  });
});

describe('a system on trial', () => {
  const block = (slot: string, trial: string): string =>
    `# GRUB Environment Block\nslot=${slot}\ntrial=${trial}\n`.padEnd(1_024, '#');
  const environment = (): string => readFileSync(at('boot/firmware/EFI/debian/grubenv'), 'utf8');
  const done = (): string[] => readFileSync(at('done'), 'utf8').trim().split('\n');
  beforeEach(() => {
    writeFileSync(at('boot/firmware/EFI/debian/grubenv'), block('a', ''));
    writeFileSync(at('data/system/trial'), 'abc\n');
    tool('systemctl', 'echo systemctl "$@" >>"$OSCA_ROOT/done"');
  });

  it('is kept where the cell does well', () => {
    writeFileSync(at('data/system/before'), '{}\n');
    tool('osca', 'echo osca "$@" >>"$OSCA_ROOT/done"');
    const { stdout, stderr, status } = start('settle');
    expect({ stdout, stderr, status }).toEqual({
      stdout: 'updates of the system: system b is on trial\nupdates of the system: system b is kept\n',
      stderr: '',
      status: 0,
    });
    expect(environment()).toBe(block('b', ''));
    expect(readdirSync(at('data/system'))).toEqual([]);
    expect(done()).toEqual([`osca board well --as ${at('data/system/before')} --for 3m --wait 15m`]);
  });

  it('is kept also where nothing was written down of what ran', () => {
    tool('osca', 'echo osca "$@" >>"$OSCA_ROOT/done"');
    expect(start('settle').status).toBe(0);
    expect(done()).toEqual(['osca board well --for 3m --wait 15m']);
  });

  it('is left where it does not, and what it brought is remembered', () => {
    tool('osca', 'echo it is no member >&2; exit 1');
    expect(start('settle').status).toBe(0);
    expect(environment()).toBe(block('a', ''));
    expect(readdirSync(at('data/system'))).toEqual(['refused']);
    expect(readFileSync(at('data/system/refused'), 'utf8')).toBe('abc\nsystem b was left: it is no member\n');
    expect(done()).toEqual(['systemctl reboot']);
  });

  it('is none where GRUB only found no kernel of the one that was kept', () => {
    rmSync(at('data/system'), { recursive: true });
    expect(start('settle')).toMatchObject({ status: 0, stdout: expect.stringContaining("system a can't be started") });
    expect(environment()).toBe(block('a', ''));
  });

  it('that never came up is remembered by the one before', () => {
    writeFileSync(at('etc/osca-slot'), 'a\n');
    expect(start('settle').stdout).toContain('system b did not come up');
    expect(readdirSync(at('data/system'))).toEqual(['refused']);
    expect(start('settle').stdout).toBe('');
  });
});
