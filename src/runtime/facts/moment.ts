/** How long a unit is watched after its start before it is told as started: what ends at once never ran. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { limits } from '../../core/limits.ts';

const lookMs = 10;

/** A moment that a program has a core to itself: where more wants to run than there are cores, it lasts longer. */
export async function firstMoment(): Promise<void> {
  const byMs = performance.now() + limits.firstMomentMs * 10;
  for (let leftMs = limits.firstMomentMs; leftMs > 0 && performance.now() < byMs; ) {
    await delay(lookMs);
    leftMs -= lookMs / Math.max(1, runnable() / availableParallelism());
  }
}

/** How many threads of this machine run, or wait for a core, right now. */
function runnable(): number {
  try {
    return Number(/ (\d+)\//.exec(readFileSync('/proc/loadavg', 'utf8'))?.[1] ?? 1);
  } catch {
    return 1;
  }
}
