/** A board of the lab: an emulated machine that starts from an image, on the bridge of the hosts. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../lab/lab.ts';
import type { Ran } from '../lab/shell.ts';
import { run, sh } from '../lab/shell.ts';

/** MiB from the start of the image to its FAT partition. */
export const bootAt = 4;

export class Board {
  readonly name: string;
  readonly address: string;
  readonly image: string;
  readonly #lab: Lab;
  readonly #key: string;
  readonly #number: number;
  #machine: ChildProcess | undefined;

  constructor(lab: Lab, number: number, image: string, key: string) {
    this.#lab = lab;
    this.#number = number;
    this.#key = key;
    this.name = `b${number}`;
    this.address = `10.77.0.${200 + number}`;
    this.image = image;
    const tap = this.#tap;
    const inLan = (...words: string[]): string => sh('ip', 'netns', 'exec', `${lab.id}-lan`, ...words);
    inLan('ip', 'tuntap', 'add', tap, 'mode', 'tap');
    inLan('ip', 'link', 'set', tap, 'master', 'br0', 'up');
    // The kernel and what it starts from, as the firmware of a Pi would read them.
    for (const [from, to] of [
      ['vmlinuz', 'kernel'],
      ['initrd.img', 'initrd'],
    ] as const) {
      const names = sh('mdir', '-b', '-i', `${image}@@${bootAt}M`, '::')
        .split('\n')
        .map((one) => one.replace(/^::\//, ''));
      const name = names.find((one) => one.startsWith(from));
      if (name === undefined) throw new Error(`no ${from} on the FAT partition: ${names.join(' ')}`);
      sh('mcopy', '-n', '-o', '-i', `${image}@@${bootAt}M`, `::${name}`, join(lab.folder, `${this.name}.${to}`));
    }
  }

  get #tap(): string {
    return `osca${this.#number}`;
  }

  get serial(): string {
    const path = join(this.#lab.folder, `${this.name}.serial`);
    return existsSync(path) ? readFileSync(path, 'latin1') : '';
  }

  powerOn(): void {
    const { folder, id } = this.#lab;
    const log = openSync(join(folder, `${this.name}.qemu`), 'a');
    const [kernel, initrd] = ['kernel', 'initrd'].map((end) => join(folder, `${this.name}.${end}`)) as [string, string];
    const words = 'root=LABEL=osca-root rootwait net.ifnames=0 console=ttyAMA0 quiet';
    const args = [
      ...[
        '-M',
        'virt',
        '-cpu',
        'cortex-a72',
        '-smp',
        '2',
        '-m',
        '1024',
        '-accel',
        'tcg,tb-size=192',
        '-display',
        'none',
      ],
      ...['-kernel', kernel, '-initrd', initrd, '-append', words, '-no-reboot'],
      ...[
        '-drive',
        `if=none,id=card,format=raw,file=${this.image},cache=writethrough`,
        '-device',
        'virtio-blk-device,drive=card',
      ],
      ...['-netdev', `tap,id=net,ifname=${this.#tap},script=no,downscript=no`],
      ...['-device', `virtio-net-device,netdev=net,mac=52:54:00:77:00:0${this.#number}`],
      ...['-serial', `file:${join(folder, `${this.name}.serial`)}`],
    ];
    const child = spawn('ip', ['netns', 'exec', `${id}-lan`, 'qemu-system-aarch64', ...args], {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, OSCA_LAB: id },
    });
    child.unref();
    this.#machine = child;
  }

  /** At once, without a word; resolves when the emulator has let go of its card and cable. */
  async powerOff(): Promise<void> {
    const machine = this.#machine;
    this.#machine = undefined;
    if (machine?.pid === undefined || machine.exitCode !== null || machine.signalCode !== null) return;
    const gone = new Promise((done) => machine.once('exit', done));
    machine.kill('SIGKILL');
    await gone;
  }

  /** As root, by ssh, to its end. */
  async sh(...command: string[]): Promise<Ran> {
    const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'ConnectTimeout=10'];
    const ssh = ['ssh', '-i', this.#key, ...options.flatMap((one) => ['-o', one]), `root@${this.address}`, ...command];
    return await run('ip', ['netns', 'exec', `${this.#lab.id}-h1`, ...ssh]);
  }

  async ok(...command: string[]): Promise<string> {
    const done = await this.sh(...command);
    if (done.code !== 0) throw new Error(`${this.name}: ${command.join(' ')}: ${done.stderr}${done.stdout}`);
    return done.stdout;
  }
}
