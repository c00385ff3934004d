/** A YAML file and where everything in it stands. */
import type { Document, YAMLMap } from 'yaml';
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseAllDocuments, parseDocument } from 'yaml';
import type { SpecProblem } from '../core/errors.ts';
import { SpecError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';

const options = { merge: true, prettyErrors: false, uniqueKeys: true } as const;

export type Path = (string | number)[];

/** Where things stand in one file, or in several that were merged. */
export interface Places {
  readonly file: string;
  has(path: Path): boolean;
  problem(path: Path, message: string, hint?: string): SpecProblem;
}

export class Source implements Places {
  readonly file: string;
  readonly value: unknown;
  readonly #document: Document;
  readonly #lines: LineCounter;

  /** The first document of a file. Throws SpecError for bad syntax, for aliases that explode and for a file over the limit. */
  constructor(file: string, text: string, document?: Document, lines?: LineCounter) {
    this.file = file;
    this.#lines = lines ?? new LineCounter();
    if (Buffer.byteLength(text) > limits.specBytes) {
      throw this.#fail(`the file is larger than ${limits.specBytes / 1_048_576} MiB`, 'split it into several apps');
    }
    this.#document = document ?? parseDocument(text, { lineCounter: this.#lines, ...options });
    // One mistake makes the parser stumble over all that follows it: the first is the one to mend.
    const problems = this.#document.errors.slice(0, 1).map((error): SpecProblem => {
      const { line, col } = this.#lines.linePos(error.pos[0]);
      const tab = error.code === 'TAB_AS_INDENT';
      const hint = tab ? 'YAML is indented with spaces; replace the tab' : '';
      return { file, line, column: col, key: 'yaml', message: error.message.replace(/\s+/g, ' '), hint };
    });
    if (problems.length > 0) throw new SpecError(problems);
    asWritten(this.#document.contents);
    try {
      this.value = this.#document.toJS({ maxAliasCount: limits.specAliases });
    } catch (error) {
      throw this.#fail(
        `its aliases expand to too much: ${(error as Error).message}`,
        'write out what the anchors repeat',
      );
    }
  }

  /** All documents of a file, without those that are empty. */
  static all(file: string, text: string): Source[] {
    const lines = new LineCounter();
    const documents = parseAllDocuments(text, { lineCounter: lines, ...options });
    const all = Array.isArray(documents) ? (documents as Document.Parsed[]) : [];
    return all.map((document) => new Source(file, text, document, lines)).filter(({ value }) => value !== null);
  }

  #fail(message: string, hint: string): SpecError {
    return new SpecError([{ file: this.file, line: 1, column: 1, key: 'yaml', message, hint }]);
  }

  /** Line and column (from 1) of the key or item at `path`, or of the nearest place above it that the file names. */
  at(path: Path): { line: number; column: number } {
    for (let depth = path.length; depth > 0; depth--) {
      const offset = this.#offset(path.slice(0, depth));
      if (offset === undefined) continue;
      const { line, col } = this.#lines.linePos(offset);
      return { line, column: col };
    }
    return { line: 1, column: 1 };
  }

  has(path: Path): boolean {
    return path.length > 0 && this.#offset(path) !== undefined;
  }

  /** Of a key where it is written, also where an alias or a merge brought it. */
  #offset(path: Path): number | undefined {
    let node: unknown = this.#document.contents;
    let at: number | undefined;
    for (const part of path) {
      node = this.#resolved(node);
      if (isMap(node)) {
        const pair = this.#pairOf(node, String(part));
        if (pair === undefined || !isNode(pair.key)) return undefined;
        at = pair.key.range?.[0];
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(part)];
        at = isNode(node) ? node.range?.[0] : undefined;
      } else return undefined;
    }
    return at;
  }

  #resolved(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.#document) : node;
  }

  #pairOf(map: YAMLMap, name: string): YAMLMap['items'][number] | undefined {
    const textOf = (key: unknown): string => (isScalar(key) ? String(key.source ?? key.value) : String(key));
    const named = (key: string) => map.items.find((pair) => textOf(pair.key) === key);
    const own = named(name);
    if (own !== undefined) return own;
    const merged = this.#resolved(named('<<')?.value);
    for (const one of isSeq(merged) ? merged.items : [merged]) {
      const from = this.#resolved(one);
      const found = isMap(from) ? this.#pairOf(from, name) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  problem(path: Path, message: string, hint = ''): SpecProblem {
    return { file: this.file, ...this.at(path), key: keyText(path), message, hint };
  }
}

/** Values that programs get as text: a number is what is written, 1.10 and 0644 too. */
const textual = new Set(['environment', 'args', 'labels', 'annotations']);

function asWritten(node: unknown, isText = false): void {
  if (!isMap(node)) return;
  for (const { key, value } of node.items) {
    if (isMap(value)) asWritten(value, isScalar(key) && textual.has(String(key.value)));
    else if (isText && isScalar(value) && typeof value.value === 'number' && value.source !== undefined)
      value.value = value.source;
  }
}

export const keyText = (path: Path): string =>
  path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`),
    '',
  );
