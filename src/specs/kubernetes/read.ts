/**
 * Kubernetes manifests as an app: each workload becomes a service, Services publish its ports, ConfigMaps, Secrets and claims become its
 * files and volumes. What can't be had is refused by line, as in a Compose file.
 */

import { basename } from 'node:path';
import type { SpecProblem } from '../../core/errors.ts';
import { OscaError, SpecError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { mountsOf } from '../../core/service.ts';
import type { ServiceSpec } from '../../core/spec.ts';
import type { ComposeRequest, ComposeResult } from '../compose.ts';
import type { Raw } from '../extend.ts';
import { isRaw } from '../extend.ts';
import { readSome } from '../reading.ts';
import type { Path } from '../source.ts';
import { Source } from '../source.ts';
import { nearest } from '../values.ts';
import { Claims } from './claims.ts';
import { kubernetesKeys, refusedKinds } from './keys.ts';
import type { KubeObject } from './objects.ts';
import { Contents, list, raw } from './objects.ts';
import { publish } from './publish.ts';
import { serviceOf, table } from './workloads.ts';

const workloads = ['Pod', 'Deployment', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob'];
const kinds = kubernetesKeys.map(({ path }) => path).filter((path) => /^[A-Z]\w*$/.test(path));
const namePattern = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const dottedPattern = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;
/** Whose names become names of services. */
const named = [...workloads, 'Service'];
/** For a cluster: nothing here is the worse for being without. */
const ignored = ['ServiceAccount', 'PodDisruptionBudget', 'StorageClass', 'PriorityClass'];

/** Has some document of it a kind, as Kubernetes' objects have? */
export function isKubernetes(text: string): boolean {
  if (/^kind:\s*\S/m.test(text) && /^apiVersion:\s*\S/m.test(text)) return true;
  if (!text.includes('apiVersion') || !text.includes('kind')) return false;
  try {
    return Source.all('', text).some(
      ({ value }) => isRaw(value) && value.kind !== undefined && value.apiVersion !== undefined,
    );
  } catch {
    return false;
  }
}

/** Throws SpecError with every problem. */
export function readKubernetes(request: ComposeRequest): ComposeResult {
  const problems: SpecProblem[] = [];
  const files = [request.file, ...(request.over ?? [])];
  const objects = files.flatMap((file) => objectsOf(file, problems));
  const name = request.name ?? request.fallbackName ?? appName(request.file);
  if (!/^[a-z0-9][a-z0-9_-]*$/.test(name) || name.length > limits.nameLength)
    throw new OscaError('bad-spec', `'${name}' is no name for an app`, 'give one: osca deploy --name APP FILE');
  let isSound = true;
  for (const { kind, name: own, value, source, path } of objects) {
    const checked = table.check(source, value, kind, path);
    problems.push(...checked.problems);
    isSound &&= checked.isSound;
    const pattern = named.includes(kind) ? namePattern : dottedPattern;
    if (!pattern.test(own))
      problems.push(
        source.problem(
          [...path, 'metadata', 'name'],
          `'${own}' is no name`,
          own.includes('{{') ? 'this is a template of Helm: render it first, with helm template' : 'use a-z, 0-9 and -',
        ),
      );
  }
  // What is only not supported keeps nothing else from being looked at: all is said at once.
  if (!isSound) throw new SpecError(problems);
  const contents = new Contents(objects, problems);
  const kept = new Claims(name, objects, problems);
  const { warnings } = kept;
  const made = objects
    .filter(({ kind }) => workloads.includes(kind))
    .map((object) => ({ object, spec: serviceOf(object, { app: name, contents, kept }, problems) }));
  refuseTwice(objects, problems);
  for (const object of objects.filter(({ kind }) => kind === 'Service')) publish(object, made, warnings, problems);
  for (const { kind, name: own } of objects) {
    if (ignored.includes(kind)) warnings.push(`${kind} ${own} is for a Kubernetes cluster; it is ignored`);
  }
  problems.push(...tooLarge(contents.files, objects));
  if (made.length === 0 && problems.length === 0)
    throw new OscaError(
      'bad-spec',
      `${request.file} has nothing that runs`,
      `it needs one of ${workloads.join(', ')}; name the file of it too: osca deploy FILE FILE`,
    );
  if (problems.length > 0) throw new SpecError(contents.missingOnce(problems));
  const services = made.map(({ spec }) =>
    hasData(spec) && spec.replicas === 1 && spec.job === undefined ? { ...spec, strict: true as const } : spec,
  );
  return {
    app: { name, services },
    builds: {},
    files: contents.files,
    warnings: [...warnings, ...foldersApart(services)],
  };
}

/** A folder of a claim is a volume of its own here (volumes.ts): who has the whole claim does not see it. */
function foldersApart(services: readonly ServiceSpec[]): string[] {
  const all = services.flatMap((spec) =>
    mountsOf(spec).flatMap(({ kind, source }) =>
      kind === 'volume' && source !== undefined ? [{ source, of: spec.name }] : [],
    ),
  );
  // No name of a claim has an underscore: what follows one is a folder.
  const apart = all.flatMap(({ source, of }) =>
    all.some((part) => part.source.startsWith(`${source}_`))
      ? [
          `${of} has the whole of volume ${source}, and does not see the folders of it that are mounted by subPath: those are volumes of their own here`,
        ]
      : [],
  );
  return [...new Set(apart)];
}

/** As in a Compose file: a change of the document travels in one frame. */
function tooLarge(files: ComposeResult['files'], [first]: readonly KubeObject[]): SpecProblem[] {
  const sizes = Object.entries(files).map(([name, { data }]) => ({
    name: name.slice(1),
    bytes: (data.length * 3) / 4,
  }));
  const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  const large = sizes.filter(({ bytes }) => bytes > limits.fileBytes);
  const hint = 'put it into the image, or into a volume';
  const of = (what: string): SpecProblem => first!.source.problem(first!.path, what, hint);
  return [
    ...large.map(({ name }) => of(`${name} is larger than ${limits.fileBytes / 1_024} KiB`)),
    ...(total > limits.filesBytes
      ? [of(`what is used of ConfigMaps and Secrets is more than ${limits.filesBytes / 1_024} KiB`)]
      : []),
  ];
}

const hasData = (spec: ServiceSpec): boolean =>
  spec.mode === 'replicated' && mountsOf(spec).some(({ kind, source }) => kind === 'volume' && source !== undefined);

/** The file's name, or its folder's where that says nothing. */
function appName(file: string): string {
  const own = basename(file).replace(/\.(ya?ml|json)$/, '');
  const said = ['deployment', 'deploy', 'manifest', 'manifests', 'all', 'kubernetes', 'k8s', 'service', 'app', 'index'];
  const name = said.includes(own) ? (file.split('/').at(-2) ?? own) : own;
  const clean = name
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '-')
    .replace(/^[_-]+/, '');
  return clean === '' ? 'app' : clean;
}

/** The objects of a file, those of Lists too. */
function objectsOf(file: string, problems: SpecProblem[]): KubeObject[] {
  let text: string;
  try {
    text = readSome(file, limits.specBytes).toString();
  } catch (error) {
    throw new OscaError(
      'not-found',
      `${file} can't be read: ${(error as Error).message}`,
      'check the path and its permissions',
    );
  }
  const found: KubeObject[] = [];
  const take = (source: Source, value: unknown, path: Path): void => {
    if (!isRaw(value)) {
      problems.push(source.problem(path, 'is no object', 'it needs apiVersion, kind and metadata'));
      return;
    }
    // A Deployment that nobody updates.
    const kind = value.kind === 'ReplicaSet' ? 'Deployment' : String(value.kind ?? '');
    if (kind === 'List' || (kind.endsWith('List') && Array.isArray(value.items))) {
      for (const [i, item] of list(value.items).entries()) take(source, item, [...path, 'items', i]);
      return;
    }
    const why = Object.hasOwn(refusedKinds, kind) ? refusedKinds[kind] : undefined;
    if (why !== undefined) problems.push(source.problem([...path, 'kind'], `${kind} is not supported`, why));
    else if (!kinds.includes(kind)) {
      const meant = nearest(kind, kinds);
      const isForeign = /\.(?!k8s\.io\/)[a-z]+\/|\.(x-k8s|[a-z]+)\.io\//.test(
        String(value.apiVersion ?? '').replace(/\.k8s\.io\//, '/'),
      );
      const hint =
        meant !== undefined
          ? `did you mean '${meant}'?`
          : isForeign
            ? 'it is for an operator that is not here; remove it'
            : `these are known: ${kinds.join(', ')}`;
      problems.push(source.problem([...path, 'kind'], kind === '' ? 'is missing' : `'${kind}' is not known`, hint));
    } else found.push({ kind, name: String(raw(value.metadata).name ?? ''), value: withoutNulls(value), source, path });
  };
  for (const source of Source.all(file, text)) take(source, source.value, []);
  return found;
}

/** null says that a key is not set; generators write it. */
function withoutNulls(object: Raw): Raw {
  const clean = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(clean);
    if (!isRaw(value)) return value;
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, one]) => (one === null && key !== 'emptyDir' ? [] : [[key, clean(one)]])),
    );
  };
  return { ...object, ...(object.spec === undefined ? {} : { spec: clean(object.spec) }) };
}

/** Workloads become services, so their names must differ; of all else two of a kind must. */
function refuseTwice(objects: readonly KubeObject[], problems: SpecProblem[]): void {
  const seen = new Map<string, KubeObject>();
  for (const object of objects) {
    const { kind, name, value, source, path } = object;
    const key = workloads.includes(kind) ? name : `${kind}/${name}`;
    const other = seen.get(key);
    seen.set(key, object);
    if (other === undefined || kind === 'Namespace') continue;
    const spaces = [other.value, value].map((one) => String(raw(one.metadata).namespace ?? 'default'));
    const hint =
      spaces[0] === spaces[1]
        ? 'rename one of them'
        : `namespaces ${spaces.join(' and ')} can not be kept apart in one app: put each into a file of its own`;
    problems.push(source.problem([...path, 'metadata', 'name'], `${other.kind} ${other.name} has the same name`, hint));
  }
}
