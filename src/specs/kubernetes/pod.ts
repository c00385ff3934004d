/** A pod as a service: its first container is the service's, the others are its parts. */
import type { Constraint, EngineOptions, PartSpec, Port, ServiceSpec } from '../../core/spec.ts';
import type { Raw } from '../extend.ts';
import type { Path } from '../source.ts';
import { containerOf } from './container.ts';
import type { PodContext, Report } from './objects.ts';
import { filled, given, labelsOf, list, raw, seconds, texts } from './objects.ts';

type PodPart = Omit<ServiceSpec, 'name' | 'mode' | 'replicas' | 'restart'> & { restartPolicy: string };

/** `at`: path of the pod's spec in what `context.report` is told of. */
export function podOf(spec: Raw, metadata: unknown, at: Path, context: PodContext): PodPart {
  const { report } = context;
  const [standing, before] = [list(spec.containers), list(spec.initContainers)];
  if (standing.length === 0) report([...at, 'containers'], 'has no container', 'name one');
  const pod = { spec, metadata, at, isShared: standing.length + before.length > 1 };
  const pathOf = (key: string, i: number): Path => [...at, key, i];
  const network = networkOf(spec);
  const first = containerOf(standing[0], pathOf('containers', 0), pod, context);
  const parts = [
    ...before.map((one, i) => {
      const isSidecar = raw(one).restartPolicy === 'Always';
      const made = containerOf(one, pathOf('initContainers', i), pod, context);
      // It runs before there is a network to share.
      const engine = isSidecar ? {} : withEngine(made, network);
      return { ...made, ...engine, name: nameOf(one), kind: isSidecar ? ('sidecar' as const) : ('init' as const) };
    }),
    ...standing.slice(1).map((one, i): PartSpec => {
      return { ...containerOf(one, pathOf('containers', i + 1), pod, context), name: nameOf(one), kind: 'peer' };
    }),
  ];
  if (pod.isShared) checkNames(standing, before, at, report);
  return {
    driver: 'docker',
    ...first,
    ...withEngine(first, network),
    ports: [
      ...standing.flatMap((one, i) => portsOf(raw(one), pathOf('containers', i), report)),
      ...before.flatMap((one, i) =>
        raw(one).restartPolicy === 'Always' ? portsOf(raw(one), pathOf('initContainers', i), report) : [],
      ),
    ],
    ...(spec.shareProcessNamespace === true && parts.length > 0 ? { sharedProcesses: true as const } : {}),
    ...(parts.length === 0 ? {} : { parts }),
    labels: labelsOf(metadata),
    ...(isApart(spec, labelsOf(metadata)) ? { maxPerCell: 1 } : {}),
    stopGraceMs: seconds(spec.terminationGracePeriodSeconds, 30),
    constraints: constraintsOf(spec, at, report),
    restartPolicy: String(spec.restartPolicy ?? 'Always'),
  };
}

/** It must not be beside another of its own. */
function isApart(spec: Raw, labels: Record<string, string>): boolean {
  const required = raw(raw(spec.affinity).podAntiAffinity).requiredDuringSchedulingIgnoredDuringExecution;
  return list(required).some((item) => {
    const { topologyKey, labelSelector } = raw(item);
    const { matchLabels, matchExpressions } = raw(labelSelector);
    return (
      topologyKey === 'kubernetes.io/hostname' &&
      labelSelector !== undefined &&
      Object.entries(raw(matchLabels)).every(([key, value]) => labels[key] === String(value)) &&
      list(matchExpressions).every((one) => {
        const { key, operator, values } = raw(one);
        return operator === 'In' && texts(values).includes(labels[String(key)] ?? '');
      })
    );
  });
}

const nameOf = (container: unknown): string => String(raw(container).name ?? '');

function withEngine({ engine }: { engine?: EngineOptions }, more: EngineOptions): { engine?: EngineOptions } {
  const all = filled({ ...engine, ...more });
  return all === undefined ? {} : { engine: all };
}

function checkNames(standing: readonly unknown[], before: readonly unknown[], at: Path, report: Report): void {
  const seen = new Set<string>();
  for (const [key, all] of [
    ['initContainers', before],
    ['containers', standing],
  ] as const) {
    for (const [i, one] of all.entries()) {
      const name = nameOf(one);
      const where: Path = [...at, key, i, 'name'];
      if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name)) report(where, `'${name}' is no name`, 'use a-z, 0-9 and -');
      else if (seen.has(name)) report(where, `another container is called '${name}'`, 'call it something else');
      seen.add(name);
    }
  }
}

