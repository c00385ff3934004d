/**
 * A client that asks replicas by turns, so often a second, each time over a new connection. Run in the network of a host, as
 * `node client.ts RATE`: reads lines of JSON, each the list of 'ADDRESS:PORT' from then on; when its input ends, it prints what it saw.
 */
import { request } from 'node:http';
import { createInterface } from 'node:readline';

export interface Seen {
  requests: number;
  failed: number;
  /** Why, and how often. */
  reasons: Record<string, number>;
  medianMs: number;
  p99Ms: number;
  /** The longest time in which no request was answered well. */
  gapMs: number;
}

const rate = Number(process.argv[2]);
const patienceMs = 5_000;
const took: number[] = [];
const reasons: Record<string, number> = {};
let targets: string[] = [];
let [turn, asked, answered, lastMs, gapMs] = [0, 0, 0, 0, 0];

function ended(reason: string | undefined, startMs: number): void {
  answered++;
  const now = performance.now();
  if (reason !== undefined) {
    reasons[reason] = (reasons[reason] ?? 0) + 1;
    return;
  }
  took.push(now - startMs);
  if (lastMs > 0) gapMs = Math.max(gapMs, now - lastMs);
  lastMs = now;
}

function ask(): void {
  if (targets.length === 0) return;
  asked++;
  const [host, port] = targets[turn++ % targets.length]!.split(':');
  const startMs = performance.now();
  let isOver = false;
  const over = (reason?: string): void => {
    if (!isOver) ended(reason, startMs);
    isOver = true;
  };
  const signal = AbortSignal.timeout(patienceMs);
  const one = request({ host, port, agent: false, signal }, (answer) => {
    answer.resume();
    answer.once('end', () => over(answer.statusCode === 200 ? undefined : `status ${answer.statusCode}`));
    answer.once('error', (error) => over(error.message));
  });
  one.once('error', (error: NodeJS.ErrnoException) => over(error.code ?? error.message));
  one.end();
}

const startMs = performance.now();
let sent = 0;
const timer = setInterval(() => {
  // What a busy machine was late with is made up for.
  for (const due = Math.floor(((performance.now() - startMs) * rate) / 1_000); sent < due; sent++) ask();
}, 5);

for await (const line of createInterface({ input: process.stdin })) targets = JSON.parse(line) as string[];
clearInterval(timer);
while (answered < asked) await new Promise((done) => setTimeout(done, 50));
took.sort((a, b) => a - b);
const at = (part: number): number => Math.round((took[Math.floor(took.length * part)] ?? 0) * 10) / 10;
const failed = Object.values(reasons).reduce((sum, count) => sum + count, 0);
const seen: Seen = { requests: asked, failed, reasons, medianMs: at(0.5), p99Ms: at(0.99), gapMs: Math.round(gapMs) };
console.log(JSON.stringify(seen));
