/** A change of a service: who goes next, what counts as failed, and how it ends. */
import { describe, expect, it } from 'vitest';
import type { AppState, Assignment, Revision, UnitState, Veto } from '../../src/core/model.ts';
import type { UpdatePolicy } from '../../src/core/spec.ts';
import type { Verdict } from '../../src/runtime/progress.ts';
import { Progress } from '../../src/runtime/progress.ts';
import type { Told } from '../../src/runtime/reconcile.ts';
import { rolloutsOf, turnsOf } from '../../src/runtime/rollouts.ts';
import { simService } from '../sim/makers.ts';

const replicas = (count: number, hash = 'new'): Assignment[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ replica: `shop/web/${i + 1}`, app: 'shop', service: 'web', index: String(i + 1), hash },
    ...{ cell: `c${i + 1}`, verdicts: [] },
  }));

/** 'old ready' by index, on the cell where placement has it unless another is named; 'new ready 1' fell once. */
function tale(...states: string[]): Map<string, Told[]> {
  const told = new Map<string, Told[]>();
  for (const [i, text] of states.entries()) {
    const replica = `shop/web/${i + 1}`;
    const units = text.split(', ').filter((one) => one !== '');
    const list = units.map((one): Told => {
      const [hash, state, more = ''] = one.split(' ') as [string, UnitState, string?];
      const restarts = Number(/^\d+$/.exec(more)?.[0] ?? 0);
      const cell = more.startsWith('c') ? more : `c${i + 1}`;
      return { replica, hash, state, cell, restarts, ...(restarts > 0 ? { reason: 'exit code 1' } : {}) };
    });
    told.set(replica, list);
  }
  return told;
}

const revision = (seq: number, more: Partial<Revision> = {}): Revision => ({
  ...{ id: `r${seq}`, seq, atMs: 0, by: 'test', note: '', spec: { name: 'shop', services: [] } },
  ...more,
});

/** An app whose second revision is on its way; the first was done. */
function shop(update: Partial<UpdatePolicy> = {}, more: Partial<AppState> = {}): AppState {
  const first = revision(1, { outcome: { seq: 1, state: 'done', atMs: 0 } });
  const second = revision(2, { spec: { name: 'shop', services: [simService('web', 3, { update })] } });
  const state = { stopped: false, stoppedServices: [], restarts: {}, withheld: {}, runs: [] };
  return { name: 'shop', revision: second, history: [first, second], ...state, ...more };
}

interface Steps {
  count?: number;
  update?: Partial<UpdatePolicy>;
  app?: Partial<AppState>;
  vetoes?: Veto[];
  canGoBack?: boolean;
}

/** What its leader says at each step: [virtual ms, what is told]. */
function led(steps: readonly (readonly [number, Map<string, Told[]>])[], options: Steps = {}): Verdict[] {
  const { count = 3, update, app, vetoes = [], canGoBack = true } = options;
  const progress = new Progress();
  return steps.map(([now, told]) => {
    const [rollout] = rolloutsOf([shop(update, app)], replicas(count), told, vetoes);
    const verdict = progress.lead(rollout!, canGoBack, now);
    // What failed is decided on a moment later.
    return verdict.dueMs === now + 1_000 && verdict.go.length === 0
      ? progress.lead(rollout!, canGoBack, now + 1_000)
      : verdict;
  });
}

const go = (assignments: Assignment[], told: Map<string, Told[]>): string[] =>
  new Progress()
    .lead(rolloutsOf([shop()], assignments, told, [])[0]!, true, 0)
    .go.map((replica) => replica.replace('web/', ''));

