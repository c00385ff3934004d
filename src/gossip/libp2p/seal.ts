/** Ed25519 by node:crypto. A peer id of libp2p contains its public key, so an id is all that is needed to verify. */

import type { KeyObject } from 'node:crypto';
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { publicKeyFromRaw } from '@libp2p/crypto/keys';
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id';
import { fromBase64, toBase64 } from '../../core/base64.ts';
import type { Sealer, Signer } from '../../core/frames.ts';

const pkcs8Head = Buffer.from('302e020100300506032b657004220420', 'hex');
const spkiHead = Buffer.from('302a300506032b6570032100', 'hex');
const cacheSize = 4_096;

/** A signer from a 32-byte seed. */
function signerOf(seed: Uint8Array): Signer {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Head, seed]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const id = peerIdFromPublicKey(publicKeyFromRaw(spki.subarray(spkiHead.length))).toString();
  return { id, sign: (text) => toBase64(sign(null, Buffer.from(text), key)) };
}

/** The sealer of the cell whose key has this seed. */
export function createSealer(seed: Uint8Array): Sealer {
  const signer = signerOf(seed);
  const keys = new Map<string, KeyObject | undefined>();
  const keyOf = (id: string): KeyObject | undefined => {
    if (keys.has(id)) return keys.get(id);
    if (keys.size >= cacheSize) keys.clear();
    const key = publicKeyOf(id);
    keys.set(id, key);
    return key;
  };
  return {
    id: signer.id,
    sign: signer.sign,
    verify: (id, text, sig) => {
      const key = keyOf(id);
      const bytes = fromBase64(sig);
      return key !== undefined && bytes?.length === 64 && verify(null, Buffer.from(text), key, bytes);
    },
    derive: (text) => {
      const bytes = fromBase64(text);
      return bytes?.length === 32 ? signerOf(bytes) : undefined;
    },
  };
}

function publicKeyOf(id: string): KeyObject | undefined {
  try {
    const peer = peerIdFromString(id);
    if (peer.type !== 'Ed25519') return undefined;
    return createPublicKey({ key: Buffer.concat([spkiHead, peer.publicKey.raw]), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
