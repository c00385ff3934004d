/** What YAML says, as a tree in which everything knows where it stands. */
import type { ScalarEvent } from 'js-yaml';
import {
  boolCoreTag,
  EVENT_ID,
  floatCoreTag,
  getScalarValue,
  intCoreTag,
  NOT_RESOLVED,
  nullCoreTag,
  SCALAR_STYLE,
} from 'js-yaml';
import { limits } from '../core/limits.ts';
import type { Lenient } from './lenient.ts';
import { parseLenient, YamlError } from './lenient.ts';

interface Common {
  /** With its exclamation marks; '' where none is written. */
  readonly tag: string;
  /** How many values it is, aliases expanded. */
  size: number;
}

export interface Scalar extends Common {
  readonly kind: 'scalar';
  readonly value: unknown;
  readonly text: string;
}

export interface List extends Common {
  readonly kind: 'list';
  readonly items: Place[];
}

export interface Mapping extends Common {
  readonly kind: 'mapping';
  readonly pairs: Pair[];
}

/** A value and the offset at which it begins; of a value with a key, that of the key. */
export interface Place {
  at: number;
  node: Node;
}

export interface Pair extends Place {
  name: string;
  /** `<<`: its value is, or its values are, joined in below what stands beside it. */
  isMerge: boolean;
}

export type Node = Scalar | List | Mapping;

/** One document: nothing where it is empty. */
export interface Tree {
  root: Node | undefined;
}

/** All documents of `text`. `tags`: which there may be, beside YAML's own. Throws YamlError. */
export function parseYaml(text: string, tags: readonly string[] = []): Tree[] {
  return new Composer(parseLenient(text), tags).compose();
}

/** A list or a mapping whose end has not come yet; of a mapping the key whose value comes next, and all that it has. */
interface Open {
  node: List | Mapping;
  key: Omit<Pair, 'node'> | undefined;
  names: Set<string>;
}

class Composer {
  readonly #from: Lenient;
  readonly #text: string;
  readonly #tags: readonly string[];
  readonly #trees: Tree[] = [];
  readonly #open: Open[] = [];
  #anchors = new Map<string, Node>();
  /** Values that aliases brought. */
  #brought = 0;
  #at = 0;

  constructor(from: Lenient, tags: readonly string[]) {
    this.#from = from;
    this.#text = from.text;
    this.#tags = tags;
  }

  compose(): Tree[] {
    const { events, before } = this.#from;
    for (const event of events) {
      if (event.type === EVENT_ID.DOCUMENT) {
        this.#trees.push({ root: undefined });
        this.#anchors = new Map();
      } else if (event.type === EVENT_ID.SCALAR) {
        const start = startOf(event);
        if (start !== undefined) this.#at = before(start);
        const node = this.#scalar(event);
        this.#name(event, node);
        this.#add(node, event.style === SCALAR_STYLE.PLAIN && event.tagStart < 0);
      } else if (event.type === EVENT_ID.ALIAS) {
        this.#at = before(event.anchorStart - 1);
        this.#add(this.#aliased(this.#text.slice(event.anchorStart, event.anchorEnd)));
      } else if (event.type === EVENT_ID.POP) {
        const node = this.#open.pop()?.node;
        const above = this.#open.at(-1)?.node;
        if (node !== undefined) node.size += 1;
        if (node !== undefined && above !== undefined) above.size += node.size;
      } else {
        this.#at = before(event.start);
        const tag = this.#tagOf(event.tagStart, event.tagEnd, event.type === EVENT_ID.MAPPING ? '!!map' : '!!seq');
        const node: List | Mapping =
          event.type === EVENT_ID.MAPPING
            ? { kind: 'mapping', tag, size: 0, pairs: [] }
            : { kind: 'list', tag, size: 0, items: [] };
        this.#name(event, node);
        this.#add(node);
        this.#open.push({ node, key: undefined, names: new Set() });
      }
    }
    return this.#trees;
  }

