/** Files of NAME=value as Compose reads them (compose-go, dotenv): in their order, each may name those before it. */
import { SpecError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
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
  if (text.length > limits.specBytes)
    throw new SpecError([
      { file: path, line: 1, column: 1, key: 'env', message: 'is too large', hint: 'is it the right file?' },
    ]);
  const values: Record<string, string> = {};
  /** What a value may name. */
  const known: Record<string, string | undefined> = { ...around };
  const outside = (name: string): string | undefined => (Object.hasOwn(around, name) ? around[name] : undefined);
  const put = (name: string, value: string): void => {
    values[name] = value;
    if (outside(name) === undefined) known[name] = value;
  };
  const cursor = new Cursor(text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n'));
  for (;;) {
    cursor.skip(/(?:\s+|#[^\n]*)*/y);
    if (cursor.isAtEnd) return values;
    const { at } = cursor;
    const fail = (message: string, hint: string): never => {
      throw new SpecError([{ file: path, line: cursor.lineOf(at), column: 1, key: 'env', message, hint }]);
    };
    const name = cursor.take(/(?:export[ \t]+)?([\w.[\]-]+)[ \t]*/y)?.[1];
    const sign = name === undefined ? undefined : cursor.take(/[=:]|(?=\n|#|$)/y)?.[0];
    if (name === undefined || sign === undefined)
      return fail(
        `'${cursor.restOf(at)}' is no NAME=value`,
        'names have letters, digits and _; a comment begins with #',
      );
    if (sign === '') {
      // A name alone is taken from outside.
      const value = outside(name);
      if (value !== undefined) put(name, value);
      continue;
    }
    const filled = (value: string): string => {
      if (!value.includes('$')) return value;
      try {
        // A dollar that begins no variable stands for itself.
        const { text: result, unset: missing } = interpolate(value.replace(/\$\$|\$(?![A-Za-z_{])/g, '$$$$'), known);
        for (const one of missing) unset(one);
        return result;
      } catch (error) {
        const hint =
          error instanceof UnmetDemand ? 'set it in the shell, or before this line' : '$$ stands for a dollar';
        return fail((error as Error).message, hint);
      }
    };
    const quote = cursor.take(/[ \t]*(["'])/y)?.[1];
    if (quote === undefined) {
      const value = cursor.take(/[^\n]*/y)![0];
      put(name, filled(value.replace(/ #.*$/s, '').trim()));
      continue;
    }
    const quoted = cursor.take(
      quote === '"'
        ? /((?:[^"\\]|\\[\s\S])*)"[ \t]*(?:#[^\n]*)?(?=\n|$)/y
        : /((?:[^'\\]|\\[\s\S])*)'[ \t]*(?:#[^\n]*)?(?=\n|$)/y,
    )?.[1];
    if (quoted === undefined)
      return fail(
        `the quote of ${name} is not closed, or something follows it`,
        `close it with ${quote}; within, it is written \\${quote}`,
      );
    put(name, quote === '"' ? filled(unescaped(quoted)) : quoted.replaceAll("\\'", "'"));
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

  get at(): number {
    return this.#at;
  }

  /** From 1. */
  lineOf(offset: number): number {
    return this.#text.slice(0, offset).split('\n').length;
  }

  /** Of its line. */
  restOf(offset: number): string {
    return this.#text.slice(offset).split('\n', 1)[0]!;
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
