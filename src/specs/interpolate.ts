/**
 * ${VARIABLES} as the Compose Specification has them: $NAME, ${NAME}, :- and - for a default, :? and ? for a demand, :+ and
 * + for a replacement, $$ for a dollar, which any other $ is too. Braces nest. Only values are interpolated, never keys.
 */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Interpolated {
  text: string;
  /** Names that were not set and had no default. */
  unset: string[];
}

/** A demand of the file, `${NAME:?why}`, that whoever deploys has not met. */
export class UnmetDemand extends Error {}

const deepest = 100;

/** Throws UnmetDemand, or an Error whose message says what is wrong with the text. */
export function interpolate(text: string, env: Environment): Interpolated {
  const unset: string[] = [];
  const expand = (source: string, depth = 0): string => {
    if (depth > deepest) throw new Error(`variables in variables nest deeper than ${deepest}`);
    let out = '';
    for (let i = 0; i < source.length; ) {
      const dollar = source.indexOf('$', i);
      if (dollar < 0) return out + source.slice(i);
      out += source.slice(i, dollar);
      const next = source[dollar + 1];
      if (next === '$') {
        out += '$';
        i = dollar + 2;
      } else if (next === '{') {
        const end = closing(source, dollar + 1);
        out += substitute(source.slice(dollar + 2, end), depth + 1);
        i = end + 1;
      } else {
        const name = /^[A-Za-z_]\w*/.exec(source.slice(dollar + 1))?.[0];
        // As `docker compose`: of $(date), $1 or $2y$05$ it is a dollar.
        out += name === undefined ? '$' : lookup(name);
        i = dollar + 1 + (name ?? '').length;
      }
    }
    return out;
  };
  const known = (name: string): string | undefined => (Object.hasOwn(env, name) ? env[name] : undefined);
  const lookup = (name: string): string => {
    const value = known(name);
    if (value === undefined) unset.push(name);
    return value ?? '';
  };
  const substitute = (inner: string, depth: number): string => {
    const match = /^([A-Za-z_]\w*)(?:(:?[-?+])([\s\S]*))?$/.exec(inner);
    if (match === null) throw new Error(`'\${${inner}}' is no variable; write \${NAME}, or $$ for a dollar`);
    const [, name, operator, word] = match as unknown as [string, string, string | undefined, string];
    if (operator === undefined) return lookup(name);
    const value = known(name);
    const present = value !== undefined && (operator.length === 1 || value !== '');
    if (operator.endsWith('+')) return present ? expand(word, depth) : '';
    if (present) return value;
    if (operator.endsWith('-')) return expand(word, depth);
    throw new UnmetDemand(`variable ${name} must be set${word === '' ? '' : `: ${expand(word, depth)}`}`);
  };
  return { text: expand(text), unset };
}

function closing(source: string, open: number): number {
  let depth = 0;
  for (let i = open; i < source.length; i++) {
    if (source[i] === '{' && source[i - 1] === '$') depth++;
    else if (source[i] === '}' && --depth === 0) return i;
  }
  throw new Error("'${' is not closed; write } after its name, or $$ for a dollar");
}
