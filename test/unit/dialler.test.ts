/** Whom a cell dials, and which connections it lets go. */
import { expect, it } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import { Dialler } from '../../src/gossip/libp2p/dialler.ts';

const names = (count: number, prefix = 'p') => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

function started(peers: readonly string[]): Dialler {
  const dialler = new Dialler('me');
  for (const peer of peers) dialler.learn(peer, [`/ip4/192.0.2.1/tcp/${peer.slice(1)}`]);
  return dialler;
}

it('dials a few at a time when a thousand are away, and comes to all of them', () => {
  const dialler = started(names(1_000));
  const dialled = new Set<string>();
  let most = 0;
  for (let now = 0; dialled.size < 1_000; now += 500) {
    const due = dialler.due(now);
    most = Math.max(most, due.length);
    for (const peer of due) {
      expect(dialler.begin(peer)).toBe(true);
      dialled.add(peer);
    }
    expect(due.length).toBeGreaterThan(0);
    for (const peer of due) dialler.end(peer);
  }
  expect(most).toBe(8);
});

it('asks for one member at a time whose address nobody told', () => {
  const dialler = started(names(5));
  for (const peer of names(5, 'q')) dialler.learn(peer, []);
  const due = dialler.due(0);
  expect(due.filter((peer) => peer.startsWith('q'))).toHaveLength(1);
  for (const peer of due) dialler.begin(peer);
  expect(dialler.due(500)).toEqual([]);
});

it('dials neighbours first, and nobody else once half of them are there', () => {
  const dialler = started(names(100));
  dialler.keep(new Set(['p90', 'p91', 'p92', 'p93']));
  expect(dialler.due(0).slice(0, 4).sort()).toEqual(['p90', 'p91', 'p92', 'p93']);
  for (const peer of ['p90', 'p91']) dialler.opened(peer);
  expect(dialler.due(60_000)).toEqual(['p92', 'p93']);
});

it('waits longer from try to try, and starts anew with a new address or after a meeting', () => {
  const dialler = started(['p1']);
  const tries: number[] = [];
  for (let now = 0; now < 60_000; now += 500) if (dialler.due(now).length > 0) tries.push(now);
  expect(tries.slice(0, 3)).toEqual([0, 1_000, 2_500]);
  expect(tries.at(-1)! - tries.at(-2)!).toBe(15_000);
  dialler.learn('p1', ['/ip4/192.0.2.9/tcp/1']);
  expect(dialler.due(60_001)).toEqual(['p1']);
  dialler.opened('p1');
  dialler.closed('p1');
  expect(dialler.due(60_002)).toEqual(['p1']);
});

it('keeps the address of a member of which later only the name is known', () => {
  const dialler = started(['p1']);
  dialler.learn('p1', []);
  expect(dialler.addrsOf('p1')).toEqual(['/ip4/192.0.2.1/tcp/1']);
});

it('lets go what was not used for longest, but no neighbour and nobody who is served', () => {
  const peers = names(limits.connections + 3);
  const dialler = started(peers);
  dialler.keep(new Set(['p0']));
  for (const [at, peer] of peers.entries()) {
    dialler.opened(peer);
    dialler.used(peer, at);
  }
  expect(dialler.surplus(10_000, (peer) => peer === 'p1')).toEqual(['p2', 'p3', 'p4']);
});
