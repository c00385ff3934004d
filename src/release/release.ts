/** A release: which version all cells are to run, what its packages are, and who says so. */
import type { Sealer, Signer } from '../core/frames.ts';
import { canonical, compare, contentHash } from '../core/hash.ts';
import type { PackageSum, Release } from '../core/model.ts';

interface Named {
  version: string;
  packages: Readonly<Record<string, PackageSum>>;
  wellMs: number;
  atMs: number;
}

const textOf = (appliance: string, { version, packages, wellMs, atMs, by }: Named & { by: string }): string =>
  canonical({ appliance, version, packages, wellMs, atMs, by });

export function signRelease(signer: Signer, appliance: string, { version, packages, wellMs, atMs }: Named): Release {
  const whole = { version, packages, wellMs, atMs, by: signer.id };
  const text = textOf(appliance, whole);
  return { id: contentHash(text), ...whole, sig: signer.sign(text) };
}

/** Did the member that it names sign just this, for this appliance? Whether that is a member is another question. */
export function isSigned(sealer: Sealer, appliance: string, release: Release): boolean {
  const text = textOf(appliance, release);
  return release.id === contentHash(text) && sealer.verify(release.by, text, release.sig);
}

export const versionShape = /^[0-9][0-9A-Za-z.+~-]{0,40}$/;

/** Digits by their value, a tilde before the end, all else by letter (Debian Policy, section 5.6.12, without epochs). */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const [one = '', two = ''] = [left[i], right[i]];
    const order = /^\d/.test(one) && /^\d/.test(two) ? Number(one) - Number(two) : compare(rankOf(one), rankOf(two));
    if (order !== 0) return order;
  }
  return 0;
}

const partsOf = (version: string): string[] => version.match(/\d+|~|[^\d~]+/g) ?? [];
/** The end stands after a tilde and before everything else. */
const rankOf = (part: string): string => (part === '~' ? '' : `1${part}`);
