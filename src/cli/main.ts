/** `osca`: what people type. Every command talks to the API of the local daemon, and to nothing else. */
import { CommanderError } from 'commander';
import { OscaError, reasonOf, SpecError } from '../core/errors.ts';
import { program } from './program.ts';
import { warn } from './render.ts';
import { exitCodeOf } from './shared.ts';

/** --data may stand anywhere before a --: what follows that is somebody else's. */
function dataFirst(words: readonly string[]): string[] {
  const end = words.indexOf('--');
  const at = words.findIndex((word, i) => /^--data(=|$)/.test(word) && (end < 0 || i < end));
  if (at < 0) return [...words];
  const count = words[at] === '--data' ? 2 : 1;
  return [...words.slice(at, at + count), ...words.slice(0, at), ...words.slice(at + count)];
}

async function main(): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  try {
    const words = dataFirst(process.argv.slice(2));
    const word = words[words[0] === '--data' ? 2 : words[0]?.startsWith('--data=') === true ? 1 : 0];
    await (await program(word)).parseAsync(words, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
    warn(`osca: ${reasonOf(error)}`);
    const hint = error instanceof OscaError ? error.hint : '';
    if (hint !== '') warn(error instanceof SpecError ? hint : `  ${hint}`);
    if (!(error instanceof OscaError) && process.env.OSCA_DEBUG !== undefined) warn(String((error as Error).stack));
    process.exitCode = exitCodeOf(error instanceof OscaError ? error.code : 'internal');
  }
}

void main();
