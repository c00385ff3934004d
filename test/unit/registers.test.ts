/** Registers over a document: all agree whatever came when, and what is gone leaves nothing. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import * as Y from 'yjs';
import { WantedDocument } from '../../src/crdt/document.ts';
import type { Json } from '../../src/crdt/registers.ts';
import { Registers, sweep } from '../../src/crdt/registers.ts';

class Copy {
  readonly doc = new Y.Doc();
  readonly map = this.doc.getMap<Json>('map');
  readonly registers = new Registers(this.map);
  readonly told = new Map<string, Json | undefined>();

  constructor(client: number) {
    this.doc.clientID = client;
    this.registers.observe((name, value) => this.told.set(name, value));
  }

  pull(from: Copy): void {
    Y.applyUpdate(this.doc, Y.encodeStateAsUpdate(from.doc, Y.encodeStateVector(this.doc)));
  }

  sweep(): void {
    sweep(this.doc, [this.map]);
  }

  state(): Record<string, Json | undefined> {
    return Object.fromEntries([...this.registers.names()].sort().map((name) => [name, this.registers.get(name)]));
  }

  get structs(): number {
    return [...this.doc.store.clients.values()].reduce((sum, list) => sum + list.length, 0);
  }
}

const steps = fc.array(
  fc.record({
    copy: fc.nat(2),
    does: fc.constantFrom('set', 'set', 'delete', 'pull', 'pull', 'sweep', 'early'),
    name: fc.constantFrom('a', 'b', 'c#d', ''),
    other: fc.nat(2),
  }),
  { maxLength: 60 },
);

it('agree on every value, whatever was written, forgotten and heard of in any order', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const copies = [new Copy(1), new Copy(2), new Copy(3)] as const;
      /** Updates as they were made, which come late and more than once. */
      const updates: Uint8Array[] = [];
      for (const { doc } of copies) doc.on('update', (update: Uint8Array) => void updates.push(update));
      all.forEach(({ copy, does, name, other }, i) => {
        const one = copies[copy]!;
        if (does === 'set') one.doc.transact(() => one.registers.set(name, i));
        else if (does === 'delete') one.doc.transact(() => one.registers.delete(name));
        else if (does === 'pull') one.pull(copies[other]!);
        else if (does === 'sweep') one.sweep();
        else if (updates.length > 0) Y.applyUpdate(one.doc, updates[(i * 7 + other) % updates.length]!);
      });
      for (let round = 0; round < 2; round++) for (const one of copies) for (const other of copies) one.pull(other);
      const [first, ...others] = copies.map((one) => one.state());
      for (const state of others) expect(state).toEqual(first);
      for (const one of copies) {
        for (const [name, value] of one.told) expect(one.registers.get(name)).toEqual(value);
        one.sweep();
        expect(one.state()).toEqual(first);
        // A newcomer hears the same from one that has forgotten.
        const late = new Copy(9);
        late.pull(one);
        expect(late.state()).toEqual(first);
      }
    }),
  );
});

it('leave nothing of what is gone: a thousand writes by two are as one', () => {
  const [one, two] = [new Copy(1), new Copy(2)];
  for (let i = 0; i < 1_000; i++) {
    one.doc.transact(() => one.registers.set(`run/${i}`, { at: i }));
    two.pull(one);
    two.doc.transact(() => {
      two.registers.set('current', i);
      if (i > 0) two.registers.delete(`run/${i - 1}`);
    });
    one.pull(two);
  }
  one.sweep();
  expect(one.state()).toEqual({ current: 999, 'run/999': { at: 999 } });
  expect(one.structs).toBeLessThan(8);
  expect(one.map._map.size).toBe(2);
  const late = new Copy(3);
  late.pull(one);
  expect(late.state()).toEqual(one.state());
  expect(Y.encodeStateAsUpdate(one.doc).length).toBeLessThan(200);
});

it('take the write that saw more, and keep what is written while it is removed', () => {
  const [one, two] = [new Copy(1), new Copy(2)];
  one.doc.transact(() => one.registers.set('a', 'first'));
  two.pull(one);
  one.doc.transact(() => one.registers.set('a', 'second'));
  one.doc.transact(() => one.registers.set('a', 'third'));
  two.doc.transact(() => two.registers.set('a', 'other'));
  one.pull(two);
  two.pull(one);
  expect([one.registers.get('a'), two.registers.get('a')]).toEqual(['third', 'third']);
  one.doc.transact(() => one.registers.delete('a'));
  two.doc.transact(() => two.registers.set('a', 'kept'));
  one.pull(two);
  two.pull(one);
  expect([one.registers.get('a'), two.registers.get('a')]).toEqual(['kept', 'kept']);
});

it('keep what takes away something that has not come yet, also on the disk', () => {
  const [a, b] = [new WantedDocument(1), new WantedDocument(2)];
  const label = (doc: WantedDocument, value: string | null): Uint8Array =>
    doc.change(() => doc.setCell('x', { labels: { zone: value } }))!;
  const first = label(a, 'attic');
  b.apply(first);
  const second = label(b, 'cellar');
  // The third hears the later one first, and starts anew from what it had on its disk.
  const third = new WantedDocument(3);
  const stored = third.apply(second);
  expect([third.tookIn, stored]).toEqual([false, expect.any(Uint8Array)]);
  const again = new WantedDocument(4);
  again.apply(stored as Uint8Array);
  again.apply(first);
  expect([again.tookIn, again.cell('x').labels]).toEqual([true, { zone: 'cellar' }]);
  // So does one that hears the whole of it from a cell that waits.
  const fifth = new WantedDocument(5);
  fifth.apply(third.bytes());
  fifth.apply(first);
  expect(fifth.cell('x').labels).toEqual({ zone: 'cellar' });
  const gone = label(b, null);
  again.apply(gone);
  expect(again.cell('x').labels).toEqual({});
});
