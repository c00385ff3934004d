/** A week of somebody who runs a shop on four hosts: what they do, and what happens to them, in one life of one appliance. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RevisionRow } from '../../src/api/rows.ts';
import { until } from '../until.ts';
import type { LabHost } from './host.ts';
import { Lab } from './lab.ts';

let lab: Lab;
const h = (number: number): LabHost => lab.host(number);

beforeAll(async () => {
  lab = await Lab.up(4);
  await Promise.all([h(1).startDocker(), h(2).startDocker(), h(3).startPodman(), h(4).startDocker()]);
});
afterAll(() => lab.down());

const serve = 'httpd -p 8080 -h /www; trap "sleep 1; exit 0" TERM; sleep 100000 & wait';
const shop = (form: string, more = ''): string => `name: shop
services:
  web:
    image: busybox:lab
    command: [sh, -c, '${serve}']
    environment: { FORM: "${form}" }
    stop_grace_period: 3s
    healthcheck: { test: [CMD, wget, -q, -O, /dev/null, "127.0.0.1:8080"], interval: 1s, timeout: 3s, start_period: 10s, start_interval: 200ms }
${more}    deploy: { replicas: 3, update_config: { monitor: 2s } }
  db:
    image: busybox:lab
    command: [sh, -c, 'date +%s >> /data/starts; sleep 100000 & wait']
    stop_signal: SIGKILL
    volumes: ["data:/data"]
    secrets: [password]
  nightly:
    image: busybox:lab
    command: [sh, -c, 'echo saved; sleep 0.2']
    x-osca: { schedule: { cron: "*/5 * * * * *", overlap: skip } }
