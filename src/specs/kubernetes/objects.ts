/** The objects of a file of Kubernetes manifests, each with its place, and what other objects ask of them. */

import { toBase64 } from '../../core/base64.ts';
import type { SpecProblem } from '../../core/errors.ts';
import type { FileSource } from '../../core/spec.ts';
import type { Raw } from '../extend.ts';
import { isRaw } from '../extend.ts';
import type { Path, Source } from '../source.ts';
import type { Claims } from './claims.ts';

export type Report = (path: Path, message: string, hint: string) => void;

export const raw = (value: unknown): Raw => (isRaw(value) ? value : {});
export const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
export const texts = (value: unknown): string[] => list(value).map(String);
export const seconds = (value: unknown, otherwise: number): number =>
  (value === undefined ? otherwise : Number(value)) * 1_000;
/** Without what is undefined; undefined where nothing is in it. */
export const given = <T extends object>(values: { [K in keyof T]?: T[K] | undefined }): Partial<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
export const filled = <T extends object>(value: T): T | undefined =>
  Object.keys(value).length === 0 ? undefined : value;

export interface KubeObject {
  kind: string;
  name: string;
  value: Raw;
  source: Source;
  /** Of the object in its document. */
  path: Path;
}

export const labelsOf = (metadata: unknown): Record<string, string> =>
  Object.fromEntries(Object.entries(raw(raw(metadata).labels)).map(([key, value]) => [key, String(value ?? '')]));

interface Asked {
  kind: 'ConfigMap' | 'Secret';
  name: string;
  keys: Set<string>;
}

/** What is asked of ConfigMaps and Secrets, and what of them is used. */
export class Contents {
  readonly #objects: ReadonlyMap<string, KubeObject>;
  /** What files and variables hold, by the names that stand for their ids. */
  readonly files: Record<string, FileSource> = {};
  readonly #problems: SpecProblem[];
  /** By what is said of it. */
  readonly #asked = new Map<string, Asked>();

  constructor(objects: readonly KubeObject[], problems: SpecProblem[]) {
    this.#objects = new Map(objects.map((object) => [`${object.kind}/${object.name}`, object]));
    this.#problems = problems;
  }

  /** Keys and bytes of a ConfigMap or Secret; undefined where the file has none. */
  of(kind: 'ConfigMap' | 'Secret', name: string): Map<string, Uint8Array> | undefined {
    const object = this.#objects.get(`${kind}/${name}`);
    if (object === undefined) return undefined;
    const { value } = object;
    const bytes = new Map<string, Uint8Array>();
    const encoded = kind === 'Secret' ? value.data : value.binaryData;
    const plain = kind === 'Secret' ? value.stringData : value.data;
    for (const [key, text] of Object.entries(raw(encoded))) {
      const compact = String(text).replace(/\s/g, '');
      if (!/^[A-Za-z0-9+/]*={0,2}$/.test(compact) || compact.length % 4 !== 0)
        this.#problems.push(
          object.source.problem(
            [...object.path, kind === 'Secret' ? 'data' : 'binaryData', key],
            'is no base64',
            'plain text stands under stringData',
          ),
        );
      bytes.set(key, Buffer.from(compact, 'base64'));
    }
    for (const [key, text] of Object.entries(raw(plain))) bytes.set(key, Buffer.from(String(text)));
    return bytes;
  }

  /** The name that stands for these bytes until the document gives them an id. */
  use(kind: 'ConfigMap' | 'Secret', name: string, key: string, bytes: Uint8Array): string {
    const blob = `#${kind}/${name}/${key}`;
    this.files[blob] = { data: toBase64(bytes), ...(kind === 'Secret' ? { secret: true as const } : {}) };
    return blob;
  }

  /** What is said where it is missing; once of each, with all that is asked of it (`missingOnce`). */
  missing(kind: 'ConfigMap' | 'Secret', name: string, keys: readonly string[]): [message: string, hint: string] {
    const message = `there is no ${kind} '${name}'`;
    const asked = this.#asked.get(message) ?? { kind, name, keys: new Set() };
    for (const key of keys) asked.keys.add(key);
    this.#asked.set(message, asked);
    return [message, ''];
  }

  /** The problems, one for each ConfigMap or Secret that is missing, with a draft of it. */
  missingOnce(problems: readonly SpecProblem[]): SpecProblem[] {
    const byLine = (a: SpecProblem, b: SpecProblem): number =>
      a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1;
    const first = new Map<string, SpecProblem>();
    for (const problem of [...problems].sort(byLine))
      if (!first.has(problem.message)) first.set(problem.message, problem);
    return problems.flatMap((problem) => {
      const asked = this.#asked.get(problem.message);
      if (asked === undefined) return [problem];
      if (first.get(problem.message) !== problem) return [];
      const others = [...problems]
        .sort(byLine)
        .filter((one) => one.message === problem.message && one !== problem)
        .map(({ file, line }) => (file === problem.file ? `line ${line}` : `${file}:${line}`));
      const also = others.length === 0 ? '' : `, and on ${[...new Set(others)].join(', ')}`;
      return [{ ...problem, message: `${problem.message}${also}`, hint: this.#draft(asked) }];
    });
  }

  #draft({ kind, name, keys }: Asked): string {
    const held = keys.size === 0 ? 'NAME: value' : [...keys].map((key) => `${key}: …`).join(', ');
    const part = kind === 'Secret' ? 'stringData' : 'data';
    return `name its file too: osca deploy FILE FILE; or write one: {apiVersion: v1, kind: ${kind}, metadata: {name: ${name}}, ${part}: {${held}}}`;
  }
}

/** '500m', '64Mi', '1e3': a number. */
export function quantity(value: unknown): number | undefined {
  const match = /^([\d.]+(?:e\d+)?)(m|k|[KMGTP]i?)?$/.exec(String(value).trim());
  if (match === null || !Number.isFinite(Number(match[1]))) return undefined;
  const unit = match[2] ?? '';
  if (unit === 'm') return Number(match[1]) / 1_000;
  const power = ['', 'k', 'm', 'g', 't', 'p'].indexOf(unit[0]?.toLowerCase() ?? '');
  return Math.round(Number(match[1]) * (unit.endsWith('i') ? 1_024 : 1_000) ** power * 1_000) / 1_000;
}

export interface PodContext {
  app: string;
  service: string;
  contents: Contents;
  /** Where the claims of the file keep their data. */
  kept: Claims;
  /** Claims of a StatefulSet: volume -> claim. */
  claims: ReadonlyMap<string, string>;
  /** Its replicas have numbers; those of a DaemonSet have their cell. */
  isNumbered: boolean;
  report: Report;
}

/** The pod that an object makes: where it stands, and what says how often. */
export function templateOf({ kind, value }: KubeObject): { holder: Raw; pod: Raw; metadata: unknown; at: Path } {
  const spec = raw(value.spec);
  if (kind === 'Pod') return { holder: spec, pod: spec, metadata: value.metadata, at: ['spec'] };
  const isCron = kind === 'CronJob';
  const holder = isCron ? raw(raw(spec.jobTemplate).spec) : spec;
  const { spec: pod, metadata } = raw(holder.template);
  const at: Path = [...(isCron ? ['spec', 'jobTemplate', 'spec'] : ['spec']), 'template', 'spec'];
  return { holder, pod: raw(pod), metadata, at };
}

/** The pod that a container is in: what it holds, its labels, where it stands. */
export interface PodAround {
  spec: Raw;
  metadata: unknown;
  at: Path;
  /** It has several containers. */
  isShared: boolean;
}
