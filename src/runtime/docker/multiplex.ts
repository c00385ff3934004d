/** The engine's multiplexed stream: eight bytes of head (which stream, how long), then so many bytes of it. */
export interface Piece {
  isError: boolean;
  bytes: Buffer;
}

/** Cuts what came into pieces; what is not whole yet waits for the next chunk. */
export class Multiplex {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): Piece[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const pieces: Piece[] = [];
    while (this.#rest.length >= 8 && this.#rest.length >= 8 + this.#rest.readUInt32BE(4)) {
      const end = 8 + this.#rest.readUInt32BE(4);
      pieces.push({ isError: this.#rest[0] === 2, bytes: this.#rest.subarray(8, end) });
      this.#rest = this.#rest.subarray(end);
    }
    return pieces;
  }
}
