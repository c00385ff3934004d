/**
 * The disk of a cell: the document's log of updates, the incarnation, where members were last, and the latest events. One
 * SQLite file, WAL, synchronous=FULL: what was acknowledged survives the plug. The exclusive lock on it also keeps a
 * second daemon out of the folder, and dies with the process that holds it.
 */
import { chmodSync, closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { OscaError, reasonOf } from '../../core/errors.ts';
import { nextIncarnation } from '../../core/frames.ts';
import { limits } from '../../core/limits.ts';
import type { CellId, LogEvent } from '../../core/model.ts';

/** Raised when the tables change; a folder with a higher one is left alone. */
const schemaVersion = 2;

const schema = `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS updates (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS peers (id TEXT PRIMARY KEY, addrs TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, atMs INTEGER NOT NULL, level TEXT NOT NULL,
    kind TEXT NOT NULL, message TEXT NOT NULL) STRICT;
`;

export class Store {
  readonly #db: DatabaseSync;
  readonly #folder: string;

  private constructor(db: DatabaseSync, folder: string) {
    this.#db = db;
    this.#folder = folder;
  }

  /** Opens the folder's database. Throws OscaError data-busy, data-newer or data-unusable. */
  static open(folder: string): Store {
    const file = join(folder, 'osca.db');
    try {
      // What belongs to it (the log of writes) has its mode.
      closeSync(openSync(file, 'a', 0o600));
      chmodSync(file, 0o600);
      const db = new DatabaseSync(file);
      db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
      // In KiB: what is written is hardly ever read again, and two megabytes of it would stay in memory.
      db.exec('PRAGMA cache_size = -256;');
      const version = Number(db.prepare('PRAGMA user_version').get()?.user_version);
      if (version > schemaVersion) {
        db.close();
        throw new OscaError(
          'data-newer',
          `${folder} was written by a newer OSCA (format ${version}, this one knows ${schemaVersion}); nothing was changed`,
          'run the newer version, or give another folder with --data DIR',
        );
      }
      db.exec(`BEGIN IMMEDIATE; ${schema} PRAGMA user_version = ${schemaVersion}; COMMIT;`);
      return new Store(db, folder);
    } catch (error) {
      throw openingError(folder, error);
    }
  }

  #guard<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw writingError(this.#folder, error);
    }
  }

  get(key: string): string | undefined {
    const row = this.#db.prepare('SELECT value FROM meta WHERE key = ?').get(key);
    return row === undefined ? undefined : String(row.value);
  }

  set(key: string, value: string): void {
    this.#guard(() => this.#db.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)').run(key, value));
  }

  /** The incarnation of this start: above any before it on this disk. */
  nextIncarnation(): number {
    const next = nextIncarnation(Number(this.get('incarnation') ?? 0));
    this.set('incarnation', String(next));
    return next;
  }

  // -- the document ------------------------------------------------------------------------------------------------

  updates(): Uint8Array[] {
    const rows = this.#db.prepare('SELECT bytes FROM updates ORDER BY id').all();
    return rows.map(({ bytes }) => bytes as Uint8Array);
  }

  /** Appends; what is whole takes the place of all before it. Returns when it is on the disk: all of it or, where that fails, none. */
  append(log: readonly { update: Uint8Array; whole?: true }[]): void {
    this.#whole(() => {
      const insert = this.#db.prepare('INSERT INTO updates (bytes) VALUES (?)');
      for (const { update, whole } of log) {
        if (whole === true) this.#db.exec('DELETE FROM updates;');
        insert.run(update);
      }
    });
  }

  /** All of it or nothing, with one wait for the disk. */
  #whole<T>(run: () => T): T {
    return this.#guard(() => {
      this.#db.exec('BEGIN IMMEDIATE;');
      try {
        const made = run();
        this.#db.exec('COMMIT;');
        return made;
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK;');
        throw error;
      }
    });
  }

  // -- peers and events --------------------------------------------------------------------------------------------

  peers(): { id: CellId; addrs: string[] }[] {
    const rows = this.#db.prepare('SELECT id, addrs FROM peers ORDER BY id').all();
    return rows.map(({ id, addrs }) => ({ id: String(id), addrs: JSON.parse(String(addrs)) as string[] }));
  }

  rememberPeer(id: CellId, addrs: readonly string[]): void {
    this.#guard(() => this.#db.prepare('INSERT OR REPLACE INTO peers VALUES (?, ?)').run(id, JSON.stringify(addrs)));
  }

  addEvents(events: readonly Omit<LogEvent, 'seq'>[]): LogEvent[] {
    return this.#whole(() => {
      const insert = this.#db.prepare('INSERT INTO events (atMs, level, kind, message) VALUES (?, ?, ?, ?)');
      const stored = events.map((event) => {
        const { atMs, level, kind, message } = event;
        return { ...event, seq: Number(insert.run(Math.round(atMs), level, kind, message).lastInsertRowid) };
      });
      this.#db.prepare('DELETE FROM events WHERE seq <= ?').run((stored.at(-1)?.seq ?? 0) - limits.events);
      return stored;
    });
  }

  events(): LogEvent[] {
    return this.#db
      .prepare('SELECT seq, atMs, level, kind, message FROM events ORDER BY seq')
      .all() as unknown as LogEvent[];
  }

  close(): void {
    this.#db.close();
  }
}

function openingError(folder: string, error: unknown): OscaError {
  if (error instanceof OscaError) return error;
  const reason = reasonOf(error);
  if (/locked|busy/i.test(reason)) {
    return new OscaError(
      'data-busy',
      `another osca daemon uses ${folder}`,
      'stop it first, or give this one a folder of its own with --data DIR',
      error,
    );
  }
  return writingError(folder, error);
}

function writingError(folder: string, error: unknown): OscaError {
  const reason = reasonOf(error);
  if (/readonly|read-only|unable to open|EROFS|EACCES|EPERM|ENOENT/i.test(reason)) {
    const hint = 'make it writable for this user, or give another folder with --data DIR';
    return new OscaError('data-unusable', `${folder} can't be written: ${reason}`, hint, error);
  }
  if (/full|ENOSPC|disk I\/O/i.test(reason)) {
    const hint = 'free some space; what was acknowledged before is safe';
    return new OscaError('data-unusable', `the disk of ${folder} is full: ${reason}`, hint, error);
  }
  return new OscaError(
    'data-unusable',
    `${folder} can't be used: ${reason}`,
    'check the folder, or give another with --data DIR',
    error,
  );
}
