/** Boards that start anew for updates do so one by one, by the clock alone. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { turnHindrance, unwell } from '../../src/board/turn.ts';

const ids = ['a', 'b', 'c'];
const cellsFor = (self: string, states: Record<string, string> = {}) =>
  ids.map((id) => ({ id, name: `n${id}`, self: id === self, state: states[id] ?? 'alive', sinceMs: 0 }));
const minute = 60_000;

it('gives each board ten minutes, and lets it begin in the first five', () => {
  const may = (atMs: number): string[] => ids.filter((id) => turnHindrance(cellsFor(id), atMs) === '');
  expect([0, 4, 5, 10, 14, 20, 29, 30].map((at) => may(at * minute).join())).toEqual([
    'a',
    'a',
    '',
    'b',
    'b',
    'c',
    '',
    'a',
  ]);
  expect(turnHindrance(cellsFor('b'), 4 * minute)).toBe('its turn comes in 6 min');
  expect(turnHindrance(cellsFor('a'), 5 * minute)).toBe('its turn comes in 25 min');
});

it('never lets two begin within five minutes of each other, and each once a round', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(2 ** 41), (count, from) => {
      const names = Array.from({ length: count }, (_, i) => `c${i}`);
      const rows = (self: string) =>
        names.map((id) => ({ id, name: id, self: id === self, state: 'alive', sinceMs: 0 }));
      const begins: string[] = [];
      for (let at = from; at < from + count * 10 * minute; at += 5 * minute)
        begins.push(names.filter((id) => turnHindrance(rows(id), at) === '').join());
      expect(begins.filter((one) => one !== '').sort()).toEqual([...names].sort());
    }),
    { numRuns: 30 },
  );
});

it('waits for all that are up no more, not for those that left', () => {
  expect(turnHindrance(cellsFor('a', { b: 'down', c: 'suspect' }), 0)).toBe('not all cells are up: nb, nc');
  expect(turnHindrance(cellsFor('a', { b: 'left' }), 20 * minute)).toBe('');
  expect(turnHindrance(cellsFor('x'), 0)).toBe('this board is no member');
});

it('waits three days for one that is down, whose turn goes by unused from then on', () => {
  const [day, round] = [86_400_000, 30 * minute];
  const rows = cellsFor('a', { b: 'down' });
  const at = (ms: number): number => Math.ceil(ms / round) * round;
  expect(turnHindrance(rows, at(3 * day - round))).toBe('not all cells are up: nb');
  expect(turnHindrance(rows, at(3 * day) + round)).toBe('');
  expect(turnHindrance(rows, at(3 * day) + round + 10 * minute)).toBe('its turn comes in 20 min');
  // One that hears nothing of it may be about to start anew itself.
  expect(turnHindrance(cellsFor('a', { b: 'suspect' }), at(9 * day))).toBe('not all cells are up: nb');
});

it('says what a cell lacks', () => {
  const well = { phase: 'member', engine: 'Docker 28', cells: 3, alive: 3 };
  expect(unwell(well)).toBe('');
  expect(unwell({ ...well, cells: 1, alive: 1 })).toBe('');
  expect(unwell({ ...well, alive: 1 })).toBe('it hears no other cell');
  expect(unwell({ ...well, engine: '' })).toBe('it has no container engine');
  expect(unwell({ ...well, phase: 'waiting' })).toBe('it is no member: waiting');
});
