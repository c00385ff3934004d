/**
 * N real hosts on one machine, as root: each has its own network, processes, mounts, name and Docker Engine, on one bridge
 * in a network of its own. Names carry a run id, so two labs never meet; a lab whose maker died is cleaned up by
 * the next one.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LabHost } from './host.ts';
import { isAlive, processesOf, sh, trySh } from './shell.ts';

const prefix = 'osca-lab-';

export class Lab {
  readonly id: string;
  readonly folder: string;
  readonly hosts: LabHost[] = [];

  private constructor(id: string, folder: string) {
    this.id = id;
    this.folder = folder;
  }

  /** Makes the network and `count` hosts; engines are started by `host.startDocker()`. */
  static async up(count: number): Promise<Lab> {
    if (process.getuid?.() !== 0) throw new Error('the lab needs root');
    Lab.#sweep();
    const folder = mkdtempSync(join(tmpdir(), prefix));
    writeFileSync(join(folder, 'maker'), String(process.pid));
    const lab = new Lab(`ol${folder.slice(-6).replace(/[^A-Za-z0-9]/g, 'x')}`, folder);
    const lan = `${lab.id}-lan`;
    sh('ip', 'netns', 'add', lan);
    sh('ip', '-n', lan, 'link', 'set', 'lo', 'up');
    sh('ip', '-n', lan, 'link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0');
    sh('ip', '-n', lan, 'link', 'set', 'br0', 'up');
    for (let number = 1; number <= count; number++) {
      const host = new LabHost(lab, number);
      host.plug();
      lab.hosts.push(host);
    }
    await Promise.all(lab.hosts.map((host) => host.powerOn()));
    return lab;
  }

  host(number: number): LabHost {
    const host = this.hosts[number - 1];
    if (host === undefined) throw new Error(`there is no host ${number}`);
    return host;
  }

  /** Nothing crosses between the two sets. */
  partition(one: readonly LabHost[], two: readonly LabHost[]): void {
    const set = (hosts: readonly LabHost[]): string => hosts.map(({ port }) => `"${port}"`).join(', ');
    this.#nft(`table bridge part
delete table bridge part
table bridge part {
 chain f {
  type filter hook forward priority 0; policy accept;
  iifname { ${set(one)} } oifname { ${set(two)} } drop
  iifname { ${set(two)} } oifname { ${set(one)} } drop
 }
}
`);
  }

  heal(): void {
    trySh('nsenter', `--net=/run/netns/${this.id}-lan`, 'nft', 'delete', 'table', 'bridge', 'part');
  }

  /** So many of a hundred frames are lost, everywhere. */
  loss(percent: number): void {
    this.#nft(`table bridge loss
delete table bridge loss
table bridge loss {
 chain f {
  type filter hook forward priority 1; policy accept;
  numgen random mod 100 < ${percent} drop
 }
}
`);
  }

  #nft(rules: string): void {
    const file = join(this.folder, 'rules.nft');
    writeFileSync(file, rules);
    sh('nsenter', `--net=/run/netns/${this.id}-lan`, 'nft', '-f', file);
  }

  down(): void {
    for (const host of this.hosts) host.powerOff();
    Lab.#clean(this.id, this.folder);
  }

  /** Labs whose maker is gone. */
  static #sweep(): void {
    for (const name of readdirSync(tmpdir()).filter((one) => one.startsWith(prefix))) {
      const folder = join(tmpdir(), name);
      const maker = existsSync(join(folder, 'maker')) ? Number(readFileSync(join(folder, 'maker'), 'utf8')) : 0;
      if (maker === 0 || !isAlive(maker)) Lab.#clean(`ol${name.slice(-6).replace(/[^A-Za-z0-9]/g, 'x')}`, folder);
    }
  }

  static #clean(id: string, folder: string): void {
    const spaces = existsSync('/run/netns')
      ? readdirSync('/run/netns').filter((name) => name.startsWith(`${id}-`))
      : [];
    const nets = new Set(spaces.map((name) => `net:[${statSync(`/run/netns/${name}`).ino}]`));
    for (let round = 0; round < 100; round++) {
      const pids = processesOf(`OSCA_LAB=${id}`, nets, folder);
      if (pids.length === 0) break;
      for (const pid of pids) trySh('kill', '-9', String(pid));
    }
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '');
    for (const mount of mounts
      .filter((path) => path.startsWith(`${folder}/`))
      .sort()
      .reverse())
      trySh('umount', '-l', mount);
    trySh('sh', '-c', `find /sys/fs/cgroup/*/${id} /sys/fs/cgroup/${id} -depth -type d -exec rmdir {} + 2>/dev/null`);
    for (const name of spaces) trySh('ip', 'netns', 'del', name);
    rmSync(folder, { recursive: true, force: true });
  }
}

export function makeFolder(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}
