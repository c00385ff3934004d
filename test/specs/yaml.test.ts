/** What YAML allows, and what people write that it does not. */
import fc from 'fast-check';
import { dump } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { SpecError } from '../../src/core/errors.ts';
import { Source } from '../../src/specs/source.ts';
import { problems } from './folder.ts';

const value = (text: string): unknown => Source.one('f.yaml', text).value;
const wrong = (text: string) => problems(() => Source.one('f.yaml', text))[0]!;

describe('YAML', () => {
  it('is what its core schema says, a number for a program as it is written', () => {
    expect(
      value('a: 1.10\nb: "1"\nc: yes\nd: true\ne: ~\nf:\ng: 0644\nh: 0x1f\ni: !!str 7\nj: !!int "7"\nk: -.5e1\n'),
    ).toEqual({
      ...{ a: 1.1, b: '1', c: 'yes', d: true, e: null, f: null, g: 644, h: 31, i: '7', j: 7, k: -5 },
    });
    expect(value('environment: {A: 1.10, B: 0644, C: true}')).toEqual({
      environment: { A: '1.10', B: '0644', C: true },
    });
  });

  it('keeps numbers as they are written also where an alias or a merge brings them', () => {
    const text = 'x: &x {A: 1.10}\na: {environment: *x}\nb: {environment: {<<: *x, B: 2.0}}\n';
    expect(value(text)).toEqual({
      x: { A: 1.1 },
      a: { environment: { A: '1.10' } },
      b: { environment: { A: '1.10', B: '2.0' } },
    });
  });

  it('joins what is merged below its own, the first named before the others', () => {
    expect(value('a: &a {k: 1, l: 1}\nb: &b {k: 2, m: 2}\nc: {<<: [*a, *b], l: 3}\n')).toMatchObject({
      c: { k: 1, l: 3, m: 2 },
    });
    expect(value('"<<": 1')).toEqual({ '<<': 1 });
  });

  it('knows where a value stands that was merged, and what a key is in quotes', () => {
    const source = Source.one('f.yaml', '\uFEFFx: &x\n  k: 1\n"a b":\n  <<: *x\n');
    expect(source.at(['a b', 'k'])).toEqual({ line: 2, column: 3 });
    expect(source.at(['a b', 'none'])).toEqual({ line: 3, column: 1 });
    expect(source.has(['a b', 'none'])).toBe(false);
  });

  it('may have brackets that close where their key begins, or further out', () => {
    const text =
      'web:\n  command: [\n    "a",\n  "b"\n  ]\n  labels: {\n  x: y\n}\n  script: |\n    if {\n    }\n  last: [oops\n]\n';
    const source = Source.one('f.yaml', text);
    expect(source.value).toEqual({
      web: { command: ['a', 'b'], labels: { x: 'y' }, script: 'if {\n}\n', last: ['oops'] },
    });
    expect(source.at(['web', 'command', 1])).toEqual({ line: 4, column: 3 });
    expect(source.at(['web', 'labels', 'x'])).toEqual({ line: 7, column: 3 });
    expect(source.at(['web', 'last', 0])).toEqual({ line: 12, column: 10 });
    // A mistake after such a line is told where it stands.
    expect(wrong('a: [\n1\n]\nb: c: d\n')).toMatchObject({ line: 4 });
    expect(wrong('a: [\n1\n]\nb: 1\nb: 2\n')).toMatchObject({ line: 5, column: 1 });
    expect(wrong('a: [\n1\n]\nb: 1\nc: 2\nd: {a: "x" b}\n')).toMatchObject({ line: 6 });
    expect(value(`a: [\n]\n${'b: 1\n'.replace('b', 'c')}${'# x\n'.repeat(200_000)}`)).toEqual({ a: [], c: 1 });
    expect(wrong(`a: {${'\nb,'.repeat(2_000)}}`).message).toBe('deficient indentation');
  });

  it.each([
    ['an alias of nothing', 'a: *b\n', 1, 4, 'no anchor &b'],
    ['an alias in what it names', 'a: &a\n  b: *a\n', 2, 6, 'stands in what it names'],
    ['a tag that nobody knows', 'a:\n  b: !secret c\n', 2, 6, '!secret'],
    ['a tag that does not fit', 'a: !!int many\n', 1, 10, '!!int'],
    ['a merge of a text', 'a:\n  <<: b\n', 2, 3, 'joins mappings'],
    ['two merges', 'a: &a {}\nb:\n  <<: *a\n  <<: *a\n', 4, 3, 'join them'],
    ['a template', 'a: {{ name }}\n', 1, 5, 'needs quotes'],
    ['a key whose colon is missing', 'a: 1\nports\n  - 80\n', 4, 1, "is its ':' missing"],
    ['a bracket that is open', 'a: [1, 2\nb: 3\n', 2, 1, 'not closed'],
    ['two documents', 'a: 1\n---\nb: 1\n', 1, 1, 'cut it'],
  ])('refuses %s', (_what, text, line, column, words) => {
    const problem = wrong(text);
    expect(`${problem.message} ${problem.hint}`).toContain(words);
    expect(problem).toMatchObject({ line, column });
  });

  it('is refused where its aliases explode, within bounded memory', () => {
    let text = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n';
    for (let i = 1; i < 12; i++)
      text += `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]\n`;
    expect(wrong(text).message).toContain('aliases');
    // Also of what is empty.
    let hollow = 'a0: &a0 []\n';
    for (let i = 1; i < 5; i++)
      hollow += `a${i}: &a${i} [${Array(100)
        .fill(`*a${i - 1}`)
        .join(', ')}]\n`;
    expect(wrong(hollow).message).toContain('aliases');
    let deep = 'a0: &a0 [x]\n';
    for (let i = 1; i < 30; i++) deep += `a${i}: &a${i} ${'['.repeat(90)}*a${i - 1}${']'.repeat(90)}\n`;
    expect(wrong(deep).message).toContain('too deep');
    expect(wrong(deep).line).toBeGreaterThan(1);
    expect(value(`a: &a {k: 1}\nb: [${Array(5_000).fill('*a').join(', ')}]`)).toHaveProperty('b');
  });

  it('is what another program wrote, and is never anything but read or refused by place', () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: 'grapheme' }), (json) => void expect(value(json)).toEqual(JSON.parse(json))),
    );
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string({ minLength: 1 }),
          fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.string())),
        ),
        (object) => void expect(value(dump({ x: object }))).toEqual({ x: object }),
      ),
    );
    const piece = fc.constantFrom(
      'a',
      ': ',
      '- ',
      '[',
      ']',
      '{',
      '}',
      '\n',
      '  ',
      '"',
      "'",
      '&a ',
      '*a',
      '<<: ',
      '#',
      '|',
      '!x ',
      '\t',
      ', ',
      '? ',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
        const text = pieces.join('');
        try {
          Source.all('f', text);
        } catch (error) {
          expect(error).toBeInstanceOf(SpecError);
          const [problem] = (error as SpecError).problems;
          expect(problem!.line).toBeLessThanOrEqual(text.split('\n').length);
          expect(problem!.column).toBeGreaterThan(0);
        }
      }),
    );
  });
});
