/** What stands for parts of libraries in the bundle does as they do. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ChaCha20Poly1305 as Library, newInstance } from '@chainsafe/as-chacha20poly1305';
import { digest as libraryDigest } from '@chainsafe/as-sha256';
import { describe, expect, it } from 'vitest';
import { ChaCha20Poly1305 } from '../../scripts/lean/chacha20poly1305.ts';
import { digest } from '../../scripts/lean/sha256.ts';

const root = new URL('../../', import.meta.url).pathname;

describe('the lean bundle', () => {
  it('ciphers and hashes as the libraries it stands for', () => {
    const [lean, library] = [new ChaCha20Poly1305(), new Library(newInstance())];
    for (const bytes of [0, 1, 63, 64, 65, 1_199]) {
      const [key, nonce, ad, text] = [randomBytes(32), randomBytes(12), randomBytes(32), randomBytes(bytes)];
      const sealed = lean.seal(key, nonce, text, ad);
      expect(Buffer.from(sealed)).toEqual(Buffer.from(library.seal(key, nonce, text, ad)));
      expect(Buffer.from(lean.open(key, nonce, sealed, ad) ?? [1])).toEqual(text);
      expect(Buffer.from(digest(text))).toEqual(Buffer.from(libraryDigest(text)));
    }
  });

  it('refuses a changed or truncated message', () => {
    const [key, nonce] = [randomBytes(32), randomBytes(12)];
    const sealed = new ChaCha20Poly1305().seal(key, nonce, randomBytes(100));
    sealed[50]! ^= 1;
    expect(new ChaCha20Poly1305().open(key, nonce, sealed)).toBeNull();
    expect(new ChaCha20Poly1305().open(key, nonce, sealed.subarray(0, 15))).toBeNull();
  });

  it('is ASCII throughout: V8 would keep all of it as UTF-16 for one other letter', () => {
    for (const name of ['cli', 'daemon', 'provision'])
      expect(readFileSync(`${root}dist/${name}.cjs`, 'utf8')).not.toMatch(/[^\0-\x7f]/);
  });

  it('has the whole table of key prefixes in its file', async () => {
    const path = `${root}node_modules/@libp2p/kad-dht/dist/src/routing-table/generated-prefix-list.js`;
    const { default: prefixes } = (await import(path)) as { default: number[] };
    const file = readFileSync(`${root}dist/kad-prefixes.bin`);
    expect([...new Uint32Array(file.buffer, file.byteOffset, file.byteLength / 4)]).toEqual(prefixes);
  });
});
