/**
 * What an exec speaks over an upgraded HTTP connection, both ways: one byte of kind, four of length, then bytes.
 * Pure: both ends of the API read it.
 */
export const execKind = { stdin: 0, resize: 1, stdinEnd: 2, stdout: 3, stderr: 4, exit: 5, error: 6 } as const;
export type ExecKind = (typeof execKind)[keyof typeof execKind];

export function packExec(kind: ExecKind, bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(5 + bytes.length);
  out[0] = kind;
  new DataView(out.buffer).setUint32(1, bytes.length);
  out.set(bytes, 5);
  return out;
}

/** Cuts a byte stream into frames. A length over 16 MiB is no frame of ours. */
export class ExecUnpacker {
  #rest: Uint8Array = new Uint8Array(0);

  push(chunk: Uint8Array): { kind: number; bytes: Uint8Array }[] {
    const joined = new Uint8Array(this.#rest.length + chunk.length);
    joined.set(this.#rest);
    joined.set(chunk, this.#rest.length);
    const frames: { kind: number; bytes: Uint8Array }[] = [];
    let at = 0;
    while (joined.length - at >= 5) {
      const length = new DataView(joined.buffer, joined.byteOffset + at + 1, 4).getUint32(0);
      if (length > 16_777_216) throw new RangeError('the exec stream is damaged');
      if (joined.length - at < 5 + length) break;
      frames.push({ kind: joined[at]!, bytes: joined.subarray(at + 5, at + 5 + length) });
      at += 5 + length;
    }
    this.#rest = joined.slice(at);
    return frames;
  }
}

/** Reads no more of one until the other has taken what it was given, or is gone. */
export function holdBack(
  from: { isPaused(): boolean; pause(): unknown; resume(): unknown },
  to: {
    destroyed?: boolean;
    once(event: 'drain' | 'close', listener: () => void): unknown;
    removeListener(event: 'drain' | 'close', listener: () => void): unknown;
  },
): void {
  if (to.destroyed === true || from.isPaused()) return;
  from.pause();
  const goOn = (): void => {
    to.removeListener('drain', goOn);
    to.removeListener('close', goOn);
    from.resume();
  };
  to.once('drain', goOn);
  to.once('close', goOn);
}
