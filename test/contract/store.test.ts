/** The disk: what it refuses, and that nothing acknowledged is lost. */
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import * as Y from 'yjs';
import { Store } from '../../src/crdt/sqlite/store.ts';

const fresh = (): string => mkdtempSync(join(tmpdir(), 'osca-store-'));

describe('the store', () => {
  it('remembers over a restart', () => {
    const folder = fresh();
    const store = Store.open(folder);
    store.append([Uint8Array.of(1), Uint8Array.of(2)]);
    store.set('founder', 'x');
    store.rememberPeer('p', ['/ip4/10.0.0.1/tcp/1']);
    expect(store.nextIncarnation()).toBe(1);
    store.close();
    const next = Store.open(folder);
    expect(next.updates()).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
    expect(next.get('founder')).toBe('x');
    expect(next.peers()).toEqual([{ id: 'p', addrs: ['/ip4/10.0.0.1/tcp/1'] }]);
    expect(next.nextIncarnation()).toBe(2);
    next.close();
  });

  it('keeps a second daemon out of the folder', () => {
    const folder = fresh();
    const store = Store.open(folder);
    store.set('a', 'b');
    expect(() => Store.open(folder)).toThrow(
      expect.objectContaining({ code: 'data-busy', hint: expect.stringContaining('--data') }),
    );
    store.close();
    Store.open(folder).close();
  });

  it('leaves a folder of a newer version alone', () => {
    const folder = fresh();
    const db = new DatabaseSync(join(folder, 'osca.db'));
    db.exec('PRAGMA user_version = 99; CREATE TABLE theirs (a TEXT);');
    db.close();
    expect(() => Store.open(folder)).toThrow(expect.objectContaining({ code: 'data-newer' }));
    const again = new DatabaseSync(join(folder, 'osca.db'));
    expect(again.prepare('PRAGMA user_version').get()).toEqual({ user_version: 99 });
    again.close();
  });

  it('says that a folder cannot be written', () => {
    const folder = join(fresh(), 'none', 'there');
    expect(() => Store.open(folder)).toThrow(
      expect.objectContaining({ code: 'data-unusable', hint: expect.stringContaining('writable') }),
    );
    const locked = fresh();
    chmodSync(locked, 0o500);
    if (process.getuid?.() !== 0)
      expect(() => Store.open(locked)).toThrow(expect.objectContaining({ code: 'data-unusable' }));
  });

  it('merges a long log and loses nothing', () => {
    const folder = fresh();
    const store = Store.open(folder);
    const doc = new Y.Doc();
    doc.on('update', (update: Uint8Array) => store.append([update]));
    for (let i = 0; i < 250; i++) doc.getMap('m').set(`k${i % 7}`, i);
    expect(store.updates()).toHaveLength(1);
    const copy = new Y.Doc();
    for (const update of store.updates()) Y.applyUpdate(copy, update);
    expect(copy.getMap('m').toJSON()).toEqual(doc.getMap('m').toJSON());
    store.close();
  });

  it('keeps the latest thousand events', () => {
    const store = Store.open(fresh());
    for (let i = 0; i < 1_005; i++) store.addEvent({ atMs: i, level: 'info', kind: 'k', message: String(i) });
    expect(store.events()).toHaveLength(1_000);
    expect(store.events()[0]!.message).toBe('5');
    store.close();
  });
});
