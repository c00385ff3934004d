import { describe, expect, it } from 'vitest';
import type { ProbeName } from '../../src/core/events.ts';
import type { Probe, ServiceSpec } from '../../src/core/spec.ts';
import type { Finding } from '../../src/runtime/pulse.ts';
import { hasPulse, Pulse } from '../../src/runtime/pulse.ts';
import { simService } from '../sim/makers.ts';

const probe = (more: Partial<Probe> = {}): Probe => ({
  ...{
    check: { kind: 'tcp', port: 80 },
    initialDelayMs: 0,
    intervalMs: 1_000,
    timeoutMs: 1_000,
    failures: 2,
    successes: 1,
  },
  ...more,
});

/** Answers by time: what is asked at each second, and what comes of the answers. */
function lived(
  service: ServiceSpec,
  answers: Partial<Record<ProbeName, string>>,
  wasFound = false,
): [asked: string, found: string][] {
  const pulse = new Pulse(service, 0, wasFound);
  const at: Partial<Record<ProbeName, number>> = {};
  const length = Math.max(...Object.values(answers).map((text) => text.length)) + 3;
  return Array.from({ length }, (_, second): [string, string] => {
    const asked = pulse.due(second * 1_000);
    const found = asked.map(({ name }) => {
      const i = (at[name] = (at[name] ?? -1) + 1);
      return pulse.told(name, answers[name]?.[i] === '+', second * 1_000);
    });
    return [asked.map(({ name }) => name).join(), found.map((one: Finding | undefined) => one?.is ?? '-').join()];
  });
}

describe('the three questions', () => {
  it('startup keeps the others waiting, and fails for good', () => {
    const all = simService('web', 1, { probes: { startup: probe(), ready: probe(), live: probe() } });
    expect(lived(all, { startup: '-+', ready: '+', live: '+' }).slice(0, 3)).toEqual([
      ['startup', 'unready'],
      ['startup', '-'],
      ['ready,live', 'ready,-'],
    ]);
    expect(lived(all, { startup: '--' }).slice(0, 2)).toEqual([
      ['startup', 'unready'],
      ['startup', 'dead'],
    ]);
    const alone = simService('web', 1, { probes: { startup: probe() } });
    expect(lived(alone, { startup: '+' })[0]).toEqual(['startup', 'ready']);
    expect(hasPulse(alone)).toBe(true);
  });

  it('ready comes and goes, and replaces nothing', () => {
    const web = simService('web', 1, { probes: { ready: probe({ successes: 2 }) } });
    const found = lived(web, { ready: '-++--++' }).map(([, one]) => one);
    expect(found.slice(0, 7)).toEqual(['unready', 'unready', 'ready', '-', 'unready', 'unready', 'ready']);
  });

  it('live replaces, after as many failures in a row as it says', () => {
    const web = simService('web', 1, { probes: { live: probe({ initialDelayMs: 2_000 }) } });
    expect(hasPulse(web)).toBe(false);
    const told = lived(web, { live: '-+--' });
    expect(told.map(([asked]) => asked).slice(0, 3)).toEqual(['', '', 'live']);
    expect(told.map(([, one]) => one).slice(2, 6)).toEqual(['-', '-', '-', 'dead']);
    // One that was found running is asked at once.
    expect(lived(web, { live: '+' }, true)[0]![0]).toBe('live');
  });
});

it('of several containers all must be ready, and each is asked for itself', () => {
  const ready = { ready: probe() };
  const peer = { name: 'peer', kind: 'peer' as const, environment: {}, mounts: [], resources: {}, probes: ready };
  const quiet = { ...peer, name: 'quiet', probes: { live: probe() } };
  const pulse = new Pulse(simService('web', 1, { probes: ready, parts: [peer, quiet] }), 0, false);
  const asked = pulse.due(0).map(({ name, part }) => `${part ?? ''} ${name}`);
  expect(asked).toEqual([' ready', 'peer ready', 'quiet live']);
  expect(pulse.told('ready', true, 0)).toBeUndefined();
  expect(pulse.told('live', true, 0, 'quiet')).toBeUndefined();
  expect(pulse.told('ready', true, 10, 'peer')).toEqual({ is: 'ready' });
  pulse.told('ready', false, 1_000, 'peer');
  expect(pulse.told('ready', false, 2_000, 'peer')?.is).toBe('unready');
  expect(pulse.told('ready', true, 2_500)).toBeUndefined();
});

it('a health check: failures of the first time do not count, those after it do', () => {
  const healthcheck = {
    test: ['CMD', 'true'],
    intervalMs: 1_000,
    timeoutMs: 500,
    retries: 2,
    startPeriodMs: 3_000,
    startIntervalMs: 1_000,
  };
  const web = simService('web', 1, { healthcheck });
  const found = lived(web, { health: '--+-+--' }).map(([, one]) => one);
  expect(found.slice(0, 8)).toEqual(['', 'unready', 'unready', 'ready', '-', 'ready', '-', 'dead']);
});
