/** Fresh Debian machines with systemd and sshd become cells: by the package, by install.sh, by `osca cell add`; what fails is undone. */
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AddStep } from '../../src/provision/add.ts';
import { until } from '../until.ts';
import type { LabHost } from './host.ts';
import { root } from './host.ts';
import { Lab, makeFolder } from './lab.ts';
import { debOf, Machine, passwords } from './machine.ts';
import type { Ran } from './shell.ts';
import { run, sh } from './shell.ts';

let lab: Lab;
let host: LabHost;
let m1: Machine;
let m2: Machine;
let deb: string;

const forever = `name: app
services:
  web: { command: sleep 100000, working_dir: /, x-osca: { driver: process }, deploy: { replicas: 4 } }
`;

/** `osca cell add` on the first host, from this checkout; or on a machine, from what is installed there. `typed`: its standard input. */
async function add(args: string[], typed = '', from?: Machine): Promise<Ran & { steps: AddStep[] }> {
  const osca = from === undefined ? [join(root, 'osca'), '--data', host.dataDir] : ['osca'];
  const command = [...osca, 'cell', 'add', '--no-engine', '--json', ...args];
  const done = await (from ?? host).sh('sh', '-c', 'word=$1; shift; printf %s "$word" | "$@"', 'sh', typed, ...command);
  const steps = done.stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as AddStep);
  return { ...done, steps };
}

const stepsOf = ({ steps }: { steps: AddStep[] }): string => steps.map(({ step }) => step).join(' ');
const isClean = async (machine: Machine): Promise<void> => {
  expect((await machine.sh('dpkg-query', '-W', '-f', '${Status}', 'osca')).stdout).toMatch(
    /^(unknown ok not-installed)?$/,
  );
  expect(existsSync(join(machine.root, 'var/lib/osca'))).toBe(false);
  expect(await machine.ok('ls', '/tmp')).not.toContain('tmp.');
};
const tickets = async (): Promise<string[]> =>
  (await host.json<{ state: string }[]>('ticket', 'ls')).map(({ state }) => state);

beforeAll(async () => {
  const arch = process.arch === 'x64' ? 'amd64' : 'arm64';
  const made = await run('npm', ['run', '--silent', 'package', '--', '--arch', arch, '--fast'], { cwd: root });
  expect(made.code, made.stderr).toBe(0);
  deb = debOf(arch);
  lab = await Lab.up(1);
  host = lab.host(1);
  [m1, m2] = await Promise.all([Machine.up(lab, 1), Machine.up(lab, 2)]);
  await host.up('--found', '--name', 'h1', '--engine', 'none');
}, 240_000);
afterAll(() => lab?.down());

