/** Variables of a container: written out, or of ConfigMaps, Secrets and the pod itself. */
import type { ServiceSpec } from '../../core/spec.ts';
import type { Raw } from '../extend.ts';
import type { Path } from '../source.ts';
import { fieldOf, resourceOf } from './downward.ts';
import type { PodContext } from './objects.ts';
import { labelsOf, list, raw } from './objects.ts';

type Variables = Pick<ServiceSpec, 'environment' | 'sealedEnvironment' | 'ownVariables'>;

/** `isHost`: it has the cell's own network. */
export function environmentOf(
  container: Raw,
  metadata: unknown,
  path: Path,
  context: PodContext,
  isHost = false,
): Variables {
  const { contents, report, app, isNumbered } = context;
  const environment: Record<string, string> = {};
  const sealed: Record<string, string> = {};
  const own: NonNullable<ServiceSpec['ownVariables']> = {};
  // Of what is said twice of one variable the last holds.
  const forget = (name: string): void => {
    delete environment[name];
    delete sealed[name];
    delete own[name];
  };
  const put = (kind: 'ConfigMap' | 'Secret', from: string, key: string, bytes: Uint8Array, name: string): void => {
    forget(name);
    if (kind === 'ConfigMap') environment[name] = Buffer.from(bytes).toString();
    else sealed[name] = contents.use('Secret', from, key, bytes);
  };
  list(container.envFrom).forEach((item, i) => {
    const { prefix = '', configMapRef, secretRef } = raw(item);
    const kind = configMapRef === undefined ? 'Secret' : 'ConfigMap';
    const { name, optional } = raw(configMapRef ?? secretRef);
    const keys = contents.of(kind, String(name));
    if (keys === undefined && optional !== true)
      report([...path, 'envFrom', i], ...contents.missing(kind, String(name), []));
    for (const [key, bytes] of keys ?? []) put(kind, String(name), key, bytes, `${String(prefix)}${key}`);
  });
  list(container.env).forEach((item, i) => {
    const { name: given, value, valueFrom } = raw(item);
    const name = String(given ?? '');
    if (valueFrom === undefined) {
      const text = expanded(
        String(value ?? ''),
        environment,
        (one) => Object.hasOwn(sealed, one) || Object.hasOwn(own, one),
      );
      forget(name);
      environment[name] = text;
      return;
    }
    const { configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef } = raw(valueFrom);
    const here: Path = [...path, 'env', i, 'valueFrom'];
    if (fieldRef !== undefined) {
      const field = String(raw(fieldRef).fieldPath ?? '');
      const key = /^metadata\.(?:labels|annotations)\[['"]?([^'"\]]+)['"]?\]$/.exec(field)?.[1];
      const known = fieldOf(field, metadata, app);
      forget(name);
      if (field === 'metadata.name') own[name] = 'replica';
      else if (field === 'spec.nodeName') own[name] = 'cell';
      else if (field === 'status.hostIP' || (field === 'status.podIP' && isHost)) own[name] = 'address';
      else if (isNumbered && key !== undefined && numbered.includes(key) && !Object.hasOwn(labelsOf(metadata), key))
        own[name] = 'completion';
      else if (key === 'statefulset.kubernetes.io/pod-name') own[name] = 'replica';
      else if (known !== undefined) environment[name] = known;
      else
        report(
          [...here, 'fieldRef', 'fieldPath'],
          `'${field}' is not known here`,
          field.startsWith('status.podIP')
            ? 'with hostNetwork: true it is the address of the cell; else remove the variable, and ask in the command: $(hostname -i)'
            : 'metadata.name, .namespace, .labels[…], .annotations[…], spec.nodeName and status.hostIP are; remove the variable, or write its value',
        );
      return;
    }
    if (resourceFieldRef !== undefined) {
      forget(name);
      environment[name] = resourceOf(raw(resourceFieldRef), container, [...here, 'resourceFieldRef'], report);
      return;
    }
    const kind = configMapKeyRef === undefined ? 'Secret' : 'ConfigMap';
    const ref = raw(configMapKeyRef ?? secretKeyRef);
    const keys = contents.of(kind, String(ref.name));
    const bytes = keys?.get(String(ref.key));
    if (bytes !== undefined) put(kind, String(ref.name), String(ref.key), bytes, name);
    else if (ref.optional !== true && keys === undefined)
      report(here, ...contents.missing(kind, String(ref.name), [String(ref.key)]));
    else if (ref.optional !== true)
      report(
        here,
        `${kind} '${String(ref.name)}' has no key '${String(ref.key)}'`,
        `it has: ${[...keys!.keys()].join(', ')}`,
      );
  });
  return {
    environment,
    ...(Object.keys(sealed).length === 0 ? {} : { sealedEnvironment: sealed }),
    ...(Object.keys(own).length === 0 ? {} : { ownVariables: own }),
  };
}

/** What Kubernetes itself writes on a pod to say which of many it is; from 0. */
const numbered = ['batch.kubernetes.io/job-completion-index', 'apps.kubernetes.io/pod-index'];

/** $(NAME) of a variable that is known; $$ is a dollar. Secrets and the replica's name are known where it runs (runtime/files). */
export const expanded = (
  text: string,
  env: Readonly<Record<string, string>>,
  isLate: (name: string) => boolean = () => false,
): string =>
  text.replace(/\$\$(?:\(([A-Za-z_][\w.-]*)\))?|\$\(([A-Za-z_][\w.-]*)\)/g, (whole, text?: string, name?: string) => {
    if (name !== undefined) return Object.hasOwn(env, name) ? env[name]! : whole;
    // It stays written as text until that variable is known.
    return text !== undefined && isLate(text) ? whole : whole.slice(1);
  });
