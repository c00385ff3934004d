/** Files of NAME=value as Compose reads them: variables in values are filled in, but not between single quotes. */
import { parseEnv } from 'node:util';
import type { Environment } from './interpolate.ts';
import { interpolate } from './interpolate.ts';

/** `around`: what is known before; a name that is set in both is of `around` where a value names it. */
export function readEnv(text: string, around: Environment): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [name, value] of Object.entries(parseEnv(text))) {
    if (value === undefined) continue;
    values[name] = !value.includes('$') || isLiteral(text, name) ? value : filled(value, { ...values, ...around });
  }
  return values;
}

/** A dollar that begins no variable stands for itself. */
function filled(value: string, env: Environment): string {
  try {
    return interpolate(value.replace(/\$(?![\w{$])/g, '$$$$'), env).text;
  } catch {
    return value;
  }
}

/** As a text in a regular expression. */
const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

const isLiteral = (text: string, name: string): boolean =>
  new RegExp(`^\\s*(?:export\\s+)?${escaped(name)}\\s*=\\s*'`, 'm').test(text);
