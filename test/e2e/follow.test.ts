/** What goes on while somebody looks: terminals, logs and events that follow, tickets that end. */
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../until.ts';
import { root, run, TestCell } from './cells.ts';

const eva = new TestCell('eva');
beforeAll(async () => {
  await eva.up('--found');
  const ticking = 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.2; done';
  const text = `name: tick\nservices:\n  web:\n    x-osca: { driver: process }\n    command: [sh, -c, "${ticking.replaceAll('$', '$$$$')}"]\n`;
  await eva.ok('deploy', eva.file('tick.yaml', text));
});
afterAll(() => eva.stop());

/** A command that goes on, and what it has said. */
function going(command: string, ...words: string[]) {
  const child = spawn(command, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (piece: Buffer) => (said += piece.toString()));
  const ended = new Promise<number | null>((done) => child.once('exit', (code) => done(code)));
  return { child, ended, said: () => said };
}
const osca = (...words: string[]) => going(join(root, 'osca'), '--data', eva.folder, ...words);

describe('somebody who looks', () => {
  it('follows logs, from the last line on', async () => {
    const { child, said, ended } = osca('logs', '-f', '-n', '1', 'tick');
    await until('three more lines', () => said().split('\n').length > 4);
    child.kill('SIGINT');
    await ended;
    const numbers = [...said().matchAll(/line (\d+)/g)].map(([, number]) => Number(number));
    expect(numbers).toEqual(numbers.map((_, i) => numbers[0]! + i));
  });

  it('follows events, and the whole view as it changes', async () => {
    const events = osca('events', '-f');
    let views = '';
    const watched = get({ socketPath: join(eva.folder, 'osca.sock'), path: '/v1/watch' }, (answer) =>
      answer.on('data', (piece: Buffer) => (views += piece.toString())).on('error', () => {}),
    ).on('error', () => {});
    await until('a first view', () => views.includes('data: '));
    const path = eva.file('../specs/late.yaml', 'name: late\nservices: { web: { image: x, comand: y } }\n');
    await until('it is told', () => events.said().includes("did you mean 'command'?"));
    expect(existsSync(`${path}.error`)).toBe(true);
    await eva.ok('scale', 'tick/web=2');
    await until('who did what is told too', () => events.said().includes('tick: revision 2 by eva (scale web=2)'));
    await until('the view has it', () => views.includes('tick/web/2'));
    watched.destroy();
    events.child.kill('SIGINT');
    await events.ended;
  });

  it('has a terminal in a replica, of the size of his own, and ends what runs there with Ctrl-C', async () => {
    const words = `${join(root, 'osca')} --data ${eva.folder} exec tick/web/1 --`;
    const size = going('script', '-qefc', `stty rows 33 cols 99; ${words} sh -c 'tty; stty size; exit 4'`, '/dev/null');
    expect(await size.ended).toBe(4);
    expect(size.said()).toMatch(/\/dev\/pts\/\d+\r*\n33 99/);
    const stuck = going('script', '-qefc', `${words} sh -c 'echo here; sleep 1000'`, '/dev/null');
    await until('it runs', () => stuck.said().includes('here'));
    stuck.child.stdin.write('\x03');
    expect(await stuck.ended).toBe(130);
  });

  it('finds the cell by OSCA_DATA, and nobody else may ask it', async () => {
    const found = await run(['status', '--json'], { ...process.env, OSCA_DATA: eva.folder });
    expect(JSON.parse(found.stdout)).toMatchObject({ phase: 'member' });
    for (const file of ['osca.sock', 'osca.db', 'osca.db-wal', 'token', 'cell.key'])
      expect([file, statSync(join(eva.folder, file)).mode & 0o777]).toEqual([file, 0o600]);
  });

  it('is told where there are fewer copies than asked for', async () => {
    const text = 'name: safe\nservices: { web: { x-osca: { driver: process }, command: sleep 1000 } }\n';
    const done = await eva.osca('deploy', '--ack', '9', eva.file('safe.yaml', text));
    expect(done.code).toBe(0);
    expect(`${done.stdout}${done.stderr}`).toContain('on the disks of this cell and of 0 others, not of 9');
    await eva.ok('rm', 'safe');
  });
});

it('a ticket that has expired, or is used up, lets nobody in and says so', async () => {
  const { ticket: short } = await eva.json<{ ticket: string }>('ticket', 'create', '--expires', '1s');
  const { ticket: once } = await eva.json<{ ticket: string }>('ticket', 'create', '--uses', '1');
  const addressed = ['--listen', '/ip4/127.0.0.1/tcp/0'];
  const first = await new TestCell('first').up('--ticket', once, ...addressed);
  const phaseOf = async (cell: TestCell) =>
    (await cell.json<{ phase: string; join: { refused?: string } }>('status')) as {
      phase: string;
      join: { refused?: string };
    };
  await until('it is in', async () => (await phaseOf(first)).phase === 'member');
  const second = await new TestCell('second').up('--ticket', once, ...addressed);
  await until('it is told', async () => (await phaseOf(second)).join.refused?.includes('used up') === true);
  await until('the time is over', async () =>
    (await eva.json<{ state: string }[]>('ticket', 'ls')).some(({ state }) => state === 'expired'),
  );
  const late = await new TestCell('late').up('--ticket', short, ...addressed);
  await until('it is told', async () => (await phaseOf(late)).join.refused?.includes('expired') === true);
  expect((await phaseOf(late)).phase).not.toBe('member');
  await eva.ok('cell', 'rm', 'first');
  await until('all are told', async () => (await eva.ok('events')).includes('first was removed from the appliance'));
  await until(
    'it knows of itself alone',
    async () => (await first.json<{ cells: object[] }>('cell', 'ls')).cells.length === 1,
  );
  await Promise.all([first, second, late].map((cell) => cell.stop()));
}, 60_000);

it('each command shows an example', async () => {
  const commands = async (...path: string[]): Promise<string[]> =>
    (await run([...path, '--help'])).stdout
      .split(/\nCommands:\n/)[1]!
      .split('\n')
      .flatMap((line) => /^ {2}([a-z]+)[ |]/.exec(line)?.[1] ?? [])
      .filter((name) => name !== 'help');
  const all = await commands();
  expect(all.length).toBeGreaterThan(30);
  const groups = ['cell', 'ticket', 'board', 'image'];
  const leaves = all.filter((name) => !groups.includes(name)).map((name) => [name]);
  for (const group of groups) leaves.push(...(await commands(group)).map((name) => [group, name]));
  const without: string[] = [];
  for (const path of leaves)
    if (!/\nExamples?:\n/.test((await run([...path, '--help'])).stdout)) without.push(path.join(' '));
  expect(without).toEqual([]);
}, 60_000);
