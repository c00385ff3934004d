/** The failure detector against paths that are slow, become slow, or fall silent. */
import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../src/gossip/detector.ts';
import { Detector, detectorDefaults } from '../../src/gossip/detector.ts';

/** What is said in `forMs` over a path whose round trip is `rttMs(now)`; undefined is silence. */
function watched(
  forMs: number,
  rttMs: (now: number) => number | undefined,
  { thereMs, urgedFromMs }: { thereMs?: number; urgedFromMs?: number } = {},
): Verdict[] {
  const detector = new Detector(detectorDefaults);
  const answers: { atMs: number; probe: number }[] = [];
  const said: Verdict[] = [];
  detector.retarget(['peer'], () => 0);
  for (let now = 0; now < forMs; now += 10) {
    for (const { probe } of answers.filter(({ atMs }) => atMs === now)) detector.answered('peer', probe, now, true);
    if (thereMs !== undefined && now % 100 === thereMs) detector.there('peer');
    if (now % 100 !== 0) continue;
    if (urgedFromMs !== undefined && now >= urgedFromMs && now % 1_000 === 0) detector.hurry('peer', now);
    for (const verdict of detector.tick(now)) {
      said.push(verdict);
      const rtt = rttMs(now);
      if (verdict.kind === 'probe' && rtt !== undefined) answers.push({ atMs: now + rtt, probe: verdict.probe });
    }
  }
  return said;
}

const count = (said: Verdict[], kind: Verdict['kind']): number => said.filter((one) => one.kind === kind).length;

describe('the detector', () => {
  it.each([20, 320, 500, 900])('gets used to a round trip of %i ms', (rtt) => {
    const said = watched(60_000, () => rtt);
    expect(count(said, 'lost')).toBe(0);
    expect(count(said, 'look')).toBeLessThan(6);
  });

  it.each([300, 700])('gets used to a path that becomes slower: %i ms', (rtt) => {
    // The machine answers a plain connection as late, and in time.
    const said = watched(60_000, (now) => (now < 10_000 ? 20 : rtt), { thereMs: 50 });
    expect(count(said, 'lost')).toBe(0);
    expect(count(said, 'look')).toBeLessThan(10);
  });

  it('is patient after a few late answers, but not where another observer hears nothing either', () => {
    const strays = (now: number): number | undefined => (now < 8_000 ? 20 : now < 10_000 ? 400 : undefined);
    expect(count(watched(11_300, strays), 'lost')).toBe(0);
    expect(count(watched(11_300, strays, { urgedFromMs: 10_000 }), 'lost')).toBe(1);
  });

  it('waits twice as long where nobody of several answers: it may be me', () => {
    const lostAt = (silent: readonly string[]): number => {
      const detector = new Detector(detectorDefaults);
      detector.retarget(['one', 'other'], () => 0);
      for (let now = 0; now < 20_000; now += 50)
        for (const verdict of detector.tick(now)) {
          if (verdict.kind === 'lost') return now;
          if (verdict.kind !== 'probe' || (now >= 10_000 && silent.includes(verdict.subject))) continue;
          detector.answered(verdict.subject, verdict.probe, now, true);
        }
      return Number.POSITIVE_INFINITY;
    };
    const [one, both] = [lostAt(['one']), lostAt(['one', 'other'])].map((at) => at - 10_000);
    expect(one).toBeLessThan(2_000);
    expect(both!).toBeGreaterThan(one! * 1.5);
    expect(both).toBeLessThan(3_000);
  });

  it('is as patient only once: who stays silent is asked again as soon as the path at its best allows', () => {
    const strays = (now: number): number | undefined => (now < 8_000 ? 20 : now < 10_000 ? 400 : undefined);
    expect(count(watched(12_000, strays), 'lost')).toBe(1);
    expect(
      count(
        watched(12_000, (now) => (now < 10_000 ? 700 : undefined)),
        'lost',
      ),
    ).toBe(0);
  });

  it('does not take a slow path for silence because another observer does', () => {
    expect(
      count(
        watched(60_000, () => 700, { urgedFromMs: 20_000 }),
        'lost',
      ),
    ).toBe(0);
  });

  it('probes a member that has come back at the next tick', () => {
    const detector = new Detector(detectorDefaults);
    detector.retarget(['peer'], () => 0);
    detector.setDown('peer', true);
    const [knock] = detector.tick(0) as [Verdict & { kind: 'probe' }];
    detector.answered('peer', knock.probe, 10, true);
    expect(detector.tick(100)).toEqual([]);
    detector.setDown('peer', false);
    expect(detector.tick(200)).toMatchObject([{ kind: 'probe', subject: 'peer' }]);
  });

  it('notices silence soon, and gives a machine that is there four seconds', () => {
    expect(
      count(
        watched(11_200, (now) => (now < 10_000 ? 10 : undefined)),
        'lost',
      ),
    ).toBe(1);
    expect(
      count(
        watched(13_500, (now) => (now < 10_000 ? 10 : undefined), { thereMs: 50 }),
        'lost',
      ),
    ).toBe(0);
    expect(
      count(
        watched(16_000, (now) => (now < 10_000 ? 10 : undefined), { thereMs: 50 }),
        'lost',
      ),
    ).toBe(1);
  });
});
