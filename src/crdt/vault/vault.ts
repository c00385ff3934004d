/**
 * X25519 between two cells for keys, AES-256-GCM under a key of the appliance for what they seal. The nonce is a keyed hash of the
 * text (a synthetic IV, Rogaway and Shrimpton, EUROCRYPT '06): equal texts give equal bytes, and no counter has to be kept.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
} from 'node:crypto';
import { fromBase64, toBase64 } from '../../core/base64.ts';
import type { Vault } from '../../core/vault.ts';

const pkcs8Head = Buffer.from('302e020100300506032b656e04220420', 'hex');
const spkiHead = Buffer.from('302a300506032b656e032100', 'hex');
const nonceBytes = 12;
const tagBytes = 16;

const derive = (key: Uint8Array, use: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), `osca ${use}`, 32));

function encrypt(key: Uint8Array, plain: Uint8Array): Buffer {
  const nonce = createHmac('sha256', derive(key, 'nonce')).update(plain).digest().subarray(0, nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', derive(key, 'cipher'), nonce);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Uint8Array, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < nonceBytes + tagBytes) return undefined;
  try {
    const decipher = createDecipheriv('aes-256-gcm', derive(key, 'cipher'), sealed.subarray(0, nonceBytes));
    decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, sealed.length - tagBytes)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** The vault of the cell whose identity has this seed. */
export function createVault(seed: Uint8Array): Vault {
  const own = createPrivateKey({
    ...{ key: Buffer.concat([pkcs8Head, derive(seed, 'box')]), format: 'der', type: 'pkcs8' },
  });
  const spki = createPublicKey(own).export({ format: 'der', type: 'spki' });
  const box = toBase64(spki.subarray(spkiHead.length));
  const sharedWith = (other: string): Buffer | undefined => {
    const raw = fromBase64(other);
    if (raw?.length !== 32) return undefined;
    try {
      const publicKey = createPublicKey({ key: Buffer.concat([spkiHead, raw]), format: 'der', type: 'spki' });
      return diffieHellman({ privateKey: own, publicKey });
    } catch {
      return undefined;
    }
  };
  const inBase64 = (bytes: Uint8Array | undefined): string | undefined =>
    bytes === undefined ? undefined : toBase64(bytes);
  return {
    box,
    make: (text) => {
      const bytes = fromBase64(text);
      if (bytes?.length !== 32) return undefined;
      const key = derive(bytes, 'appliance key');
      return { id: createHash('sha256').update(key).digest('hex').slice(0, 16), key: toBase64(key) };
    },
    wrap: (key, to) => {
      const shared = sharedWith(to);
      return shared === undefined ? undefined : `${box}.${toBase64(encrypt(shared, fromBase64(key)!))}`;
    },
    unwrap: (text) => {
      const [from, sealed] = text.split('.') as [string, string?];
      const [shared, bytes] = [sharedWith(from), fromBase64(sealed ?? '')];
      return shared === undefined || bytes === undefined ? undefined : inBase64(decrypt(shared, bytes));
    },
    seal: (key, plain) => toBase64(encrypt(fromBase64(key)!, fromBase64(plain)!)),
    open: (key, sealed) => {
      const [secret, bytes] = [fromBase64(key), fromBase64(sealed)];
      return secret === undefined || bytes === undefined ? undefined : inBase64(decrypt(secret, bytes));
    },
  };
}
