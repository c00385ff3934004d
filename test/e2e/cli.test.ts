/** Every command, as a person types it, on two real daemons. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { get, request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReplicaRow } from '../../src/api/rows.ts';
import { loopback } from '../loopback.ts';
import { until } from '../until.ts';
import { run, TestCell } from './cells.ts';

const [ada, bob] = [new TestCell('ada'), new TestCell('bob')];

const spec = (name: string, line: string, more = ''): string => `name: ${name}
services:
  web:
    x-osca: { driver: process }
    command: [sh, -c, '${line.replaceAll("'", "''")}']
    stop_grace_period: 1s
${more}`;
const forever = 'echo hello from $$OSCA_REPLICA; while :; do sleep 0.2; done';

const rows = async (app: string): Promise<ReplicaRow[]> => await ada.json<ReplicaRow[]>('ps', app);

beforeAll(async () => {
  await ada.up('--found');
  const { ticket } = await ada.json<{ ticket: string }>('ticket', 'create', '--uses', '2');
  await bob.up('--ticket', ticket);
  await until('two cells', async () => (await ada.ok('cell', 'ls')).includes('bob'));
});
afterAll(async () => await Promise.all([ada.stop(), bob.stop()]));

describe('without a daemon', () => {
  it('says how to start one, with code 3', async () => {
    const done = await run(['--data', '/nonexistent/osca', 'ls']);
    // Where it stands is no matter.
    for (const args of [
      ['ls', '--data', '/nonexistent/osca'],
      ['ls', '--data=/nonexistent/osca', '--json'],
    ])
      expect((await run(args)).stderr).toBe(done.stderr);
    expect(done.code).toBe(3);
    expect(done.stderr).toContain('osca up');
  });

  it('shows help with examples, and refuses what is no command with code 2', async () => {
    expect((await run(['deploy', '--help'])).stdout).toContain('Example');
    expect((await run(['--help'])).stdout).toContain('Exit codes:');
    expect((await run(['deplyo'])).code).toBe(2);
    for (const shell of ['bash', 'zsh', 'fish']) expect((await run(['completion', shell])).stdout).toContain('deploy');
  });
});

describe('settings', () => {
  it('are those of the whole appliance, and checked', async () => {
    expect(await ada.json('settings')).toEqual({ mastersThreshold: 2, mastersMaximum: 3, maxMoves: 4 });
    expect(await ada.ok('settings', '--max-moves', '2')).toMatch(/max-moves\s+2/);
    await until('bob knows', async () => (await bob.json<{ maxMoves: number }>('settings')).maxMoves === 2);
    const wrong = await bob.osca('settings', '--masters-maximum', '1');
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("can't be at least 2") });
    expect((await bob.osca('settings', '--max-moves', '0')).code).toBe(2);
  });
});

describe('an app', () => {
  it('is planned, deployed, listed, logged, and runs on both cells', async () => {
    const file = ada.file('shop.yaml', spec('shop', forever, '    deploy: { replicas: 2 }\n'));
    const plan = await ada.osca('plan', file);
    expect(plan.code).toBe(1);
    expect(plan.stdout).toContain('+ add web');
    const done = await ada.osca('deploy', file);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toContain('2 of 2 replicas run');
    expect((await ada.osca('plan', file)).code).toBe(0);
    expect(new Set((await rows('shop')).map(({ cell }) => cell))).toEqual(new Set(['ada', 'bob']));
    expect(await bob.json<{ app: string; ready: number }[]>('ls')).toMatchObject([
      { app: 'shop', ready: 2, state: 'running' },
    ]);
    const without = await ada.osca('plan', '--remove-cell', 'bob');
    expect(without.code).toBe(1);
    expect(without.stdout).toMatch(/shop\/web\/\d\s+bob\s+ada/);
    expect(without.stdout).toContain('1 would move, 1 stay');
    expect((await ada.osca('plan', '--add-cell', '4,8g')).stdout).toMatch(/would move, \d stay/);
    expect(await ada.osca('plan')).toMatchObject({ code: 2, stderr: expect.stringContaining('--remove-cell') });
    expect(await ada.osca('plan', '--add-cell', 'big')).toMatchObject({ code: 2 });
    expect(await ada.osca('plan', '--remove-cell', 'nobody')).toMatchObject({ code: 2 });
    const logs = await until('logs of both', async () => {
      const text = await bob.ok('logs', '-n', '10', 'shop');
      return text.includes('shop/web/1') && text.includes('shop/web/2') ? text : undefined;
    });
    expect(logs).toContain('hello from');
    expect(
      await ada.json('inspect', 'shop').catch(async () => JSON.parse(await ada.ok('inspect', 'shop'))),
    ).toMatchObject({ name: 'shop' });
  });

  it('runs commands in any replica, from any cell', async () => {
    for (const index of ['1', '2']) {
      const done = await bob.osca(
        'exec',
        `shop/web/${index}`,
        '--',
        'sh',
        '-c',
        'echo $OSCA_REPLICA; echo oops >&2; exit 4',
      );
      expect(done).toEqual({ code: 4, stdout: `shop/web/${index}\n`, stderr: 'oops\n' });
    }
  });

  it('keeps what did not change, and replaces what did', async () => {
    const before = await rows('shop');
    const file = ada.file('shop.yaml', spec('shop', forever, '    deploy: { replicas: 3 }\n'));
    await ada.ok('deploy', file);
    const after = await rows('shop');
    expect(after).toHaveLength(3);
    for (const one of before)
      expect(
        after.find(
          ({ replica, hash, sinceMs }) => replica === one.replica && hash === one.hash && sinceMs === one.sinceMs,
        ),
      ).toBeDefined();
    await ada.ok('deploy', ada.file('shop.yaml', spec('shop', `${forever} # new`, '    deploy: { replicas: 3 }\n')));
    expect((await rows('shop')).every(({ hash }) => hash !== before[0]!.hash)).toBe(true);
  });

  it('is scaled, stopped, started, restarted and explained', async () => {
    await ada.ok('scale', 'shop/web=1');
    await until('one', async () => (await rows('shop')).length === 1);
    await bob.ok('stop', 'shop/web');
    await until('none', async () => (await rows('shop')).length === 0);
    expect((await ada.json<{ state: string }[]>('ls'))[0]!.state).toBe('stopped');
    await ada.ok('start', 'shop');
    const [first] = await until('one again', async () =>
      (await rows('shop'))[0]?.state === 'ready' ? await rows('shop') : undefined,
    );
    await ada.ok('restart', 'shop');
    await until('another form', async () => {
      const now = await rows('shop');
      return now.length === 1 && now[0]!.state === 'ready' && now[0]!.hash !== first!.hash;
    });
    expect(await ada.ok('why', 'shop/web')).toContain('runs it');
  });

  it('moves off a drained cell, and labels steer it', async () => {
    await ada.ok('scale', 'shop/web=4');
    await until('on both', async () => new Set((await rows('shop')).map(({ cell }) => cell)).size === 2);
    const drained = await ada.ok('cell', 'drain', 'bob');
    expect(drained).toMatch(/shop\/web\/\d runs on ada/);
    expect(drained).toContain('bob is drained');
    const now = await rows('shop');
    expect(now).toHaveLength(4);
    expect(now.every(({ cell, state }) => cell === 'ada' && state === 'ready')).toBe(true);
    const stuck = await bob.osca('cell', 'drain', 'ada');
    expect(stuck.code).toBe(2);
    expect(stuck.stderr).toMatch(/shop\/web\/\d can't move: .*bob: the cell is drained/);
    expect(stuck.stderr).toContain('osca cell resume ada');
    await ada.ok('cell', 'resume', 'ada');
    await ada.ok('cell', 'resume', 'bob');
    await ada.ok('cell', 'label', 'bob', 'zone=attic');
    await ada.ok(
      'deploy',
      ada.file(
        'attic.yaml',
        spec(
          'attic',
          forever,
          '    deploy: { replicas: 2, placement: { constraints: [node.labels.zone == attic] } }\n',
        ),
      ),
    );
    expect((await rows('attic')).every(({ cell }) => cell === 'bob')).toBe(true);
    expect(await ada.ok('why', 'attic/web')).toContain('no such label');
    await ada.ok('rm', 'attic');
  });

  it('is removed everywhere', async () => {
    await ada.ok('rm', 'shop');
    await until('gone', async () => (await ada.json<ReplicaRow[]>('ps')).length === 0);
    const again = await ada.osca('rm', 'shop');
    expect(again.code).toBe(2);
    expect(again.stderr).toContain("there is no app 'shop'");
  });
});

describe('what goes wrong', () => {
  it('a mistake in a file is named by place, and nothing changes', async () => {
    const done = await ada.osca('deploy', ada.file('bad.yaml', 'services:\n  web:\n    imag: nginx\n'));
    expect(done.code).toBe(2);
    expect(done.stderr).toMatch(/bad\.yaml:3:5: services\.web\.imag: .*\n.*did you mean 'image'/);
    expect((await ada.osca('plan', ada.file('bad.yaml', 'services:\n\tx: 1\n'))).code).toBe(2);
    expect(await ada.json('ls')).toEqual([]);
  });

  it('a process that exits at once: its last lines, code 1', async () => {
    const done = await ada.osca('deploy', ada.file('crash.yaml', spec('crash', 'echo cannot open /data; exit 3')));
    expect(done.code).toBe(1);
    expect(done.stderr).toContain('exit code 3');
    expect(done.stderr).toContain('| cannot open /data');
    await ada.ok('rm', 'crash');
  });

  it('a process that never gets healthy', async () => {
    const check = '    healthcheck: { test: "echo not yet; exit 1", interval: 100ms, retries: 2 }\n';
    const done = await ada.osca('deploy', ada.file('sick.yaml', spec('sick', forever, check)));
    expect(done.code).toBe(1);
    expect(done.stderr).toMatch(/unhealthy|health check fails/);
    await ada.ok('rm', 'sick');
  });

  it('what fits nowhere is pending, with the reason of each cell', async () => {
    const done = await ada.osca(
      'deploy',
      ada.file('big.yaml', spec('big', forever, '    deploy: { resources: { reservations: { memory: 900g } } }\n')),
    );
    expect(done.code).toBe(1);
    expect(done.stderr).toContain('memory: needs 921600 MiB');
    await ada.ok('rm', 'big');
  });

  it('an image where no engine answers', async () => {
    const done = await ada.osca('deploy', ada.file('image.yaml', 'name: image\nservices: { web: { image: nginx } }\n'));
    expect(done.code).toBe(1);
    expect(done.stderr).toContain('no container engine answers');
    await ada.ok('rm', 'image');
  });

  it('tickets that are wrong, used up or revoked', async () => {
    const bad = await run(['--data', join(ada.folder, 'none'), 'up', '--ticket', 'osca1-nonsense-0000000']);
    expect(bad.code).toBe(2);
    expect(bad.stderr).toContain('checksum');
    const cy = await new TestCell('cy').up();
    const { ticket, id } = await ada.json<{ ticket: string; id: string }>('ticket', 'create');
    await ada.ok('ticket', 'revoke', id);
    expect((await ada.json<{ id: string; state: string }[]>('ticket', 'ls')).find((one) => one.id === id)!.state).toBe(
      'revoked',
    );
    const refused = await cy.osca('join', ticket);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('revoked');
    // What was said of the one is not said of the next.
    const next = await ada.json<{ ticket: string }>('ticket', 'create');
    expect(await cy.ok('join', next.ticket)).toContain('joined appliance');
    await cy.stop();
    await ada.ok('cell', 'rm', 'cy');
  });

  it('a key that a plain process can not have', async () => {
    const done = await ada.osca('deploy', ada.file('user.yaml', spec('user', forever, '    user: nobody\n')));
    expect(done.code).toBe(2);
    expect(done.stderr).toContain('services.web.user: a plain process');
  });

  it('a second daemon on one data folder', async () => {
    const done = await run(['--data', ada.folder, 'up', '--engine', 'none', '--no-mdns']);
    expect(done.code).toBe(1);
    expect(done.stderr).toContain('another osca daemon uses');
  });

  it('a data folder that cannot be made', async () => {
    const done = await run(['--data', '/proc/osca', 'up']);
    expect(done.code).toBe(1);
    expect(done.stderr).toContain('--data DIR');
  });
});

describe('what is so already', () => {
  it('is said, and ends nothing', async () => {
    await ada.ok('deploy', ada.file('so.yaml', spec('so', forever)));
    await ada.ok('start', 'so');
    await ada.ok('cell', 'label', 'ada', 'nothing-');
    await ada.ok('stop', 'so');
    const refused = await ada.osca('restart', 'so');
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('osca start so');
    await ada.ok('start', 'so');
    await until('ready', async () => (await rows('so'))[0]?.state === 'ready');
    expect((await ada.osca('exec', 'so/web', '--', 'no-such-command')).code).toBe(127);
    await ada.ok('rm', 'so');
  });
});

describe('the specs folder', () => {
  it('deploys, redeploys, says what is wrong, and removes', async () => {
    const path = join(ada.folder, 'specs', 'dropped.yaml');
    const text = spec('dropped', forever).replace('name: dropped\n', '');
    writeFileSync(path, text);
    await until('deployed', async () => (await rows('dropped'))[0]?.state === 'ready');
    writeFileSync(path, text.replace('command', 'comand'));
    await until('the error file', () => readFileSync(`${path}.error`, 'utf8').includes("did you mean 'command'?"));
    expect(await ada.ok('events')).toContain('specs.refused');
    expect(await rows('dropped')).toHaveLength(1);
    writeFileSync(path, text.replace('hello', 'bye'));
    await until('no error file', async () => !(await ada.ok('events')).endsWith('refused') && !exists(`${path}.error`));
    rmSync(path);
    await until('removed', async () => (await ada.json<{ app: string }[]>('ls')).every(({ app }) => app !== 'dropped'));
    // Of two files of one app the first counts, until it is gone; a file may be renamed.
    const [one, two] = ['one.yaml', 'two.yaml'].map((name) => join(ada.folder, 'specs', name)) as [string, string];
    const twin = spec('twin', forever);
    writeFileSync(one, twin);
    await until('the first runs', async () => (await rows('twin'))[0]?.state === 'ready');
    writeFileSync(two, twin.replace('hello', 'hi'));
    await until('the second is refused', () => readFileSync(`${two}.error`, 'utf8').includes('one.yaml says already'));
    rmSync(one);
    await until('the second has its turn', () => !exists(`${two}.error`));
    await until('it runs', async () => (await rows('twin')).some(({ state, current }) => state === 'ready' && current));
    const before = (await rows('twin')).map(({ replica }) => replica);
    renameSync(two, one);
    await until('it is of the file of another name', async () =>
      (await ada.json<{ message: string }[]>('events')).some(({ message }) => message === 'one.yaml: deployed twin'),
    );
    expect((await rows('twin')).map(({ replica }) => replica)).toEqual(before);
    rmSync(one);
    await until('it is gone', async () => (await ada.json<{ app: string }[]>('ls')).every(({ app }) => app !== 'twin'));
    // A pipe that nobody writes to keeps nobody waiting.
    const pipe = join(ada.folder, 'specs', 'pipe.yaml');
    execFileSync('mkfifo', [pipe]);
    await until(
      'it is told',
      () => exists(`${pipe}.error`) && readFileSync(`${pipe}.error`, 'utf8').includes('a pipe'),
    );
    rmSync(pipe);
    await until('its error file goes too', () => !exists(`${pipe}.error`));
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

const exists = (path: string): boolean => {
  try {
    return readFileSync(path) !== undefined;
  } catch {
    return false;
  }
};

describe('two cells that both restart', () => {
  it('find each other by what they remember, without mDNS', async () => {
    const [eve, fay] = [new TestCell('eve'), new TestCell('fay')];
    const at = async (): Promise<string[]> => ['--listen', `/ip4/127.0.0.1/tcp/${await freePort()}`];
    const [eveAt, fayAt] = [await at(), await at()];
    await eve.up('--found', ...eveAt);
    const { ticket } = await eve.json<{ ticket: string }>('ticket', 'create');
    await fay.up('--ticket', ticket, ...fayAt);
    const alive = async (cell: TestCell): Promise<number> =>
      (await cell.json<{ cells: { state: string }[] }>('cell', 'ls')).cells.filter(({ state }) => state === 'alive')
        .length;
    const together = async (): Promise<boolean> => (await alive(eve)) === 2 && (await alive(fay)) === 2;
    await until('together', together);
    await Promise.all([eve.stop(), fay.stop()]);
    await Promise.all([eve.up(...eveAt), fay.up(...fayAt)]);
    await until('together again', together, 20_000);
    // A ticket for a cell that is in already is no harm; one of another appliance is refused.
    await fay.stop();
    const other = await new TestCell('other').up('--found');
    const wrong = (await other.json<{ ticket: string }>('ticket', 'create')).ticket;
    await other.stop();
    const refused = await run(['--data', fay.folder, 'up', '--engine', 'none', '--no-mdns', '--ticket', wrong]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('this cell belongs to appliance');
    await fay.up('--ticket', ticket, ...fayAt);
    await until('together once more', together, 20_000);
    // One that lies in its folder from the day it was set up is no reason not to start, whatever became of it.
    await fay.stop();
    writeFileSync(join(fay.folder, 'ticket'), 'osca1-half a ticket\n');
    await fay.up(...fayAt);
    await until('together with half a ticket', together, 20_000);
    const { ticket: spare } = await eve.json<{ ticket: string }>('ticket', 'create');
    expect(await eve.ok('ticket', 'revoke', spare)).toContain('is revoked');
    await Promise.all([eve.stop(), fay.stop()]);
  });
});

describe('a daemon that is killed', () => {
  it('finds its processes again and restarts nothing', async () => {
    const solo = new TestCell('solo');
    const args = ['--data', solo.folder, 'up', '--found', '--name', 'solo', ...loopback];
    const start = async (): Promise<number> => {
      await run([...args, '--detach']);
      return (await solo.json<{ pid: number }>('status')).pid;
    };
    const pid = await start();
    await solo.ok('deploy', solo.file('a.yaml', spec('a', 'echo started $$$$; while :; do sleep 0.2; done')));
    const log = await until(
      'its line',
      async () => (await solo.ok('logs', 'a')).includes('started') && (await solo.ok('logs', 'a')),
    );
    process.kill(pid, 'SIGKILL');
    await until('it is gone', async () => (await solo.osca('status')).code === 3);
    const next = await start();
    await until('ready', async () => (await solo.json<ReplicaRow[]>('ps'))[0]?.state === 'ready');
    expect(await solo.ok('logs', 'a')).toBe(log);
    await solo.ok('rm', 'a');
    await until('stopped', async () => (await solo.json<ReplicaRow[]>('ps')).length === 0);
    process.kill(next, 'SIGTERM');
  });
});

describe('the API', () => {
  const call = async (
    port: number,
    headers: Record<string, string>,
    method = 'GET',
    path = '/v1/status',
  ): Promise<number> =>
    await new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port, path, method, headers }, ({ statusCode }) => resolve(statusCode ?? 0))
        .once('error', reject)
        .end();
    });

  it('wants the token, the right Host and no foreign Origin', async () => {
    const cell = new TestCell('api');
    await cell.up('--found', '--api-port', '45477');
    const token = readFileSync(join(cell.folder, 'token'), 'utf8').trim();
    const good = { authorization: `Bearer ${token}` };
    expect(await call(45_477, good)).toBe(200);
    expect(await call(45_477, {})).toBe(401);
    expect(await call(45_477, { authorization: `Bearer ${createHash('sha256').update('x').digest('hex')}` })).toBe(401);
    expect(await call(45_477, { ...good, host: 'evil.example' })).toBe(403);
    expect(await call(45_477, { ...good, origin: 'http://evil.example' }, 'POST', '/v1/deploy')).toBe(403);
    expect(await call(45_477, { connection: 'Upgrade', upgrade: 'osca-exec' }, 'GET', '/v1/exec?target=a')).toBe(401);
    await cell.stop();
  });

  it('says what is wrong with an image before anything long begins', async () => {
    const says = async (...args: string[]): Promise<string> => {
      const done = await run(['image', 'build', ...args]);
      expect(done.code).toBe(2);
      return done.stderr;
    };
    const out = join(ada.folder, 'osca.img');
    expect(await says('--name', 'The Attic', '-o', out)).toContain("'The Attic' is no name\n  use a-z");
    expect(await says('--wifi', 'attic', '--wifi-open', '-o', out)).toContain('the country is missing');
    expect(await says('--wifi', 'attic', '-o', out)).toContain("the password of 'attic' is missing");
    expect(await says('--ticket', 'osca1-half', '-o', out)).toContain("'osca1-half' is no ticket");
    expect(await says('--new-appliance', 'The Attic', '-o', out)).toContain("'The Attic' is no name for boards");
    expect(await says('--new-appliance', 'attic', '--ticket', '-o', out)).toContain('leave out --ticket');
    expect(await says('--ssh-key', '/none', '-o', out)).toContain("/none can't be read");
    expect(await says('-o', join(ada.folder, 'osca.txt'))).toContain('is no image\n  name it osca.img');
    expect(await says('--netboot', '10.0.0.1', '--name', 'b1', '-o', join(ada.folder, 'net'))).toContain(
      '--hostname-prefix',
    );
    expect(existsSync(out)).toBe(false);
  });

  it('describes itself', async () => {
    const text = await new Promise<string>((resolve) => {
      get({ socketPath: join(ada.folder, 'osca.sock'), path: '/v1/openapi.json' }, (answer) => {
        let body = '';
        answer.on('data', (chunk: Buffer) => (body += chunk.toString())).on('end', () => resolve(body));
      });
    });
    const described = JSON.parse(text) as { paths: object; security: object[] };
    expect(Object.keys(described.paths)).toEqual(expect.arrayContaining(['/v1/deploy', '/v1/cells', '/v1/logs']));
    expect(described.security).toEqual([{ token: [] }]);
  });
});
