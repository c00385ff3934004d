/** What a file says that is not wrong, and still may not do what its author thinks. */
import { sharedVolumes } from '../core/service.ts';
import type { ServiceSpec } from '../core/spec.ts';
import type { Tie } from '../core/ties.ts';
import { ties, torn } from '../core/ties.ts';
import type { Raw } from './extend.ts';
import { isRaw } from './extend.ts';
import type { Chosen, Part } from './project.ts';

/** Of one service of a Compose file. */
export function ofService({ service, name, whole }: Chosen, spec: ServiceSpec): string[] {
  const { volumes, healthcheck, develop } = whole;
  const items = Array.isArray(volumes) ? volumes : [];
  const own = items.flatMap((item: unknown): string[] => {
    const source = isRaw(item) ? (item.type === 'bind' ? String(item.source ?? '') : '') : String(item).split(':')[0]!;
    return /^\.{1,2}(\/|$)/.test(source) ? [source] : [];
  });
  const hint = 'use configs for small files, or pin it with node.hostname';
  return [
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
  const isApart = services.length > 1 && (isNamed || services.some((one) => names(one, services)));
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
