/** The name of an engine that starts when it is asked, goes away, or hangs. */
import { beforeEach, describe, expect, it } from 'vitest';
import { EngineName } from '../../src/node/engine.ts';

let nowMs: number;
let kept: string;
let answer: (name: string) => void;
let asked: number;

/** An engine that says nothing until `answer` is called; each wait of the asker takes a second. */
const start = (): EngineName =>
  new EngineName({
    ask: () => {
      asked += 1;
      return new Promise((done) => (answer = done));
    },
    kept: () => kept,
    keep: (name) => (kept = name),
    nowMs: () => nowMs,
    pause: async (ms) => {
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
      nowMs += ms;
    },
  });

const answered = async (engine: EngineName, name: string): Promise<string> => {
  const seen = engine.now();
  answer(name);
  return await seen;
};

beforeEach(() => {
  [nowMs, kept, asked] = [1_000, '', 0];
});

describe('the name of an engine', () => {
  it('is what it says', async () => {
    expect(await answered(start(), 'Docker 26.1.5')).toBe('Docker 26.1.5');
    expect(kept).toBe('Docker 26.1.5');
  });

  it('is none at once where none is there', async () => {
    kept = 'Docker 26.1.5';
    expect(await answered(start(), '')).toBe('');
  });

  it('is none where it never said one, and is not waited for', async () => {
    const engine = start();
    expect(await engine.now()).toBe('');
    expect(engine.isSilent).toBe(true);
    expect(nowMs).toBe(2_000);
  });

  it('is what it was while it starts, for two minutes', async () => {
    kept = 'Docker 26.1.5';
    const engine = start();
    for (let i = 0; i < 119; i += 1) expect(await engine.now()).toBe('Docker 26.1.5');
    expect(await engine.now()).toBe('');
    expect(asked).toBe(1);
    expect(await answered(engine, 'Docker 29.0.0')).toBe('Docker 29.0.0');
    expect(kept).toBe('Docker 29.0.0');
  });

  it('is what it was for 15 s where it hangs later on', async () => {
    const engine = start();
    await answered(engine, 'Docker 26.1.5');
    nowMs += 600_000;
    await answered(engine, 'Docker 26.1.5');
    const heardMs = nowMs;
    while (nowMs < heardMs + 12_000) expect(await engine.now()).toBe('Docker 26.1.5');
    nowMs = heardMs + 15_000;
    expect(await engine.now()).toBe('');
  });

  it('does not come back where it stays silent', async () => {
    kept = 'Docker 26.1.5';
    const engine = start();
    const seen: string[] = [];
    for (let i = 0; i < 600; i += 1) {
      if (i % 130 === 129) answer('');
      seen.push(await engine.now());
    }
    expect(seen.slice(0, 100)).not.toContain('');
    expect(seen.slice(140).filter((name) => name !== '')).toEqual([]);
  });

  it('is not kept by a daemon that has stopped', async () => {
    const engine = start();
    engine.stop();
    await answered(engine, 'Docker 26.1.5');
    expect(kept).toBe('');
  });
});
