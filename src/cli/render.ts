/** How things look on a terminal: tables, times, sizes, colours where there is one. */
const colourful = process.stdout.isTTY && process.env.NO_COLOR === undefined;
const paint = (code: number) => (text: string) => (colourful ? `\u001b[${code}m${text}\u001b[0m` : text);
export const [red, green, yellow, dim, bold] = [paint(31), paint(32), paint(33), paint(2), paint(1)] as const;

// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what colours are made of
const width = (text: string): number => text.replace(/\u001b\[\d+m/g, '').length;
const pad = (text: string, to: number): string => text + ' '.repeat(Math.max(0, to - width(text)));

/** Columns as wide as they must be; the last is free. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heads.map(dim), ...rows];
  const widths = heads.map((_, i) => Math.max(...all.map((row) => width(row[i] ?? ''))));
  return all
    .map((row) =>
      row
        .map((text, i) => (i === heads.length - 1 ? text : pad(text, widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function stateColour(state: string): string {
  if (['ready', 'alive', 'running', 'valid'].includes(state)) return green(state);
  if (['starting', 'pulling', 'suspect', 'stopping', 'left'].includes(state)) return yellow(state);
  return ['down', 'backoff', 'exited', 'pending', 'degraded', 'revoked', 'expired'].includes(state)
    ? red(state)
    : state;
}

export function bytes(count: number): string {
  for (const [unit, size] of [
    ['GB', 2 ** 30],
    ['MB', 2 ** 20],
    ['KB', 2 ** 10],
  ] as const) {
    if (count >= size) return `${(count / size).toFixed(count >= size * 10 ? 0 : 1)} ${unit}`;
  }
  return `${count} B`;
}

export function ago(atMs: number, nowMs = Date.now()): string {
  return `${span(nowMs - atMs)} ago`;
}

export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

/** Lines that are drawn anew in place on a terminal, and only as news elsewhere. */
export class LiveBlock {
  #drawn = 0;
  #last = '';

  draw(lines: readonly string[]): void {
    const text = lines.join('\n');
    if (text === this.#last) return;
    this.#last = text;
    if (!process.stdout.isTTY) return;
    if (this.#drawn > 0) process.stdout.write(`\u001b[${this.#drawn}A\u001b[J`);
    process.stdout.write(`${text}\n`);
    this.#drawn = lines.length;
  }
}

export const say = (text: string): void => void process.stdout.write(`${text}\n`);
export const warn = (text: string): void => void process.stderr.write(`${text}\n`);
export const json = (value: unknown): void => say(JSON.stringify(value, null, 2));
