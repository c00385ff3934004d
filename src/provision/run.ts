/** Programs that images are made with. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { OscaError, reasonOf } from '../core/errors.ts';

const execute = promisify(execFile);

/** Throws OscaError with the last that it said. */
export async function run(command: string, args: string[]): Promise<void> {
  try {
    await execute(command, args, { maxBuffer: 67_108_864 });
  } catch (error) {
    const said = String((error as { stderr?: string }).stderr ?? '')
      .trim()
      .split('\n')
      .slice(-5)
      .join('\n  ');
    throw new OscaError(
      'internal',
      `${command} failed: ${said === '' ? reasonOf(error) : said}`,
      'is the disk full, or the network away? then try again',
      error,
    );
  }
}
