/** A cell that was away, or whose engine was: what ended meanwhile is judged by its policy, not begun again. */
import { describe, expect, it } from 'vitest';
import type { Effect, Observed, UnitSpec } from '../../src/core/events.ts';
import type { Picture } from '../../src/runtime/reconcile.ts';
import { Supervisor } from '../../src/runtime/supervise.ts';
import { simService } from '../sim/makers.ts';

const service = simService('job.a', 1, { job: { parallelism: 1, retries: 0 }, restart: { condition: 'none' } });
const unit: UnitSpec = { replica: 'shop/job.a/1', app: 'shop', index: '1', hash: 'h', service };
const key = 'shop/job.a/1@h';
const observed = (running: boolean, exitCode?: number): Observed => ({
  ...{ replica: unit.replica, hash: 'h', handle: 'c1', running, startedAtMs: 0, ports: [], driver: 'docker' },
  ...(exitCode === undefined ? {} : { exit: { exitCode, oom: false } }),
});
const picture: Picture = {
  ...{ self: 'cell', wanted: new Map([[unit.replica, unit]]), told: new Map(), strict: new Map(), turns: new Set() },
  ...{ assigned: new Map(), forms: new Map([[key, unit]]), isFresh: false, kept: new Set(), maxMoves: 4 },
};

function supervisor(): { one: Supervisor; starts: () => number; state: () => string } {
  const out: Effect[] = [];
  const one = new Supervisor({ push: (effect) => void out.push(effect) });
  return {
    one,
    starts: () => out.filter(({ type }) => type === 'unit.start').length,
    state: () =>
      one
        .statuses()
        .map(({ state, reason }) => `${state} ${reason ?? ''}`)
        .join(),
  };
}

describe('a job', () => {
  it.each([0, 3])('that ended with %i before the cell knew what it was is not begun again', (code) => {
    const { one, starts, state } = supervisor();
    one.observed('docker', [observed(true)], 0);
    one.exited(key, { exitCode: code, oom: false }, 500);
    one.want(picture, 3_000);
    one.tick(3_100);
    expect([starts(), state()]).toEqual([0, `exited exit code ${code}`]);
  });

  it('that ended while its engine did not answer is not begun again', () => {
    const { one, starts, state } = supervisor();
    one.observed('docker', [], 0);
    one.want(picture, 0);
    one.started(key, observed(true), 100);
    one.engineAway(1_000);
    one.observed('docker', [observed(false, 0)], 9_000);
    one.tick(9_100);
    expect([starts(), state()]).toEqual([1, 'exited exit code 0']);
  });

  it('whose exit of an earlier run is told while it starts goes on', () => {
    const { one, state } = supervisor();
    one.observed('docker', [], 0);
    one.want(picture, 0);
    one.exited(key, { exitCode: 1, oom: false }, 10);
    one.started(key, observed(true), 5_000);
    expect(state()).toBe('ready ');
  });
});

it('a replica that was found running away from home counts as ready where nothing is asked of it', () => {
  const { one, state } = supervisor();
  const home = {
    replica: unit.replica,
    app: 'shop',
    service: 'job.a',
    index: '1',
    hash: 'h',
    cell: 'other',
    verdicts: [],
  };
  one.observed('docker', [observed(true)], 0);
  one.want({ ...picture, wanted: new Map(), assigned: new Map([[unit.replica, home]]) }, 100);
  expect(state()).toBe('ready ');
});

it('a start that nobody wants any more is told to end', () => {
  const out: Effect[] = [];
  const one = new Supervisor({ push: (effect) => void out.push(effect) });
  one.observed('docker', [], 0);
  one.want(picture, 0);
  one.want({ ...picture, wanted: new Map() }, 100);
  expect(out.map(({ type }) => type)).toEqual(['unit.start', 'unit.cancel']);
  one.failed(key, 'start-failed', 'cancelled', 200);
  expect(one.held()).toEqual([]);
});

it('the deadline of a job goes on where its daemon was begun anew', () => {
  const out: Effect[] = [];
  const one = new Supervisor({ push: (effect) => void out.push(effect) });
  const late = { ...unit, service: { ...service, job: { parallelism: 1, retries: 0, deadlineMs: 60_000 } } };
  one.observed('docker', [{ ...observed(true), ageMs: 50_000 }], 0);
  one.want({ ...picture, wanted: new Map([[unit.replica, late]]), forms: new Map([[key, late]]) }, 0);
  one.tick(9_000);
  expect(out).toEqual([]);
  one.tick(10_500);
  expect(out).toMatchObject([{ type: 'unit.stop', key, keep: true }]);
});
