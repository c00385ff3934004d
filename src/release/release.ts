/** A release: which version all cells are to run, what its packages are, and who says so. */
import type { Sealer, Signer } from '../core/frames.ts';
import { canonical, contentHash } from '../core/hash.ts';
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

/** As Debian orders them (Policy, section 5.6.12; epochs and revisions are none of ours). */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const [one = '', two = ''] = [left[i], right[i]];
    const order = i % 2 === 0 ? compareWords(one, two) : Number(one) - Number(two);
    if (order !== 0) return order;
  }
  return 0;
}

/** What is no digit, digits, and so on, in turn. */
const partsOf = (version: string): string[] =>
  [...version.matchAll(/(\D*)(\d*)/g)].flatMap(([, word = '', number = '']) => [word, number]);

function compareWords(a: string, b: string): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const order = rankOf(a[i]) - rankOf(b[i]);
    if (order !== 0) return order;
  }
  return 0;
}

/** A tilde, the end, letters, all else. */
function rankOf(letter: string | undefined): number {
  if (letter === '~') return -1;
  if (letter === undefined) return 0;
  return /[A-Za-z]/.test(letter) ? letter.charCodeAt(0) : letter.charCodeAt(0) + 256;
}
