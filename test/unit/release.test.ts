/** Releases: what is signed, which version is newer. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Release } from '../../src/core/model.ts';
import { compareVersions, isSigned, signRelease, versionShape } from '../../src/release/release.ts';
import { simSealer } from '../sim/host.ts';

const packages = { amd64: { sha256: 'a'.repeat(64), bytes: 5 }, arm64: { sha256: 'b'.repeat(64), bytes: 6 } };
const ann = simSealer('ann');
const release = signRelease(ann, 'shop', { version: '1.1.0', packages, wellMs: 5, atMs: 1_000 });

describe('a release', () => {
  it('is what its signer signed, for this appliance', () => {
    expect(isSigned(ann, 'shop', release)).toBe(true);
    expect(isSigned(ann, 'school', release)).toBe(false);
    const bent: Partial<Release>[] = [
      { version: '1.1.1' },
      { packages: { ...packages, amd64: { sha256: 'c'.repeat(64), bytes: 5 } } },
      { packages: { amd64: packages.amd64 } },
      { atMs: 1_001 },
      { wellMs: 0 },
      { by: 'ben' },
      { id: 'another' },
      { sig: ann.sign('something else') },
    ];
    for (const change of bent)
      expect(isSigned(ann, 'shop', { ...release, ...change }), JSON.stringify(change)).toBe(false);
    // How it ended is written by others.
    expect(isSigned(ann, 'shop', { ...release, outcome: { state: 'done', reason: '', atMs: 2 } })).toBe(true);
  });

  it('is newer as Debian says', () => {
    const order = ['0.9', '1.0~rc1', '1.0', '1.0a', '1.0+1', '1.0.1', '1.0.9', '1.0.10', '1.1a', '2'];
    for (let i = 1; i < order.length; i++) {
      const [older, newer] = [order[i - 1]!, order[i]!];
      expect(compareVersions(older, newer), `${older} < ${newer}`).toBeLessThan(0);
      expect(compareVersions(newer, older)).toBeGreaterThan(0);
    }
  });

  it('has versions in one order', () => {
    const version = fc.stringMatching(versionShape);
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a))).toBe(0);
        expect(compareVersions(a, a)).toBe(0);
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });
});
