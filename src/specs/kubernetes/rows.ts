/** What the tables of manifests are made of. */
import type { KeyClass, KeyRow, KeyType } from '../key-rows.ts';

export const row = (path: string, types: string, note: string, kind: KeyClass = 'works'): KeyRow => ({
  ...{ path, types: types.split('|') as KeyType[], class: kind, note },
});
export const rows = (prefix: string, kind: KeyClass, note: string, keys: string): KeyRow[] =>
  keys.split(' ').map((key) => row(`${prefix}${key}`, 'any', note, kind));

export const cluster = 'ignored: it is for a Kubernetes cluster';
export const refused = 'refused';

/** As whom it runs: of a pod, and of a container. */
export function security(path: string): KeyRow[] {
  return [
    row(path, 'object|null', 'as whom it runs'),
    row(`${path}.runAsUser`, 'int', 'user'),
    row(`${path}.runAsGroup`, 'int', 'group'),
    ...rows(`${path}.`, 'translated', 'ignored: the image or runAsUser says as whom it runs', 'runAsNonRoot'),
    row(`${path}.seccompProfile`, 'object', 'Unconfined, or the engine’s default; a file of the machine is refused'),
    row(`${path}.seccompProfile.type`, 'text', 'RuntimeDefault or Unconfined'),
    row(`${path}.seccompProfile.localhostProfile`, 'text', 'of type Localhost, which is refused'),
    ...rows(`${path}.`, 'translated', 'ignored: the engine’s default profile is used', 'appArmorProfile'),
    ...rows(`${path}.`, refused, 'cells go by AppArmor and seccomp; remove the key', 'seLinuxOptions'),
    ...rows(`${path}.`, refused, 'it is for Windows; remove the key', 'windowsOptions'),
  ];
}
