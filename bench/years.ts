/**
 * What a document keeps of what is long gone: a schedule that ran a hundred thousand times (seventy days of each minute), of which ten
 * runs are kept, in two copies that hear of each other's changes; beside it the same in maps of Yjs, each run under a key of its own.
 */
import * as Y from 'yjs';
import { documentDefaults } from '../src/crdt/document.ts';
import type { Json } from '../src/crdt/registers.ts';
import { Registers, sweep } from '../src/crdt/registers.ts';

const runs = 100_000;
const kept = 10;

interface Store {
  doc: Y.Doc;
  set(name: string, value: Json): void;
  delete(name: string): void;
  /** Now and then. */
  tidy(): void;
}

function registers(): Store {
  const doc = new Y.Doc();
  const map = doc.getMap<Json>('map');
  const all = new Registers(map);
  return {
    doc,
    set: (name, value) => all.set(name, value),
    delete: (name) => all.delete(name),
    tidy: () => sweep(doc, [map]),
  };
}

function plain(): Store {
  const doc = new Y.Doc();
  const map = doc.getMap<Json>('map');
  return { doc, set: (name, value) => void map.set(name, value), delete: (name) => map.delete(name), tidy: () => {} };
}

/** MB of both copies, and bytes of one on the disk. */
function measure(make: () => Store): { megabytes: number; bytes: number } {
  globalThis.gc!();
  const before = process.memoryUsage().heapUsed;
  const [one, two] = [make(), make()];
  one.doc.on('update', (update: Uint8Array) => Y.applyUpdate(two.doc, update, 'peer'));
  two.doc.on('update', (update: Uint8Array, origin: unknown) => {
    if (origin !== 'peer') Y.applyUpdate(one.doc, update, 'peer');
  });
  for (let i = 0; i < runs; i++) {
    one.doc.transact(() => one.set(`run/backup-${i}`, { atMs: i * 60_000, state: 'open' }));
    // The cell on which it ran says how it ended.
    two.doc.transact(() => {
      two.set(`run/backup-${i}`, { atMs: i * 60_000, state: 'done' });
      if (i >= kept) two.delete(`run/backup-${i - kept}`);
    });
    if (i % documentDefaults.sweepAfter === 0) for (const store of [one, two]) store.tidy();
  }
  globalThis.gc!();
  const megabytes = Math.round((process.memoryUsage().heapUsed - before) / 1e4) / 100;
  return { megabytes, bytes: Y.encodeStateAsUpdate(two.doc).length };
}

export function benchYears(tell: (text: string) => void): object {
  const ours = measure(registers);
  tell(`  registers: ${ours.megabytes} MB, ${ours.bytes} bytes on the disk`);
  const peer = measure(plain);
  tell(`  maps of Yjs: ${peer.megabytes} MB, ${peer.bytes} bytes on the disk`);
  return {
    what: `${runs} runs of a schedule, ${kept} kept: heap of two copies in MB, bytes of one as it is stored`,
    ...{ ours, peer },
    ratio: { memory: Math.round((ours.megabytes / peer.megabytes) * 1e4) / 1e4 },
  };
}
