/** The narrow doors through which Host reaches the outside: one contract suite per port, for every adapter. */
import type { Exit, Observed, UnitSpec } from './events.ts';
import type { DriverKind } from './spec.ts';

export interface LogQuery {
  follow: boolean;
  /** What is followed is told whole, and ends with the last line of what has ended; else a later start may go on with it. */
  untilExit?: boolean;
  /** Last lines only; all where absent. */
  tail?: number;
  sinceMs?: number;
  /** Of several containers, which: by name, or by that of the service the first; all where absent. */
  part?: string;
  signal: AbortSignal;
}

export interface LogLine {
  atMs: number;
  stream: 'stdout' | 'stderr';
  text: string;
  /** Which of several containers wrote it; absent: the first. */
  part?: string;
}

export interface ExecQuery {
  argv: string[];
  tty: boolean;
  stdin: boolean;
  columns?: number;
  rows?: number;
  /** Of a container: its own where absent. */
  user?: string;
  workingDir?: string;
  environment?: Record<string, string>;
  privileged?: boolean;
  /** Of several containers, which: by name, or by that of the service the first, as where it is absent. */
  part?: string;
}

/** A running exec: bytes both ways; with a tty one stream, without it stderr apart. */
export interface ExecSession {
  input: NodeJS.WritableStream;
  output: NodeJS.ReadableStream;
  errors?: NodeJS.ReadableStream;
  resize(columns: number, rows: number): Promise<void>;
  /** Ends what runs. */
  kill(): void;
  exitCode: Promise<number>;
}

export interface Life {
  /** 0 where its processes can't be seen from here. */
  pid: number;
  /** The pid leads a group, which ends with it. */
  isGroup: boolean;
  /** What its engine calls it. */
  id: string;
}

/** What runs replicas. Every rejected promise is an OscaError with a code that the supervisor understands. */
export interface RuntimeDriver {
  readonly kind: DriverKind;
  /** 'Docker 26.1.5', or '' where it does not answer: at once where none is there, else after two minutes. */
  version(): Promise<string>;
  /** Every unit of this cell, running or not. */
  list(): Promise<Observed[]>;
  /**
   * Starts it, or starts what stands here of it; `progress` gets words for long work. Resolves after a first moment: what
   * ends at once comes back as not running. `mayStart` is asked last, just before: false rejects with lease-lost.
   * `signal` ends the wait for what runs before it; `begun` is told what must end if its lease does, as soon as something runs.
   */
  start(
    unit: UnitSpec,
    progress: (text: string) => void,
    mayStart?: () => boolean,
    signal?: AbortSignal,
    begun?: (handle: string) => void,
  ): Promise<Observed>;
  /** What must be killed so that it ends; none where it does not run. */
  livesOf(handle: string): Promise<Life[]>;
  /** Stops and removes it; `keep`: only stops it. Fine where it is gone already. */
  stop(handle: string, graceMs: number, keep?: boolean): Promise<void>;
  /** Where this cell reaches a port of it; undefined where it can't. */
  addressOf(handle: string, port: number): Promise<{ host: string; port: number } | undefined>;
  logs(handle: string, query: LogQuery): AsyncIterable<LogLine>;
  exec(handle: string, query: ExecQuery): Promise<ExecSession>;
  /** Calls back when a unit ended or the engine came or went; returns how to end that. */
  watch(onChange: (change: DriverChange) => void): () => void;
}

export type DriverChange =
  | ({ kind: 'exited'; replica: string; hash: string } & Exit)
  | { kind: 'gone' }
  | { kind: 'back' };
