/** What engines say in numbers, in words. */

import type { Exit } from '../core/events.ts';

/** An exit in words. 137 and 143 are signals; 125 to 127 are the engine's and the shell's own. */
export function exitWords({ exitCode: code, oom, part }: Exit): string {
  const words = codeWords(code, oom);
  return part === undefined ? words : `container ${part}: ${words}`;
}

export const hasFailed = ({ exitCode, oom }: Exit): boolean => exitCode !== 0 || oom;

function codeWords(code: number, oom: boolean): string {
  if (oom) return 'out of memory: the kernel killed it; raise deploy.resources.limits.memory';
  if (code > 128 && code < 160) return `ended by signal ${code - 128} (exit code ${code})`;
  if (code === 127) return 'exit code 127: command not found';
  if (code === 126) return 'exit code 126: command is not executable';
  return `exit code ${code}`;
}
