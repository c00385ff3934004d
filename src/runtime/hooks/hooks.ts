/** Commands in a replica, and requests to it, after its start and before its end, one by one, the same for every driver. */
import { OscaError, reasonOf } from '../../core/errors.ts';
import type { UnitSpec } from '../../core/events.ts';
import { limits } from '../../core/limits.ts';
import type { RuntimeDriver } from '../../core/ports.ts';
import type { ContainerHook } from '../../core/spec.ts';
import { runCommand } from '../exec/command.ts';
import { probe } from '../probe/probe.ts';

/** Throws where one ends with another code than 0, with what it wrote last, or is answered with an error. */
export async function runHooks(
  driver: Pick<RuntimeDriver, 'exec' | 'addressOf'>,
  handle: string,
  hooks: readonly ContainerHook[] = [],
): Promise<void> {
  for (const hook of hooks) {
    if ('check' in hook) {
      const { ok, output } = await probe(driver, { handle }, hook.check, limits.hookMs);
      if (!ok) throw new Error(output);
      continue;
    }
    const { command: argv, ...as } = hook;
    const { code, output } = await runCommand(driver, handle, { argv, ...as }, limits.hookMs);
    if (code === undefined) throw new Error(`'${argv.join(' ')}' did not end within ${limits.hookMs / 1_000} s`);
    if (code !== 0) throw new Error(`'${argv.join(' ')}' ended with exit code ${code}: ${output}`);
  }
}

export const hookFailed = ({ replica }: UnitSpec, error: unknown): OscaError =>
  new OscaError('start-failed', `${replica}: post_start: ${reasonOf(error)}`, 'mend the hook, or remove it', error);

/** Waits, but not longer than that; the ms it took. What fails has ended too. */
export async function timed(withinMs: number, work: Promise<void>): Promise<number> {
  const startMs = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, withinMs);
  });
  await Promise.race([work.catch(() => {}), late]);
  clearTimeout(timer);
  return Math.min(withinMs, performance.now() - startMs);
}
