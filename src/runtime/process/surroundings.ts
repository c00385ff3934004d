/** What a process finds around it: its command, its environment, its ports. */
import { accessSync, constants, existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { OscaError } from '../../core/errors.ts';
import type { UnitSpec } from '../../core/events.ts';

/** A command that is not there is better said as a failed start than as a crash. */
export function checkCommand(command: string, path: string, cwd: string): void {
  const places = command.includes('/') ? [resolve(cwd, command)] : path.split(':').map((one) => join(one, command));
  const found = places.filter((place) => existsSync(place));
  const runs = (place: string): boolean => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  };
  if (found.some(runs)) return;
  const why = found.length === 0 ? 'not found on this cell' : 'not executable';
  throw new OscaError('start-failed', `command '${command}' is ${why}`, 'install it, or name its full path');
}

/** What a process may see of the daemon's surroundings; the runtime's own folder first, so that `node` is there. */
export function environment(): Record<string, string> {
  // Where it stays, also after this daemon has taken another version.
  const installed = process.env.OSCA_INSTALLED;
  const own = installed === undefined ? dirname(process.execPath) : join(installed, 'node_modules/.bin');
  const path = `${own}:${process.env.PATH ?? '/usr/bin:/bin'}`;
  return { PATH: path, HOME: process.env.HOME ?? '/', LANG: process.env.LANG ?? 'C.UTF-8' };
}

/** PORT is the host port of the first port, PORT_8080 that of target 8080. */
export function portEnvironment(
  wanted: UnitSpec['service']['ports'],
  ports: readonly number[],
): Record<string, string> {
  const env: Record<string, string> = {};
  if (ports[0] !== undefined) env.PORT = String(ports[0]);
  wanted.forEach(({ target }, i) => {
    env[`PORT_${target}`] = String(ports[i]);
  });
  return env;
}

export async function freePort(published: number | undefined, host = '0.0.0.0'): Promise<number> {
  const server = createServer();
  return await new Promise((resolve, reject) => {
    server.once('error', () => {
      reject(
        new OscaError('port-taken', `port ${published} is taken on this cell`, 'free it, or publish another port'),
      );
    });
    server.listen(published ?? 0, host, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
