/** Keys that say in an older way what stands under deploy. */
import type { Raw } from './extend.ts';
import { isRaw } from './extend.ts';
import type { Path } from './source.ts';
import { parseBytes } from './values.ts';

const places: Record<string, readonly string[]> = {
  scale: ['replicas'],
  cpus: ['resources', 'limits', 'cpus'],
  mem_limit: ['resources', 'limits', 'memory'],
  pids_limit: ['resources', 'limits', 'pids'],
  mem_reservation: ['resources', 'reservations', 'memory'],
};

/** `deploy` with what the older keys say; one that stands in both places must say the same. */
export function deployOf(service: Raw, report: (path: Path, message: string, hint: string) => void): Raw {
  let deploy: Raw = isRaw(service.deploy) ? service.deploy : {};
  for (const [key, place] of Object.entries(places)) {
    const value = service[key];
    // A limit of 0 or -1 is none.
    if (value === undefined || value === null || (key !== 'scale' && Number(value) <= 0)) continue;
    const there = place.reduce<unknown>((at, step) => (isRaw(at) ? at[step] : undefined), deploy);
    if (there !== undefined && numberOf(key, there) !== numberOf(key, value))
      report([key], `is not what deploy.${place.join('.')} says`, 'remove one of the two');
    deploy = withValue(deploy, place, value);
  }
  return deploy;
}

const numberOf = (key: string, value: unknown): number | undefined =>
  key.startsWith('mem_') ? parseBytes(value as string | number) : Number(value);

function withValue(at: Raw, [step, ...rest]: readonly string[], value: unknown): Raw {
  const inner = at[step!];
  return { ...at, [step!]: rest.length === 0 ? value : withValue(isRaw(inner) ? inner : {}, rest, value) };
}
