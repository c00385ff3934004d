/**
 * Stands for @chainsafe/as-chacha20poly1305 in the bundle: the same cipher from the runtime's OpenSSL. Noise takes the
 * WebAssembly one for small messages, for its speed in a benchmark; a WebAssembly engine is megabytes in each daemon.
 */
import type { KeyObject } from 'node:crypto';
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';

const cipher = 'chacha20-poly1305';
const tagBytes = 16;

/** Node makes a key object of raw bytes at each use otherwise, which costs more than the cipher. */
const keys = new WeakMap<Uint8Array, KeyObject>();

function keyOf(raw: Uint8Array): KeyObject {
  let key = keys.get(raw);
  if (key === undefined) {
    key = createSecretKey(raw);
    keys.set(raw, key);
  }
  return key;
}

export const newInstance = (): undefined => undefined;

export class ChaCha20Poly1305 {
  /** Ciphertext and tag (RFC 8439, 2.8). */
  seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, ad = new Uint8Array()): Uint8Array {
    const sealing = createCipheriv(cipher, keyOf(key), nonce, { authTagLength: tagBytes });
    sealing.setAAD(ad, { plaintextLength: plaintext.byteLength });
    return Buffer.concat([sealing.update(plaintext), sealing.final(), sealing.getAuthTag()]);
  }

  /** The plaintext; null where the tag does not fit. */
  open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, ad = new Uint8Array()): Uint8Array | null {
    const end = sealed.byteLength - tagBytes;
    if (end < 0) return null;
    const opening = createDecipheriv(cipher, keyOf(key), nonce, { authTagLength: tagBytes });
    opening.setAAD(ad, { plaintextLength: end });
    opening.setAuthTag(sealed.subarray(end));
    try {
      return Buffer.concat([opening.update(sealed.subarray(0, end)), opening.final()]);
    } catch {
      return null;
    }
  }
}
