/** The disk: what it refuses, and that nothing acknowledged is lost. */
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { Store } from '../../src/crdt/sqlite/store.ts';

const fresh = (): string => mkdtempSync(join(tmpdir(), 'osca-store-'));

describe('the store', () => {
  it('remembers over a restart', () => {
    const folder = fresh();
    const store = Store.open(folder);
    store.append([{ update: Uint8Array.of(1) }, { update: Uint8Array.of(2) }]);
    store.set('founder', 'x');
    store.rememberPeer('p', ['/ip4/10.0.0.1/tcp/1']);
    expect(store.nextIncarnation()).toBe(1);
    store.close();
    const next = Store.open(folder);
    expect(next.updates()).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
    expect(next.get('founder')).toBe('x');
    expect(next.peers()).toEqual([{ id: 'p', addrs: ['/ip4/10.0.0.1/tcp/1'] }]);
    // Above what the first life may have raised its own to.
    expect(next.nextIncarnation()).toBe(1_000);
    expect(next.nextIncarnation()).toBe(2_000);
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

  it('has the whole document in the place of its log, and what came after', () => {
    const folder = fresh();
    const store = Store.open(folder);
    const [one, two, whole, next] = [1, 2, 3, 4].map((byte) => ({ update: Uint8Array.of(byte) }));
    store.append([one!, two!]);
    store.append([one!, { ...whole!, whole: true }, next!]);
    store.append([two!]);
    store.close();
    const again = Store.open(folder);
    expect(again.updates().map(([byte]) => byte)).toEqual([3, 4, 2]);
    again.close();
  });

  it('keeps the latest thousand events', () => {
    const store = Store.open(fresh());
    for (let i = 0; i < 1_005; i++) store.addEvents([{ atMs: i, level: 'info', kind: 'k', message: String(i) }]);
    expect(store.events()).toHaveLength(1_000);
    expect(store.events()[0]!.message).toBe('5');
    store.close();
  });
});
