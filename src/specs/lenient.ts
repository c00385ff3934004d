/**
 * The parser keeps to the letter of YAML 1.2 (section 8.2.3): what stands between brackets or quotes is further in than the key that
 * it belongs to, the bracket that closes it too. Nearly all else that reads Compose files does not mind, and people write
 *
 *     command: [
 *       "serve"
 *     ]
 *
 * So the parser is shown such a line further in, and what it says of places is moved back.
 */
import type { Event } from 'js-yaml';
import { parseEvents, YAMLException } from 'js-yaml';

/** A file with more such lines than that was not written by hand: each has it parsed again. */
const most = 1_000;

/** `offset`: where in the file. */
export class YamlError extends Error {
  readonly offset: number;
  readonly hint: string;

  constructor(offset: number, message: string, hint = '') {
    super(message);
    this.offset = offset;
    this.hint = hint;
  }
}

const indentation =
  'entries of one mapping begin in one column, and text with ": " or a special first letter needs quotes';

/** What to do about the mistakes that people make. */
const hints: Record<string, string> = {
  'tab characters must not be used in indentation': 'YAML is indented with spaces; replace the tab',
  'bad indentation of a mapping entry': indentation,
  'bad indentation of a sequence entry': 'all items of one list begin in one column',
  'deficient indentation':
    'is a bracket or a quote before it not closed? if not, it belongs further in, by spaces and not by tabs',
  'end of the stream or a document separator is expected': indentation,
  'can not read a block mapping entry; a multiline key may not be an implicit key':
    "a line before it is not 'key: value': is its ':' missing?",
  'unknown escape sequence': 'between double quotes a backslash is doubled; or use single quotes',
};

export interface Lenient {
  events: Event[];
  /** What was parsed: offsets of the events are of this. */
  text: string;
  /** An offset of `text` as one of what was given. */
  before(offset: number): number;
}

/** Throws YamlError. */
export function parseLenient(given: string): Lenient {
  const starts = new Set<number>();
  let first: YamlError | undefined;
  for (;;) {
    const { text, before } = moved(given, starts);
    try {
      return { events: parseEvents(text, {}), text, before };
    } catch (error) {
      if (!(error instanceof YAMLException)) throw error;
      const { reason, mark } = error;
      const at = before(mark?.position ?? 0);
      const problem = new YamlError(at, reason, hints[reason]);
      first ??= problem;
      // Where a bracket or a quote is not closed, what follows is no part of it: the first such line tells more.
      if (reason !== 'deficient indentation') throw /flow|quoted|node content/.test(reason) ? first : problem;
      const start = given.lastIndexOf('\n', at - 1) + 1;
      if (starts.has(start) || starts.size >= most) throw first;
      starts.add(start);
    }
  }
}

/** With the lines that begin at `starts` further in than any other. */
function moved(given: string, starts: ReadonlySet<number>): Omit<Lenient, 'events'> {
  if (starts.size === 0) return { text: given, before: (offset) => offset };
  const sorted = [...starts].sort((a, b) => a - b);
  const space = ' '.repeat(1 + Math.max(...Array.from(given.matchAll(/^ */gm), ([spaces]) => spaces.length)));
  const text = [0, ...sorted].map((start, i) => given.slice(start, sorted[i])).join(space);
  const shifted = sorted.map((start, i) => start + i * space.length);
  const before = (offset: number): number => {
    const passed = countUpTo(shifted, offset);
    return passed === 0 ? offset : Math.max(sorted[passed - 1]!, offset - passed * space.length);
  };
  return { text, before };
}

/** How many of `sorted` are not above `value`. */
export function countUpTo(sorted: readonly number[], value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
