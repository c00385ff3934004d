/**
 * Weighted rendezvous in integers: each cell draws a straw for each replica, the longest wins, and a cell of twice the
 * weight wins twice as often. A cell that comes or goes changes only its own straws.
 *
 * straw2 of Ceph's CRUSH (Weil et al., SC '06; straw2 since Hammer): length = ln(u) / weight with u uniform in (0, 1].
 * The logarithm is a table made with integer arithmetic: Math.log may differ in its last bit between machines.
 */
import { compare, hash32, mix32 } from '../core/hash.ts';

const tableBits = 16;
const fractionBits = 24;
let table: Float64Array | undefined;

/** log2((i + 1) / 65536) in units of 2^-24: negative integers, 0 for the last. */
function logTable(): Float64Array {
  if (table !== undefined) return table;
  table = new Float64Array(1 << tableBits);
  for (let i = 0; i < table.length; i++) table[i] = log2Fixed(i + 1) - tableBits * 2 ** fractionBits;
  return table;
}

/** log2 of 1 .. 65536 in units of 2^-24, by repeated squaring of a 26-bit mantissa: exact in a double. */
function log2Fixed(value: number): number {
  const whole = 31 - Math.clz32(value);
  let mantissa = (value / 2 ** whole) * 2 ** 25;
  let fraction = 0;
  for (let bit = 0; bit < fractionBits; bit++) {
    mantissa = Math.floor((mantissa * mantissa) / 2 ** 25);
    fraction *= 2;
    if (mantissa >= 2 ** 26) {
      mantissa = Math.floor(mantissa / 2);
      fraction += 1;
    }
  }
  return whole * 2 ** fractionBits + fraction;
}

/** What (key, cell) draws: 0 .. 2^31-1. Of cells of one weight, the highest draw has the longest straw. */
export const draw = (keyHash: number, cellHash: number): number =>
  mix32(Math.imul(keyHash, 0x9e3779b1) ^ cellHash) >>> 1;

/** A straw's length for a draw: a negative integer, longer is greater. `weight` is a positive integer. */
export const straw = (drawn: number, weight: number): number =>
  Math.trunc((logTable()[drawn >>> 15]! * 2 ** 20) / weight);

export interface Candidate {
  id: string;
  weight: number;
}

/** Candidates by straw for `key`, longest first; ties by hash, then by id. */
export function byStraw<T extends Candidate>(key: string, candidates: readonly T[]): T[] {
  const keyHash = hash32(key);
  const drawn = candidates.map((candidate) => {
    const tie = draw(keyHash, hash32(candidate.id));
    return { candidate, length: straw(tie, candidate.weight), tie };
  });
  drawn.sort((a, b) => b.length - a.length || b.tie - a.tie || compare(a.candidate.id, b.candidate.id));
  return drawn.map(({ candidate }) => candidate);
}
