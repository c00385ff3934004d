/**
 * Thirty real daemons on loopback, one killed: when does the last of the others know? Beside it Serf (`apt-get install serf`) with thirty
 * agents and its own LAN settings. Both write down themselves when they learned of it; the machine has one clock.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../test/lab/host.ts';
import { trySh } from '../test/lab/shell.ts';
import { loopback } from '../test/loopback.ts';
import { until } from '../test/until.ts';
import { quietMachine, residentMb, series } from './measure.ts';

const count = 30;
const runs = 5;

class Cell {
  readonly name: string;
  readonly folder: string;
  child: ChildProcess | undefined;

  constructor(folder: string, number: number) {
    this.name = `m${number}`;
    this.folder = join(folder, this.name);
    mkdirSync(this.folder, { recursive: true });
  }

  start(...more: string[]): void {
    const local = [...loopback, '--lifeline'];
    const args = ['--data', this.folder, 'up', '--name', this.name, ...local, ...more];
    this.child = spawn(join(root, 'osca'), args, { stdio: ['pipe', 'ignore', 'inherit'] });
  }

  json<T>(...args: string[]): T | undefined {
    const text = trySh(join(root, 'osca'), '--data', this.folder, ...args, '--json');
    return text === '' ? undefined : (JSON.parse(text) as T);
  }

  alive(): number {
    return this.json<{ alive: number }>('status')?.alive ?? 0;
  }
}

interface Told {
  atMs: number;
  kind: string;
  message: string;
}

export async function benchMembership(tell: (text: string) => void): Promise<object> {
  const ours = await oscaRuns(tell);
  const theirs = trySh('serf', 'version') === '' ? undefined : await serfRuns(tell);
  return {
    what: `${count} members on one machine, one killed: known by all, ms`,
    osca: series(ours.times),
    connections: ours.connections,
    memoryMb: ours.memoryMb,
    ...(theirs === undefined ? { serf: 'not installed: apt-get install serf' } : { serf: series(theirs) }),
    target: 500,
    met: series(ours.times).median <= 500,
  };
}

async function oscaRuns(tell: (text: string) => void) {
  const folder = mkdtempSync(join(tmpdir(), 'osca-bench-'));
  const cells = Array.from({ length: count }, (_, i) => new Cell(folder, i + 1));
  const times: number[] = [];
  try {
    const [first, ...others] = cells as [Cell, ...Cell[]];
    first.start('--found');
    const ticket = await until(
      'a ticket',
      () => first.json<{ ticket: string }>('ticket', 'create', '--uses', '99')?.ticket,
    );
    for (const cell of others) cell.start('--ticket', ticket);
    const together = async (): Promise<void> => {
      for (const cell of cells) await until(`${cell.name} sees all`, () => cell.alive() === count, 120_000);
    };
    await together();
    tell(`  ${count} cells are together`);
    const connections = cells.map(({ child }) => connectionsOf(child!.pid!));
    const memoryMb = residentMb(cells[4]!.child!.pid!);
    for (let i = 0; i < runs; i++) {
      await quietMachine();
      const victim = cells[3 + i * 5]!;
      const killedMs = Date.now();
      victim.child!.kill('SIGKILL');
      const known = cells.filter((cell) => cell !== victim);
      await new Promise((done) => setTimeout(done, 4_000));
      const when = await Promise.all(
        known.map((cell) =>
          until(`${cell.name} knows`, () =>
            cell
              .json<Told[]>('events')
              ?.find(({ atMs, message }) => atMs >= killedMs && message === `${victim.name} is down`),
          ),
        ),
      );
      times.push(Math.max(...when.map(({ atMs }) => atMs)) - killedMs);
      tell(`  osca ${times.at(-1)} ms`);
      victim.start();
      await together();
    }
    return { times, connections: Math.max(...connections), memoryMb };
  } finally {
    for (const { child } of cells) child?.stdin?.end();
    await new Promise((done) => setTimeout(done, 1_000));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Established TCP connections of a process, each once. */
function connectionsOf(pid: number): number {
  const lines = trySh('ss', '-tnpH', 'state', 'established').split('\n');
  return lines.filter((line) => line.includes(`pid=${pid},`)).length;
}

async function serfRuns(tell: (text: string) => void): Promise<number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'serf-bench-'));
  const agents: ChildProcess[] = [];
  const times: number[] = [];
  const handler = join(folder, 'handler.sh');
  writeFileSync(
    handler,
    `#!/bin/sh\nwhile read -r name rest; do echo "$(date +%s%3N) $name" >> "${folder}/$SERF_SELF_NAME"; done\n`,
    { mode: 0o755 },
  );
  const start = (i: number): ChildProcess =>
    spawn(
      'serf',
      [
        ...[
          'agent',
          `-node=s${i}`,
          `-bind=127.0.0.1:${17_000 + i}`,
          `-rpc-addr=127.0.0.1:${18_000 + i}`,
          '-profile=lan',
          '-rejoin=false',
        ],
        ...[`-event-handler=member-failed=${handler}`, ...(i === 0 ? [] : ['-retry-join=127.0.0.1:17000'])],
      ],
      { stdio: 'ignore' },
    );
  const members = (): number =>
    trySh('serf', 'members', '-status=alive', '-rpc-addr=127.0.0.1:18000').split('\n').filter(Boolean).length;
  try {
    for (let i = 0; i < count; i++) agents.push(start(i));
    await until('serf agents are together', () => members() === count, 60_000);
    for (let i = 0; i < 2; i++) {
      await new Promise((done) => setTimeout(done, 3_000));
      const victim = 4 + i * 5;
      const killedMs = Date.now();
      agents[victim]!.kill('SIGKILL');
      const others = agents.map((_, n) => n).filter((n) => n !== victim);
      const told = (n: number): number | undefined => {
        const path = join(folder, `s${n}`);
        if (!existsSync(path)) return undefined;
        const line = readFileSync(path, 'utf8')
          .split('\n')
          .find((text) => text.endsWith(` s${victim}`) && Number(text.split(' ')[0]) >= killedMs);
        return line === undefined ? undefined : Number(line.split(' ')[0]);
      };
      const when = await Promise.all(others.map((n) => until(`s${n} knows`, () => told(n), 60_000)));
      times.push(Math.max(...when) - killedMs);
      tell(`  serf ${times.at(-1)} ms`);
      agents[victim] = start(victim);
      await until('all again', () => members() === count, 60_000);
    }
    return times;
  } finally {
    for (const agent of agents) agent.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}