  #name({ anchorStart, anchorEnd }: { anchorStart: number; anchorEnd: number }, node: Node): void {
    if (anchorStart >= 0) this.#anchors.set(this.#text.slice(anchorStart, anchorEnd), node);
  }

  #aliased(name: string): Node {
    const node = this.#anchors.get(name);
    if (node === undefined)
      throw new YamlError(
        this.#at,
        `there is no anchor &${name} before this alias`,
        `write &${name} where it begins, above`,
      );
    if (this.#open.some((one) => one.node === node))
      throw new YamlError(this.#at, `the alias *${name} stands in what it names`, 'take one of the two out');
    this.#brought += node.size;
    if (this.#brought > limits.specAliased)
      throw new YamlError(
        this.#at,
        `its aliases expand to more than ${limits.specAliased} values`,
        'write out what the anchors repeat',
      );
    return node;
  }

  #add(node: Node, isPlain = false): void {
    const above = this.#open.at(-1);
    if (above === undefined) {
      this.#trees.at(-1)!.root = node;
      return;
    }
    // What has just been opened is nothing yet, and counted when it is closed.
    above.node.size += node.size;
    if (above.node.kind === 'list') above.node.items.push({ at: this.#at, node });
    else if (above.key === undefined) above.key = this.#keyOf(node, above.names, isPlain || node.tag === '!!merge');
    else {
      above.node.pairs.push({ ...above.key, node });
      above.key = undefined;
    }
  }

  #keyOf(node: Node, names: Set<string>, isPlain: boolean): Omit<Pair, 'node'> {
    if (node.kind !== 'scalar')
      throw new YamlError(
        this.#at,
        'a key is text here',
        'text in brackets or braces needs quotes: "{{ name }}"; a template is rendered first (helm template, kustomize build)',
      );
    const name = node.text;
    const isMerge = isPlain && name === '<<';
    if (names.has(name)) {
      const hint = isMerge ? 'join them: <<: [*one, *two]' : 'remove one of the two';
      throw new YamlError(this.#at, `'${name}' stands here twice; keys are unique`, hint);
    }
    names.add(name);
    return { name, at: this.#at, isMerge };
  }

  #scalar(event: ScalarEvent): Scalar {
    const text = getScalarValue(this.#text, event);
    const tag = this.#tagOf(event.tagStart, event.tagEnd);
    const of = (value: unknown): Scalar => ({ kind: 'scalar', tag, size: 1, text, value });
    const own = typed[tag];
    if (own !== undefined) {
      const value = own.resolve(text, true, tag);
      if (value === NOT_RESOLVED) throw new YamlError(this.#at, `'${text}' is not what ${tag} says`, 'remove the tag');
      return of(value);
    }
    const isImplied = event.style === SCALAR_STYLE.PLAIN && tag !== '!' && tag !== '!!str';
    return of(isImplied ? implied(text) : text);
  }

  #tagOf(start: number, end: number, ...known: string[]): string {
    if (start < 0) return '';
    const tag = this.#text.slice(start, end).replace(/^!<tag:yaml\.org,2002:(.*)>$/, '!!$1');
    const all = ['!', '!!str', '!!merge', ...Object.keys(typed), ...this.#tags, ...known];
    if (all.includes(tag)) return tag;
    const hint = this.#tags.length === 0 ? 'remove it' : `remove it; known are ${this.#tags.join(' and ')}`;
    throw new YamlError(this.#from.before(start), `the tag ${tag} is not known`, hint);
  }
}

const typed: Partial<Record<string, typeof intCoreTag | typeof nullCoreTag | typeof boolCoreTag>> = {
  ...{ '!!int': intCoreTag, '!!float': floatCoreTag, '!!bool': boolCoreTag, '!!null': nullCoreTag },
};

const guesses = [nullCoreTag, boolCoreTag, intCoreTag, floatCoreTag] as const;
const guessed = /^[-+.~0-9ntfNTF]|^$/;

/** What plain text means by YAML's core schema. */
function implied(text: string): unknown {
  if (!guessed.test(text)) return text;
  for (const tag of guesses) {
    const value = tag.resolve(text, false, tag.tagName);
    if (value !== NOT_RESOLVED) return value;
  }
  return text;
}

/** A quote belongs to what it quotes. What is empty is nowhere. */
function startOf({ valueStart, tagStart, style }: ScalarEvent): number | undefined {
  if (valueStart < 0) return tagStart < 0 ? undefined : tagStart;
  return style === SCALAR_STYLE.SINGLE_QUOTED || style === SCALAR_STYLE.DOUBLE_QUOTED ? valueStart - 1 : valueStart;
}
