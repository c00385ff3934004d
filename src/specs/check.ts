/** Holds a file against the key table: unknown keys, refused keys, wrong types, each with its place. */
import type { SpecProblem } from '../core/errors.ts';
import { composeKeys } from './compose-keys.ts';
import type { KeyRow, KeyType } from './key-rows.ts';
import type { Path, Source } from './source.ts';
import { nearest, parseBytes, parseDuration } from './values.ts';

const words: Record<KeyType, string> = {
  ...{
    text: 'text',
    int: 'a whole number',
    number: 'a number',
    flag: 'true or false',
    duration: 'a duration such as 30s',
  },
  ...{ bytes: 'a size such as 64m', object: 'a mapping', list: 'a list', null: 'nothing', any: 'anything' },
};

export interface Checked {
  problems: SpecProblem[];
  /** It only asks for what can't be had: all else of it can be looked at. */
  isSound: boolean;
}

/** A table of keys as something that files are held against. */
export class KeyTable {
  readonly #rows: ReadonlyMap<string, KeyRow>;
  readonly #children = new Map<string, string[]>();
  readonly #unknown: string;
  readonly #otherwise: (key: string) => string;

  /** `unknown`: what is said of a key that is not in it; `otherwise`: and what to do about it, where no name is near. */
  constructor(keys: readonly KeyRow[], unknown: string, otherwise: (key: string) => string) {
    this.#otherwise = otherwise;
    this.#rows = new Map(keys.map((row) => [row.path, row]));
    this.#unknown = unknown;
    for (const { path } of keys) {
      const at = path.lastIndexOf('.');
      const parent = at < 0 ? '' : path.slice(0, at);
      if (path !== '') this.#children.set(parent, [...(this.#children.get(parent) ?? []), path.slice(at + 1)]);
    }
  }

  /** All that is wrong with `value`, which stands at `path` of the source and at `pattern` of the table. Flags in words become true and false. */
  check(source: Source, value: unknown, pattern = '', path: Path = []): Checked {
    const found: Checked = { problems: [], isSound: true };
    const unsound = (message: string, hint: string): Checked => ({
      problems: [source.problem([], message, hint)],
      isSound: false,
    });
    if (value === null || value === undefined) return unsound('the file is empty', 'describe at least one service');
    if (pattern === '' && isMapping(value) && isForeign(value))
      return unsound('is no Compose file, and no manifest', 'it has neither services: nor apiVersion: and kind:');
    this.#walk(source, value, pattern, path, found);
    return found;
  }

