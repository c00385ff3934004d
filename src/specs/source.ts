/** A YAML file and where everything in it stands. */
import type { SpecProblem } from '../core/errors.ts';
import { SpecError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { countUpTo, YamlError } from './lenient.ts';
import type { Mapping, Node, Pair, Place, Tree } from './yaml.ts';
import { parseYaml } from './yaml.ts';

export type Path = (string | number)[];

/** Where things stand in one file, or in several that were merged. */
export interface Places {
  readonly file: string;
  has(path: Path): boolean;
  problem(path: Path, message: string, hint?: string): SpecProblem;
}

/** What a file says of what it is merged onto (Compose Specification, "Merge"): a value goes (`!reset`), or is not added to (`!override`). */
const marks = ['!reset', '!override'];
const isMark = (tag: string): boolean => marks.includes(tag);

export class Source implements Places {
  readonly file: string;
  /** Without what is reset. */
  readonly value: unknown;
  /** Where it says that nothing from below stays. */
  readonly cleared: readonly Path[];
  readonly #root: Node | undefined;
  readonly #lines: Lines;

  private constructor(file: string, lines: Lines, { root }: Tree) {
    this.file = file;
    this.#lines = lines;
    this.#root = root;
    this.value = root === undefined ? null : valueIn(root);
    this.cleared = root === undefined ? [] : marked(root);
  }

  /** A file that is one document. Throws SpecError for bad syntax, for aliases that explode and for a file over the limit. */
  static one(file: string, text: string): Source {
    const all = Source.#parse(file, text, marks);
    // What follows a last --- is nothing.
    const [first = all[0], ...others] = all.filter(({ value }) => value !== null);
    if (others.length > 0)
      throw fail(file, `it is ${others.length + 1} documents`, 'each app has a file of its own: cut it at its ---');
    return first ?? new Source(file, new Lines(''), { root: undefined });
  }

  /** All documents of a file, without those that are empty. Throws as `one`. */
  static all(file: string, text: string): Source[] {
    return Source.#parse(file, text, []).filter(({ value }) => value !== null);
  }

  static #parse(file: string, whole: string, tags: readonly string[]): Source[] {
    if (Buffer.byteLength(whole) > limits.specBytes)
      throw fail(file, `the file is larger than ${limits.specBytes / 1_048_576} MiB`, 'split it into several apps');
    const text = whole.replace(/^\uFEFF/, '');
    const lines = new Lines(text);
    try {
      return parseYaml(text, tags).map((tree) => new Source(file, lines, tree));
    } catch (error) {
      if (!(error instanceof YamlError)) throw error;
      const { message, hint, offset } = error;
      throw new SpecError([{ file, ...lines.at(offset), key: 'yaml', message, hint }]);
    }
  }

  /** Line and column (from 1) of the key or item at `path`, or of the nearest place above it that the file names. */
  at(path: Path): { line: number; column: number } {
    for (let depth = path.length; depth > 0; depth--) {
      const offset = this.#offset(path.slice(0, depth));
      if (offset !== undefined) return this.#lines.at(offset);
    }
    return { line: 1, column: 1 };
  }

  has(path: Path): boolean {
    return path.length > 0 && this.#offset(path) !== undefined;
  }

  /** Of a key where it is written, also where an alias or a merge brought it. */
  #offset(path: Path): number | undefined {
    let node = this.#root;
    let at: number | undefined;
    for (const part of path) {
      const found: Place | undefined =
        node?.kind === 'mapping'
          ? pairOf(node, String(part))
          : node?.kind === 'list'
            ? node.items[Number(part)]
            : undefined;
      if (found === undefined) return undefined;
      ({ at, node } = found);
    }
    return at;
  }

  problem(path: Path, message: string, hint = ''): SpecProblem {
    return { file: this.file, ...this.at(path), key: keyText(path), message, hint };
  }
}

const fail = (file: string, message: string, hint: string): SpecError =>
  new SpecError([{ file, line: 1, column: 1, key: 'yaml', message, hint }]);

/** Lines and columns of offsets, from 1. */
class Lines {
  readonly #text: string;
  #starts: number[] | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  at(offset: number): { line: number; column: number } {
    this.#starts ??= [0, ...Array.from(this.#text.matchAll(/\n|\r(?!\n)/g), ({ index }) => index + 1)];
    const line = countUpTo(this.#starts, offset);
    return { line, column: offset - this.#starts[line - 1]! + 1 };
  }
}

/** Values that programs get as text: a number is what is written, 1.10 and 0644 too. */
const textual = new Set(['environment', 'args', 'labels', 'annotations']);

function valueIn(node: Node, at = 0, isText = false, depth = 0): unknown {
  if (depth > limits.specDepth)
    throw new YamlError(at, 'its aliases nest too deep', 'write out what the anchors repeat');
  if (node.kind === 'scalar') return isText && typeof node.value === 'number' ? node.text : node.value;
  if (node.kind === 'list') return node.items.map((item) => valueIn(item.node, item.at, false, depth + 1));
  const out: Record<string, unknown> = {};
  for (const { name, at: place, node: child } of pairsOf(node)) {
    if (child.tag === '!reset') continue;
    const value = valueIn(child, place, child.kind === 'scalar' ? isText : textual.has(name), depth + 1);
    if (name === '__proto__') Object.defineProperty(out, name, { value, enumerable: true, configurable: true });
    else out[name] = value;
  }
  return out;
}

/** Those of a mapping and those that it merges: its own go before, then what is named first (yaml.org/type/merge.html). */
function pairsOf(node: Mapping): readonly Pair[] {
  const merges = node.pairs.filter(({ isMerge }) => isMerge);
  if (merges.length === 0) return node.pairs;
  const all = new Map<string, Pair>();
  const own = node.pairs.filter(({ isMerge }) => !isMerge);
  const below = merges.flatMap(mappingsOf).flatMap(pairsOf);
  for (const pair of [...own, ...below]) if (!all.has(pair.name)) all.set(pair.name, pair);
  return [...all.values()];
}

function mappingsOf({ at, node }: Place): Mapping[] {
  if (node.kind === 'mapping') return [node];
  if (node.kind === 'list') return node.items.flatMap(mappingsOf);
  throw new YamlError(at, '<< joins mappings', 'name an anchor of one: <<: *name');
}

const pairOf = (node: Mapping, name: string): Pair | undefined => pairsOf(node).find((pair) => pair.name === name);

/** Paths of what is marked. Throws YamlError for an item of a list: from below those are told by what they are, not by number. */
function marked(node: Node, path: Path = []): Path[] {
  if (node.kind === 'scalar') return [];
  const places =
    node.kind === 'list'
      ? node.items.map((item, i): [string | number, Place] => [i, item])
      : pairsOf(node).map((pair): [string | number, Place] => [pair.name, pair]);
  return places.flatMap(([part, { at, node: child }]) => {
    if (!isMark(child.tag)) return marked(child, [...path, part]);
    if (typeof part === 'number')
      throw new YamlError(at, `${child.tag} is said of a key, not of an item`, 'say it of the whole list');
    return [[...path, part]];
  });
}

export const keyText = (path: Path): string =>
  path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`),
    '',
  );
