/** Real daemons on loopback, with the process driver, driven by the CLI as a person would. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { loopback, loopbackElsewhere } from '../loopback.ts';
import { until } from '../until.ts';

export const root = new URL('../..', import.meta.url).pathname;
const osca = join(root, 'osca');

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

export class TestCell {
  readonly launcher: string;
  readonly folder: string;
  readonly name: string;
  /** What it runs ends with it. */
  readonly isLifeline: boolean;
  child: ChildProcess | undefined;

  constructor(name: string, { launcher = osca, isLifeline = true } = {}) {
    this.name = name;
    this.launcher = launcher;
    this.isLifeline = isLifeline;
    this.folder = mkdtempSync(join(tmpdir(), `osca-e2e-${name}-`));
  }

  /** Starts the daemon; resolves when it answers. */
  async up(...more: string[]): Promise<this> {
    const args = ['--data', this.folder, 'up', '--name', this.name];
    const local = [
      ...(more.includes('--listen') ? loopbackElsewhere : loopback),
      ...(this.isLifeline ? ['--lifeline'] : []),
    ];
    const child = spawn(this.launcher, [...args, ...local, ...more], { stdio: ['pipe', 'ignore', 'inherit'] });
    this.child = child;
    await until(`${this.name} answers`, async () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
      return (await this.osca('status', '--json')).code === 0;
    });
    return this;
  }

  async osca(...args: string[]): Promise<Ran> {
    return await runIt(this.launcher, ['--data', this.folder, ...args], process.env);
  }

  async ok(...args: string[]): Promise<string> {
    const done = await this.osca(...args);
    if (done.code !== 0)
      throw new Error(`osca ${args.join(' ')} ended with ${done.code}: ${done.stderr}${done.stdout}`);
    return done.stdout;
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, '--json')) as T;
  }

  file(name: string, text: string): string {
    const path = join(this.folder, 'work', name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  async stop(signal?: NodeJS.Signals): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((done) => child.once('exit', done));
    if (signal === undefined) child.stdin?.end();
    else child.kill(signal);
    await ended;
  }
}

export const run = async (args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> =>
  await runIt(osca, args, { ...process.env, ...env });

export async function runIt(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  const child = spawn(command, args, { stdio: 'pipe', env });
  const out = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (out.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (out.stderr += chunk.toString()));
  child.stdin.end();
  const code = await new Promise<number>((resolve) => child.once('close', (status) => resolve(status ?? 137)));
  return { code, ...out };
}

/** Starts them as one appliance, the first founding it; resolves when it sees all. */
export async function gather(first: TestCell, ...others: TestCell[]): Promise<void> {
  await first.up('--found');
  const { ticket } = await first.json<{ ticket: string }>('ticket', 'create', '--uses', '9');
  for (const other of others) await other.up('--ticket', ticket);
  const count = others.length + 1;
  await until(`${count} cells`, async () => (await first.json<{ alive: number }>('status')).alive === count);
}
