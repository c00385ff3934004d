/**
 * Files that a spec names, or that somebody put into a folder. Whoever reads them serves others meanwhile: it may not wait for the other end
 * of a pipe, nor fill its memory from a device or a file of gigabytes.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

const pieceBytes = 65_536;

/** All of a regular file, or its first `most` + 1 bytes, by which the caller knows that it is too large. Throws Error in words. */
export function readSome(path: string, most: number): Buffer {
  // A pipe opens at once, with or without somebody at its other end.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(file).isFile()) throw new Error('it is no file with text in it, but a folder, a pipe or a device');
    const pieces: Buffer[] = [];
    for (let left = most + 1; left > 0; ) {
      const piece = Buffer.alloc(Math.min(left, pieceBytes));
      const count = readSync(file, piece);
      if (count === 0) break;
      pieces.push(piece.subarray(0, count));
      left -= count;
    }
    return Buffer.concat(pieces);
  } finally {
    closeSync(file);
  }
}