  #walk(source: Source, value: unknown, pattern: string, path: Path, found: Checked): void {
    const row = this.#rows.get(pattern)!;
    if (row.class === 'refused') {
      found.problems.push(source.problem(path, 'is not supported', row.note));
      return;
    }
    if (!row.types.some((type) => isOfType(value, type))) {
      found.isSound = false;
      found.problems.push(
        source.problem(
          path,
          `must be ${row.types.map((type) => words[type]).join(' or ')}, not ${shown(value)}`,
          hintFor(value, row),
        ),
      );
      return;
    }
    if (row.types.includes('any')) return;
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) this.#walk(source, item, `${pattern}[]`, [...path, i], found);
    } else if (typeof value === 'object' && value !== null) this.#walkObject(source, value, row, path, found);
  }

  #walkObject(source: Source, value: object, row: KeyRow, path: Path, found: Checked): void {
    for (const [key, child] of Object.entries(value)) {
      const prefix = row.path === '' ? '' : `${row.path}.`;
      const known = [prefix + key, `${prefix}*`].find((one) => this.#rows.has(one));
      if (known !== undefined) {
        const said = flagOf(child, this.#rows.get(known)!);
        if (said !== undefined) (value as Record<string, unknown>)[key] = said;
        this.#walk(source, said ?? child, known, [...path, key], found);
      } else if (!key.startsWith('x-')) {
        const names = (this.#children.get(row.path) ?? []).filter((name) => name !== '*' && !name.endsWith('[]'));
        const meant = nearest(key, names);
        const isOurs = /(^|\.)x-osca(\.|$)/.test(row.path);
        const newer = row.path === 'services.*' ? successors[key] : undefined;
        const hint =
          newer !== undefined
            ? `it is ${newer} now`
            : child === null && /[:/]/.test(key)
              ? 'the ":" at its end makes it a key: take it out, or put all into quotes'
              : row.path === '' && isMapping(child) && ('image' in child || 'build' in child)
                ? 'is it a service? then it stands under services:, further in than that'
                : meant !== undefined
                  ? `did you mean '${meant}'?`
                  : isOurs
                    ? `here may stand: ${names.join(', ')}`
                    : this.#otherwise(key);
        found.isSound = false;
        found.problems.push(source.problem([...path, key], isOurs ? 'is no key of x-osca' : this.#unknown, hint));
      }
    }
  }
}

/** Keys of services in the first version of these files. */
const successors: Readonly<Record<string, string>> = {
  net: 'network_mode',
  log_driver: 'logging: {driver: …}',
  log_opt: 'logging: {options: …}',
  dockerfile: 'build: {dockerfile: …}',
  volume_driver: 'volumes: {NAME: {driver: …}} at the top of the file',
};

const composeTable = new KeyTable(
  composeKeys,
  'is no key of the Compose Specification',
  () => 'take it out, or call it x-… where it is for yourself',
);

export const checkSpec = (source: Source, value: unknown): Checked => composeTable.check(source, value);

const yes = ['true', 'yes', 'y', 'on'];
const no = ['false', 'no', 'n', 'off'];

/** True or false where only that may stand, in the words of YAML 1.1 too: most that read these files take them. */
function flagOf(value: unknown, { types }: KeyRow): boolean | undefined {
  if (typeof value !== 'string' || !types.includes('flag') || types.includes('text')) return undefined;
  const word = value.toLowerCase();
  return yes.includes(word) ? true : no.includes(word) ? false : undefined;
}

function isOfType(value: unknown, type: KeyType): boolean {
  if (type === 'any') return true;
  if (type === 'null') return value === null;
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  if (type === 'list') return Array.isArray(value);
  if (type === 'text') return typeof value === 'string';
  if (type === 'flag') return typeof value === 'boolean' || value === 'true' || value === 'false';
  if (type === 'duration') return typeof value === 'string' && parseDuration(value) !== undefined;
  if (type === 'bytes') return typeof value === 'string' && parseBytes(value) !== undefined;
  const number =
    typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  return type === 'int' ? Number.isSafeInteger(number) && number >= -1 : Number.isFinite(number);
}

/** What they meant who wrote it, where that is known. */
function hintFor(value: unknown, { path, types, note }: KeyRow): string {
  if (value === null) return 'remove the key, or write something under it; nothing stands further in than it does';
  if (types.includes('duration') && typeof value === 'number') return `write ${value}s`;
  if (typeof value === 'string' && value.includes('${') && !types.includes('text'))
    return 'fill in the variables first, as with envsubst';
  if (types.includes('text') && (typeof value === 'number' || typeof value === 'boolean'))
    return `put it into quotes: "${String(value)}"`;
  if (/\.(command|args)$/.test(path) && types.includes('list') && typeof value === 'string')
    return 'write a list: [program, argument], or [sh, -c, "…"] for a line that a shell reads';
  if (types.includes('list') && typeof value === 'string')
    return value.startsWith('-') ? 'a "-" needs a space behind it' : `write it as a list: - ${value}`;
  if (types.includes('text') && isMapping(value)) {
    const [first] = Object.keys(value);
    if (first !== undefined) return `a text with ": " in it needs quotes; of a list of variables one is ${first}=…`;
  }
  return note;
}

const topLevel = new Set(composeKeys.filter(({ path }) => !path.includes('.')).map(({ path }) => path));

/** It has keys that no Compose file has, and nothing that runs, also not in the old format. */
const isForeign = (value: object): boolean =>
  !('services' in value || 'include' in value) &&
  Object.keys(value).some((key) => !topLevel.has(key) && !key.startsWith('x-')) &&
  !Object.keys(value).some((key) => !topLevel.has(key) && nearest(key, [...topLevel]) !== undefined) &&
  !Object.values(value).some((one) => isMapping(one) && ('image' in one || 'build' in one));

const isMapping = (value: unknown): value is object => isOfType(value, 'object');

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value === null) return 'nothing';
  return typeof value === 'object' ? 'a mapping' : JSON.stringify(value);
}
