/** What a cell lacks after it started anew, beside what it was before. */
import { expect, it } from 'vitest';
import type { ClusterView, UnitState } from '../../src/core/model.ts';
import { beforeOf, lackingOf } from '../../src/core/well.ts';

interface Told {
  units?: { replica: string; hash: string; state: UnitState }[];
  vetoes?: { service: string; hash: string; reason: string }[];
  others?: 'alive' | 'down';
  phase?: string;
  home?: string;
  wanted?: string;
}

/** What `me` believes, of a replica that it runs. */
function view({ units = [], vetoes = [], others = 'alive', phase = 'member', home = 'me', wanted = 'v1' }: Told) {
  return {
    ...{ phase, self: 'me' },
    members: [
      { id: 'me', state: 'alive', units, vetoes },
      { id: 'other', state: others, units: [], vetoes: [] },
    ],
    assignments: [{ replica: 'shop/web/1', app: 'shop', service: 'web', hash: wanted, cell: home }],
  } as unknown as ClusterView;
}
const up = (state: UnitState, hash = 'v1') => [{ replica: 'shop/web/1', hash, state }];
const before = beforeOf(view({ units: up('ready') }));

it('is well where all runs again that ran', () => {
  expect(before).toEqual({ others: true, ready: [{ replica: 'shop/web/1', hash: 'v1', state: 'ready' }] });
  expect(lackingOf(before, view({ units: up('ready') }))).toBe('');
  expect(lackingOf(before, view({ units: up('running') }))).toBe('shop/web/1 was not ready again');
  expect(lackingOf(before, view({}))).toBe('shop/web/1 was not ready again');
});

it('does not ask for what went elsewhere, was deployed anew, or came to its end', () => {
  expect(lackingOf(before, view({ home: 'other' }))).toBe('');
  expect(lackingOf(before, view({ wanted: 'v2', units: up('starting', 'v2') }))).toBe('');
  expect(lackingOf(before, view({ units: up('exited') }))).toBe('');
});

it('is not well where it went elsewhere because it does not start here any more', () => {
  const vetoes = [{ service: 'shop/web', hash: 'v1', reason: 'no such device' }];
  expect(lackingOf(before, view({ home: 'other', vetoes }))).toBe('shop/web/1 did not start again: no such device');
  expect(lackingOf(before, view({ home: 'other', wanted: 'v2', vetoes }))).toBe('');
});

it('is not well where it is no member, or hears none of the others', () => {
  expect(lackingOf(before, view({ phase: 'waiting', units: up('ready') }))).toBe('it was no member');
  expect(lackingOf(before, view({ others: 'down', units: up('ready') }))).toBe('it heard no other cell');
  const alone = beforeOf(view({ others: 'down' }));
  expect(lackingOf(alone, view({ others: 'down' }))).toBe('');
});
