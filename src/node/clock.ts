/**
 * Monotonic time that goes on while the machine sleeps: a lease that another cell has counted down must have run out here too
 * when the lid opens. The kernel's uptime counts sleep; performance.now() does not, and is finer.
 */
import { uptime } from 'node:os';

/** Below this the two clocks merely differ in resolution. */
const sleptMs = 1_500;

export function sleepCountingClock(
  awakeMs: () => number = () => performance.now(),
  uptimeMs: () => number = () => uptime() * 1_000,
): () => number {
  let aheadMs = uptimeMs() - awakeMs();
  let asleepMs = 0;
  return () => {
    const awake = awakeMs();
    const jumpMs = uptimeMs() - awake - aheadMs;
    if (jumpMs >= sleptMs) {
      asleepMs += jumpMs;
      aheadMs += jumpMs;
    }
    return awake + asleepMs;
  };
}
