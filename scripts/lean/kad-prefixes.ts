/**
 * Stands for kad-dht's table of 65,536 key prefixes in the bundle: a refresh of the routing table asks for a few of them
 * every five minutes, so they are read from their file (4 bytes each, little endian) instead of being held, 3 MB, for ever.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';

const path = join(import.meta.dirname, 'kad-prefixes.bin');

function prefixAt(index: number): number {
  const bytes = Buffer.alloc(4);
  const file = openSync(path, 'r');
  try {
    readSync(file, bytes, 0, 4, index * 4);
  } finally {
    closeSync(file);
  }
  return bytes.readUInt32LE();
}

// biome-ignore lint/style/noDefaultExport: the shape of the module that it stands for.
export default new Proxy([] as number[], { get: (_, index) => prefixAt(Number(index)) });