describe('the package', () => {
  it('founds an appliance with install.sh, which changes nothing when it is run again', async () => {
    m1.put(deb, 'root/osca.deb');
    m1.put(join(root, 'out/install.sh'), 'root/install.sh');
    m1.write('etc/default/osca', 'OSCA_UP="--found --no-mdns"\n');
    const install = async (): Promise<string> =>
      await m1.ok('sh', '-c', 'cd /root && sh install.sh --package osca.deb --no-engine');
    expect(await install()).toContain('4/4 the cell is up');
    const pid = await m1.ok('systemctl', 'show', '-p', 'MainPID', '--value', 'osca');
    expect(await m1.ok('sh', '-c', 'cd /root && sh install.sh --no-engine')).toContain('is installed');
    expect(await m1.ok('systemctl', 'show', '-p', 'MainPID', '--value', 'osca')).toBe(pid);
    // What somebody wrote into the settings is kept.
    expect(readFileSync(join(m1.root, 'etc/default/osca'), 'utf8')).toContain('--found');
    expect(await m1.ok('systemd-analyze', 'verify', 'osca.service')).toBe('');
    expect(await m1.ok('systemctl', 'show', '-p', 'StatusText', '--value', 'osca')).toContain('cell m1');
  });

  it('has what it runs outlive a restart and an upgrade, and starts it again after a crash', async () => {
    m1.write('root/app.yaml', forever);
    await m1.ok('osca', 'deploy', '/root/app.yaml');
    const running = async (): Promise<string> => await m1.ok('pgrep', '-x', 'sleep');
    const before = await running();
    await m1.ok('systemctl', 'restart', 'osca');
    await m1.ok('apt-get', 'install', '-y', '--reinstall', '/root/osca.deb');
    const pid = (await m1.ok('systemctl', 'show', '-p', 'MainPID', '--value', 'osca')).trim();
    await m1.ok('kill', '-9', pid);
    await until('it is up again', async () => (await m1.sh('osca', 'status')).code === 0, 20_000);
    expect(await running()).toBe(before);
    // What belongs to others is not taken from them.
    const foreign = await add([`root@${m1.address}`, '--password'], passwords.root);
    expect(stepsOf(foreign)).toBe('connected machine failed');
    expect(foreign.steps.at(-1)!.text).toContain('it belongs to another appliance');
    expect(await running()).toBe(before);
    await m1.ok('osca', 'rm', 'app');
    await until('it has ended', async () => (await m1.sh('pgrep', '-x', 'sleep')).code !== 0);
  });

  it('is started again where it lives and does nothing', async () => {
    m1.write('etc/systemd/system/osca.service.d/lab.conf', '[Service]\nWatchdogSec=3\n');
    const shown = async (what: string): Promise<string> =>
      (await m1.ok('systemctl', 'show', '-p', what, '--value', 'osca')).trim();
    await m1.ok('sh', '-c', 'systemctl daemon-reload; systemctl restart osca');
    const [pid, first] = [await shown('MainPID'), await shown('WatchdogTimestampMonotonic')];
    await until('it says that it lives', async () => (await shown('WatchdogTimestampMonotonic')) !== first, 10_000);
    expect(await shown('MainPID')).toBe(pid);
    await m1.ok('kill', '-STOP', pid);
    await until('another runs', async () => ![pid, '0'].includes(await shown('MainPID')), 30_000);
    await until('it is up again', async () => (await m1.sh('osca', 'status')).code === 0, 20_000);
    rmSync(join(m1.root, 'etc/systemd/system/osca.service.d'), { recursive: true });
    await m1.ok('systemctl', 'daemon-reload');
  });

  it('comes back with its machine', async () => {
    await m1.powerOff();
    await m1.boot();
    await until('it is up', async () => (await m1.sh('osca', 'status')).code === 0, 20_000);
  });

  it('goes without a trace', async () => {
    await m1.ok('apt-get', 'purge', '-y', 'osca');
    expect(existsSync(join(m1.root, 'usr/lib/osca'))).toBe(false);
    expect(existsSync(join(m1.root, 'etc/default/osca'))).toBe(false);
    await isClean(m1);
  });

  it('brings Docker along on Debian 13, out of the packages of that system', async () => {
    const m3 = await Machine.up(lab, 3, 'trixie');
    m3.put(deb, 'root/osca.deb');
    m3.put(join(root, 'out/install.sh'), 'root/install.sh');
    m3.write('etc/default/osca', 'OSCA_UP="--found --no-mdns"\n');
    expect((await m3.sh('which', 'dockerd')).code).not.toBe(0);
    const told = await m3.ok('sh', '-c', 'cd /root && sh install.sh --package osca.deb');
    expect(told).toContain('Debian GNU/Linux 13');
    expect(told).toMatch(/^engine +Docker \d/m);
    expect(await m3.ok('sh', '-c', 'cd /root && sh install.sh')).toContain('is installed');
    await m3.ok('apt-get', '-y', '-q', 'purge', 'osca');
    expect((await m3.sh('docker', 'ps')).code).toBe(0);
    await m3.powerOff();
  }, 240_000);

  it('is fetched from where somebody put it, whole or not at all', async () => {
    const site = makeFolder(join(lab.folder, 'site'));
    for (const name of [basename(deb), 'install.sh', 'SHA256SUMS'])
      copyFileSync(join(root, 'out', name), join(site, name));
    const server = host.begin('busybox', 'httpd', '-f', '-p', '8000', '-h', site);
    const url = `http://${host.address}:8000`;
    await until('it serves', async () => (await m1.sh('curl', '-fs', `${url}/SHA256SUMS`)).code === 0);
    const install = async (): Promise<Ran> =>
      await m1.sh('sh', '-c', `curl -fsS ${url}/install.sh | sh -s -- --url ${url} --no-engine`);
    appendFileSync(join(site, basename(deb)), 'x');
    expect((await install()).stderr).toContain('is not what its checksum says');
    await isClean(m1);
    copyFileSync(deb, join(site, basename(deb)));
    const done = await install();
    expect(done.stdout, done.stderr).toContain('4/4 the cell is up');
    server.end();
    await m1.ok('apt-get', 'purge', '-y', 'osca');
    await isClean(m1);
  });

  it('is refused in words where it can not be', async () => {
    const fails = async (command: string): Promise<string> =>
      (await m1.sh('sh', '-c', `cd /root && ${command}`)).stderr;
    expect(await fails('sh install.sh')).toContain('say it: --url URL, or --package FILE');
    expect(await fails('sh install.sh --pack x')).toContain("'--pack' is no option");
    expect(await fails('sh install.sh --package none.deb')).toContain("none.deb can't be read");
    expect(
      await fails('cp install.sh /tmp/i.sh; setpriv --reuid 1000 --regid 1000 --clear-groups sh /tmp/i.sh'),
    ).toContain('run it again with sudo');
    expect(await fails('sh install.sh --url http://127.0.0.1:9')).toContain('is the machine online?');
  });
});

