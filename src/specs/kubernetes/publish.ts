/** Services of a cluster: which ports of what they select are reached from outside. */
import type { SpecProblem } from '../../core/errors.ts';
import type { Port, ServiceSpec } from '../../core/spec.ts';
import type { Raw } from '../extend.ts';
import type { KubeObject, Report } from './objects.ts';
import { list, raw, templateOf } from './objects.ts';

interface Made {
  object: KubeObject;
  spec: ServiceSpec;
}

/** A Service puts the ports of what it selects where they are reached. */
export function publish(
  { name, value, source, path }: KubeObject,
  made: readonly Made[],
  warnings: string[],
  problems: SpecProblem[],
): void {
  const { type = 'ClusterIP', selector, ports } = raw(value.spec);
  const report: Report = (at, message, hint) =>
    void problems.push(source.problem([...path, 'spec', ...at], message, hint));
  if (!['ClusterIP', 'NodePort', 'LoadBalancer'].includes(String(type)))
    return report(['type'], `'${String(type)}' is not supported`, 'use ClusterIP, NodePort or LoadBalancer');
  const wanted = Object.entries(raw(selector));
  const chosen = made.filter(
    ({ spec }) => wanted.length > 0 && wanted.every(([key, one]) => spec.labels[key] === String(one)),
  );
  if (type === 'ClusterIP') {
    warnings.push(
      `Service ${name}: services do not reach each other by name yet; with type: NodePort it publishes a port on the cells that run it, and others use CELL:PORT`,
    );
    return;
  }
  if (chosen.length === 0 && wanted.length > 0)
    return report(
      ['selector'],
      'selects nothing of the file',
      `the file has labels: ${[...new Set(made.flatMap(({ spec }) => Object.entries(spec.labels).map(([key, one]) => `${key}=${one}`)))].join(', ') || 'none'}`,
    );
  if (wanted.length === 0) warnings.push(`Service ${name} has no selector: it publishes nothing`);
  for (const { object, spec } of chosen) {
    for (const [i, item] of list(ports).entries()) {
      const { port, targetPort = port, nodePort, protocol = 'TCP' } = raw(item);
      const named = containerPorts(object).find((one) => one.name === targetPort);
      const target = Number(named?.containerPort ?? targetPort);
      if (!Number.isSafeInteger(target)) {
        report(
          ['ports', i, 'targetPort'],
          `'${String(targetPort)}' is no port of ${object.kind} ${object.name}`,
          'write a number, or the name of one of its ports',
        );
        continue;
      }
      const published = type === 'LoadBalancer' ? Number(port) : nodePort === undefined ? undefined : Number(nodePort);
      if (published !== undefined && spec.replicas > 1 && spec.mode !== 'global')
        warnings.push(
          `Service ${name}: port ${published} is one of a cell: ${spec.replicas} replicas of ${spec.name} need as many cells`,
        );
      const kind = String(protocol).toLowerCase() === 'udp' ? 'udp' : 'tcp';
      const whole: Port = { target, protocol: kind, ...(published === undefined ? {} : { published }) };
      const others = spec.ports.filter(
        (one) => one.target !== target || one.protocol !== kind || one.published !== undefined,
      );
      spec.ports = [...others, whole];
    }
  }
}

const containerPorts = (object: KubeObject): Raw[] =>
  ['containers', 'initContainers'].flatMap((key) =>
    list(templateOf(object).pod[key]).flatMap((one) => list(raw(one).ports).map(raw)),
  );
