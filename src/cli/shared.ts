/** What commands share. */
import type { Command } from 'commander';
import type { ErrorCode } from '../core/errors.ts';
import { OscaError } from '../core/errors.ts';
import { Client, dataFolder } from './client.ts';
import { json, say } from './render.ts';

/** The client of the daemon that --data or OSCA_DATA names. */
export function clientOf(command: Command): Client {
  return new Client(dataFolder(command.optsWithGlobals<{ data?: string }>().data));
}

/** Prints data for people, or as JSON where --json was given. */
export function show(command: Command, value: unknown, text: () => string): void {
  if (command.optsWithGlobals<{ json?: boolean }>().json === true) json(value);
  else say(text());
}

const units: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** '90s', '5m', '2h', '7d' in ms. Throws bad-request. */
export function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text);
  if (match === null) throw new OscaError('bad-request', `'${text}' is no duration`, 'write 90s, 5m, 2h or 7d');
  return Number(match[1]) * units[match[2]!]!;
}

export function wholeNumber(text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isSafeInteger(number) && number >= 0) return number;
  throw new OscaError('bad-request', `'${text}' is no whole number`, 'write 0, 1, 2 …');
}

/** An answer to a change: its value, and what could not be done in time. */
export interface Changed {
  value: Record<string, unknown>;
  warning?: string;
}

export const appPath = (app: string): string => `/v1/apps/${encodeURIComponent(app)}`;
export const cellPath = (cell: string): string => `/v1/cells/${encodeURIComponent(cell)}`;

const asked: readonly ErrorCode[] = ['bad-spec', 'bad-request', 'bad-ticket', 'not-found', 'conflict', 'not-member'];

/** What an error means for scripts: 2 what was asked, 3 nobody to ask, 1 it failed. */
export function exitCodeOf(code: ErrorCode): number {
  return code === 'daemon-away' ? 3 : asked.includes(code) ? 2 : 1;
}

/** APP[/SERVICE] as two words. */
export function twoWords(target: string): { app: string; service?: string } {
  const [app, service, ...more] = target.split('/');
  if (more.length > 0)
    throw new OscaError('bad-request', `'${target}' names a replica`, 'name an app or a service: APP or APP/SERVICE');
  return { app: app!, ...(service === undefined ? {} : { service }) };
}
