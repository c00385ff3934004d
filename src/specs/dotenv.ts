/** Files of NAME=value as Compose reads them (compose-go, dotenv): in their order, each may name those before it. */
import { SpecError } from '../core/errors.ts';
import type { Environment } from './interpolate.ts';
import { interpolate, UnmetDemand } from './interpolate.ts';

export interface EnvFile {
  /** For what is said of it. */
  path: string;
  text: string;
}

/**
 * `around`: what is known before; a name that is set in both is of `around` where a value names it. `unset` is told of names that
 * have no value. Throws SpecError with the line.
 */
export function readEnv(
  { path, text }: EnvFile,
  around: Environment,
  unset: (name: string) => void = () => {},
): Record<string, string> {
  const values: Record<string, string> = {};
  const cursor = new Cursor(text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n'));
  for (;;) {
    cursor.skip(/(?:\s+|#.*)*/y);
    if (cursor.isAtEnd) return values;
    const { line, rest } = cursor;
    const fail = (message: string, hint: string): never => {
      throw new SpecError([{ file: path, line, column: 1, key: 'env', message, hint }]);
    };
    const name = cursor.take(/(?:export[ \t]+)?([\w.[\]-]+)[ \t]*/y)?.[1];
    const sign = name === undefined ? undefined : cursor.take(/[=:][ \t]*|(?=\n|#|$)/y)?.[0];
    if (name === undefined || sign === undefined)
      return fail(`'${rest}' is no NAME=value`, 'names have letters, digits and _; a comment begins with #');
    if (sign === '') {
      // A name alone is taken from outside.
      if (around[name] !== undefined) values[name] = around[name];
      continue;
    }
    const filled = (value: string): string => {
      if (!value.includes('$')) return value;
      try {
        // A dollar that begins no variable stands for itself.
        const { text: result, unset: missing } = interpolate(value.replace(/\$(?![A-Za-z_{$])/g, '$$$$'), {
          ...values,
          ...around,
        });
        for (const one of missing) unset(one);
        return result;
      } catch (error) {
        const hint =
          error instanceof UnmetDemand ? 'set it in the shell, or before this line' : '$$ stands for a dollar';
        return fail((error as Error).message, hint);
      }
    };
    const quote = cursor.take(/["']/y)?.[0];
    if (quote === undefined) {
      const value = cursor.take(/.*/y)![0];
      values[name] = filled(value.replace(/(^|\s)#.*$/, '').trimEnd());
      continue;
    }
    const quoted = cursor.take(
      quote === '"'
        ? /((?:[^"\\]|\\[\s\S])*)"[ \t]*(?:#.*)?(?=\n|$)/y
        : /((?:[^'\\]|\\[\s\S])*)'[ \t]*(?:#.*)?(?=\n|$)/y,
    )?.[1];
    if (quoted === undefined)
      return fail(
        `the quote of ${name} is not closed, or something follows it`,
        `close it with ${quote}; within, it is written \\${quote}`,
      );
    values[name] = quote === '"' ? filled(unescaped(quoted)) : quoted.replaceAll("\\'", "'");
  }
}

const escapes: Record<string, string> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', $: '$$' };

/** Of what stands between double quotes. What is no escape stays as it is. */
const unescaped = (text: string): string =>
  text.replace(/\\([\s\S])/g, (whole, char: string) => escapes[char] ?? whole);

class Cursor {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** From 1. */
  get line(): number {
    return this.#text.slice(0, this.#at).split('\n').length;
  }

  /** Of the line. */
  get rest(): string {
    return /.*/y.exec(this.#text.slice(this.#at))![0];
  }

  /** `pattern` is sticky. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text) ?? undefined;
    if (match !== undefined) this.#at = pattern.lastIndex;
    return match;
  }

  skip(pattern: RegExp): void {
    this.take(pattern);
  }
}
