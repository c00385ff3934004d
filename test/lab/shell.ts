/** Running things on this machine, for the lab only. */
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

export function sh(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Fine where it fails: for taking down what may be gone. */
export function trySh(command: string, ...args: string[]): string {
  try {
    return sh(command, ...args);
  } catch {
    return '';
  }
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

export async function run(command: string, args: string[], options: SpawnOptions = {}): Promise<Ran> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const out = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk: Buffer) => (out.stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (out.stderr += chunk.toString()));
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status ?? 137));
  });
  return { code, ...out };
}

export const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

/** The one process that nsenter or unshare forked, seen from outside. */
export function childOf(child: ChildProcess): number {
  const text = trySh('cat', `/proc/${child.pid}/task/${child.pid}/children`).trim();
  return Number(text.split(' ')[0] || 0);
}

/** Stops that process as a busy machine would, until what is returned is called. */
export function halt(child: ChildProcess): () => void {
  const pid = String(childOf(child));
  sh('kill', '-STOP', pid);
  // nsenter stops with what it started, and would not see it end.
  return () => void sh('kill', '-CONT', pid, String(child.pid));
}

/** Every process whose environment carries the mark, whose network is one of `nets`, or whose root is mounted from `folder`. */
export function processesOf(mark: string, nets: ReadonlySet<string>, folder: string): number[] {
  const found: number[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const read = (file: string): string => {
      try {
        return readFileSync(`/proc/${pid}/${file}`, 'utf8');
      } catch {
        return '';
      }
    };
    const root =
      read('mountinfo')
        .split('\n')
        .find((line) => line.split(' ')[4] === '/') ?? '';
    const net = trySh('readlink', `/proc/${pid}/ns/net`).trim();
    if (nets.has(net) || root.includes(`${folder}/`) || read('environ').split('\0').includes(mark)) found.push(pid);
  }
  return found;
}
