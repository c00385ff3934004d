/** Machines that people name: USER@HOST:PORT, one, or many with their passwords in a file. */
import { OscaError } from '../core/errors.ts';

export interface Target {
  user: string;
  host: string;
  port: number;
  password?: string;
}

/** [USER@]HOST[:PORT]; an IPv6 address stands in brackets where a port follows. Throws bad-request. */
export function targetOf(text: string): Target {
  const match =
    /^(?:([a-z_][a-z0-9_-]*)@)?(\[[0-9a-fA-F:.%a-z0-9]+\]|[A-Za-z0-9_.-]+|[0-9a-fA-F:]+)(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[3] ?? 22);
  if (match === null || port < 1 || port > 65_535)
    throw new OscaError('bad-request', `'${text}' is no machine`, 'write root@192.168.1.20, or pi@attic.local:2222');
  return { user: match[1] ?? 'root', host: match[2]!.replace(/^\[|\]$/g, ''), port };
}

/** Lines of `[USER@]HOST[:PORT] [PASSWORD]`; what follows the first space is the password. Throws bad-request with the line. */
export function targetsOf(text: string, file: string): Target[] {
  const seen = new Map<string, number>();
  return text.split('\n').flatMap((whole, i): Target[] => {
    const line = whole.trim();
    if (line === '' || line.startsWith('#')) return [];
    const [name, password] = [line.split(/\s/, 1)[0]!, line.replace(/^\S+\s*/, '')];
    const fail = (message: string, hint: string): never => {
      throw new OscaError('bad-request', `${file}:${i + 1}: ${message}`, hint);
    };
    let target: Target;
    try {
      target = targetOf(name);
    } catch (error) {
      return fail((error as OscaError).message, 'a line is [USER@]HOST[:PORT] [PASSWORD]');
    }
    const key = `${target.host}:${target.port}`;
    if (seen.has(key)) fail(`${key} stands in line ${seen.get(key)} too`, 'take one of the two out');
    seen.set(key, i + 1);
    return [password === '' ? target : { ...target, password }];
  });
}
