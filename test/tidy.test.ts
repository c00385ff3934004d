/** House rules as a test: who may import whom, what pure files may not touch, and that no file is dead. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? filesBelow(path) : path.endsWith('.ts') ? [path] : [];
  });
}

const sources = filesBelow('src');
const text = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Import {
  target: string;
  typeOnly: boolean;
}

function importsOf(path: string): Import[] {
  const found = text(path).matchAll(
    /^import\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bawait import\('([^']+)'\)/gm,
  );
  return [...found]
    .map(([, type, first, later]) => ({ type, name: first ?? later }))
    .map(({ type, name }) => ({
      target: name!.startsWith('.') ? relative(root, resolve(root, path, '..', name!)) : name!,
      typeOnly: type !== undefined,
    }));
}

const roomOf = (path: string): string => path.split('/')[1]!;
/** Adapters stand in a folder of their room; specs reads files by its nature, node and cli hold the processes. */
const isPure = (path: string): boolean =>
  ['board', 'core', 'gossip', 'crdt', 'placement', 'release', 'runtime'].includes(roomOf(path)) &&
  path.split('/').length === 3;

/** room -> rooms it may import. `type:` means types only. */
const table: Record<string, string[]> = {
  core: [],
  gossip: ['core'],
  crdt: ['core'],
  placement: ['core'],
  runtime: ['core'],
  release: ['core'],
  specs: ['core'],
  api: ['core', 'type:node', 'type:specs', 'type:release'],
  board: ['core', 'gossip/trust.ts', 'specs/source.ts'],
  provision: ['core', 'board', 'gossip/trust.ts', 'gossip/libp2p/seal.ts', 'node/config.ts', 'specs/source.ts'],
  cli: ['core', 'type:api', 'type:node', 'type:provision', 'type:release', 'node/version.ts', 'specs/read.ts', 'board'],
  node: ['board', 'core', 'gossip', 'crdt', 'placement', 'runtime', 'release', 'specs', 'api'],
};

describe('imports', () => {
  it.each(sources)('%s', (path) => {
    const room = roomOf(path);
    for (const { target, typeOnly } of importsOf(path)) {
      if (!target.startsWith('src/')) {
        if (isPure(path)) expect(target, `${path} is pure`).toBe(room === 'crdt' ? 'yjs' : 'nothing');
        continue;
      }
      const to = roomOf(target);
      const allowed = table[room]!;
      const fine =
        to === room ||
        allowed.includes(to) ||
        (typeOnly && allowed.includes(`type:${to}`)) ||
        allowed.includes(target.slice(4));
      expect(fine, `${path} may not import ${target}`).toBe(true);
      if (isPure(path)) expect(target.split('/').length, `${path} is pure, ${target} is an adapter`).toBe(3);
    }
  });

  it('only start.ts constructs adapters', () => {
    for (const path of sources.filter((one) => roomOf(one) === 'node' && !one.endsWith('/start.ts'))) {
      const adapters = importsOf(path).filter(
        ({ target, typeOnly }) => !typeOnly && target.startsWith('src/') && target.split('/').length > 3,
      );
      expect(adapters, path).toEqual([]);
    }
  });
});

const banned: [pattern: RegExp, instead: string][] = [
  [/\bDate\b(?!\s*\|)/, 'time is an argument, in ms'],
  [/\bMath\.random\b/, 'core/random.ts, passed by constructor'],
  [/\bsetTimeout\b|\bsetInterval\b|\bsetImmediate\b|\bqueueMicrotask\b/, 'a timer effect'],
  [/\bprocess\./, 'an option'],
  [/\bBuffer\b/, 'Uint8Array and core/base64.ts'],
  [/\bperformance\b/, 'time is an argument, in ms'],
  [/\bMath\.(log|exp|pow|sin|cos|sqrt)\b/, 'integer arithmetic: floats differ between machines'],
  [/\bconsole\./, 'an event effect'],
  [/\blocaleCompare\b/, 'compare of core/hash.ts'],
  [/\basync\b|\bawait\b|\bPromise\b/, 'an effect whose completion is an event'],
];

describe('pure files', () => {
  it.each(sources.filter((path) => isPure(path) && path !== 'src/core/ports.ts'))('%s', (path) => {
    const code = text(path).replace(/\/\*[\s\S]*?\*\/|\/\/.*$|'[^'\n]*'/gm, '');
    for (const [pattern, instead] of banned) expect(pattern.exec(code)?.[0], `instead: ${instead}`).toBeUndefined();
  });
});

describe('files', () => {
  it('none is dead: each is reached from the daemon or the CLI', () => {
    const reached = new Set<string>();
    const visit = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      for (const { target } of importsOf(path)) if (target.startsWith('src/')) visit(target);
    };
    for (const entry of ['src/node/main.ts', 'src/cli/main.ts', 'src/provision/main.ts']) visit(entry);
    expect(sources.filter((path) => !reached.has(path))).toEqual([]);
  });

  it('say what they are for, and none is a second god', () => {
    for (const path of sources) {
      expect(text(path), path).toMatch(/^\/\*\*/);
      expect(text(path).split('\n').length, path).toBeLessThanOrEqual(480);
    }
  });

  it('have no default exports and no barrels', () => {
    for (const path of sources) expect(text(path), path).not.toMatch(/^export default|^export \* from/m);
  });
});
