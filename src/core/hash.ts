/**
 * Hashing for placement and identity, the same on every machine.
 *
 * Think of it as a die with as many faces as we like, that always falls the same way for the same words. Only 32-bit
 * integer arithmetic is used (Math.imul), so that an old laptop and a Pi roll the same number. It is no
 * protection against an adversary: signatures are (gossip/trust.ts).
 */

/** 32-bit hash of UTF-16 text. Murmur3's mixing (Appleby, public domain), seeded. Returns 0 .. 2^32-1. */
export function hash32(text: string, seed = 0): number {
  let h = seed ^ 0x9747b28c;
  for (let i = 0; i < text.length; i++) {
    let k = Math.imul(text.charCodeAt(i), 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    h ^= Math.imul(k, 0x1b873593);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  return mix32(h ^ text.length);
}

/** Finaliser: every input bit reaches every output bit. Returns 0 .. 2^32-1. */
export function mix32(value: number): number {
  let h = value;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return h >>> 0;
}

/** Content hash of any JSON value, keys sorted; `length` hex digits (at most 32). */
export function contentHash(value: unknown, length = 12): string {
  const text = canonical(value);
  let out = '';
  for (let seed = 1; out.length < length; seed++) out += hash32(text, seed).toString(16).padStart(8, '0');
  return out.slice(0, length);
}

/** JSON with sorted keys and no undefined: equal values give equal text. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item ?? null)).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    let text = '';
    // By code unit, as compare().
    for (const key of Object.keys(value).sort()) {
      const item = (value as Record<string, unknown>)[key];
      if (item !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonical(item)}`;
    }
    return `{${text}}`;
  }
  return JSON.stringify(value);
}

/** Order of two ids or texts by code unit: the same on every machine, unlike localeCompare. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
