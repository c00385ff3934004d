import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { specPage } from '../../scripts/spec-page.ts';
import { composeKeys } from '../../src/specs/compose-keys.ts';

describe('the key table', () => {
  it('has every path once, each below one that is there', () => {
    const paths = composeKeys.map(({ path }) => path);
    expect(new Set(paths).size).toBe(paths.length);
    for (const path of paths.filter((one) => one !== '')) {
      const parent = path.endsWith('[]')
        ? path.slice(0, -2)
        : path.includes('.')
          ? path.slice(0, path.lastIndexOf('.'))
          : '';
      expect(paths).toContain(parent);
    }
  });

  it('says for each refused key what to do instead', () => {
    for (const { path, class: kind, note } of composeKeys)
      if (kind === 'refused') expect(note, path).toMatch(/remove|use|write|run|put|build|mount|name/);
  });

  it('is what docs/SPEC.md shows', () => {
    expect(readFileSync(new URL('../../docs/SPEC.md', import.meta.url), 'utf8')).toBe(specPage());
  });
});
