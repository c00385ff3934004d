/**
 * What the daemon tells systemd where that started it (sd_notify(3)): that it is up, and now and then that it lives. Node has no datagram
 * sockets of Unix, so that systemd-notify carries the word.
 */
import { execFile } from 'node:child_process';

/** Tells that the daemon is up, and that it lives for as long as its event loop turns. Does nothing where nobody wants to know. */
export function tellServiceManager(status: string, env: NodeJS.ProcessEnv = process.env): void {
  if (env.NOTIFY_SOCKET === undefined) return;
  notify('--ready', `--status=${status}`);
  const watchdogMs = Number(env.WATCHDOG_USEC ?? 0) / 1_000;
  if (watchdogMs > 0) setInterval(() => notify('WATCHDOG=1'), watchdogMs / 3).unref();
}

function notify(...words: string[]): void {
  // Where it is missing, systemd says that the start took too long, and why.
  execFile('systemd-notify', words, (error) => {
    if (error !== null) process.stderr.write(`osca: systemd was not told: ${error.message}\n`);
  });
}