describe('osca cell add', () => {
  it('says what is wrong before anything is changed', async () => {
    const wrong = await add([`root@${m1.address}`, '--password'], 'wrong');
    expect([wrong.code, stepsOf(wrong)]).toEqual([1, 'failed']);
    expect(wrong.steps[0]).toMatchObject({
      text: expect.stringContaining('none of the keys and passwords'),
      hint: expect.stringContaining('--password'),
    });
    expect((await add(['root@10.77.0.250', '--password'], 'x')).steps[0]!.text).toContain("can't be reached by ssh");
    expect((await add([`${m1.address}:23`, '--password'], 'x')).steps[0]!.text).toContain('ECONNREFUSED');
    const key = await add([`root@${m1.address}`, '--password', '--fingerprint', 'SHA256:none'], passwords.root);
    expect(key.steps[0]!.text).toContain('shows another host key');
    expect((await add(['--key', '/none', 'a'])).stderr).toContain("/none can't be read");
    expect((await add(['a b'])).stderr).toContain("'a b' is no machine");
    expect((await add([])).stderr).toContain('no machine is named');
    const silent = await add(['a', '--password']);
    expect([silent.code, silent.stderr]).toEqual([2, expect.stringContaining('no password was given')]);
    expect((await add(['a', '--package', '/none_amd64.deb'])).stderr).toContain('there is no file /none_amd64.deb');
    mkdirSync(join(m1.root, 'var/lib/osca'));
    m1.write('var/lib/osca/cell.key', 'of a cell that runs from a checkout');
    const used = await add([`root@${m1.address}`, '--password'], passwords.root);
    expect(used.steps.at(-1)!.text).toContain('without the package');
    await m1.ok('rm', '-r', '/var/lib/osca');
    await isClean(m1);
  });

  it('makes a machine a member, once', async () => {
    const done = await add([`root@${m1.address}`, '--password'], passwords.root);
    expect(done.code, `${done.stdout}${done.stderr}`).toBe(0);
    expect(stepsOf(done)).toBe('connected machine copied installing joined reachable done');
    expect(done.steps.at(-2)!.text).toBe('both ways');
    expect(await host.alive()).toEqual(['h1', 'm1']);
    // The ticket is used up, and nothing of it is left there.
    expect(await tickets()).toEqual(['used up']);
    expect(existsSync(join(m1.root, 'var/lib/osca/ticket'))).toBe(false);
    const again = await add([`root@${m1.address}`, '--password'], passwords.root);
    expect(stepsOf(again)).toBe('connected machine member reachable done');
    console.log(done.steps.at(-1)!.text);
  });

  it('takes a user with sudo, lets a key in, and turns passwords off', async () => {
    const key = join(lab.folder, 'key');
    sh('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key);
    const without = await add([`pi@${m2.address}`, '--password', '--no-passwords'], passwords.pi);
    expect(stepsOf(without)).toBe('connected machine failed');
    expect(without.steps.at(-1)!.text).toContain('password logins stay on');
    await isClean(m2);
    // From a machine that was added itself; on Raspberry Pi OS sudo asks for nothing.
    m2.write('etc/sudoers.d/pi', 'pi ALL=(ALL) NOPASSWD: ALL\n', 0o440);
    for (const name of ['key', 'key.pub']) m1.put(join(lab.folder, name), `root/${name}`);
    mkdirSync(join(m2.root, 'home/pi/.ssh'));
    m2.write('home/pi/.ssh/authorized_keys', 'ssh-ed25519 AAAA somebody\\nelse');
    // Nobody has its other half: it is taken out again.
    const keyless = ['--authorize', '/root/key.pub', '--no-passwords'];
    const undone = await add([`pi@${m2.address}`, '--password', ...keyless], passwords.pi, m1);
    expect(stepsOf(undone)).toBe('connected machine failed undone');
    expect(readFileSync(join(m2.root, 'home/pi/.ssh/authorized_keys'), 'utf8')).toBe(
      'ssh-ed25519 AAAA somebody\\nelse\n',
    );
    const args = ['--authorize', '/root/key.pub', '--key', '/root/key', '--no-passwords'];
    const done = await add([`pi@${m2.address}`, '--password', ...args], passwords.pi, m1);
    expect(stepsOf(done), `${done.stdout}${done.stderr}`).toBe(
      'connected machine copied installing joined reachable passwords done',
    );
    const refused = await add([`root@${m2.address}`, '--password'], passwords.root);
    expect(refused.steps[0]!.text).toContain('none of the keys and passwords');
    expect((await host.alive()).length).toBe(3);
    const keys = readFileSync(join(m2.root, 'home/pi/.ssh/authorized_keys'), 'utf8').split('\n');
    expect(keys.slice(0, 2)).toEqual(['ssh-ed25519 AAAA somebody\\nelse', readFileSync(`${key}.pub`, 'utf8').trim()]);
    // The same key, lent by an agent.
    const socket = join(lab.folder, 'agent');
    const agent = `eval "$(ssh-agent -a ${socket})" >/dev/null; ssh-add -q ${key}; "$@"; ssh-agent -k >/dev/null`;
    const osca = [join(root, 'osca'), '--data', host.dataDir, 'cell', 'add', '--json', `pi@${m2.address}`];
    const lent = await host.sh('sh', '-c', agent, 'sh', ...osca);
    expect(lent.stdout, lent.stderr).toContain('"step":"member"');
  });

  it('runs what the appliance runs there, and is left by a stop without a gap', async () => {
    const file = join(lab.folder, 'app.yaml');
    writeFileSync(file, forever);
    await host.ok('deploy', file);
    expect(new Set((await host.replicas()).map(({ cell }) => cell)), await host.ok('why', 'app/web')).toEqual(
      new Set(['h1', 'm1', 'm2']),
    );
    // A restart moves nothing: the same run, and nobody was missed.
    const rowsOf = async (): Promise<string[]> =>
      (await host.replicas()).map(({ replica, cell }) => `${replica} ${cell}`);
    const [before, processes] = [await rowsOf(), await m2.ok('pgrep', '-x', 'sleep')];
    await m2.ok('systemctl', 'restart', 'osca');
    await until('it is a member again', async () =>
      (await m2.sh('osca', 'status', '--json')).stdout.includes('"member"'),
    );
    expect([await rowsOf(), await m2.ok('pgrep', '-x', 'sleep')]).toEqual([before, processes]);
    const words = (await host.events()).map(({ message }) => message);
    expect(words.filter((one) => /m2 (is down|left)/.test(one))).toEqual([]);
    await m2.ok('systemctl', 'stop', 'osca');
    expect((await m2.sh('pgrep', '-x', 'sleep')).code).not.toBe(0);
    await until('all run elsewhere', async () => {
      const rows = await host.replicas();
      return rows.length === 4 && rows.every(({ cell, state }) => state === 'ready' && cell !== 'm2');
    });
    await m2.ok('systemctl', 'start', 'osca');
    await host.ok('rm', 'app');
  });

  it('undoes all where the connection breaks off, or the system is none that it knows', async () => {
    await host.ok('cell', 'rm', 'm1');
    await m1.ok('apt-get', 'purge', '-y', 'osca');
    // sshd ends with all its connections in the middle of the installation.
    m1.write(
      'etc/apt/apt.conf.d/99-break',
      'DPkg::Pre-Invoke { "systemctl disable --now ssh.service; pkill -9 sshd; sleep 1"; };\n',
    );
    const broken = await add([`root@${m1.address}`, '--password'], passwords.root);
    expect(stepsOf(broken)).toBe('connected machine copied installing failed undone');
    expect(broken.steps.at(-2)!.text).toContain('broke off');
    expect(broken.steps.at(-1)!.hint).toContain('apt-get purge osca');
    expect(await tickets()).not.toContain('valid');
    m1.write('etc/apt/apt.conf.d/99-break', '');
    await m1.ok('systemctl', 'enable', '--now', 'ssh.service');
    // What was left half done is no hindrance; what was copied lies in /tmp until the machine starts anew.
    await m1.ok('sh', '-c', 'rm -rf /tmp/tmp.*');
    const again = await add([`root@${m1.address}`, '--password'], passwords.root);
    expect(again.steps.at(-1)!.step, `${again.stdout}${again.stderr}`).toBe('done');
    await host.ok('cell', 'rm', 'm1');
    await m1.ok('apt-get', 'purge', '-y', 'osca');

    const release = readFileSync(join(m1.root, 'usr/lib/os-release'), 'utf8');
    m1.write('etc/os-release', 'ID=fedora\nVERSION_ID=44\nPRETTY_NAME="Fedora Linux 44"\n');
    const other = await add([`root@${m1.address}`, '--password'], passwords.root);
    expect(stepsOf(other)).toBe('connected machine copied installing failed undone');
    expect(other.steps.at(-2)!.text).toContain('has no Debian packages');
    m1.write('etc/os-release', release);
    m1.write('usr/local/bin/date', '#!/bin/sh\necho 1000000000\n', 0o755);
    expect((await add([`root@${m1.address}`, '--password'], passwords.root)).steps.at(-1)!.text).toMatch(
      /its clock is \d+ minutes behind/,
    );
    m1.write('usr/local/bin/date', '#!/bin/sh\nexec /bin/date "$@"\n', 0o755);
    await isClean(m1);
  });

  it('takes many from a file', async () => {
    const list = join(lab.folder, 'boards.txt');
    writeFileSync(list, `# the attic\npi@${m1.address} ${passwords.pi}\nroot@10.77.0.250 ${passwords.root}\n`, {
      mode: 0o644,
    });
    expect((await add(['--hosts', list])).stderr).toContain(`chmod 600 ${list}`);
    sh('chmod', '600', list);
    const done = await add(['--hosts', list]);
    expect(done.code).toBe(1);
    expect(done.steps.filter(({ host: one }) => one === m1.address).at(-1)!.step).toBe('done');
    expect(done.steps.filter(({ host: one }) => one === '10.77.0.250').map(({ step }) => step)).toEqual(['failed']);
  });
});
