import { expect, it } from 'vitest';
import { sleepCountingClock } from '../../src/node/clock.ts';

it('goes on while the machine sleeps, and not for what two clocks differ in resolution', () => {
  let [awake, uptime] = [1_000, 500_000];
  const now = sleepCountingClock(
    () => awake,
    () => uptime,
  );
  awake += 10_000;
  uptime += 10_900;
  expect(now()).toBe(11_000);
  uptime += 60_000;
  expect(now()).toBeGreaterThan(70_000);
  awake += 1_000;
  uptime += 1_000;
  expect(now()).toBeLessThan(74_000);
});