volumes: { data: {} }
secrets: { password: { content: open-sesame } }
`;

async function deploy(
  text: string,
  by = 1,
  ...more: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const path = join(h(by).folder, 'shop.yaml');
  writeFileSync(path, text);
  return await h(by).osca('deploy', ...more, path);
}

/** 'web/1@h2' of all that is ready. */
async function ready(by = 1): Promise<string[]> {
  return (await h(by).replicas('shop'))
    .filter(({ state }) => state === 'ready')
    .map(({ service, index, cell }) => `${service}/${index}@${cell}`)
    .sort();
}
const webs = async (by = 1): Promise<string[]> => (await ready(by)).filter((one) => one.startsWith('web/'));
const whole = async (by = 1): Promise<boolean> => {
  const rows = (await h(by).replicas('shop')).filter(({ service }) => !service.startsWith('nightly'));
  return rows.length === 4 && rows.every(({ state }) => state === 'ready');
};
const forms = async (by = 1): Promise<string[]> =>
  await Promise.all(
    [1, 2, 3].map(async (i) => (await h(by).ok('exec', `shop/web/${i}`, '--', 'sh', '-c', 'echo $FORM')).trim()),
  );
const history = async (by = 1): Promise<RevisionRow[]> => await h(by).json<RevisionRow[]>('history', 'shop');

/** The fewest web replicas that were ready at once while `doing` went on. */
async function watched(doing: () => Promise<void>): Promise<number> {
  let [fewest, isOver] = [Number.POSITIVE_INFINITY, false];
  const watching = (async (): Promise<void> => {
    while (!isOver) {
      fewest = Math.min(fewest, (await webs()).length);
      await new Promise((done) => setTimeout(done, 100));
    }
  })();
  try {
    await doing();
  } finally {
    isOver = true;
    await watching;
  }
  return fewest;
}

describe('a week', () => {
  it('Monday: three machines, a shop', async () => {
    await h(1).up('--found', '--name', 'h1');
    const { ticket } = await h(1).json<{ ticket: string }>('ticket', 'create', '--uses', '5');
    await Promise.all([2, 3].map((n) => h(n).up('--name', `h${n}`, '--ticket', ticket)));
    for (const n of [1, 2, 3]) {
      await until(`three in the view of h${n}`, async () => {
        const cells = await h(n).cells();
        return cells.length === 3 && cells.every(({ state, engine }) => state === 'alive' && engine !== '');
      });
    }
    const wrong = await deploy(shop('1').replace('replicas: 3', 'replica: 3'));
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringMatching(/:9:15: .*did you mean 'replicas'\?/s)]);
    const done = await deploy(shop('1'));
    expect([done.code, done.stderr]).toEqual([0, '']);
    await until('one on each', async () => {
      const cells = (await webs()).map((one) => one.split('@')[1]);
      return cells.sort().join(' ') === 'h1 h2 h3';
    });
    expect(await h(2).ok('exec', 'shop/db', '--', 'cat', '/run/secrets/password')).toBe('open-sesame');
  }, 60_000);

  it('Tuesday: a change, one that fails, and one that is taken back', async () => {
    expect(await watched(async () => void expect((await deploy(shop('2'), 2)).code).toBe(0))).toBeGreaterThanOrEqual(3);
    expect(await forms()).toEqual(['2', '2', '2']);
    const before = await h(1).ok('exec', 'shop/db', '--', 'cat', '/data/starts');
    let bad = { code: 0, stdout: '', stderr: '' };
    const fewest = await watched(async () => {
      bad = await deploy(shop('3').replace('127.0.0.1:8080', '127.0.0.1:1').replace('start_period: 10s', 'retries: 2'));
    });
    // Who saw what, where it did not hold.
    expect(fewest, `${await h(1).ok('events')}\n${bad.stdout}${bad.stderr}`).toBeGreaterThanOrEqual(3);
    expect(bad.code).toBe(1);
    expect(bad.stderr).toMatch(/unhealthy.*rolled back, shop runs revision 2 again/s);
    expect(await forms()).toEqual(['2', '2', '2']);
    await h(3).ok('rollback', 'shop', '1');
    await until('the first form', async () => (await forms()).join() === '1,1,1');
    expect((await history()).map(({ state }) => state)).toContain('rolled back');
    // Nothing of that was about the database.
    expect(await h(1).ok('exec', 'shop/db', '--', 'cat', '/data/starts')).toBe(before);
  }, 90_000);

  it('Wednesday: a machine is taken out for an hour, another is replaced by a new one', async () => {
    await until('all is well', () => whole());
    const home = (await ready()).find((one) => one.startsWith('db/'))!.split('@')[1]!;
    const other = ['h2', 'h3'].find((name) => name !== home)!;
    const fewest = await watched(async () => {
      const told = await h(1).ok('cell', 'drain', other);
      expect(told).toContain(`osca cell resume ${other}`);
    });
    expect(fewest).toBeGreaterThanOrEqual(3);
    expect((await ready()).every((one) => !one.endsWith(`@${other}`))).toBe(true);
    await h(1).ok('cell', 'resume', other);
    const { ticket } = await h(1).json<{ ticket: string }>('ticket', 'create');
    await h(4).up('--name', 'h4', '--ticket', ticket);
    await until('four', async () => (await h(1).cells()).filter(({ engine }) => engine !== '').length === 4);
    await h(1).ok('cell', 'label', other, 'zone=attic');
    const replaced = await h(1).osca('cell', 'replace', other, '--with', 'h4');
    expect([replaced.code, replaced.stderr]).toEqual([0, '']);
    const gone = h(Number(other.slice(1)));
    await until('it took the place', async () => {
      const cells = await h(1).cells();
      return cells.some(({ name, labels, drain }) => name === other && labels.zone === 'attic' && !drain);
    });
    await until('all is well', () => whole(), 60_000);
    expect((await gone.containers()).filter((name) => name.startsWith('osca-shop-web'))).toEqual([]);
  }, 120_000);

  it('Thursday: a power cut of one machine, then the switch fails', async () => {
    const home = (await ready()).find((one) => one.startsWith('db/'))!.split('@')[1]!;
    const victim = [h(2), h(3), h(4)].find(
      (one) => one.name !== home && one.daemonPid > 0 && lab.hosts.indexOf(one) > 0,
    )!;
    victim.powerOff();
    await until('three elsewhere', async () => (await webs()).length === 3, 30_000);
    await victim.powerOn();
    await (victim.name === 'h3' ? victim.startPodman() : victim.startDocker());
    await victim.up();
    await until('it is back', async () => (await h(1).alive()).length >= 3, 30_000);
    const [one, two] = [[h(1)], [h(2), h(3), h(4)]];
    lab.partition(one, two);
    const minority = await until('it sees that', async () => {
      const { cells } = await h(1).json<{ cells: { state: string }[] }>('cell', 'ls');
      return cells.filter(({ state }) => state === 'alive').length === 1;
    });
    expect(minority).toBe(true);
    expect((await deploy(shop('5'), 1, '--detach')).code).toBe(0);
    lab.heal();
    await until('together again', async () => (await h(1).alive()).length >= 3, 60_000);
    await until('the change came through', async () => (await forms()).join() === '5,5,5', 90_000);
    await until('all is well', () => whole(), 60_000);
    // What strict data was written is where it was.
    expect((await h(1).ok('exec', 'shop/db', '--', 'cat', '/data/starts')).trim().split('\n').length).toBeGreaterThan(
      0,
    );
  }, 240_000);

  it('Friday: every schedule ran once, a look around, and all is put away', async () => {
    const { runs } = await h(1).json<{ runs: { run: string; atMs: number; state: string }[] }>('runs', 'shop');
    const ticks = runs.filter(({ run, state }) => run.startsWith('shop/nightly.') && state === 'done');
    expect(ticks.length).toBeGreaterThan(3);
    expect(new Set(ticks.map(({ atMs }) => atMs)).size).toBe(ticks.length);
    expect(ticks.every(({ atMs }) => atMs % 5_000 === 0)).toBe(true);
    const ran = await h(1).osca('run', 'shop/web', '--', 'sh', '-c', 'echo $FORM; exit 3');
    expect([ran.code, ran.stdout]).toEqual([3, '5\n']);
    await h(1).ok('scale', 'shop/web=5');
    await until('five', async () => (await webs()).length === 5);
    expect(await watched(async () => void (await h(1).ok('restart', 'shop/web', '--rolling')))).toBeGreaterThanOrEqual(
      4,
    );
    expect((await h(1).events()).length).toBeGreaterThan(5);
    await h(1).ok('rm', 'shop');
    await until('nothing is left', async () =>
      (await Promise.all(lab.hosts.map((host) => host.containers().catch(() => []))))
        .flat()
        .every((name) => !name.startsWith('osca-shop')),
    );
  }, 120_000);
});
