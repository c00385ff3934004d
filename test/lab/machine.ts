/** A machine of the lab as people have it: Debian with systemd and sshd, on the bridge (systemd-nspawn). */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../until.ts';
import { root as checkout, plugIn } from './host.ts';
import type { Lab } from './lab.ts';
import { makeFolder } from './lab.ts';
import type { Ran } from './shell.ts';
import { childOf, run, sh, trySh } from './shell.ts';

const packages = 'systemd,systemd-sysv,dbus,openssh-server,sudo,iproute2,procps,curl';

/** Debian 12, or 13 with all that Docker needs in apt's cache: no machine of the lab reaches a mirror. */
export type System = 'bookworm' | 'trixie';

/** Half a minute to make, so it is kept; a new name where it changes. */
const baseOf = (system: System): string => `/var/tmp/osca-lab-${system}-1.tar`;
const withDocker = [
  '--skip=cleanup/apt',
  '--customize-hook=chroot "$1" apt-get install -y --download-only --install-recommends docker.io',
];

/** What `npm run package` made. Debian's name of the architecture. */
export const debOf = (arch: string): string => {
  const out = join(checkout, 'out');
  const name = readdirSync(out).find((one) => one.endsWith(`_${arch}.deb`));
  if (name === undefined) throw new Error(`no package for ${arch} in ${out}`);
  return join(out, name);
};

const making = new Map<System, Promise<string>>();

function madeBase(system: System): Promise<string> {
  const made = making.get(system) ?? makeBase(system);
  making.set(system, made);
  return made;
}

async function makeBase(system: System): Promise<string> {
  const base = baseOf(system);
  if (existsSync(base)) return base;
  const part = `${base}.${process.pid}`;
  const made = await run('mmdebstrap', [
    '--variant=minbase',
    `--include=${packages}`,
    '--format=tar',
    ...(system === 'trixie' ? withDocker : []),
    system,
    part,
  ]);
  if (made.code !== 0) throw new Error(`mmdebstrap: ${made.stderr.slice(-2_000)}`);
  renameSync(part, base);
  return base;
}

export const passwords = { root: 'sesame street', pi: "rasp'berry" };

export class Machine {
  readonly name: string;
  readonly address: string;
  readonly root: string;
  readonly #lab: Lab;
  #box: ChildProcess | undefined;
  #leader = 0;

  private constructor(lab: Lab, number: number) {
    this.#lab = lab;
    this.name = `m${number}`;
    this.address = `10.77.0.${100 + number}`;
    this.root = makeFolder(join(lab.folder, this.name));
  }

  /** root and pi log in with `passwords`, pi may use sudo. */
  static async up(lab: Lab, number: number, system: System = 'bookworm'): Promise<Machine> {
    const machine = new Machine(lab, number);
    const { root, name } = machine;
    sh('tar', '-C', root, '-xf', await madeBase(system));
    for (const [user, password] of Object.entries(passwords)) {
      if (user !== 'root') sh('chroot', root, 'useradd', '-m', '-s', '/bin/bash', '-G', 'sudo', user);
      sh('chroot', root, 'sh', '-c', 'echo "$0:$1" | chpasswd', user, password);
    }
    writeFileSync(join(root, 'etc/ssh/sshd_config.d/50-lab.conf'), 'PermitRootLogin yes\n');
    writeFileSync(join(root, 'etc/hostname'), `${name}\n`);
    plugIn(lab, `${lab.id}-${name}`, name, machine.address);
    await machine.boot();
    return machine;
  }

  async boot(): Promise<void> {
    const space = `/run/netns/${this.#lab.id}-${this.name}`;
    const log = openSync(join(this.#lab.folder, `${this.name}.log`), 'a');
    this.#box = spawn(
      'systemd-nspawn',
      [
        '-q',
        '-D',
        this.root,
        '--boot',
        '--register=no',
        '--keep-unit',
        '--console=pipe',
        `--hostname=${this.name}`,
        `--network-namespace-path=${space}`,
        // What an engine needs to start.
        ...['--capability=all', '--system-call-filter=bpf keyctl add_key'],
      ],
      {
        stdio: ['ignore', log, log],
        env: { ...process.env, OSCA_LAB: this.#lab.id, SYSTEMD_NSPAWN_API_VFS_WRITABLE: 'network' },
      },
    );
    await until(
      `${this.name} is up`,
      async () => {
        this.#leader = childOf(this.#box!);
        return this.#leader > 0 && /running|degraded/.test((await this.sh('systemctl', 'is-system-running')).stdout);
      },
      60_000,
    );
  }

  async powerOff(): Promise<void> {
    trySh('kill', '-9', String(this.#leader));
    await until(`${this.name} is off`, () => this.#box?.exitCode !== null || this.#box.signalCode !== null);
  }

  /** Runs a command on it to its end. */
  async sh(...command: string[]): Promise<Ran> {
    return await run('nsenter', ['-t', String(this.#leader), '-a', ...command]);
  }

  /** The same, which must succeed. */
  async ok(...command: string[]): Promise<string> {
    const done = await this.sh(...command);
    if (done.code !== 0)
      throw new Error(`${this.name}: ${command.join(' ')} ended with ${done.code}: ${done.stderr}${done.stdout}`);
    return done.stdout;
  }

  /** A file of ours on it. */
  put(from: string, to: string): void {
    const path = join(this.root, to);
    mkdirSync(join(path, '..'), { recursive: true });
    copyFileSync(from, path);
  }

  write(to: string, text: string, mode = 0o644): void {
    const path = join(this.root, to);
    mkdirSync(join(path, '..'), { recursive: true });
    rmSync(path, { force: true });
    writeFileSync(path, text, { mode });
  }
}
