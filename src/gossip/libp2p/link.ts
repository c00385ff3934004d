/** One direction of talk with one peer: a queue in front of a long-lived stream that is opened when it is first needed. */
import type { Stream } from '@libp2p/interface';
import { limits } from '../../core/limits.ts';
import { drained, packFrame } from './streams.ts';

const openWithinMs = 3_000;
/** After a failed opening, what is queued is dropped and the next try waits: probes come often enough. */
const pauseAfterFailureMs = 100;

export class Link {
  readonly #open: (signal: AbortSignal) => Promise<Stream>;
  #queue: string[] = [];
  #stream: Stream | undefined;
  #opening = false;
  #draining = false;
  #notBeforeMs = 0;
  #life = 0;

  constructor(open: (signal: AbortSignal) => Promise<Stream>) {
    this.#open = open;
  }

  send(text: string): void {
    if (this.#queue.length >= limits.sendQueueFrames) this.#queue.shift();
    this.#queue.push(text);
    this.#flush();
  }

  /** The connection changed: the next frame goes over a new stream. */
  reset(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#draining = false;
    this.#opening = false;
    this.#notBeforeMs = 0;
    this.#life++;
    if (stream?.status === 'open') stream.abort(new Error('replaced'));
    if (this.#queue.length > 0) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    if (this.#stream !== undefined && this.#stream.status !== 'open') this.#stream = undefined;
    if (this.#stream === undefined) {
      void this.#reopen();
      return;
    }
    while (this.#queue.length > 0 && !this.#draining) this.#write(this.#stream, this.#queue.shift()!);
  }

  #write(stream: Stream, text: string): void {
    try {
      if (stream.send(packFrame(text))) return;
    } catch {
      this.#stream = undefined;
      return;
    }
    const life = this.#life;
    this.#draining = true;
    drained(stream)
      .catch(() => {})
      .finally(() => {
        if (life !== this.#life) return;
        this.#draining = false;
        if (this.#queue.length > 0) this.#flush();
      });
  }

  async #reopen(): Promise<void> {
    if (this.#opening) return;
    if (performance.now() < this.#notBeforeMs) {
      this.#queue = [];
      return;
    }
    this.#opening = true;
    const life = this.#life;
    try {
      const stream = await this.#open(AbortSignal.timeout(openWithinMs));
      if (life !== this.#life) {
        stream.abort(new Error('replaced'));
        return;
      }
      if (stream.status === 'open') this.#stream = stream;
      else this.#fail();
    } catch {
      if (life === this.#life) this.#fail();
    }
    if (life !== this.#life) return;
    this.#opening = false;
    if (this.#queue.length > 0) this.#flush();
  }

  #fail(): void {
    this.#queue = [];
    this.#notBeforeMs = performance.now() + pauseAfterFailureMs;
  }
}
