/** A client asks the replicas of an app all along, whoever they are, while something is changed. */
import { spawn } from 'node:child_process';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Seen } from '../../bench/client.ts';
import type { ReplicaRow } from '../../src/api/rows.ts';
import { until } from '../until.ts';
import type { LabHost } from './host.ts';
import { root } from './host.ts';
import type { Lab } from './lab.ts';

const perSecond = 200;

export interface Asked {
  ms: number;
  seen: Seen;
}

/** Runs `change` while the client asks whoever of `replicas` `follow` says is ready, and for a while before and after. */
export async function under(
  host: LabHost,
  follow: (tell: (targets: string[]) => void) => () => void,
  { replicas, calmMs }: { replicas: number; calmMs: number },
  change: () => Promise<void>,
): Promise<Asked> {
  const node = join(root, 'node_modules/.bin/node');
  const args = [`--net=/run/netns/${host.space}`, node, join(root, 'bench/client.ts'), String(perSecond)];
  const client = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let known = '';
  const end = follow((targets) => {
    const text = JSON.stringify(targets.sort());
    if (text !== known) client.stdin.write(`${text}\n`);
    known = text;
  });
  const told = (async (): Promise<Seen> => {
    for await (const text of createInterface({ input: client.stdout })) return JSON.parse(text) as Seen;
    throw new Error('the client said nothing');
  })();
  await until('it knows all', () => (JSON.parse(known || '[]') as string[]).length === replicas, 30_000);
  await new Promise((done) => setTimeout(done, calmMs));
  const startMs = performance.now();
  await change();
  const ms = Math.round(performance.now() - startMs);
  await new Promise((done) => setTimeout(done, calmMs));
  client.stdin.end();
  const seen = await told;
  end();
  return { ms, seen };
}

export const addressOf = (lab: Lab, cell: string): string => lab.hosts.find(({ name }) => name === cell)!.address;

/** From the stream of one daemon. */
export const followOsca = (lab: Lab, app: string) => (tell: (targets: string[]) => void) => {
  const asked = request({ socketPath: join(lab.host(1).dataDir, 'osca.sock'), path: '/v1/watch' }, (answer) => {
    createInterface({ input: answer.on('error', () => {}) })
      .on('error', () => {})
      .on('line', (text) => {
        if (!text.startsWith('data: ')) return;
        const { replicas: rows } = JSON.parse(text.slice(6)) as { replicas: ReplicaRow[] };
        const ready = rows.filter(({ app: one, state, ports }) => one === app && state === 'ready' && ports.length > 0);
        tell(ready.map(({ cell, ports }) => `${addressOf(lab, cell)}:${ports[0]}`));
      });
  });
  asked.on('error', () => {});
  asked.end();
  return () => void asked.destroy();
};
