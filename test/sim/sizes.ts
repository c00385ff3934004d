/**
 * How large every map, set and list is that a Cell keeps, private ones too, as the engine's inspector sees them: what grows with time,
 * and not with what there is, is found wherever it is.
 */
import type { Runtime } from 'node:inspector';
import { Session } from 'node:inspector';
import { limits } from '../../src/core/limits.ts';

const entrance = Symbol.for('osca.sim.sizes');
/** Other people's code, and what is told once and never changes. */
const foreign = new Set(['Doc', 'Object', 'Function', 'WeakMap', 'Random', 'Map', 'Set', 'Array', 'Uint8Array']);

interface Found {
  className?: string;
  subtype?: string;
  description?: string;
  objectId?: string;
}

/** What has a limit of its own; all else may have so many for each cell, replica and revision that there ever was. */
const own = new Map<string, number>([
  ['#hearing.#early', limits.earlyFrames],
  ['#admission.#pending', limits.pendingJoins],
  ['#document.#held', limits.heldUpdates],
  ['#leases.#rounds', 16],
]);
const [base, each] = [100, 10];

/** What is larger than it may be; `things`: how many cells, replicas and revisions there are or were. */
export function oversizeOf(cell: object, things: number): string | undefined {
  for (const [path, size] of sizesOf(cell)) {
    const most = own.get(path) ?? base + each * things;
    if (size > most) return `${path} has ${size}, ${most} at the most`;
  }
  return undefined;
}

/** What grew between two looks, while nothing happened. */
export function grownOf(before: Map<string, number>, now: Map<string, number>): string | undefined {
  for (const [path, size] of now) {
    const was = before.get(path) ?? 0;
    // Some questions are always on their way.
    if (size > was * 1.25 + 10) return `${path} had ${was}, and ${size} after nothing happened`;
  }
  return undefined;
}

/** Path -> how many it holds; of objects of a class that are in a map, none. */
export function sizesOf(root: object): Map<string, number> {
  const session = new Session();
  session.connect();
  const ask = <T>(method: string, params: object): T => {
    let answer: T | undefined;
    session.post(method, params, (error, result) => {
      if (error !== null) throw error;
      answer = result as T;
    });
    return answer!;
  };
  const world = globalThis as unknown as Record<symbol, unknown>;
  const seen = new WeakSet<object>();
  world[entrance] = {
    root,
    isNew: (one: object) => {
      const isNew = !seen.has(one);
      seen.add(one);
      return isNew;
    },
  };
  const here = `globalThis[Symbol.for('osca.sim.sizes')]`;
  const sizes = new Map<string, number>();
  const isNew = (objectId: string): boolean =>
    ask<Runtime.CallFunctionOnReturnType>('Runtime.callFunctionOn', {
      ...{ objectId, returnByValue: true },
      functionDeclaration: `function () { return ${here}.isNew(this) }`,
    }).result.value === true;
  const walk = (path: string, { className = '', subtype, description = '', objectId }: Found): void => {
    if (objectId === undefined) return;
    if (subtype === 'map' || subtype === 'set' || subtype === 'array') {
      sizes.set(path, Number(/\((\d+)\)/.exec(description)?.[1] ?? 0));
      return;
    }
    if (subtype !== undefined || foreign.has(className) || !isNew(objectId)) return;
    const { result, privateProperties = [] } = ask<
      Runtime.GetPropertiesReturnType & { privateProperties?: { name: string; value?: Found }[] }
    >('Runtime.getProperties', { objectId, ownProperties: true });
    for (const { name, value } of [...result, ...privateProperties])
      if (value !== undefined && name !== '__proto__') walk(path === '' ? name : `${path}.${name}`, value as Found);
  };
  try {
    walk('', ask<Runtime.EvaluateReturnType>('Runtime.evaluate', { expression: `${here}.root` }).result as Found);
  } finally {
    session.disconnect();
    delete world[entrance];
  }
  return sizes;
}
