/** libp2p streams as we use them: length-prefixed text frames, and a Node Duplex for HTTP. */
import { Duplex } from 'node:stream';
import type { Stream, StreamMessageEvent } from '@libp2p/interface';

/** Four bytes of length, then UTF-8. */
export function packFrame(text: string): Uint8Array {
  const length = Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(4 + length);
  bytes.writeUInt32BE(length, 0);
  bytes.write(text, 4);
  return bytes;
}

/** Cuts a byte stream back into frames. Throws where a frame says that it is larger than `maxBytes`. */
export class Unpacker {
  readonly #maxBytes: () => number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(maxBytes: () => number) {
    this.#maxBytes = maxBytes;
  }

  push(chunk: Uint8Array): string[] {
    const view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#rest = this.#rest.length === 0 ? view : Buffer.concat([this.#rest, view]);
    const frames: string[] = [];
    while (this.#rest.length >= 4) {
      const length = this.#rest.readUInt32BE(0);
      if (length > this.#maxBytes()) throw new Error(`a frame of ${length} bytes is over the limit`);
      if (this.#rest.length < 4 + length) break;
      frames.push(this.#rest.toString('utf8', 4, 4 + length));
      this.#rest = this.#rest.subarray(4 + length);
    }
    return frames;
  }
}

export const chunkOf = (event: StreamMessageEvent): Uint8Array =>
  event.data instanceof Uint8Array ? event.data : event.data.subarray();

/**
 * Until what was sent is out of our hands. Throws when the stream closes first. (libp2p's own onDrain() of 3.3 waits the
 * first time only: its promise is never renewed.)
 */
export function drained(stream: Stream): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (stream.writableNeedsDrain || stream.writeBufferLength > 0) return;
      settle();
      resolve();
    };
    const close = (): void => {
      settle();
      reject(new Error('the stream was closed'));
    };
    const settle = (): void => {
      for (const name of ['drain', 'idle'] as const) stream.removeEventListener(name, look);
      stream.removeEventListener('close', close);
    };
    for (const name of ['drain', 'idle'] as const) stream.addEventListener(name, look);
    stream.addEventListener('close', close);
    if (stream.status !== 'open' && stream.status !== 'closing') close();
    else look();
  });
}

/** A libp2p stream as a Duplex that node:http accepts as a socket. A connection that ends without a farewell is an error. */
export function toDuplex(stream: Stream): Duplex {
  let ended = false;
  let finished = stream.remoteWriteStatus === 'closed' && stream.status === 'open';
  const end = (): void => {
    if (ended) return;
    ended = true;
    if (finished) duplex.push(null);
    else duplex.destroy(Object.assign(new Error('the connection to the cell was lost'), { code: 'ECONNRESET' }));
  };
  const send = (bytes: Buffer, done: (error?: Error) => void): void => {
    try {
      if (stream.send(bytes)) done();
      else drained(stream).then(() => done(), done);
    } catch (error) {
      done(error as Error);
    }
  };
  const duplex = new Duplex({
    allowHalfOpen: true,
    read() {
      if (stream.readStatus === 'paused') stream.resume();
    },
    write: (chunk: Buffer, _encoding, done) => send(chunk, done),
    // What gathered goes as one: each that is sent is a frame and a cipher of its own.
    writev: (chunks, done) => send(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), done),
    final(done) {
      stream.close().then(
        () => done(),
        (error: Error) => done(error),
      );
    },
    destroy(error, done) {
      const open = stream.status === 'open' || stream.status === 'closing';
      if (open && (error !== null || !ended || stream.writeStatus !== 'closed'))
        stream.abort(error ?? new Error('destroyed'));
      done(error);
    },
  });
  stream.addEventListener('message', (event) => {
    if (!ended && !duplex.push(Buffer.from(chunkOf(event))) && stream.readStatus === 'readable') stream.pause();
  });
  stream.addEventListener('remoteCloseWrite', () => {
    finished = true;
  });
  // What is buffered is handed out in a microtask, sometimes after `end`: the end waits for it.
  stream.addEventListener('end', () => void setImmediate(end));
  if ((stream as { readableEnded?: boolean }).readableEnded === true) setImmediate(end);
  // A line that breaks after its user is done with it is nobody's error.
  duplex.on('error', () => {});
  stream.addEventListener('close', (event) => {
    if ('error' in event && event.error instanceof Error) duplex.destroy(event.error);
    else setImmediate(end);
  });
  // What node:http calls on a socket and a stream has no use for.
  const nothing = (): Duplex => duplex;
  return Object.assign(duplex, {
    setNoDelay: nothing,
    setKeepAlive: nothing,
    setTimeout: nothing,
    ref: nothing,
    unref: nothing,
  });
}
