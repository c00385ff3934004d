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
