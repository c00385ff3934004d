/**
 * `osca demo`: three cells on loopback, with the process driver, so no Docker and no root. Each cell is a child whose
 * standard input is a pipe from here: when this process ends, however it ends, the pipes close, the cells end, and
 * with them all that they run.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { DeployStep } from '../api/deploying.ts';
import type { CellRow, ReplicaRow } from '../api/rows.ts';
import { OscaError } from '../core/errors.ts';
import { Client } from './client.ts';
import { bold, dim, green, LiveBlock, red, say, stateColour, table } from './render.ts';
import type { Changed } from './shared.ts';

const names = ['ada', 'bob', 'cy'] as const;

interface DemoCell {
  name: string;
  client: Client;
  child: ChildProcess;
}

export async function runDemo({ exit, json }: { exit: boolean; json: boolean }): Promise<number> {
  const root = mkdtempSync(join(tmpdir(), 'osca-demo-'));
  const cells: DemoCell[] = [];
  const tell = (text: string): void => (json ? undefined : say(text));
  const end = async (): Promise<void> => {
    await Promise.all(cells.map(({ child }) => ended(child)));
    rmSync(root, { recursive: true, force: true });
  };
  const interrupted = new Promise<'interrupted'>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done('interrupted'));
  });
  try {
    const outcome = await Promise.race([interrupted, show(root, cells, tell)]);
    if (outcome === 'interrupted') return 130;
    if (json) say(JSON.stringify(outcome));
    if (!exit) {
      tell(
        `\n${dim('It keeps running. Try in another shell, or end it with Ctrl-C:')}\n  ./osca --data ${cells[0]!.client.folder} ps`,
      );
      await interrupted;
    }
    return 0;
  } finally {
    await end();
  }
}

interface Outcome {
  upMs: number;
  deployMs: number;
  failoverMs: number;
  urls: string[];
}

async function show(root: string, cells: DemoCell[], tell: (text: string) => void): Promise<Outcome> {
  const startMs = performance.now();
  tell(`${bold('1.')} three cells start on this machine`);
  await startCell(root, cells, names[0], ['--found']);
  const first = cells[0]!.client;
  const { value } = await first.call<Changed>('POST', '/v1/tickets', { uses: 2, expiresInMs: 600_000 });
  await Promise.all(names.slice(1).map((name) => startCell(root, cells, name, ['--ticket', String(value.ticket)])));
  await until('three cells in every view', async () =>
    (await Promise.all(cells.map(({ client }) => alive(client)))).every((count) => count === 3),
  );
  const upMs = performance.now() - startMs;
  tell(
    `   they found each other in ${seconds(upMs)}\n\n${bold('2.')} deploy examples/hello/compose.yaml: three replicas of a web service`,
  );
  const deployMs = await deploy(first, tell);

  const rows = await first.call<ReplicaRow[]>('GET', '/v1/replicas?target=hello');
  const victim = cells.find(({ name }) => name !== names[0] && rows.some(({ cell }) => cell === name)) ?? cells[2]!;
  tell(`\n${bold('3.')} kill -9 cell ${red(victim.name)}: its replica dies with it`);
  const killedMs = performance.now();
  victim.child.kill('SIGKILL');
  const block = new LiveBlock();
  await until('three replicas on the others', async () => {
    const now = await first.call<ReplicaRow[]>('GET', '/v1/replicas?target=hello');
    if (tell !== undefined) block.draw(tableOf(now));
    return now.length === 3 && now.every(({ state, cell }) => state === 'ready' && cell !== victim.name);
  });
  const failoverMs = performance.now() - killedMs;
  const after = await first.call<ReplicaRow[]>('GET', '/v1/replicas?target=hello');
  if (!process.stdout.isTTY) tell(tableOf(after).join('\n'));
  tell(green(`   3 of 3 replicas run again, ${seconds(failoverMs)} after the kill`));
  const urls = after.flatMap(({ ports }) => ports.map((port) => `http://127.0.0.1:${port}/`));
  tell(`\n${bold('4.')} ask them`);
  for (const url of urls) tell(`   ${url}  ${dim((await (await fetch(url)).text()).trim())}`);
  return { upMs: Math.round(upMs), deployMs: Math.round(deployMs), failoverMs: Math.round(failoverMs), urls };
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

const tableOf = (rows: readonly ReplicaRow[]): string[] =>
  table(
    ['   REPLICA', 'CELL', 'STATE', ''],
    rows.map(({ replica, cell, state, reason }) => [`   ${replica}`, cell, stateColour(state), dim(reason)]),
  ).split('\n');

async function deploy(client: Client, tell: (text: string) => void): Promise<number> {
  const file = resolve(
    import.meta.dirname,
    import.meta.url.endsWith('.ts') ? '../..' : '..',
    'examples/hello/compose.yaml',
  );
  const block = new LiveBlock();
  for await (const step of client.lines<DeployStep>('POST', '/v1/deploy', { file })) {
    if (step.type === 'failed')
      throw new OscaError('start-failed', `${step.message}\n${step.log.join('\n')}`, step.hint);
    if (step.type === 'replica') {
      const rows = await client.call<ReplicaRow[]>('GET', '/v1/replicas?target=hello');
      block.draw(tableOf(rows));
    }
    if (step.type === 'done') {
      const rows = await client.call<ReplicaRow[]>('GET', '/v1/replicas?target=hello');
      if (!process.stdout.isTTY) tell(tableOf(rows).join('\n'));
      else block.draw(tableOf(rows));
      tell(green(`   ${step.replicas} of ${step.replicas} replicas run, ${seconds(step.ms)}`));
      return step.ms;
    }
  }
  throw new OscaError('internal', 'the deploy broke off', '');
}

async function startCell(root: string, cells: DemoCell[], name: string, more: string[]): Promise<void> {
  const folder = join(root, name);
  const args = [
    '--data',
    folder,
    'up',
    '--name',
    name,
    '--listen',
    '/ip4/127.0.0.1/tcp/0',
    '--api-port',
    '0',
    '--engine',
    'none',
  ];
  const all = [...process.execArgv, process.argv[1]!, ...args, '--no-mdns', '--quiet', '--lifeline', ...more];
  const child = spawn(process.execPath, all, { stdio: ['pipe', 'ignore', 'inherit', 'ipc'], detached: true });
  // Known at once, so that whoever ends the demo now ends this cell too.
  cells.push({ name, client: new Client(folder), child });
  await new Promise<void>((ready, fail) => {
    child.once('message', () => ready());
    child.once('exit', (code) =>
      fail(new OscaError('internal', `cell ${name} ended with code ${code}`, 'its words stand above')),
    );
  });
  child.removeAllListeners('exit');
  child.disconnect();
}

async function alive(client: Client): Promise<number> {
  const { cells } = await client.call<{ cells: CellRow[] }>('GET', '/v1/cells');
  return cells.filter(({ state }) => state === 'alive').length;
}

async function until(what: string, done: () => Promise<boolean>, withinMs = 30_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await done())) {
    if (performance.now() > deadline)
      throw new OscaError('timeout', `not within ${withinMs / 1_000} s: ${what}`, 'is the machine very busy?');
    await new Promise((next) => setTimeout(next, 30));
  }
}

/** Closes the lifeline and waits. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((done) => child.once('exit', done));
  child.stdin?.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), 3_000);
  await exit;
  clearTimeout(timer);
}