function portsOf(container: Raw, path: Path, report: Report): Port[] {
  // What no Service and no hostPort names is reached from nowhere else.
  return list(container.ports).flatMap((item, i) => {
    const { containerPort, hostPort, hostIP, protocol = 'TCP' } = raw(item);
    if (protocol !== 'TCP' && protocol !== 'UDP')
      report([...path, 'ports', i, 'protocol'], `'${String(protocol)}' is not supported`, 'use TCP or UDP');
    if (hostPort === undefined) return [];
    const hostIp = hostIP === undefined ? {} : { hostIp: String(hostIP) };
    const target = Number(containerPort);
    return [{ target, protocol: protocol === 'UDP' ? 'udp' : 'tcp', published: Number(hostPort), ...hostIp } as Port];
  });
}

/** 'ndots:2', 'edns0' */
const dnsOptionsOf = (options: unknown): string[] =>
  list(options).map((item) => [raw(item).name, raw(item).value].filter((one) => one !== undefined).join(':'));

/** What belongs to the network that the containers share. */
function networkOf(spec: Raw): EngineOptions {
  const aliases = list(spec.hostAliases).flatMap((item) =>
    texts(raw(item).hostnames).map((name) => `${name}:${String(raw(item).ip)}`),
  );
  const { nameservers, searches, options } = raw(spec.dnsConfig);
  const sysctls = list(raw(spec.securityContext).sysctls).map((item) => [
    String(raw(item).name),
    String(raw(item).value),
  ]);
  return given<EngineOptions>({
    hostname: spec.hostname === undefined ? undefined : String(spec.hostname),
    extraHosts: aliases.length === 0 ? undefined : aliases,
    dns: nameservers === undefined ? undefined : texts(nameservers),
    dnsSearch: searches === undefined ? undefined : texts(searches),
    dnsOptions: options === undefined ? undefined : dnsOptionsOf(options),
    sysctls: sysctls.length === 0 ? undefined : (Object.fromEntries(sysctls) as Record<string, string>),
    network: spec.hostNetwork === true ? 'host' : undefined,
  });
}

const wellKnown: Record<string, string> = {
  'kubernetes.io/hostname': 'node.hostname',
  'kubernetes.io/arch': 'node.platform.arch',
  'kubernetes.io/os': 'node.platform.os',
  'beta.kubernetes.io/arch': 'node.platform.arch',
  'beta.kubernetes.io/os': 'node.platform.os',
  'failure-domain.beta.kubernetes.io/zone': 'node.labels.zone',
  'topology.kubernetes.io/zone': 'node.labels.zone',
};
const keyFor = (label: string): string => wellKnown[label] ?? `node.labels.${label}`;

function constraintsOf(spec: Raw, at: Path, report: Report): Constraint[] {
  const named =
    spec.nodeName === undefined ? [] : [{ key: 'node.hostname', op: '==' as const, value: String(spec.nodeName) }];
  const selected = Object.entries(raw(spec.nodeSelector)).map(
    ([label, value]): Constraint => ({ key: keyFor(label), op: '==', value: String(value) }),
  );
  return [...named, ...selected, ...affinityOf(spec, at, report)];
}

function affinityOf(spec: Raw, at: Path, report: Report): Constraint[] {
  const key = 'requiredDuringSchedulingIgnoredDuringExecution';
  const required = raw(raw(raw(spec.affinity).nodeAffinity)[key]);
  const terms = list(required.nodeSelectorTerms);
  const path: Path = [...at, 'affinity', 'nodeAffinity', key, 'nodeSelectorTerms'];
  if (terms.length > 1) report(path, 'has several terms', 'one can be had: write what is common to them');
  if (required.nodeSelectorTerms === undefined && raw(raw(spec.affinity).nodeAffinity)[key] !== undefined)
    report(path.slice(0, -1), 'has no nodeSelectorTerms', 'write nodeSelectorTerms: [{matchExpressions: […]}]');
  if (raw(terms[0]).matchFields !== undefined)
    report(
      [...path, 0, 'matchFields'],
      'is not known here',
      'write nodeName, or matchExpressions of kubernetes.io/hostname',
    );
  return list(raw(terms[0]).matchExpressions).flatMap((item, i): Constraint[] => {
    const { key: label, operator, values } = raw(item);
    const all = texts(values);
    if (operator === 'In' && all.length > 0) {
      const [value, ...or] = all as [string, ...string[]];
      return [{ key: keyFor(String(label)), op: '==', value, ...(or.length === 0 ? {} : { or }) }];
    }
    if (operator === 'NotIn') return all.map((value) => ({ key: keyFor(String(label)), op: '!=' as const, value }));
    report(
      [...path, 0, 'matchExpressions', i],
      `'${String(operator)}' can not be had`,
      'use In or NotIn, with values that the cells are labelled with',
    );
    return [];
  });
}
