/** Completion in the shells themselves. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from './host.ts';
import { run } from './shell.ts';

const osca = join(root, 'osca');

it.each([
  [
    'bash',
    `source <(${osca} completion bash); COMP_WORDS=(osca cell ap); COMP_CWORD=2; _osca; echo "\${COMPREPLY[@]}"`,
  ],
  // zsh has no way to ask what it would offer without a terminal: the function of bash, run by its own bashcompinit.
  [
    'zsh',
    `autoload -U compinit; compinit -u; source <(${osca} completion zsh); [[ -n \${_comps[osca]} ]]; COMP_WORDS=(osca cell ap); COMP_CWORD=2; setopt ksh_arrays; _osca; echo "\${COMPREPLY[@]}"`,
  ],
  ['fish', `${osca} completion fish | source; complete -C 'osca cell ap'`],
])('%s completes a command', async (shell, line) => {
  const done = await run(shell, ['-c', line]);
  expect(done.stderr).toBe('');
  // zsh itself picks from the words.
  expect(done.stdout.trim().split(' ')).toContain('approve');
});
