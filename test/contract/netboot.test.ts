/** What a machine starts from over the network: the folder that is served, and how its initrd takes a disk, or leaves it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkNetboot, makeNetboot } from '../../src/provision/netboot.ts';
import { serveNetboot } from '../../src/provision/serve.ts';

const recipe = new URL('../../images/pi-flash/netboot', import.meta.url).pathname;
let root: string;
const at = (path: string): string => join(root, path);
const write = (path: string, text: string | Buffer): void => {
  mkdirSync(dirname(at(path)), { recursive: true });
  writeFileSync(at(path), text);
};
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'osca-netboot-'));
});
afterEach(() => rmSync(root, { recursive: true }));

describe('the folder', () => {
  const make = async (arch: 'amd64' | 'arm64', image: string): Promise<string> => {
    const made = { arch, address: '192.168.1.10', mib: 2_048, folder: at('osca-netboot') };
    const parts = { parts: at('parts'), image: async (file: string) => writeFileSync(file, image) };
    await makeNetboot(made, parts);
    return at('osca-netboot');
  };

  it('names its server and its image, and can be read by whom serves it only', async () => {
    write('parts/grub/grub.cfg', 'linux /vmlinuz @WORDS@\nlinux /vmlinuz @WORDS@ osca.erase\n');
    const folder = await make('amd64', 'one');
    const sum = createHash('sha256').update('one').digest('hex');
    const words = `boot=osca osca.from=192.168.1.10:8069 osca.mib=2048 osca.sum=${sum}`;
    expect(readFileSync(join(folder, 'grub/grub.cfg'), 'utf8')).toBe(
      `linux /vmlinuz ${words}\nlinux /vmlinuz ${words} osca.erase\n`,
    );
    expect(readFileSync(join(folder, 'netboot.json'), 'utf8')).toBe('{"arch":"amd64","address":"192.168.1.10"}\n');
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, 'osca.img.zst')).mode & 0o777).toBe(0o644);
    // Once more: all of it is new.
    write('parts/more', '');
    await make('amd64', 'two');
    expect(readFileSync(join(folder, 'osca.img.zst'), 'utf8')).toBe('two');
    expect(readdirSync(root).sort()).toEqual(['osca-netboot', 'parts']);
  });

  it('takes the place of an empty folder, however it is named', async () => {
    write('parts/cmdline.txt', 'quiet\n');
    mkdirSync(at('empty'));
    for (const folder of [`${at('empty')}/`, `${at('empty')}/`]) {
      checkNetboot({ address: '192.168.1.10', folder });
      const parts = { parts: at('parts'), image: async (file: string) => writeFileSync(file, 'one') };
      await makeNetboot({ arch: 'arm64', address: '192.168.1.10', mib: 2_048, folder }, parts);
      expect(readFileSync(at('empty/osca.img.zst'), 'utf8')).toBe('one');
    }
    expect(readdirSync(root).sort()).toEqual(['empty', 'parts']);
  });

  it("adds to a Pi's own words", async () => {
    write('parts/cmdline.txt', 'root=LABEL=osca-root quiet\n');
    const folder = await make('arm64', 'one');
    expect(readFileSync(join(folder, 'cmdline.txt'), 'utf8')).toMatch(/^root=LABEL=osca-root quiet boot=osca .*\n$/);
  });

  it('is as it was where the image fails', async () => {
    write('parts/cmdline.txt', 'quiet\n');
    const folder = await make('arm64', 'one');
    const parts = { parts: at('parts'), image: () => Promise.reject(new Error('full')) };
    await expect(makeNetboot({ arch: 'arm64', address: '192.168.1.10', mib: 2_048, folder }, parts)).rejects.toThrow(
      'full',
    );
    expect(readFileSync(join(folder, 'osca.img.zst'), 'utf8')).toBe('one');
    expect(readdirSync(root).sort()).toEqual(['osca-netboot', 'parts']);
  });

  it.each([
    ['no address', 'attic.local', 'new', 'no IPv4 address'],
    ['a file', '192.168.1.10', 'osca.img.zst', 'is a folder'],
    ['a folder of somebody else', '192.168.1.10', 'photos', 'something else'],
  ])('is refused: %s', (_what, address, name, words) => {
    write('photos/1.jpg', '');
    expect(() => checkNetboot({ address, folder: at(name) })).toThrow(words);
  });
});

describe('a machine', () => {
  const mib = 1_048_576;
  const image = Buffer.alloc(4 * mib, 'osca');
  const served = (): Buffer => execFileSync('zstd', ['-q', '-c'], { input: image, maxBuffer: 64 * mib });
  const tool = (name: string, text: string): void => {
    write(`tools/${name}`, `#!/bin/sh\n${text}\n`);
    execFileSync('chmod', ['755', at(`tools/${name}`)]);
  };
  /** Of 8 MiB; `text` is on it where there is something. */
  const disk = (name: string, { text = '', removable = 0, ro = 0, mibs = 8 } = {}): void => {
    for (const [file, value] of Object.entries({ removable, ro, size: mibs * 2_048 }))
      write(`sys/block/${name}/${file}`, `${value}\n`);
    write(`dev/${name}`, text);
    truncateSync(at(`dev/${name}`), mibs * mib);
  };
  const has = (name: string): Buffer => readFileSync(at(`dev/${name}`));
  const head = (name: string): string => has(name).subarray(0, 4).toString();

  beforeEach(() => {
    write('image', served());
    for (const folder of ['proc', 'run', 'dev/disk/by-label', 'sys/block']) mkdirSync(at(folder), { recursive: true });
    disk('loop0');
    tool('blkid', '[ -n "$(head -c 1 "$2" | tr -d "\\\\0")" ] || exit 2');
    tool('curl', 'cat "$OSCA_ROOT/image"');
    for (const name of ['sleep', 'blockdev', 'configure_networking', 'wait_for_udev']) tool(name, 'exit 0');
  });

  /** What it says; it goes on where that ends with the image on its disk. */
  const starts = (words = '', sum = createHash('sha256').update(served()).digest('hex')): string => {
    write('proc/cmdline', `quiet boot=osca osca.from=10.0.0.1 osca.mib=4 osca.sum=${sum} ${words}\n`);
    write('dev/kmsg', '');
    const script = `say() { echo "$*" >>"$OSCA_ROOT/dev/kmsg"; }; reboot() { exit 9; }; install_osca`;
    const done = spawnSync('sh', ['-c', `. ${recipe}/init; ${script}`], {
      env: { PATH: `${at('tools')}:/usr/sbin:/usr/bin:/sbin:/bin`, OSCA_ROOT: root },
      encoding: 'utf8',
    });
    const said = readFileSync(at('dev/kmsg'), 'utf8');
    expect(done.status).toBe(said.includes('starts again') ? 9 : 0);
    return said;
  };

  it('has the image on its empty disk, first to last', () => {
    disk('sda');
    disk('sdb', { text: 'photos' });
    disk('sdc', { removable: 1 });
    disk('sdd', { mibs: 3 });
    expect(starts()).toContain('the machine starts from it');
    expect(
      has('sda')
        .subarray(0, 4 * mib)
        .equals(image),
    ).toBe(true);
    expect(
      has('sda')
        .subarray(4 * mib)
        .every((byte) => byte === 0),
    ).toBe(true);
    expect([head('sdb'), head('sdc'), head('sdd')]).toEqual(['phot', '\0\0\0\0', '\0\0\0\0']);
    expect(readdirSync(at('run'))).toEqual([]);
  });

  it('starts from what is there', () => {
    disk('sda');
    write('dev/disk/by-label/osca-data', '');
    expect(starts()).toBe('');
    expect(head('sda')).toBe('\0\0\0\0');
  });

  it.each([
    ['no disk', [], '', 'no disk that takes the image (4 MiB)'],
    ['a disk with something on it', [['sda', 'photos']], '', 'nothing was done: there is something on'],
    [
      'several that are empty',
      [
        ['sda', ''],
        ['sdb', ''],
      ],
      '',
      'several disks are empty',
    ],
    [
      'several of which one is to be deleted',
      [
        ['sda', 'photos'],
        ['sdb', ''],
      ],
      'osca.erase',
      'but 2:',
    ],
    ['one that is not there', [['sda', '']], 'osca.disk=/dev/nvme9', '/dev/nvme9; there are:'],
    ['a part of one', [['sda', '']], 'osca.disk=/dev/sda1', '/dev/sda1; there are:'],
    [
      'one that is too small',
      [
        ['sda', ''],
        ['sdb', '', 3],
      ],
      'osca.disk=/dev/sdb',
      'is too small for the image (4 MiB)',
    ],
  ] as const)('does nothing, and says why: %s', (_what, all, words, said) => {
    for (const [name, text, mibs] of all as readonly (readonly [string, string, number?])[])
      disk(name, { text, ...(mibs === undefined ? {} : { mibs }) });
    const before = all.map(([name]) => has(name));
    expect(starts(words)).toContain(said);
    expect(all.every(([name], i) => has(name).equals(before[i]!))).toBe(true);
  });

  it('does nothing to a disk that is encrypted from its first byte on, and looks like nothing', () => {
    tool('blkid', 'exit 2');
    disk('sda', { text: 'random' });
    expect(starts()).toContain('there is something on the disk');
    expect(head('sda')).toBe('rand');
  });

  it('deletes nothing before it knows that the image is there', () => {
    tool('curl', 'exit 7');
    disk('sda', { text: 'photos' });
    expect(starts('osca.erase')).toContain('nothing was done: 10.0.0.1 does not answer');
    expect(head('sda')).toBe('phot');
  });

  it('takes the disk that somebody names', () => {
    disk('sda');
    disk('sdb', { removable: 1 });
    expect(starts('osca.disk=/dev/sdb')).toContain('the machine starts from it');
    expect([head('sda'), head('sdb')]).toEqual(['\0\0\0\0', 'osca']);
  });

  it('leaves no copy of a table at the end of a disk, whatever its size', () => {
    disk('sda', { text: 'photos' });
    const end = (8 * mib - 512) / 512 + 1 + 688;
    truncateSync(at('dev/sda'), end * 512);
    write('sys/block/sda/size', `${end}\n`);
    const device = openSync(at('dev/sda'), 'r+');
    writeSync(device, 'EFI PART', end * 512 - 512);
    closeSync(device);
    starts('osca.erase');
    expect(
      has('sda')
        .subarray(-512)
        .every((byte) => byte === 0),
    ).toBe(true);
  });

  it('gives up what is on its disk where somebody says so', () => {
    disk('sda', { text: 'photos' });
    expect(starts('osca.erase')).toContain('the machine starts from it');
    expect(
      has('sda')
        .subarray(0, 4 * mib)
        .equals(image),
    ).toBe(true);
  });

  it.each([
    ['cut off', () => write('image', served().subarray(0, 100)), undefined],
    ['another', () => {}, '0'.repeat(64)],
    ['none', () => tool('curl', 'case "$*" in *-fsI*) exit 0 ;; esac; exit 7'), undefined],
  ])('is empty as before where the image that comes is %s', (_what, spoil, sum) => {
    disk('sda');
    spoil();
    expect(starts('', sum)).toContain('did not come whole');
    expect(
      has('sda')
        .subarray(0, mib)
        .every((byte) => byte === 0),
    ).toBe(true);
    tool('curl', 'cat "$OSCA_ROOT/image"');
    write('image', served());
    expect(starts()).toContain('the machine starts from it');
    expect(existsSync(at('run/osca.pipe'))).toBe(false);
  });
});

describe('it is served', () => {
  const refused = async (folder: string): Promise<unknown> =>
    await serveNetboot(folder, { ready() {}, tell() {}, signal: AbortSignal.timeout(10_000) }).catch(
      (error: unknown) => error,
    );

  it('where it is what it is said to be, by the machine with that address', async () => {
    expect(await refused(root)).toMatchObject({ code: 'not-found', hint: expect.stringContaining('--netboot') });
    write('netboot.json', '{"arch":"amd64","address":"192.0.2.7"}\n');
    const code = process.getuid?.() === 0 ? 'bad-request' : 'denied';
    expect(await refused(root)).toMatchObject({ code });
    for (const text of ['{', '{"arch":"riscv","address":"192.0.2.7"}', '{"arch":"amd64","address":7}']) {
      write('netboot.json', text);
      expect(await refused(root)).toMatchObject({
        code: 'bad-request',
        message: expect.stringContaining('is damaged'),
      });
    }
  });
});
