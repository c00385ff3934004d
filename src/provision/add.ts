/**
 * `osca cell add`: makes another machine a cell, over ssh: looks at it, brings the package, installs it, waits until it is a member, and looks
 * whether both reach each other. What fails is undone.
 */
import { createReadStream, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { OscaError, reasonOf } from '../core/errors.ts';
import { defaultPort } from '../node/config.ts';
import { authorize, byKey, passwordsOff, unauthorize } from './logins.ts';
import type { Arch } from './package.ts';
import type { Login } from './ssh.ts';
import { lastWords, must, quoted, Ssh } from './ssh.ts';

/** What this machine's appliance is asked. */
export interface Appliance {
  id(): Promise<string>;
  ticket(): Promise<{ id: string; ticket: string }>;
  revoke(id: string): Promise<void>;
  cells(): Promise<{ id: string; name: string; state: string; self: boolean; addrs: string[] }[]>;
  remove(cell: string): Promise<void>;
}

export interface AddRequest {
  login: Login;
  /** /usr/lib/osca or a checkout: install.sh is taken from its packaging/. */
  root: string;
  /** Path of a package for that architecture. */
  packageFor(arch: Arch): Promise<string>;
  engine: boolean;
  /** A public key for its authorized_keys. */
  authorize?: string;
  /** Turn password logins off, when a key has let us in. */
  noPasswords: boolean;
  trusts(fingerprint: string): boolean;
}

export interface AddStep {
  host: string;
  step:
    | 'connected'
    | 'machine'
    | 'member'
    | 'copied'
    | 'installing'
    | 'joined'
    | 'reachable'
    | 'one-way'
    | 'passwords'
    | 'done'
    | 'undone'
    | 'failed';
  text: string;
  hint?: string;
}

interface Machine {
  pretty: string;
  arch: string;
  /** As dpkg says: 'install ok installed 0.1.0'; '' where it knows none. */
  package: string;
  /** A cell has been there. */
  hasData: boolean;
  status: { phase: string; self: string; appliance?: string } | undefined;
  clockMs: number;
  freeKb: number;
  systemd: boolean;
}

const joinMs = 60_000;
/** A ticket has an end, and a certificate a beginning: a clock that is further off may miss both. */
const clockMs = 300_000;
const neededKb = 400_000;

const look = `[ ! -r /etc/os-release ] || . /etc/os-release
echo "pretty=\${PRETTY_NAME-this system}"
echo "arch=$(dpkg --print-architecture 2>/dev/null || echo none)"
package=$(dpkg-query -W -f '\${Status} \${Version}' osca 2>/dev/null | sed '/ not-installed /d')
echo "package=$package"
[ ! -e /var/lib/osca/cell.key ] || echo data=1
echo "clock=$(date +%s)"
echo "free=$(df -Pk /usr | tail -n 1 | awk '{print $4}')"
[ ! -d /run/systemd/system ] || echo systemd=1
echo "status=$(osca --data /var/lib/osca status --json 2>/dev/null | tr -d '\\n')"`;

/** Tells each step as it is done; ends with done, member or failed. */
export async function addCell(
  request: AddRequest,
  appliance: Appliance,
  tell: (step: AddStep) => void,
): Promise<boolean> {
  const { host } = request.login;
  const say = (step: AddStep['step'], text: string, hint?: string): void =>
    tell({ host, step, text, ...(hint === undefined || hint === '' ? {} : { hint }) });
  const startMs = Date.now();
  const undo: (() => Promise<void>)[] = [];
  let ssh: Ssh | undefined;
  try {
    ssh = await Ssh.open(request.login, request.trusts);
    say('connected', `host key ${ssh.fingerprint}`);
    const machine = await machineOf(ssh);
    const mine = await appliance.id();
    const version = / ok installed (.+)$/.exec(machine.package)?.[1];
    say('machine', [machine.pretty, machine.arch, ...(version === undefined ? [] : [`osca ${version}`])].join(', '));
    const isMember = machine.status?.phase === 'member' && machine.status.appliance === mine;
    if (isMember) say('member', 'it is a member already');
    else check(machine, mine);
    const { authorize: key } = request;
    if (key !== undefined && (await authorize(ssh, key)))
      undo.push(async () => await again(request, async (back) => await unauthorize(back, key)));
    if (request.noPasswords) await byKey(request);
    if (!isMember) {
      const { id, ticket } = await appliance.ticket();
      undo.push(async () => await appliance.revoke(id));
      await install(ssh, request, machine, ticket, say, undo);
      await joined(ssh, appliance, say, undo);
    }
    // It is a cell now, and stays one whatever comes.
    undo.length = 0;
    await reach(ssh, host, appliance, say);
    if (request.noPasswords) {
      await passwordsOff(ssh, request);
      say('passwords', 'logins by password are off');
    }
    say('done', `is a cell of this appliance (${Math.round((Date.now() - startMs) / 1_000)} s)`);
    return true;
  } catch (error) {
    const { message, hint } = error instanceof OscaError ? error : { message: reasonOf(error), hint: '' };
    say('failed', message, hint);
    await takeBack(request, undo, say);
    return false;
  } finally {
    ssh?.end();
  }
}

async function machineOf(ssh: Ssh): Promise<Machine> {
  const { code, stdout, stderr } = await ssh.run(look);
  if (code !== 0)
    throw new OscaError(
      'denied',
      `it can't be looked at: ${stderr.trim().split('\n').at(-1)}`,
      'log in as root, or as a user that may use sudo (give --password where sudo asks for it)',
    );
  const said = new Map(stdout.split('\n').map((line) => [line.split('=')[0]!, line.slice(line.indexOf('=') + 1)]));
  const status = said.get('status') ?? '';
  return {
    ...{ pretty: said.get('pretty') ?? '', arch: said.get('arch') ?? '', package: said.get('package') ?? '' },
    hasData: said.has('data'),
    ...{ clockMs: Number(said.get('clock')) * 1_000, freeKb: Number(said.get('free')), systemd: said.has('systemd') },
    status: status === '' ? undefined : (JSON.parse(status) as NonNullable<Machine['status']>),
  };
}

/** Before anything is changed on it. install.sh looks at the rest. */
function check(
  { arch, clockMs: theirs, freeKb, systemd, pretty, status, hasData, package: known }: Machine,
  mine: string,
): void {
  if (status?.appliance !== undefined && status.appliance !== mine)
    throw new OscaError(
      'conflict',
      `it belongs to another appliance, ${status.appliance}`,
      'take it out of that first, on it: apt-get purge osca (and osca cell rm on another cell of that)',
    );
  if (hasData && known === '')
    throw new OscaError(
      'conflict',
      'a cell runs or ran there without the package: /var/lib/osca is in use',
      'end it and move that folder away; or bring that cell in: osca join TICKET',
    );
  if (arch !== 'amd64' && arch !== 'arm64')
    throw new OscaError(
      'bad-request',
      arch === 'none' ? `${pretty} has no Debian packages` : `${pretty} on ${arch} is not supported`,
      'x64 and arm64 are, with Debian 12, Ubuntu 22.04, Raspberry Pi OS or later; a Raspberry Pi needs a 64-bit system',
    );
  if (!systemd)
    throw new OscaError(
      'bad-request',
      `systemd does not run on ${pretty}`,
      'start the cell there yourself: osca up --ticket TICKET',
    );
  if (freeKb < neededKb)
    throw new OscaError(
      'bad-request',
      `its disk has ${Math.round(freeKb / 1_024)} MB left, and ${Math.round(neededKb / 1_024)} are needed`,
      'make room on it: apt-get clean',
    );
  const off = theirs - Date.now();
  if (Math.abs(off) > clockMs) {
    const how = `${Math.round(Math.abs(off) / 60_000)} minutes ${off > 0 ? 'ahead' : 'behind'}`;
    throw new OscaError(
      'bad-request',
      `its clock is ${how} of this machine's`,
      'set it (timedatectl set-ntp true), or the one here',
    );
  }
}

type Say = (step: AddStep['step'], text: string, hint?: string) => void;

async function install(
  ssh: Ssh,
  request: AddRequest,
  machine: Machine,
  ticket: string,
  say: Say,
  undo: (() => Promise<void>)[],
): Promise<void> {
  const file = await request.packageFor(machine.arch as Arch);
  const folder = (await must(ssh, 'mktemp -d', 'it has no room for a temporary file')).trim();
  const [deb, script] = ['osca.deb', 'install.sh'].map((name) => quoted(join(folder, name))) as [string, string];
  try {
    const startMs = Date.now();
    await must(ssh, `cat >${deb}`, 'the package could not be copied', createReadStream(file));
    const text = readFileSync(join(request.root, 'packaging/install.sh'), 'utf8');
    await must(ssh, `cat >${script}`, 'the script could not be copied', text);
    say('copied', `the package, in ${((Date.now() - startMs) / 1_000).toFixed(1)} s`);
    // Where nothing of it was there before, all of it goes again.
    if (machine.package === '') undo.push(async () => await removed(request));
    const options = `--package ${deb}${request.engine ? '' : ' --no-engine'}`;
    say('installing', request.engine ? 'osca, and Docker where no engine is' : 'osca');
    const command = `IFS= read -r OSCA_TICKET; export OSCA_TICKET; sh ${script} ${options}`;
    const { code, stderr } = await ssh.run(command, `${ticket}\n`);
    if (code !== 0)
      throw new OscaError('internal', `it could not be installed: ${lastWords(stderr)}`, 'mend that, and run it again');
  } finally {
    await ssh.run(`rm -rf ${quoted(folder)}`).catch(() => {});
  }
}

/** Until this cell has heard of it. */
async function joined(ssh: Ssh, appliance: Appliance, say: Say, undo: (() => Promise<void>)[]): Promise<void> {
  const deadline = Date.now() + joinMs;
  let phase = '';
  let isKnown = false;
  while (Date.now() < deadline) {
    const { status } = await machineOf(ssh);
    phase = status?.phase ?? 'not up';
    const cell = (await appliance.cells()).find(({ id }) => id === status?.self);
    if (cell !== undefined && !isKnown) undo.push(async () => await appliance.remove(cell.id));
    isKnown ||= cell !== undefined;
    if (cell?.state === 'alive' && phase === 'member') return say('joined', `as ${cell.name}`);
    await new Promise((done) => setTimeout(done, 300));
  }
  throw new OscaError(
    'timeout',
    `it did not join within ${joinMs / 1_000} s (it is ${phase})`,
    `does it reach this machine, port ${defaultPort}/tcp? a firewall on either may be in the way`,
  );
}

/** By TCP, each to the other. One direction is enough to work, and a cell that nobody reaches is alone after a restart of the others. */
async function reach(ssh: Ssh, host: string, appliance: Appliance, say: Say): Promise<void> {
  const id = (await machineOf(ssh)).status?.self;
  const cells = await appliance.cells();
  const of = (cell: { addrs: string[] } | undefined): { ip: string; port: string }[] =>
    (cell?.addrs ?? []).flatMap((addr) => {
      const [, , ip, , port] = addr.split('/');
      return ip === undefined || port === undefined || /^(127\.|::1$)/.test(ip) ? [] : [{ ip, port }];
    });
  const here = of(cells.find((cell) => cell.self));
  const there = of(cells.find((cell) => cell.id === id));
  // Bridges of engines have the same address on every machine: that is one's own.
  const others = (some: typeof here, own: typeof here) => some.filter(({ ip }) => !own.some((one) => one.ip === ip));
  const port = Number(there[0]?.port ?? defaultPort);
  const to = [host, ...others(there, here).map(({ ip }) => ip)];
  const back = others(here, there).map((one) => quoted(`${one.ip} ${one.port}`));
  const script = `for one in ${back.join(' ')}; do timeout 3 bash -c "exec 3<>/dev/tcp/\${one% *}/\${one#* }" 2>/dev/null && exit 0; done; exit 1`;
  const [isThere, isBack] = await Promise.all([
    Promise.all(to.map((ip) => answers(ip, port))).then((all) => all.some(Boolean)),
    back.length === 0 ? true : ssh.run(script).then(({ code }) => code === 0),
  ]);
  if (isThere && isBack) return say('reachable', 'both ways');
  const closed = isThere ? 'this machine can not be reached from it' : `it can not be reached on port ${port}`;
  const where = isThere ? `port ${here[0]?.port ?? defaultPort}/tcp here` : `port ${port}/tcp there`;
  say('one-way', closed, `open ${where} (with ufw: ufw allow PORT/tcp)`);
}

const answers = async (host: string, port: number): Promise<boolean> =>
  await new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 3_000 });
    const end = (is: boolean) => (): void => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });

