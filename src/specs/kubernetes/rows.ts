/** What the tables of manifests are made of. */
import type { KeyClass, KeyRow, KeyType } from '../key-rows.ts';

export const row = (path: string, types: string, note: string, kind: KeyClass = 'works'): KeyRow => ({
  ...{ path, types: types.split('|') as KeyType[], class: kind, note },
});
export const rows = (prefix: string, kind: KeyClass, note: string, keys: string): KeyRow[] =>
  keys.split(' ').map((key) => row(`${prefix}${key}`, 'any', note, kind));

export const cluster = 'ignored: it is for a Kubernetes cluster';
export const refused = 'refused';
