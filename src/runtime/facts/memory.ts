/** Memory that a busy time leaves behind goes back to the machine. */
import { DatabaseSync } from 'node:sqlite';

/**
 * Gives back each page of the C library's heap that nothing is in: malloc_trim(3) of glibc. By itself free() gives back the heap's end
 * alone, and one small block that lives keeps all before it. Node.js has no call for it, but SQLite calls any function of a library that is
 * named to it as the entry of an extension: it takes no arguments that matter (what it takes for `pad`, a pointer, is larger than any heap,
 * so that the end is left to free()), and what it answers, 1 where pages went back, is an error to SQLite. Without glibc nothing happens.
 */
export function trim(): void {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(':memory:', { allowExtension: true });
    database.loadExtension('libc.so.6', 'malloc_trim');
  } catch {
    // Done, or there is none.
  } finally {
    database?.close();
  }
}

/** How often it is tidied after a busy time: what libp2p remembers of messages goes two minutes after the last. */
const times = 6;

/**
 * What is done every half minute: where the heap has grown by a tenth since it was last clean, and grows no more, V8 gives back what a busy
 * time left in it, which takes some 60 ms (by itself it does so only where the heap is to grow on, and a daemon at rest waits for that for
 * ever); and the C library's heap is trimmed. Needs `--expose-gc`; without, it is trimmed alone.
 */
export function makeHousekeeping(): () => void {
  let [clean, before, due] = [0, 0, 0];
  return () => {
    const heap = process.memoryUsage().heapTotal;
    if (heap > clean * 1.1) due = times;
    if (due > 0 && heap <= before) {
      due--;
      globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
      clean = process.memoryUsage().heapTotal;
    }
    before = heap;
    trim();
  };
}
