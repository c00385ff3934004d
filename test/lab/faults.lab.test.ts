/** Hosts cut and healed at random while deploys go on; then everything must come right. OSCA_SEED=name draws other deeds. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { until } from '../until.ts';
import type { LabHost } from './host.ts';
import { Lab } from './lab.ts';

let lab: Lab;
const seed = process.env.OSCA_SEED ?? 'lab-77693';
const random = new Random(seed);

beforeAll(async () => {
  lab = await Lab.up(3);
  await Promise.all(lab.hosts.map((host) => host.startDocker()));
});
afterAll(() => lab.down());

function spec(host: LabHost, turn: number): string {
  const folder = join(host.folder, 'work');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${turn}.yaml`);
  const app = `app${random.below(2)}`;
  const line = 'trap "exit 0" TERM; while :; do sleep 0.2; done';
  writeFileSync(
    path,
    `name: ${app}\nservices:\n  web:\n    image: busybox:lab\n    command: [sh, -c, '${line} # ${random.below(3)}']\n    deploy: { replicas: ${random.between(1, 4)} }\n`,
  );
  return path;
}

it(`comes right after random faults, seed ${seed}`, async () => {
  const [first, ...others] = lab.hosts as [LabHost, ...LabHost[]];
  await first.up('--found', '--name', 'h1');
  const { ticket } = await first.json<{ ticket: string }>('ticket', 'create', '--uses', '5');
  for (const host of others) await host.up('--ticket', ticket, '--name', host.name);
  await until('together', async () =>
    (await Promise.all(lab.hosts.map((host) => host.alive()))).every((names) => names.length === 3),
  );
  const cut = new Set<LabHost>();
  for (let turn = 0; turn < 14; turn++) {
    const host = random.pick(lab.hosts)!;
    const deed = random.below(5);
    if (deed <= 1) await host.osca('deploy', '--detach', spec(host, turn));
    else if (deed === 2 && cut.size === 0) {
      host.cut();
      cut.add(host);
    } else if (deed === 3) {
      host.crashDaemon();
      await host.up('--name', host.name);
    } else {
      for (const one of cut) one.uncut();
      cut.clear();
      lab.loss(random.below(20));
    }
    await new Promise((done) => setTimeout(done, random.between(200, 2_500)));
  }
  for (const one of cut) one.uncut();
  lab.loss(0);
  await first.ok('deploy', '--detach', spec(first, 99));
  await until(
    'all alive in all views',
    async () => (await Promise.all(lab.hosts.map((host) => host.alive()))).every((names) => names.length === 3),
    60_000,
  );
  await until(
    'one document',
    async () =>
      new Set(
        await Promise.all(
          lab.hosts.map(async (host) =>
            JSON.stringify(
              (await host.json<{ app: string; revision: string }[]>('ls')).map(({ app, revision }) => [app, revision]),
            ),
          ),
        ),
      ).size === 1,
    30_000,
  );
  const placed = await until(
    'every replica ready, once',
    async () => {
      const rows = await first.replicas();
      const containers = (await Promise.all(lab.hosts.map((host) => host.containers()))).flat();
      return (
        rows.length > 0 &&
        rows.every(({ state, current }) => state === 'ready' && current) &&
        containers.length === rows.length &&
        rows
      );
    },
    90_000,
  );
  expect(new Set(placed.map(({ replica }) => replica)).size).toBe(placed.length);
});