/** On a connection of its own: the one before may be what broke. */
async function again({ login, trusts }: AddRequest, act: (ssh: Ssh) => Promise<void>): Promise<void> {
  const ssh = await Ssh.open(login, trusts);
  try {
    await act(ssh);
  } finally {
    ssh.end();
  }
}

const removed = async (request: AddRequest): Promise<void> =>
  await again(request, async (ssh) => {
    await must(
      ssh,
      'export DEBIAN_FRONTEND=noninteractive; systemctl stop osca.service 2>/dev/null; dpkg --configure -a >/dev/null 2>&1; ! dpkg-query -W osca >/dev/null 2>&1 || apt-get purge -y -q -o DPkg::Lock::Timeout=300 osca >/dev/null && rm -rf /var/lib/osca',
      'it could not be removed',
    );
  });

async function takeBack(
  { login: { host }, engine }: AddRequest,
  undo: (() => Promise<void>)[],
  say: Say,
): Promise<void> {
  if (undo.length === 0) return;
  const failures: string[] = [];
  for (const step of undo.reverse()) await step().catch((error: unknown) => failures.push(reasonOf(error)));
  if (failures.length === 0)
    say('undone', `what was done there${engine ? '; Docker stays where it was installed' : ''}`);
  else say('undone', `not all could be undone: ${failures.join('; ')}`, `on ${host}: apt-get purge osca`);
}
