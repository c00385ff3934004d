/** How long a unit is watched after its start before it is told as started: what ends at once never ran. */
import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { limits } from '../../core/limits.ts';

/** Where more wants to run than there are cores, a program takes longer to fail. */
export async function firstMoment(): Promise<void> {
  const crowd = Math.ceil((loadavg()[0] ?? 0) / availableParallelism());
  await delay(limits.firstMomentMs * Math.min(5, Math.max(1, crowd)));
}
