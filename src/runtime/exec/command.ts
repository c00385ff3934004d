/** A command in a replica, run to its end: what it wrote last, and how it ended. */
import type { ExecQuery, RuntimeDriver } from '../../core/ports.ts';

export interface Ended {
  /** Undefined where it was not over in time, and was ended. */
  code: number | undefined;
  /** The last of both streams, trimmed. */
  output: string;
}

const keptLetters = 500;

/** Rejects where it can't be begun. */
export async function runCommand(
  driver: Pick<RuntimeDriver, 'exec'>,
  handle: string,
  query: Omit<ExecQuery, 'tty' | 'stdin'>,
  withinMs: number,
): Promise<Ended> {
  const session = await driver.exec(handle, { ...query, tty: false, stdin: false });
  let output = '';
  const keep = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-keptLetters));
  session.output.on('data', keep);
  session.errors?.on('data', keep);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      session.kill();
      resolve(undefined);
    }, withinMs);
  });
  try {
    const code = await Promise.race([session.exitCode, late]);
    return { code, output: output.trim() };
  } finally {
    clearTimeout(timer);
  }
}
