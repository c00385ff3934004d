import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Frame } from '../../src/core/frames.ts';
import { decodeFrame, encodeFrame, seal } from '../../src/core/frames.ts';
import { limits } from '../../src/core/limits.ts';
import { simSealer } from '../sim/host.ts';
import { appliance } from '../sim/makers.ts';
import type { World } from '../sim/world.ts';

const ping: Frame = { t: 'ping', q: 1, inc: 1 };

describe('a frame from outside', () => {
  it('never throws, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.object().map((value) => JSON.stringify({ t: 'have', ...value })),
        ),
        (text) => {
          decodeFrame(text);
        },
      ),
    );
  });

  it('is refused when it is cut off anywhere', () => {
    const text = encodeFrame({ t: 'have', items: [['a', 1, 2]], sv: 'x', reply: true });
    for (let length = 0; length < text.length; length++) expect(decodeFrame(text.slice(0, length)).ok).toBe(false);
  });

  it.each([
    ['whole', [{ duty: 'd', epoch: 1, go: ['1'] }], true],
    ['without an epoch', [{ duty: 'd', go: ['1'] }], false],
    ['more than one master gives', Array(limits.orders + 1).fill({ duty: 'd', epoch: 1, go: [] }), false],
    [
      'longer than an order may be',
      [{ duty: 'd', epoch: 1, go: Array<string>(limits.rolloutAtOnce + 1).fill('web/1') }],
      false,
    ],
  ])('with orders that are %s', (_words, orders, ok) => {
    const [record] = appliance(1, { seed: 'orders' }).view('h1').members;
    expect(decodeFrame(JSON.stringify({ t: 'rec', rec: { ...record, orders } })).ok).toBe(ok);
  });

  it.each([
    ['malformed', '{"t":"ping","q":-1,"inc":1}'],
    ['malformed', '[]'],
    ['malformed', '{"t":"rec","rec":{"name":"a"}}'],
    ['unknown-type', '{"t":"toString"}'],
    ['oversized', 'x'.repeat(limits.documentBytes * 2 + 1)],
  ])('is %s', (code, text) => {
    expect(decodeFrame(text)).toEqual({ ok: false, code });
  });
});

describe('a cell counts and drops', () => {
  const told = (world: World, text: string, sealed: boolean): Record<string, number> => {
    const from = world.hosts.get('h2')!.id;
    world.give('h1', { type: 'frame', from, text, sealed });
    world.run(100);
    return world.hosts.get('h1')!.cell!.counters();
  };

  it('what is unsigned, wrongly signed, oversized or of a stranger', () => {
    const world = appliance(2, { seed: 'bad-frames' });
    const h2 = world.hosts.get('h2')!.id;
    const alert: Frame = { t: 'alert', who: h2, inc: 99, on: true };
    expect(told(world, encodeFrame(alert), true)).toMatchObject({ unsigned: 1 });
    expect(told(world, encodeFrame(alert), false)).toMatchObject({ unsigned: 2 });
    const sealed = seal(simSealer(h2), 1, 1_000, ping);
    expect(told(world, sealed.replace('"q":1', '"q":2'), true)).toMatchObject({ 'bad-signature': 1 });
    expect(told(world, sealed.slice(0, -3), true)).toMatchObject({ 'bad-signature': 2 });
    expect(told(world, `${sealed}${' '.repeat(limits.frameBytes)}`, true)).toMatchObject({ oversized: 1 });
    const before = world.hosts.get('h1')!.cell!.counters()['not-admitted'] ?? 0;
    expect(told(world, seal(simSealer('stranger'), 1, 1, ping), true)).toMatchObject({ 'not-admitted': before + 1 });
    expect(world.view('h1').members).toHaveLength(2);
  });

  it('what is played back', () => {
    const world = appliance(2, { seed: 'replay' });
    const h2 = world.hosts.get('h2')!.id;
    const text = seal(simSealer(h2), 5, 1_000, { t: 'alert', who: h2, inc: 0, on: true });
    expect(told(world, text, true).replayed ?? 0).toBe(0);
    expect(told(world, text, true)).toMatchObject({ replayed: 1 });
  });

  it('a malformed document update, and keeps its own', () => {
    const world = appliance(2, { seed: 'bad-doc' });
    expect(told(world, encodeFrame({ t: 'push', u: 'AAECAwQF', ack: 1 }), false)).toMatchObject({ malformed: 1 });
    expect(world.view('h1').members).toHaveLength(2);
  });
});

describe('a wall clock that is set back an hour', () => {
  it('changes nothing but the times that people read', () => {
    const world = appliance(3, { seed: 'clock' });
    const events = world.events.length;
    world.give('h2', { type: 'clock', offsetMs: 1_700_000_000_000 - 3_600_000 });
    world.run(20_000);
    expect(world.events.length).toBe(events);
    expect(world.view('h2').members.every(({ state }) => state === 'alive')).toBe(true);
  });
});
