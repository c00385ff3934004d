/** What tables of keys are made of: each row a path, what may stand there, and what becomes of it. */
export type KeyClass = 'works' | 'translated' | 'refused';

/** Types separated by | in any order. object and list look into their children. */
export type KeyType = 'text' | 'int' | 'number' | 'flag' | 'duration' | 'bytes' | 'object' | 'list' | 'null' | 'any';

export interface KeyRow {
  path: string;
  types: KeyType[];
  class: KeyClass;
  note: string;
}

export const row = (path: string, types: string, note: string, kind: KeyClass = 'works'): KeyRow => ({
  path,
  types: types.split('|') as KeyType[],
  class: kind,
  note,
});

export const refuse = (path: string, note: string): KeyRow => row(path, 'any', note, 'refused');
export const refuseAll = (prefix: string, note: string, keys: string): KeyRow[] =>
  keys.split(' ').map((key) => refuse(`${prefix}${key}`, note));

export const ignoreAll = (prefix: string, note: string, keys: string): KeyRow[] =>
  keys.split(' ').map((key) => row(`${prefix}${key}`, 'any', note, 'translated'));
export const S = 'services.*.';

export function policyRows(key: string, note: string): KeyRow[] {
  return [
    row(`${S}deploy.${key}`, 'object', note),
    row(`${S}deploy.${key}.parallelism`, 'int', 'replicas that change at once; 1; 0 for all, at most 100'),
    row(`${S}deploy.${key}.delay`, 'duration', 'from one that came to the next that goes; 0s'),
    row(`${S}deploy.${key}.monitor`, 'duration', 'a replica that falls this soon after it came has failed; 5s'),
    row(`${S}deploy.${key}.max_failure_ratio`, 'number', 'of the replicas, how many may fail; 0'),
  ];
}

export function labelRows(prefix: string, note: string, kind?: KeyClass): KeyRow[] {
  return [
    row(`${prefix}labels`, 'object|list', note, kind),
    row(`${prefix}labels.*`, 'text|number|flag|null', 'a label'),
    row(`${prefix}labels[]`, 'text', 'NAME=value'),
  ];
}

/** Of the top level. */
export function fileRows(kind: string, note: string): KeyRow[] {
  return [
    row(kind, 'object|null', `${note}; 256 KiB each at most, 512 KiB for an app`),
    row(`${kind}.*`, 'object', 'its name'),
    row(`${kind}.*.file`, 'text', 'a file with its content, relative to the spec; read when it is deployed'),
    row(`${kind}.*.content`, 'text|number|flag', 'its content'),
    row(`${kind}.*.environment`, 'text', 'a variable with its content, of the shell or .env'),
    row(`${kind}.*.name`, 'text', 'ignored: services know it by its name in the file', 'translated'),
    row(`${kind}.*.external`, 'flag|object', 'false: it is in the file; true is refused'),
    ...labelRows(`${kind}.*.`, 'for people; ignored', 'translated'),
    ...refuseAll(
      `${kind}.*.`,
      'only what the file holds is known; use file, content or environment',
      'driver driver_opts template_driver',
    ),
  ];
}

/** Of a service. */
export function mountRows(kind: string, note: string, target: string): KeyRow[] {
  return [
    row(`${S}${kind}`, 'list', note),
    row(`${S}${kind}[]`, 'text|object', 'its name at the top level'),
    row(`${S}${kind}[].source`, 'text', 'its name at the top level'),
    row(`${S}${kind}[].target`, 'text', `a path, or a name; ${target}`),
    row(`${S}${kind}[].uid`, 'text|int', 'its owner; 0. Where the daemon is not root, its user'),
    row(`${S}${kind}[].gid`, 'text|int', 'its group; 0'),
    row(`${S}${kind}[].mode`, 'text|int', 'octal; 0444'),
  ];
}

export function hookRows(key: string, note: string): KeyRow[] {
  return [
    row(`${S}${key}`, 'list', note),
    row(`${S}${key}[]`, 'object', 'one'),
    row(`${S}${key}[].command`, 'text|list', 'what runs'),
    row(`${S}${key}[].command[]`, 'text|number', 'an argument'),
    row(`${S}${key}[].user`, 'text|int', 'as whom; the container’s'),
    row(`${S}${key}[].working_dir`, 'text', 'where; the container’s'),
    row(`${S}${key}[].privileged`, 'flag', 'with everything that the host may do'),
    row(`${S}${key}[].environment`, 'object|list', 'beside the container’s'),
    row(`${S}${key}[].environment.*`, 'text|number|flag|null', 'a variable'),
    row(`${S}${key}[].environment[]`, 'text', 'NAME=value'),
  ];
}

/** A text, or a list of them. */
export function textsRows(keys: string, types: string, note: string): KeyRow[] {
  return keys.split(' ').flatMap((key) => [row(`${S}${key}`, types, note), row(`${S}${key}[]`, 'text|number', 'one')]);
}
