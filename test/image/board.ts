/** A board of the lab: an emulated machine that starts from an image, a Raspberry Pi's or a PC's, on the bridge of the hosts. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Arch } from '../../src/provision/package.ts';
import { root } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import type { Ran } from '../lab/shell.ts';
import { run, sh } from '../lab/shell.ts';

/** MiB from the start of the image to its FAT partition. */
export const bootAt = 4;

/** An image for the first board, of a new appliance where nothing is said of a ticket; '' for none. What is returned is the ticket for others. */
export async function buildImage(
  lab: Lab,
  arch: Arch,
  ticket?: string,
  also: string[] = [],
): Promise<{ image: string; key: string; ticket: string }> {
  const [image, key] = [join(lab.folder, 'b1.img'), join(lab.folder, 'key')];
  sh('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key);
  const given = ticket === '' ? [] : ['--ticket', ticket ?? ''];
  const whose = ticket === undefined ? ['--new-appliance', 'attic'] : given;
  const words = ['--arch', arch, ...whose, ...also, '--name', 'b1', '--static-ip', '10.77.0.201/24'];
  const more = ['--ssh-key', `${key}.pub`, '--timezone', 'Europe/Berlin', '-o', image, '--json'];
  const made = await run(join(root, 'osca'), ['image', 'build', ...words, ...more]);
  if (made.code !== 0 || made.stderr !== '') throw new Error(`no image: ${made.stderr}`);
  console.log(made.stdout);
  // A card is larger than the image.
  // (QEMU wants a power of two.)
  sh('truncate', '-s', '8G', image);
  return { image, key, ticket: ticket ?? (JSON.parse(made.stdout) as { ticket: string }).ticket };
}

/** What any computer can do with a card. */
export function edit(lab: Lab, image: string, change: (yaml: string) => string): void {
  const yaml = join(lab.folder, 'osca.yaml');
  const fat = `${image}@@${bootAt}M`;
  sh('mcopy', '-n', '-o', '-i', fat, '::osca.yaml', yaml);
  writeFileSync(yaml, change(readFileSync(yaml, 'utf8')));
  sh('mcopy', '-o', '-i', fat, yaml, '::osca.yaml');
}

/** What starts it: QEMU has no firmware of a Pi, so its kernel is handed over; a PC's is started by the image itself. */
export type BoardKind = 'virt' | 'raspi3b' | 'uefi' | 'bios';

export class Board {
  readonly kind: BoardKind;
  readonly name: string;
  readonly address: string;
  readonly image: string;
  readonly #lab: Lab;
  readonly #key: string;
  readonly #number: number;
  memoryMb = 1_024;
  /** Of a PC: does it look to the network first? */
  fromNetwork = false;
  /** Of a Pi: the folder that its firmware starts from over the network, where its card is empty. */
  served: string | undefined;
  #words = '';
  #running: ChildProcess | undefined;

  constructor(lab: Lab, number: number, kind: BoardKind, image: string, key: string) {
    this.kind = kind;
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
    if (kind === 'uefi') copyFileSync('/usr/share/OVMF/OVMF_VARS_4M.fd', this.#file('vars'));
  }

  /** From the image for Pis. */
  get isPi(): boolean {
    return this.kind === 'virt' || this.kind === 'raspi3b';
  }

  #file(ending: string): string {
    return join(this.#lab.folder, `${this.name}.${ending}`);
  }

  /** The kernel, what it starts from, and its words, as the firmware of a Pi reads them. */
  #takeKernel(): void {
    const fat = `${this.image}@@${bootAt}M`;
    const { served } = this;
    const text = (name: string): string =>
      served === undefined ? sh('mtype', '-i', fat, `::${name}`) : readFileSync(join(served, name), 'utf8');
    const named = (pattern: RegExp): string => {
      const name = pattern.exec(text('config.txt'))?.[1];
      if (name === undefined) throw new Error(`${pattern} is not in config.txt`);
      return name;
    };
    for (const [from, to] of [
      [named(/^kernel=(.+)$/m), 'kernel'],
      [named(/^initramfs (\S+)/m), 'initrd'],
      ['bcm2837-rpi-3-b.dtb', 'dtb'],
    ] as const)
      if (served === undefined) sh('mcopy', '-n', '-o', '-i', fat, `::${from}`, this.#file(to));
      else copyFileSync(join(served, from), this.#file(to));
    this.#words = text('cmdline.txt')
      .replace(/console=\S+/g, '')
      .trim();
  }

  get #tap(): string {
    return `osca${this.#number}`;
  }

  get serial(): string {
    const path = this.#file('serial');
    return existsSync(path) ? readFileSync(path, 'latin1') : '';
  }

  #machine(): string[] {
    const shared = ['-accel', 'tcg,tb-size=192', '-m', String(this.memoryMb), '-display', 'none', '-no-reboot'];
    const words = (console: string): string => `${this.#words} console=${console}`;
    const kernel = ['-kernel', this.#file('kernel'), '-initrd', this.#file('initrd')];
    if (this.kind === 'raspi3b')
      return [
        ...['qemu-system-aarch64', '-M', 'raspi3b', ...shared, ...kernel],
        // QEMU's watchdog of a Pi goes off as soon as it is armed.
        ...['-dtb', this.#file('dtb'), '-append', `${words('ttyS1,115200')} systemd.watchdog_sec=0`],
      ];
    if (this.kind === 'virt')
      return [
        ...['qemu-system-aarch64', '-M', 'virt', '-cpu', 'cortex-a72', '-smp', '2', ...shared, ...kernel],
        ...['-append', words('ttyAMA0')],
      ];
    const flash = (file: string, more = ''): string[] => ['-drive', `if=pflash,format=raw,file=${file}${more}`];
    const firmware =
      this.kind === 'bios'
        ? []
        : [...flash('/usr/share/OVMF/OVMF_CODE_4M.fd', ',readonly=on'), ...flash(this.#file('vars'))];
    return ['qemu-system-x86_64', '-M', 'q35', '-cpu', 'Nehalem', '-smp', '2', ...shared, ...firmware];
  }

  /** Card, cable and serial console. */
  #devices(): string[] {
    const drive = `format=raw,file=${this.image},cache=writethrough`;
    const net = `netdev=net,mac=52:54:00:77:00:0${this.#number}`;
    const serial = ['-serial', `file:${this.#file('serial')}`];
    if (this.kind === 'raspi3b')
      return ['-drive', `if=sd,${drive}`, '-device', `usb-net,${net}`, '-serial', 'null', ...serial];
    const bus = this.kind === 'virt' ? 'device' : 'pci';
    const first = this.fromNetwork ? ',bootindex=0' : '';
    const card = ['-drive', `if=none,id=card,${drive}`, '-device', `virtio-blk-${bus},drive=card`];
    return [...card, '-device', `virtio-net-${bus},${net}${first}`, ...serial];
  }

  powerOn(): void {
    if (this.isPi) this.#takeKernel();
    const { id } = this.#lab;
    const log = openSync(this.#file('qemu'), 'a');
    const cable = ['-netdev', `tap,id=net,ifname=${this.#tap},script=no,downscript=no`];
    const args = [...this.#machine(), ...cable, ...this.#devices()];
    const child = spawn('ip', ['netns', 'exec', `${id}-lan`, ...args], {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, OSCA_LAB: id },
    });
    child.unref();
    this.#running = child;
  }

  /** At once, without a word; resolves when the emulator has let go of its card and cable. */
  async powerOff(): Promise<void> {
    const machine = this.#running;
    this.#running = undefined;
    if (machine?.pid === undefined || machine.exitCode !== null || machine.signalCode !== null) return;
    const gone = new Promise((done) => machine.once('exit', done));
    machine.ref();
    machine.kill('SIGKILL');
    await gone;
  }

  /** Has it ended by itself? It does where it would start anew. */
  get isOff(): boolean {
    return this.#running === undefined || this.#running.exitCode !== null;
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
