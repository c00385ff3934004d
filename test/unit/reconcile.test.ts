import { describe, expect, it } from 'vitest';
import type { UnitState } from '../../src/core/model.ts';
import type { Told } from '../../src/runtime/reconcile.ts';
import { reconcile } from '../../src/runtime/reconcile.ts';

const replica = 'shop/web/1';

/** What becomes of a unit of this form that runs away from home, given what its home says of its own. */
function isStopped(hash: string, home: Pick<Told, 'hash' | 'state' | 'suspect'>, state: UnitState = 'ready'): boolean {
  const assignment = { replica, app: 'shop', service: 'web', index: '1', hash: 'new', cell: 'home', verdicts: [] };
  const { stop } = reconcile(
    {
      ...{ self: 'away', wanted: new Map(), forms: new Map(), assigned: new Map([[replica, assignment]]) },
      ...{ told: new Map([[replica, [{ cell: 'home', replica, restarts: 0, ...home }]]]), strict: new Map() },
      ...{ turns: new Set<string>(), isFresh: false, kept: new Set<string>(), maxMoves: 4 },
    },
    [{ key: `${replica}@${hash}`, replica, hash, state, hostPorts: [] }],
  );
  return stop.length > 0;
}

describe('a replica away from home', () => {
  it('goes when its home has it ready', () => {
    expect(isStopped('new', { hash: 'new', state: 'ready' })).toBe(true);
    for (const state of ['pulling', 'starting', 'running', 'backoff', 'stopping'] as UnitState[])
      expect(isStopped('new', { hash: 'new', state }), state).toBe(false);
  });

  it('stays while its home may be dead', () => {
    expect(isStopped('new', { hash: 'new', state: 'ready', suspect: true })).toBe(false);
  });

  it('stays for a former form at home, and as a former form gives way to one', () => {
    expect(isStopped('new', { hash: 'old', state: 'ready' })).toBe(false);
    expect(isStopped('old', { hash: 'old', state: 'ready' })).toBe(true);
    expect(isStopped('old', { hash: 'old', state: 'running' }, 'running')).toBe(true);
    // It may never be as well as this one is.
    expect(isStopped('old', { hash: 'old', state: 'running' })).toBe(false);
    expect(isStopped('old', { hash: 'new', state: 'ready' })).toBe(true);
    // The new form may never get well.
    expect(isStopped('old', { hash: 'new', state: 'running' })).toBe(false);
  });
});
