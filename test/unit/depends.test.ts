import { describe, expect, it } from 'vitest';
import type { UnitState } from '../../src/core/model.ts';
import type { Dependency } from '../../src/core/spec.ts';
import { waitsFor } from '../../src/runtime/depends.ts';
import type { Told } from '../../src/runtime/reconcile.ts';
import { simService } from '../sim/makers.ts';

const told = (state: UnitState, reason?: string): Told => ({
  ...{ cell: 'c1', replica: 'shop/db/1', hash: 'h', state, restarts: 0 },
  ...(reason === undefined ? {} : { reason }),
});

const wait = (condition: Dependency['condition'], ...replicas: Told[][]): string | undefined =>
  waitsFor(simService('web', 1, { dependsOn: [{ service: 'db', condition }] }), () =>
    replicas.map((units) => ({ hash: 'h', units })),
  );

describe('a service that depends on another', () => {
  it('waits until it runs, is ready, or has ended well', () => {
    expect(wait('started', [])).toBe('waits for db: it does not run yet');
    expect(wait('started', [told('starting')])).toContain('does not run');
    expect(wait('started', [told('running')], [])).toBeUndefined();
    expect(wait('healthy', [told('running')])).toBe('waits for db: no replica of it is ready yet');
    expect(wait('healthy', [told('running')], [told('ready')])).toBeUndefined();
    expect(wait('completed', [told('ready')])).toBe('waits for db: it has not ended yet');
    expect(wait('completed', [told('exited', 'exit code 0')], [told('ready')])).toContain('not ended');
    expect(wait('completed', [told('exited', 'exit code 0')])).toBeUndefined();
    expect(wait('completed', [told('exited', 'exit code 3')])).toBe('waits for db: it ended with exit code 3');
  });

  it('does not take what a former form did for what this one does', () => {
    const former = { ...told('exited', 'exit code 1'), hash: 'old' };
    expect(wait('completed', [former, told('exited', 'exit code 0')])).toBeUndefined();
    expect(wait('completed', [{ ...former, reason: 'exit code 0' }])).toContain('not ended');
    expect(wait('started', [{ ...told('running'), hash: 'old' }])).toBeUndefined();
  });

  it('does not wait for a service of no replicas', () => {
    for (const condition of ['started', 'healthy', 'completed'] as const) expect(wait(condition)).toBeUndefined();
  });

  it('waits for nothing where it depends on nothing', () => {
    expect(waitsFor(simService('web', 1), () => [])).toBeUndefined();
  });
});
