/** The small notations of Compose: durations, sizes, command lines, ports. Each answers undefined for what is none. */
import type { Constraint, Port } from '../core/spec.ts';

const durationUnits: Record<string, number> = { us: 0.001, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** '1m30s', '500ms', '2h': milliseconds. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(us|ms|s|m|h))+$/.test(text)) return text === '0' ? 0 : undefined;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(us|ms|s|m|h)/g))
    ms += Number(amount) * durationUnits[unit!]!;
  return ms;
}

/** '64m', '1.5gb', '2Gi', '512': bytes. */
export function parseBytes(value: string | number): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?$/i.exec(String(value).trim());
  if (match === null) return undefined;
  const power = ['', 'k', 'm', 'g', 't'].indexOf(match[2]!.toLowerCase());
  return Math.round(Number(match[1]) * 1_024 ** power);
}

/** Cores as thousandths; undefined for what is no positive number. */
export function parseCpus(value: string | number): number | undefined {
  const cores = Number(value);
  return Number.isFinite(cores) && cores > 0 ? Math.round(cores * 1_000) : undefined;
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t' };

/**
 * Splits a line as `docker compose` does (go-shellwords): quotes, and backslashes before any letter but between single quotes; no expansion.
 * Undefined where a quote is not closed.
 */
export function splitCommand(line: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let i = 0; i < line.length; i++) {
    const c = line[i]!;
    if (c === '\\' && quote !== "'") {
      const next = line[++i] ?? '';
      word = (word ?? '') + (escapes[next] ?? next);
    } else if (quote !== '') {
      if (c === quote) quote = '';
      else word += c;
    } else if (c === '"' || c === "'") {
      quote = c;
      word ??= '';
    } else if (/\s/.test(c)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + c;
  }
  if (word !== undefined) words.push(word);
  return quote === '' ? words : undefined;
}

/** '80' or '8000-8010', of ports; undefined where it is neither. */
export function parseRange(text: string): [number, number] | undefined {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const low = Number(match[1]);
  const high = Number(match[2] ?? match[1]);
  return low >= 1 && low <= high && high <= 65_535 ? [low, high] : undefined;
}

/** '8080', '80:8080', '127.0.0.1:80:8080/udp', '3000-3002:3000-3002', '[::1]:80:80'; of '8000-8010:80' the first. */
export function parsePorts(text: string): Port[] | undefined {
  // An empty address is any.
  const said = text.replace(/^:(?=\d*:)/, '');
  const match = /^(?:(\[[^\]]+\]|\d+\.\d+\.\d+\.\d+):)?(?:(\d+(?:-\d+)?)?:)?(\d+(?:-\d+)?)(?:\/(tcp|udp))?$/i.exec(
    said,
  );
  if (match === null) return undefined;
  const [, ip, published, target, protocol] = match;
  const targets = parseRange(target!);
  const outs = published === undefined ? undefined : parseRange(published);
  if (targets === undefined || (published !== undefined && outs === undefined)) return undefined;
  const isChoice = targets[0] === targets[1];
  if (outs !== undefined && !isChoice && outs[1] - outs[0] !== targets[1] - targets[0]) return undefined;
  return Array.from({ length: targets[1] - targets[0] + 1 }, (_, i) => ({
    target: targets[0] + i,
    ...(outs === undefined ? {} : { published: outs[0] + i }),
    protocol: protocol?.toLowerCase() === 'udp' ? 'udp' : 'tcp',
    ...(ip === undefined ? {} : { hostIp: ip.replace(/^\[|\]$/g, '') }),
  }));
}

export function parseConstraint(text: string): Constraint | undefined {
  const match = /^\s*(node\.(?:id|hostname|platform\.os|platform\.arch|labels\.[\w.-]+))\s*(==|!=)\s*(\S.*?)\s*$/.exec(
    text,
  );
  return match === null ? undefined : { key: match[1]!, op: match[2] as Constraint['op'], value: match[3]! };
}

/** The name that people probably meant. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  const ranked = names
    .map((name) => ({ name, distance: editDistance(word, name) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(1, Math.floor(word.length / 3)) ? best.name : undefined;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Modes that people mean, as numbers: what YAML makes of 0o644, and what a cluster gives out. */
const decimalModes = new Set([
  256, 288, 292, 320, 360, 365, 384, 416, 420, 432, 436, 438, 448, 488, 493, 504, 509, 511, 1_023,
]);

/** Of a file: '0440', or 0440, which YAML 1.2 reads as 440. NaN for what is none. */
export function fileMode(value: string | number): number {
  const text = String(value);
  if (typeof value === 'number' && decimalModes.has(value)) return value;
  if (/^0?[0-7]{1,4}$/.test(text)) return Number.parseInt(text, 8);
  return /^0o[0-7]{1,4}$/.test(text) ? Number(text) : Number.NaN;
}
