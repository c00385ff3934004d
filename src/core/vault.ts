/**
 * Seals what only members of an appliance may read. The appliance has keys, each known to every cell: a cell that has one seals it
 * for the others. Texts are base64. Real: src/crdt/vault. Simulated: a text that says who may read it.
 */
export interface Vault {
  /** The public half of this cell's own key for what is sealed to it alone. */
  readonly box: string;
  /** The key that a 32-byte seed makes; undefined where the seed is none. */
  make(seed: string): { id: string; key: string } | undefined;
  /** `key` for the cell with this box alone; undefined where that is none. */
  wrap(key: string, box: string): string | undefined;
  /** What was wrapped for this cell; undefined where it was for another, or is damaged. */
  unwrap(text: string): string | undefined;
  /** The same text each time: what did not change is not sealed anew. */
  seal(key: string, plain: string): string;
  open(key: string, sealed: string): string | undefined;
}
