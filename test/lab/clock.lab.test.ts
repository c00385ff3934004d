/** A board without a battery, or a time server that is wrong: the clock of one cell is set back an hour, then forward a year. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RevisionRow } from '../../src/api/rows.ts';
import { until } from '../until.ts';
import type { LabHost } from './host.ts';
import { Lab } from './lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.up(3);
  await Promise.all(lab.hosts.map((host) => host.startDocker()));
});
afterAll(() => lab.down());

function spec(host: LabHost, mark: string): string {
  const path = join(host.folder, 'clock.yaml');
  const image = `image: busybox:lab\n    command: sleep 86400\n    stop_signal: SIGKILL\n    environment: { MARK: '${mark}' }`;
  const web = `  web:\n    ${image}\n    deploy: { replicas: 3, update_config: { parallelism: 3, monitor: 1s } }\n`;
  const one = `  one:\n    ${image}\n    x-osca: { singleton: strict }\n    deploy: { update_config: { monitor: 1s } }\n`;
  writeFileSync(path, `name: app\nservices:\n${web}${one}`);
  return path;
}

const running = async (): Promise<string> =>
  (await Promise.all(lab.hosts.map(async ({ docker }) => (await docker.listContainers()).map(({ Id }) => Id))))
    .flat()
    .sort()
    .join();
const revisions = async (host: LabHost): Promise<RevisionRow[]> => await host.json('history', 'app');

const four = async (): Promise<boolean> => (await running()).split(',').length === 4;

/** For five seconds: everybody sees everybody, and what runs is what ran. */
async function calm(): Promise<void> {
  const before = await running();
  const endMs = performance.now() + 5_000;
  while (performance.now() < endMs) {
    for (const host of lab.hosts) expect(await host.alive()).toEqual(['h1', 'h2', 'h3']);
    expect(await running()).toBe(before);
    await new Promise((done) => setTimeout(done, 250));
  }
}

/** Deploys from several cells, whatever their clocks say: the later one counts, everywhere, and is run. */
async function laterCounts(...marks: [LabHost, string][]): Promise<void> {
  for (const [host, mark] of marks) {
    const isLast = mark === marks.at(-1)![1];
    await host.ok('deploy', ...(isLast ? [] : ['--detach']), spec(host, mark));
    const { number, revision } = (await revisions(host))[0]!;
    await until(`revision ${number} everywhere`, async () =>
      (await Promise.all(lab.hosts.map(revisions))).every((rows) => rows[0]!.revision === revision),
    );
  }
  await until('what was before is gone', four);
}

it('goes on where the clock of a cell is set back an hour, and forward a year', async () => {
  const [first, second, third] = lab.hosts as [LabHost, LabHost, LabHost];
  first.setClock('+0');
  await first.up('--found', '--name', 'h1');
  const { ticket } = await first.json<{ ticket: string }>('ticket', 'create', '--uses', '5', '--expires', '12h');
  for (const host of [second, third]) await host.up('--ticket', ticket, '--name', host.name);
  await until('together', async () =>
    (await Promise.all(lab.hosts.map((host) => host.alive()))).every((names) => names.length === 3),
  );
  await laterCounts([first, 'a']);

  first.setClock('-1h');
  await calm();
  await laterCounts([second, 'b'], [first, 'c'], [third, 'd']);
  const [, behind] = await revisions(first);
  expect(Date.now() - behind!.atMs).toBeGreaterThan(3_500_000);
  await calm();

  // It remembers times that are still to come.
  first.crashDaemon();
  await first.up('--name', 'h1');
  await until('it is back', async () =>
    (await Promise.all(lab.hosts.map((host) => host.alive()))).every((names) => names.length === 3),
  );
  // A loan of the moment when it was away may still begin.
  let fourSinceMs = Number.POSITIVE_INFINITY;
  await until('what was lent is gone, and nothing more is lent', async () => {
    fourSinceMs = (await four()) ? Math.min(fourSinceMs, performance.now()) : Number.POSITIVE_INFINITY;
    return performance.now() - fourSinceMs > 3_000;
  });
  await calm();

  first.setClock('+365d');
  await calm();
  await laterCounts([first, 'e'], [second, 'f']);
  expect((await revisions(second))[1]!.atMs - Date.now()).toBeGreaterThan(360 * 86_400_000);
  first.setClock('+0');
  await laterCounts([first, 'g']);
  await calm();
}, 240_000);
