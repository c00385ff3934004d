/** A folder that machines start from is served to the network that it is for: by TFTP and HTTP, and its image again and again. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../until.ts';
import { root } from './host.ts';
import { Lab } from './lab.ts';
import type { Ran } from './shell.ts';
import { run, sh } from './shell.ts';

let lab: Lab;
let folder: string;
let serving: ChildProcess;
let told = '';
let complained = '';
const inHost = async (number: number, ...command: string[]): Promise<Ran> =>
  await run('ip', ['netns', 'exec', `${lab.id}-h${number}`, ...command]);
const fetched = async (url: string): Promise<Ran> => await inHost(2, 'curl', '-sf', '-m', '5', '-o', '-', url);

beforeAll(async () => {
  lab = await Lab.up(2);
  // With a space, as people have them.
  folder = join(lab.folder, 'osca netboot');
  mkdirSync(join(folder, 'grub'), { recursive: true });
  const { address } = lab.host(1);
  writeFileSync(join(folder, 'netboot.json'), JSON.stringify({ arch: 'amd64', address }));
  writeFileSync(join(folder, 'osca.img.zst'), Buffer.alloc(20_000_000, 'image'));
  writeFileSync(join(folder, 'grub/grub.cfg'), 'menu\n');
  // Another network of the machine that serves.
  sh('ip', '-n', `${lab.id}-h1`, 'link', 'add', 'other', 'type', 'veth', 'peer', 'name', 'another');
  sh('ip', '-n', `${lab.id}-h1`, 'addr', 'add', '10.88.0.1/24', 'dev', 'other');
  sh('ip', '-n', `${lab.id}-h1`, 'link', 'set', 'other', 'up');
  sh('ip', '-n', `${lab.id}-h2`, 'route', 'add', '10.88.0.0/24', 'via', address);
  const words = [join(root, 'osca'), 'image', 'serve', folder, '--json'];
  serving = spawn('ip', ['netns', 'exec', `${lab.id}-h1`, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  serving.stdout!.on('data', (chunk) => (told += chunk));
  serving.stderr!.on('data', (chunk) => (complained += chunk));
});
afterAll(async () => {
  serving?.kill();
  await lab?.down();
});

describe('osca image serve', () => {
  it('gives what machines start from by TFTP, and tells', async () => {
    const { address } = lab.host(1);
    await until('TFTP answers', async () => (await fetched(`tftp://${address}/grub/grub.cfg`)).stdout === 'menu\n');
    await until('it is told', () => told.includes(`{"machine":"${lab.host(2).address}","file":"grub/grub.cfg"}`));
    expect(complained).toBe('');
  });

  it('gives its image by HTTP, and tells how far it is', async () => {
    const image = `http://${lab.host(1).address}:8069/osca.img.zst`;
    const head = await inHost(2, 'curl', '-sfI', image);
    expect(head.stdout).toMatch(/content-length: 20000000/i);
    const file = join(lab.folder, 'came');
    expect((await inHost(2, 'curl', '-sf', '-o', file, image)).code).toBe(0);
    expect(readFileSync(file).equals(readFileSync(join(folder, 'osca.img.zst')))).toBe(true);
    await until('it is told', () => told.includes('"percent":100}'));
    expect((await fetched(image.replace('osca.img.zst', 'netboot.json'))).code).toBe(22);
    expect((await fetched(image.replace('osca.img.zst', '../../etc/passwd'))).code).toBe(22);
  });

  it('lets go of what is fetched no more, and goes on where the folder is built anew', async () => {
    const pid = (
      await inHost(1, 'sh', '-c', `ss -tlnp | sed -n 's/.*:8069 .*pid=\\([0-9]*\\),.*/\\1/p'`)
    ).stdout.trim();
    const image = `http://${lab.host(1).address}:8069/osca.img.zst`;
    for (let i = 0; i < 5; i++)
      await inHost(2, 'sh', '-c', `curl -sf --limit-rate 1000 -m 1 -o /dev/null ${image} || true`);
    await until('no file is open', () => !sh('sh', '-c', `ls -l /proc/${pid}/fd`).includes('osca.img.zst'));
    sh('mv', join(folder, 'osca.img.zst'), join(folder, 'away'));
    expect((await fetched(image)).code).toBe(22);
    sh('mv', join(folder, 'away'), join(folder, 'osca.img.zst'));
    expect((await inHost(2, 'curl', '-sfI', image)).code).toBe(0);
  });

  it('answers its own network alone', async () => {
    expect((await fetched('tftp://10.88.0.1/grub/grub.cfg')).code).not.toBe(0);
    expect((await fetched('http://10.88.0.1:8069/osca.img.zst')).code).not.toBe(0);
  });

  it('leaves nothing behind where its terminal goes', async () => {
    const gone = new Promise((done) => serving.once('exit', done));
    serving.kill('SIGHUP');
    await gone;
    const ports = async (): Promise<string> => (await inHost(1, 'ss', '-Hlnup')).stdout;
    await until('its ports are free', async () => !(await ports()).includes('dnsmasq'));
  });
});
