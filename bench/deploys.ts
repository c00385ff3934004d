/**
 * A hundred deploys a second for a minute, by turns on three daemons of this machine: is each that was acknowledged in the history of its
 * app, how long until all three agree, and what memory is left of it.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AppState } from '../src/core/model.ts';
import { gather, TestCell } from '../test/e2e/cells.ts';
import { until } from '../test/until.ts';
import { residentMb } from './measure.ts';

const perSecond = 100;
const seconds = 60;
const apps = 30;
/** As a client library would: a listen queue holds 500. */
const agent = new Agent({ keepAlive: true, maxSockets: 50 });

async function ask(cell: TestCell, method: string, path: string, body?: object): Promise<string> {
  return await new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const asked = request({ socketPath: join(cell.folder, 'osca.sock'), method, path, headers, agent }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
      answer.once('end', () => resolve(text));
    });
    asked.once('error', reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

interface View {
  apps: AppState[];
}
const viewOf = async (cell: TestCell): Promise<View> => JSON.parse(await ask(cell, 'GET', '/v1/view')) as View;

export async function benchDeploys(tell: (text: string) => void): Promise<object> {
  const cells = [new TestCell('ann'), new TestCell('ben'), new TestCell('cam')] as const;
  const folder = mkdtempSync(join(tmpdir(), 'osca-deploys-'));
  const file = join(folder, 'app.yaml');
  writeFileSync(
    file,
    'services:\n  web:\n    command: sleep 1\n    environment: {N: "${N}"}\n    deploy: {replicas: 0}\n    x-osca: {driver: process}\n',
  );
  const memory = async (): Promise<number[]> => {
    const pids = await Promise.all(cells.map(async (cell) => (await cell.json<{ pid: number }>('status')).pid));
    return pids.map(residentMb);
  };
  try {
    await gather(...cells);
    // Warm: what is loaded with the first deploy is not what deploys leave behind.
    for (let i = 0; i < 300; i++)
      await ask(cells[i % 3]!, 'POST', '/v1/deploy', {
        file,
        name: `app-${i % apps}`,
        env: { N: `warm-${i}` },
        detach: true,
      });
    await new Promise((done) => setTimeout(done, 20_000));
    const before = await memory();
    let [acknowledged, refused] = [0, 0];
    const last = new Map<string, Set<string>>();
    const waiting: Promise<void>[] = [];
    const startMs = performance.now();
    for (let i = 0; i < perSecond * seconds; i++) {
      const dueMs = startMs + (i * 1_000) / perSecond;
      const early = dueMs - performance.now();
      if (early > 1) await new Promise((done) => setTimeout(done, early));
      const name = `app-${i % apps}`;
      waiting.push(
        ask(cells[i % 3]!, 'POST', '/v1/deploy', { file, name, env: { N: String(i) }, detach: true }).then((text) => {
          const accepted = /"type":"accepted".*?"revision":"(\w+)"/.exec(text)?.[1];
          if (accepted === undefined) refused++;
          else {
            acknowledged++;
            if (i >= perSecond * seconds - apps) last.set(name, (last.get(name) ?? new Set()).add(accepted));
          }
        }),
      );
    }
    await Promise.all(waiting);
    const tookMs = performance.now() - startMs;
    const endMs = performance.now();
    await until(
      'all agree',
      async () => new Set((await Promise.all(cells.map(viewOf))).map((view) => JSON.stringify(view.apps))).size === 1,
      60_000,
    );
    const settledMs = Math.round(performance.now() - endMs);
    const { apps: states } = await viewOf(cells[0]);
    const lost = [...last].filter(([name, ids]) => {
      const history = states.find((app) => app.name === name)?.history ?? [];
      return ![...ids].every((id) => history.some((one) => one.id === id));
    }).length;
    tell(`  ${acknowledged} in ${Math.round(tookMs / 1_000)} s, ${refused} refused, settled in ${settledMs} ms`);
    // Gossipsub remembers whom it heard a message from for two minutes.
    await new Promise((done) => setTimeout(done, 150_000));
    const after = await memory();
    const growth = Math.round(Math.max(...after.map((mb, i) => (mb / before[i]! - 1) * 100)));
    return {
      what: `${perSecond} deploys a second for ${seconds} s on three daemons of one machine, ${apps} apps; memory 150 s later`,
      ...{ acknowledged, refused, lost, settledMs, rate: Math.round((acknowledged / tookMs) * 1_000) },
      ...{ memoryMb: { before, after }, growthPercent: growth },
      target: { lost: 0, settledMs: 5_000, growthPercent: 10, rate: perSecond },
      met: refused === 0 && lost === 0 && settledMs <= 5_000 && growth <= 10,
    };
  } finally {
    for (const cell of cells) await cell.stop();
  }
}
