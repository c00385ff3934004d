import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createVault } from '../../src/crdt/vault/vault.ts';

const vault = (n: number) => createVault(new Uint8Array(32).fill(n));
const seed = Buffer.alloc(32, 7).toString('base64url');
const text = (words: string): string => Buffer.from(words).toString('base64url');

describe('the vault', () => {
  const [ann, ben, eve] = [vault(1), vault(2), vault(3)];
  const { key } = ann.make(seed)!;

  it('hands a key to one cell alone', () => {
    const wrapped = ann.wrap(key, ben.box)!;
    expect(ben.unwrap(wrapped)).toBe(key);
    expect(eve.unwrap(wrapped)).toBeUndefined();
    expect(ann.unwrap(ann.wrap(key, ann.box)!)).toBe(key);
    expect(wrapped).not.toContain(key);
  });

  it('gives back what it sealed, and the same bytes for the same text', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        const plain = Buffer.from(bytes).toString('base64url');
        const sealed = ann.seal(key, plain);
        expect(ben.open(key, sealed)).toBe(plain);
        expect(ann.seal(key, plain)).toBe(sealed);
      }),
    );
    expect(ann.seal(key, text('one'))).not.toBe(ann.seal(key, text('two')));
    expect(ann.seal(ann.make(text('x'.repeat(32)))!.key, text('one'))).not.toBe(ann.seal(key, text('one')));
  });

  it('opens nothing that was changed, cut, or is none', () => {
    const sealed = Buffer.from(ann.seal(key, text('a word')), 'base64url');
    for (let i = 0; i < sealed.length; i++) {
      const changed = Buffer.from(sealed);
      changed[i]! ^= 1;
      expect(ann.open(key, changed.toString('base64url'))).toBeUndefined();
      expect(ann.open(key, sealed.subarray(0, i).toString('base64url'))).toBeUndefined();
    }
    for (const none of ['', '.', 'a', 'a.b', `${ann.box}.`, `${text('short')}.${text('b'.repeat(64))}`])
      expect(ben.unwrap(none)).toBeUndefined();
    expect(ann.wrap(key, 'no box')).toBeUndefined();
    expect(ann.make('no seed')).toBeUndefined();
  });
});