describe('a rollout', () => {
  it('lets one replica change after the other', () => {
    expect(go(replicas(3), tale('old ready', 'old ready', 'old ready'))).toEqual(['1']);
    expect(go(replicas(3), tale('old ready, new starting', 'old ready', 'old ready'))).toEqual(['1']);
    expect(go(replicas(3), tale('new ready, old stopping', 'old ready', 'old ready'))).toEqual(['2']);
    expect(go(replicas(3), tale('new ready', 'new ready', 'old ready'))).toEqual(['3']);
  });

  it('waits for what fails in its new form', () => {
    expect(go(replicas(2), tale('old ready, new backoff', 'old ready'))).toEqual(['1']);
  });

  it('is not held up by what has no place, or runs nowhere', () => {
    const [first, ...rest] = replicas(3);
    const { cell: _, ...nowhere } = first!;
    expect(go([nowhere, ...rest], tale('old ready', 'old ready', 'old ready'))).toEqual(['2']);
    expect(go(replicas(3), tale('', 'old ready', 'old ready'))).toEqual(['2']);
  });

  it('changes what is at home in its old form while its new one is ready elsewhere', () => {
    expect(go(replicas(2), tale('new ready', 'old ready, new ready c9'))).toEqual(['2']);
  });

  it('needs nobody’s leave where there is one replica', () => {
    const rollouts = rolloutsOf([shop()], replicas(1), tale('old ready'), []);
    expect([...turnsOf(rollouts, () => [])]).toEqual(['shop/web/1@new']);
    const three = rolloutsOf([shop()], replicas(3), tale('old ready', 'old ready', 'old ready'), []);
    expect([...turnsOf(three, () => [])]).toEqual([]);
    expect([...turnsOf(three, () => ['web/2'])]).toEqual(['shop/web/2@new']);
  });

  it('changes as many at once as the file says, and all where it says 0', () => {
    const old = tale('old ready', 'old ready', 'old ready');
    expect(led([[0, old]], { update: { parallelism: 2 } })[0]!.go).toEqual(['web/1', 'web/2']);
    expect(led([[0, old]], { update: { parallelism: 0 } })[0]!.go).toEqual(['web/1', 'web/2', 'web/3']);
  });

  it('changes no more at once than fit in a record', () => {
    const many = tale(...Array.from({ length: 150 }, () => 'old ready'));
    expect(led([[0, many]], { count: 150, update: { parallelism: 0 } })[0]!.go).toHaveLength(100);
  });

  it('waits between one that came and the next', () => {
    const one = tale('new ready', 'old ready', 'old ready');
    const said = led(
      [
        [0, tale('new starting, old ready', 'old ready', 'old ready')],
        [1_000, one],
        [10_999, one],
        [11_000, one],
      ],
      { update: { delayMs: 10_000 } },
    );
    expect(said.map(({ go }) => go.join())).toEqual(['web/1', '', '', 'web/2']);
    expect(said[1]!.dueMs).toBeLessThanOrEqual(11_000);
  });

  it('is done when all came and stayed for a while', () => {
    const all = tale('new ready', 'new ready', 'new ready');
    const said = led([
      [0, tale('new ready', 'new ready', 'old ready, new starting')],
      [1_000, all],
      [5_900, all],
      [6_000, all],
    ]);
    expect(said.map(({ outcome }) => outcome?.state)).toEqual([undefined, undefined, undefined, 'done']);
    expect(said[1]!.dueMs).toBe(5_000);
  });

  it('is undone when one falls soon after it came, and says which and why', () => {
    const said = led([
      [0, tale('new ready', 'old ready', 'old ready')],
      [1_000, tale('new backoff 1', 'new starting, old ready', 'old ready')],
    ]);
    expect(said[1]).toMatchObject({ go: [], outcome: { state: 'undone', reason: 'shop/web/1: exit code 1' } });
  });

  it('pauses where the file says so, or where there is nothing to go back to it goes on', () => {
    const fallen = [[0, tale('new backoff 1, old ready', 'old ready', 'old ready')]] as const;
    expect(led(fallen, { update: { onFailure: 'pause' } })[0]).toMatchObject({
      ...{ go: [], pause: { by: '', reason: 'shop/web/1: exit code 1' } },
    });
    for (const [options, go] of [
      [{ update: { onFailure: 'continue' } }, ['web/1', 'web/2']],
      [{ update: { maxFailureRatio: 0.5 } }, ['web/1', 'web/2']],
      // Nobody would take back what else would fall.
      [{ canGoBack: false }, ['web/1']],
    ] as [Steps, string[]][]) {
      const [verdict] = led(fallen, options);
      expect(verdict!.go).toEqual(go);
      expect(verdict!.outcome ?? verdict!.pause).toBeUndefined();
    }
  });

  it('bears as many failures as the file says', () => {
    const fallen = [[0, tale('new backoff 1, old ready', 'old ready', 'old ready')]] as const;
    expect(led(fallen, { update: { maxFailureRatio: 0.4 } })[0]!.outcome).toBeUndefined();
    expect(led(fallen, { update: { maxFailureRatio: 0.3 } })[0]!.outcome?.state).toBe('undone');
  });

  it('does not hold a fall of long ago against it', () => {
    const up = tale('new ready 1', 'old ready', 'old ready');
    // A successor finds it up: it fell under another leader. Later it falls once more, after its time of trial.
    const later = tale('new backoff 2', 'new starting, old ready', 'old ready');
    expect(
      led([
        [0, up],
        [60_000, later],
      ]).map(({ outcome }) => outcome),
    ).toEqual([undefined, undefined]);
    expect(
      led([
        [0, up],
        [1_000, later],
      ])[1]!.outcome?.state,
    ).toBe('undone');
  });

  it('is undone where three cells, or all that could, can not start it', () => {
    const veto = { service: 'shop/web', hash: 'new', reason: 'no such image' };
    const old = [[0, tale('old ready', 'old ready', 'old ready')]] as const;
    expect(led(old, { vetoes: [veto, veto] })[0]!.outcome).toBeUndefined();
    const [verdict] = led(old, { vetoes: [veto, veto, veto] });
    expect(verdict!.outcome).toEqual({ state: 'undone', reason: 'shop/web: no such image' });
    const [first, ...rest] = replicas(3);
    const { cell: _, ...nowhere } = first!;
    const [rollout] = rolloutsOf([shop()], [nowhere, ...rest], old[0][1], [veto]);
    const progress = new Progress();
    expect(progress.lead(rollout!, true, 0)).toEqual({ go: [], dueMs: 1_000 });
    expect(progress.lead(rollout!, true, 1_000).outcome?.state).toBe('undone');
  });

  it('stands still while it is paused, one replica or many', () => {
    const paused = { paused: { by: 'ann', reason: '' } };
    for (const count of [1, 3]) {
      const told = tale(...Array.from({ length: count }, () => 'old ready'));
      expect(led([[0, told]], { count, app: paused })[0]!.go).toEqual([]);
      const rollouts = rolloutsOf([shop({}, paused)], replicas(count), told, []);
      expect([...turnsOf(rollouts, () => ['web/1'])]).toEqual([]);
    }
  });

  it('does not stop again when somebody insists', () => {
    const fallen = [[0, tale('new backoff 1, old ready', 'old ready', 'old ready')]] as const;
    const [verdict] = led(fallen, { app: { insists: true } });
    expect(verdict).toMatchObject({ go: ['web/1', 'web/2'] });
    expect(verdict!.outcome).toBeUndefined();
  });

  it('is done at once where nothing is to run', () => {
    const [rollout] = rolloutsOf([shop()], [], new Map(), []);
    expect(new Progress().lead(rollout!, true, 0).outcome).toEqual({ state: 'done' });
    expect(rolloutsOf([shop({}, { stopped: true })], [], new Map(), [])).toEqual([]);
  });

  it('goes back as rollback_config says, and never back further', () => {
    const back = revision(1, {
      outcome: { seq: 1, state: 'done', atMs: 0 },
      spec: {
        name: 'shop',
        services: [simService('web', 3, { update: { parallelism: 1 }, rollback: { parallelism: 2 } })],
      },
    });
    const undone = revision(2, { outcome: { seq: 2, state: 'undone', atMs: 0 } });
    const app = { revision: back, undone };
    expect(led([[0, tale('old ready', 'old ready', 'old ready')]], { app })[0]!.go).toEqual(['web/1', 'web/2']);
    const [fallen] = led([[0, tale('new backoff 1, old ready', 'old ready', 'old ready')]], { app });
    expect(fallen!.pause?.reason).toBe('shop/web/1: exit code 1');
  });

  it('of what is through is looked at again only where a former form runs', () => {
    const done = shop({}, { revision: revision(2, { outcome: { seq: 2, state: 'done', atMs: 0 } }) });
    expect(rolloutsOf([done], replicas(2), tale('new ready', 'new starting'), [])).toEqual([]);
    expect(rolloutsOf([done], replicas(2), tale('new ready', 'old ready'), [])).toHaveLength(1);
    expect(rolloutsOf([shop()], replicas(2), tale('new ready', 'new starting'), [])).toHaveLength(1);
  });
});
