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
const most = 50;
/** Nor one with lines that begin so far in. */
const widest = 500;

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
  'missed comma between flow collection entries': 'between { } and [ ] entries are parted by commas',
  'unexpected end of the stream within a double quoted scalar': 'close the text with a "',
  'unexpected end of the stream within a single quoted scalar': "close the text with a '",
  'nesting exceeded maxDepth (100)': 'nothing of a spec nests so deep: is it the right file?',
  'null byte is not allowed in input': 'save it as UTF-8 text',
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
  /** Where the lines begin, and what was said of them. */
  const said = new Map<number, YamlError>();
  for (;;) {
    const { text, before } = moved(given, [...said.keys()]);
    try {
      return { events: parseEvents(text, {}), text, before };
    } catch (error) {
      if (!(error instanceof YAMLException)) throw error;
      const { reason, mark } = error;
      const at = before(mark?.position ?? 0);
      const line = given.slice(given.lastIndexOf('\n', at - 1) + 1).split('\n', 1)[0]!;
      const special = /(?:[:-]\s+|^\s*)([`%@])/.exec(line)?.[1];
      const problem = new YamlError(
        at,
        reason,
        (special === undefined ? undefined : `a text that begins with ${special} needs quotes`) ??
          hints[reason] ??
          'look at this line and the one before it; text with signs of YAML in it needs quotes',
      );
      if (reason !== 'deficient indentation') throw firstOf(given, said, at) ?? problem;
      const start = given.lastIndexOf('\n', at - 1) + 1;
      if (said.has(start) || said.size >= most) throw said.values().next().value ?? problem;
      said.set(start, problem);
    }
  }
}

/** Where a bracket or a quote is not closed, all that follows is moved in as if it were part of it: the first such line tells more. */
function firstOf(given: string, said: ReadonlyMap<number, YamlError>, at: number): YamlError | undefined {
  let first: YamlError | undefined;
  let start = given.lastIndexOf('\n', Math.min(at, given.length - 1) - 1) + 1;
  for (; said.has(start); start = start === 0 ? -1 : given.lastIndexOf('\n', start - 2) + 1) first = said.get(start);
  return first;
}

/** With the lines that begin at `starts` further in than any other. */
function moved(given: string, starts: readonly number[]): Omit<Lenient, 'events'> {
  if (starts.length === 0) return { text: given, before: (offset) => offset };
  const sorted = [...starts].sort((a, b) => a - b);
  let deepest = 0;
  for (const [spaces] of given.matchAll(/^ +/gm)) deepest = Math.max(deepest, spaces.length);
  const space = ' '.repeat(Math.min(deepest, widest) + 1);
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
