/** Variables of a container: written out, or of ConfigMaps, Secrets and the pod itself. */
import type { ServiceSpec } from '../../core/spec.ts';
import type { Raw } from '../extend.ts';
import type { Path } from '../source.ts';
import type { PodContext } from './objects.ts';
import { labelsOf, list, raw } from './objects.ts';

type Variables = Pick<ServiceSpec, 'environment' | 'sealedEnvironment' | 'nameVariables'>;

export function environmentOf(container: Raw, metadata: unknown, path: Path, context: PodContext): Variables {
  const { contents, report, app } = context;
  const environment: Record<string, string> = {};
  const sealed: Record<string, string> = {};
  const names: string[] = [];
  // Of what is said twice of one variable the last holds.
  const forget = (name: string): void => {
    delete environment[name];
    delete sealed[name];
    if (names.includes(name)) names.splice(names.indexOf(name), 1);
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
      report([...path, 'envFrom', i], `there is no ${kind} '${String(name)}'`, contents.names(kind));
    for (const [key, bytes] of keys ?? []) put(kind, String(name), key, bytes, `${String(prefix)}${key}`);
  });
  list(container.env).forEach((item, i) => {
    const { name: given, value, valueFrom } = raw(item);
    const name = String(given ?? '');
    if (valueFrom === undefined) {
      const text = expanded(String(value ?? ''), environment);
      forget(name);
      environment[name] = text;
      return;
    }
    const { configMapKeyRef, secretKeyRef, fieldRef } = raw(valueFrom);
    const here: Path = [...path, 'env', i, 'valueFrom'];
    if (fieldRef !== undefined) {
      const field = String(raw(fieldRef).fieldPath ?? '');
      const label = /^metadata\.labels\['?([^'\]]+)'?\]$/.exec(field)?.[1];
      forget(name);
      if (field === 'metadata.name') names.push(name);
      else if (field === 'metadata.namespace') environment[name] = app;
      else if (label !== undefined) environment[name] = labelsOf(metadata)[label] ?? '';
      else
        report(
          [...here, 'fieldRef', 'fieldPath'],
          `'${field}' is not known here`,
          'metadata.name, metadata.namespace and metadata.labels[…] are; remove the variable, or write its value',
        );
      return;
    }
    const kind = configMapKeyRef === undefined ? 'Secret' : 'ConfigMap';
    const ref = raw(configMapKeyRef ?? secretKeyRef);
    const keys = contents.of(kind, String(ref.name));
    const bytes = keys?.get(String(ref.key));
    if (bytes !== undefined) put(kind, String(ref.name), String(ref.key), bytes, name);
    else if (ref.optional !== true) {
      const what =
        keys === undefined
          ? `there is no ${kind} '${String(ref.name)}'`
          : `${kind} '${String(ref.name)}' has no key '${String(ref.key)}'`;
      report(here, what, keys === undefined ? contents.names(kind) : `it has: ${[...keys.keys()].join(', ')}`);
    }
  });
  return {
    environment,
    ...(Object.keys(sealed).length === 0 ? {} : { sealedEnvironment: sealed }),
    ...(names.length === 0 ? {} : { nameVariables: names }),
  };
}

/** $(NAME) of a variable that is known; $$ is a dollar. Secrets and the replica's name are known where it runs (runtime/files). */
export const expanded = (text: string, env: Readonly<Record<string, string>>): string =>
  text.replace(/\$\$|\$\(([A-Za-z_][\w.-]*)\)/g, (whole, name?: string) =>
    name === undefined ? '$' : (env[name] ?? whole),
  );
