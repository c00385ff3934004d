/** The daemon's process: logs in lines of JSON (or for people on a terminal), signals, the lifeline, and its last words. */
import pino from 'pino';
import { OscaError, reasonOf } from '../core/errors.ts';
import type { Config } from './config.ts';
import { makeConfig } from './config.ts';
import { tellServiceManager } from './notify.ts';
import type { Daemon, DaemonLog } from './start.ts';
import { startDaemon } from './start.ts';

export interface DaemonOptions extends Partial<Config> {
  quiet?: boolean;
}

/** How libp2p says that the other end of a stream closed it meanwhile: nothing that anybody could do about. */
const closedStreams = new Set(['StreamStateError', 'StreamResetError', 'StreamClosedError', 'MuxerClosedError']);

function makeLog(quiet: boolean): DaemonLog {
  if (!process.stdout.isTTY) {
    const out = pino.destination({ dest: 1, maxLength: 1_048_576 });
    // A log that can't be written, because its disk is full, must not take the daemon with it.
    out.on('error', () => {});
    return pino({ level: quiet ? 'error' : 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime }, out);
  }
  const line = (mark: string) => (text: string) =>
    void process.stdout.write(`${new Date().toLocaleTimeString()} ${mark}${text}\n`);
  return { info: line(''), warn: line('warning: '), error: line('error: ') };
}

/** Ends, for whoever starts it again: others wait for it. */
async function startAgain(daemon: Daemon): Promise<void> {
  setTimeout(() => process.exit(0), 5_000).unref();
  await daemon.rest();
  process.exit(0);
}

/** Runs until a signal; exits the process. */
export async function runDaemon({ quiet, ...given }: DaemonOptions): Promise<void> {
  const log = makeLog(quiet ?? false);
  // The cell ends the daemon itself when it throws (host.ts). What libraries throw from their own callbacks, such as a
  // write to a stream that its peer closed meanwhile, concerns one connection, and is survived.
  process.on('uncaughtException', (error) => {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (syscall === 'write' && (code === 'ENOSPC' || code === 'EPIPE')) return;
    if (closedStreams.has(error.name)) return;
    log.warn(`unexpected: ${error.stack ?? error.message}`);
  });
  process.on('unhandledRejection', (reason) =>
    log.error(`unexpected: ${reason instanceof Error ? reason.stack : String(reason)}`),
  );
  try {
    const config = makeConfig(given);
    // Until it is up, nobody can ask it to start anew.
    const { promise: up, resolve: isUp } = Promise.withResolvers<Daemon>();
    const daemon = await startDaemon(config, log, async () => await startAgain(await up));
    isUp(daemon);
    log.info(`cell ${config.name} is up; API ${daemon.url}; data ${config.dataDir}`);
    tellServiceManager(`cell ${config.name}; API ${daemon.url}`);
    if (process.send !== undefined) process.send({ ready: true, url: daemon.url });
    let stopping = false;
    const stop = (): void => {
      if (stopping) process.exit(0);
      stopping = true;
      setTimeout(() => process.exit(0), 3_000).unref();
      void daemon.stop().then(() => process.exit(0));
    };
    // The machine goes: others take over first. Ctrl-C ends the daemon alone; so does a second signal.
    process.once('SIGTERM', () => {
      process.once('SIGTERM', stop);
      void daemon.handOver().then(stop);
    });
    process.once('SIGINT', stop);
    // It is started again at once.
    process.once('SIGUSR2', () => void startAgain(daemon));
    if (config.lifeline)
      process.stdin
        .resume()
        .once('end', () => process.exit(0))
        .once('error', () => process.exit(0));
  } catch (error) {
    const hint = error instanceof OscaError && error.hint !== '' ? `\n  ${error.hint}` : '';
    process.stderr.write(`osca: ${reasonOf(error)}${hint}\n`);
    if (!(error instanceof OscaError)) process.exit(70);
    process.exit(error.code === 'bad-request' || error.code === 'bad-ticket' ? 2 : 1);
  }
}
