/** What a file says that is not wrong, and still may not do what its author thinks. */
import type { SpecProblem } from '../core/errors.ts';
import { sharedVolumes } from '../core/service.ts';
import type { ServiceSpec } from '../core/spec.ts';
import type { Tie } from '../core/ties.ts';
import { ties, torn } from '../core/ties.ts';
import type { Raw } from './extend.ts';
import { isRaw } from './extend.ts';
import type { Chosen, Part } from './project.ts';
import { splitCommand } from './values.ts';

/** Of one service of a Compose file. */
export function ofService({ service, name, whole }: Chosen, spec: ServiceSpec): string[] {
  const { volumes, healthcheck, develop } = whole;
  const items = Array.isArray(volumes) ? volumes : [];
  const own = items.flatMap((item: unknown): string[] => {
    const source = isRaw(item) ? (item.type === 'bind' ? String(item.source ?? '') : '') : String(item).split(':')[0]!;
    return /^\.{1,2}(\/|$)/.test(source) ? [source] : [];
  });
  const hint = 'use configs for small files, or pin it with node.hostname';
  const operators = ['command', 'entrypoint'].flatMap((key) => {
    const said = whole[key];
    const words = typeof said === 'string' ? (splitCommand(said) ?? []) : [];
    const operator =
      words[0] === undefined || /(^|\/)(ba|da|a)?sh$/.test(words[0]) ? undefined : words.find(isOperator);
    return operator === undefined
      ? []
      : [`${service}: no shell reads '${operator}' in ${key}; write [sh, -c, "…"] for one`];
  });
  const template = Object.entries(spec.environment).find(([, value]) => /\{\{\s*\.(Node|Service|Task)\./.test(value));
  return [
    ...operators,
    ...(template === undefined
      ? []
      : [`${service}: ${template[0]}=${template[1]} is not filled in: that is for Swarm`]),
    ...(name === service ? [] : [`${service} is called ${name} here`]),
    ...(develop === undefined ? [] : [`${service}: develop is for docker compose watch; it is ignored`]),
    ...(own.length === 0 || isPinned(spec) || spec.driver === 'process'
      ? []
      : [`${service}: ${own.join(', ')} ${own.length === 1 ? 'is' : 'are'} not copied to other cells: ${hint}`]),
    ...(isRaw(healthcheck) &&
    healthcheck.test === undefined &&
    healthcheck.disable !== true &&
    spec.healthcheck === undefined
      ? [`${service}: the image's own health check is not asked; add healthcheck.test`]
      : []),
  ];
}

/** Of a shell. */
const isOperator = (word: string): boolean => /^(&&|\|\|?|;|[0-9&]?>>?|<|&)$/.test(word) || /^[^;\s]+;$/.test(word);

/** To one cell. */
const isPinned = ({ constraints }: Pick<ServiceSpec | Tie, 'constraints'>): boolean =>
  constraints.some(
    ({ key, op, or }) => (key === 'node.hostname' || key === 'node.id') && op === '==' && or === undefined,
  );

/** Of the networks of Compose files. */
export function ofNetworks(
  parts: readonly Part[],
  chosen: readonly Chosen[],
  services: readonly ServiceSpec[],
): string[] {
  const isNamed = [...parts.map(({ value }) => value), ...chosen.map(({ whole }) => whole)].some(
    (one) => one.networks !== undefined || one.links !== undefined,
  );
  const isApart =
    services.length > 1 && (isNamed || services.some((one) => one.dependsOn !== undefined || names(one, services)));
  const external = parts.flatMap(({ value: { networks } }) =>
    Object.entries(isRaw(networks) ? networks : {}).filter(([, one]) => isRaw(one) && isExternal(one)),
  );
  return [
    ...(isApart ? ['services reach each other by published ports for now, not by name'] : []),
    ...external.map(
      ([name]) => `network ${name} of other files can not be joined yet: reach those services by published ports`,
    ),
  ];
}

const isExternal = ({ external }: Raw): boolean => external !== undefined && external !== false;

/** Of addresses that services ask for: they are not given. Refused where another service counts on one. */
export function ofAddresses(chosen: readonly Chosen[], problems: SpecProblem[]): string[] {
  return chosen.flatMap((one) => {
    const networks = Object.entries(isRaw(one.whole.networks) ? one.whole.networks : {});
    return networks.flatMap(([network, asked]) =>
      ['ipv4_address', 'ipv6_address'].flatMap((key) => {
        const address = isRaw(asked) ? asked[key] : undefined;
        if (address === undefined) return [];
        const user = chosen.find((other) => other !== one && counts(other.whole, String(address)));
        if (user === undefined)
          return [`${one.service}: address ${String(address)} is not given; containers have those of their engine`];
        const path = ['services', one.service, 'networks', network, key];
        const hint = `put the address of the cell there, with a published port, and remove the key`;
        problems.push(
          one.part.source.problem(path, `can't be given yet, and ${user.service} counts on ${String(address)}`, hint),
        );
        return [];
      }),
    );
  });
}

/** Does it name that address elsewhere than as its own? */
function counts({ networks: _, ...rest }: Raw, address: string): boolean {
  const around = address.includes(':') ? '[\\da-f:]' : '[\\d.]';
  const text = address.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`(?<!${around})${text}(?!${around})`, 'i').test(JSON.stringify(rest));
}

/** It says the name of another in a variable, a command or its health check. */
function names(
  { name, environment, command, entrypoint, healthcheck }: ServiceSpec,
  all: readonly ServiceSpec[],
): boolean {
  const said = [
    ...Object.values(environment),
    ...(command ?? []),
    ...(entrypoint ?? []),
    ...(healthcheck?.test ?? []),
  ].join(' ');
  const words = new Set(said.split(/[\s@/,=:]+/));
  return all.some((other) => other.name !== name && words.has(other.name));
}

/** Of volumes: each is on one cell. */
export function ofVolumes(services: readonly ServiceSpec[]): string[] {
  const tied = new Set(ties(services).values());
  const apart = torn(services);
  const inCommon = new Set([...tied, ...apart].flatMap((tie) => tie.services));
  const said = (tie: Tie): string => `${tie.services.join(', ')} share volume ${tie.volumes.join(', ')}`;
  const alone = services.filter(
    (spec) => !inCommon.has(spec.name) && !isPinned(spec) && spec.replicas > 1 && spec.job === undefined,
  );
  return [
    ...[...tied].filter((tie) => !isPinned(tie)).map((tie) => `${said(tie)}: all their replicas are on one cell`),
    ...apart.map((tie) => `${said(tie)}, and are to be on different cells: each cell has its own`),
    ...alone.flatMap((spec) =>
      sharedVolumes(spec).map(
        (volume) => `volume ${volume} is another on each cell: replicas of ${spec.name} do not share it`,
      ),
    ),
  ];
}
