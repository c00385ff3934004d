/** Memory that a busy time leaves behind goes back to the machine. */
import { DatabaseSync } from 'node:sqlite';

/** Asked for this often, it is looked whether there is something to give back. */
const everyMs = 60_000;
/** Growth since the last time that is worth a look, in bytes. */
const notable = 2 * 1_048_576;

export class MemoryKeeper {
  #leastBytes = 0;
  #lookMs = 0;

  /** To be called every few seconds; costs nothing where memory has not grown. */
  look(nowMs: number): void {
    if (nowMs < this.#lookMs) return;
    this.#lookMs = nowMs + everyMs;
    const bytes = process.memoryUsage.rss();
    if (bytes > this.#leastBytes + notable) trim();
    this.#leastBytes = process.memoryUsage.rss();
  }
}

/**
 * Gives back each page of the C library's heap that nothing is in: malloc_trim(3) of glibc. By itself free() gives back the heap's end
 * alone, and one small block that lives keeps all before it. Node.js has no call for it, but SQLite calls any function of a library that is
 * named to it as the entry of an extension: it takes no arguments that matter (what it takes for `pad`, a pointer, is larger than any heap,
 * so that the end is left to free()), and what it answers, 1 where pages went back, is an error to SQLite. Without glibc nothing happens.
 */
export function trim(): void {
  const database = new DatabaseSync(':memory:', { allowExtension: true });
  try {
    database.loadExtension('libc.so.6', 'malloc_trim');
  } catch {
    // Done, or there is none.
  } finally {
    database.close();
  }
}
