/** Where replicas may be: constraints, spread, how many on one cell, and machines that some of them need. */

import type { Constraint, ServiceSpec } from '../core/spec.ts';
import type { Report } from './context.ts';
import type { Raw } from './extend.ts';
import { isRaw } from './extend.ts';
import type { Path } from './source.ts';
import { parseConstraint } from './values.ts';

export function constraintsOf(placement: Raw, report: Report): Constraint[] {
  const all = Array.isArray(placement.constraints) ? placement.constraints.map(String) : [];
  return all.flatMap((text, i) => {
    // Each cell may become a master, and each runs replicas.
    if (/^\s*node\.role\s*(==|!=)\s*(manager|worker)\s*$/.test(text)) return [];
    const constraint = parseConstraint(text);
    if (constraint === undefined) {
      report(
        ['deploy', 'placement', 'constraints', i],
        `'${text}' is no constraint`,
        'write node.labels.NAME == VALUE; node.hostname, node.id, node.platform.os and node.platform.arch work too; label a cell with osca cell label',
      );
    }
    return constraint === undefined ? [] : [constraint];
  });
}

/** Images of another architecture don't start: a cell that has it is looked for. */
export function platformOf({ platform }: Raw, report: Report): Constraint[] {
  if (platform === undefined || platform === null || platform === '') return [];
  const [os, arch] = String(platform).split('/');
  const known = { amd64: 'amd64', x86_64: 'amd64', arm64: 'arm64', aarch64: 'arm64' }[arch ?? ''];
  if (os !== 'linux' || known === undefined)
    report(['platform'], `no cell is ever '${String(platform)}'`, 'use linux/amd64 or linux/arm64');
  return [{ key: 'node.platform.arch', op: '==', value: known ?? '' }];
}

/** 0 says that there is no limit. */
export function mostPerCell(placement: Raw, report: Report): Pick<ServiceSpec, 'maxPerCell'> {
  const most = Number(placement.max_replicas_per_node ?? 0);
  if (most < 0) report(['deploy', 'placement', 'max_replicas_per_node'], 'must be 0 or more', '0 sets no limit');
  return most > 0 ? { maxPerCell: most } : {};
}

/** `gpus`, or devices that are reserved; -1 for all that a cell has. */
export function gpusOf(service: Raw, reservations: Raw, report: Report): number | undefined {
  const reserved = Array.isArray(reservations.devices) ? reservations.devices : [];
  const path = ['deploy', 'resources', 'reservations', 'devices'];
  const wanted = [
    ...reserved.map((item: unknown, i) => countOf(item, [...path, i], report)),
    ...(Array.isArray(service.gpus) ? service.gpus : service.gpus === undefined ? [] : [service.gpus]).map(
      (item: unknown, i) =>
        countOf(
          isRaw(item) ? { capabilities: ['gpu'], ...item } : { capabilities: ['gpu'], count: item },
          ['gpus', i],
          report,
        ),
    ),
  ];
  if (wanted.length === 0) return undefined;
  return wanted.includes(-1) ? -1 : wanted.reduce((sum, count) => sum + count, 0);
}

function countOf(item: unknown, path: Path, report: Report): number {
  const given = isRaw(item) ? item : {};
  const capabilities = [given.capabilities].flat(2).map(String);
  if (!capabilities.includes('gpu'))
    report(
      path,
      `no cell knows of '${capabilities.join()}'`,
      'only capabilities: [gpu] can be reserved; name other devices under devices:',
    );
  if (Array.isArray(given.device_ids)) return given.device_ids.length;
  const count = given.count === undefined || given.count === 'all' ? -1 : Number(given.count);
  if (!Number.isSafeInteger(count) || count < -1)
    report([...path, 'count'], `'${String(given.count)}' is no count`, 'use a number, or all');
  return count;
}
