/** The main job on three real hosts with their own Docker Engines. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../until.ts';
import { followOsca, under } from './asked.ts';
import type { LabHost } from './host.ts';
import { Lab } from './lab.ts';

let lab: Lab;
const h = (number: number): LabHost => lab.host(number);
const all = (): LabHost[] => lab.hosts;

const compose = (name: string, replicas: number, more = ''): string => `name: ${name}
services:
  web:
    image: busybox:lab
    command: sh -c 'trap "exit 0" TERM; echo started; while :; do sleep 0.2; done'
${more}    deploy:
      replicas: ${replicas}
`;

function file(host: LabHost, name: string, text: string): string {
  const folder = join(host.folder, 'work');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Where the replicas of an app run, as `service/index@cell`, once `count` are ready and nothing else is left. */
async function settled(host: LabHost, app: string, count: number, withinMs = 30_000): Promise<string[]> {
  return await until(
    `${app}: ${count} ready`,
    async () => {
      const rows = await host.replicas(app);
      const ready = rows.filter(({ state }) => state === 'ready');
      return ready.length === count && rows.length === count
        ? ready.map(({ service, index, cell }) => `${service}/${index}@${cell}`)
        : undefined;
    },
    withinMs,
  );
}

async function running(app: string): Promise<number> {
  const lists = await Promise.all(all().map((host) => host.containers().catch(() => [])));
  return lists.flat().filter((name) => name.startsWith(`osca-${app}-`)).length;
}

async function together(count = 3): Promise<void> {
  await until(
    `${count} cells see each other`,
    async () =>
      (
        await Promise.all(
          all()
            .slice(0, count)
            .map((host) => host.alive()),
        )
      ).every((names) => names.length === count),
    20_000,
  );
}

beforeAll(async () => {
  lab = await Lab.up(3);
  await Promise.all(all().map((host) => host.startDocker()));
});
afterAll(() => lab.down());

describe('three hosts', () => {
  it('find each other by mDNS, with a ticket and no addresses', async () => {
    await h(1).up('--found', '--name', 'h1');
    const { ticket } = await h(1).json<{ ticket: string }>('ticket', 'create', '--uses', '5');
    const [head, body, sum] = ticket.split('-') as [string, string, string];
    expect(head).toBe('osca1');
    expect(sum).toHaveLength(7);
    expect(body.length).toBeGreaterThan(100);
    await Promise.all([h(2).up('--ticket', ticket, '--name', 'h2'), h(3).up('--ticket', ticket, '--name', 'h3')]);
    await together();
  });

  it('run a Compose file across all, deployed on any', async () => {
    const done = await h(2).osca('deploy', file(h(2), 'compose.yaml', compose('shop', 3)));
    expect(done.stderr).toBe('');
    expect(done.code).toBe(0);
    const placed = await settled(h(3), 'shop', 3);
    expect(new Set(placed.map((one) => one.split('@')[1])).size).toBe(3);
    expect(await running('shop')).toBe(3);
  });

  it('merge logs of all cells, and run a command in a replica of another cell', async () => {
    const lines = (await h(1).ok('logs', 'shop')).trim().split('\n');
    expect(lines.filter((line) => line.endsWith('started'))).toHaveLength(3);
    for (const index of [1, 2, 3]) {
      const done = await h(1).osca('exec', `shop/web/${index}`, '--', 'sh', '-c', 'echo $OSCA_REPLICA; exit 7');
      expect(done.stdout.trim()).toBe(`shop/web/${index}`);
      expect(done.code).toBe(7);
    }
    const bytes = 3_000_000;
    const loud = await h(1).osca('exec', 'shop/web/2', '--', 'sh', '-c', `head -c ${bytes} /dev/zero >&2; exit 7`);
    expect([loud.stderr.length, loud.code]).toEqual([bytes, 7]);
  });

  it('deploy a spec dropped on each host in turn, and remove it with the file', async () => {
    for (const host of all()) {
      const name = `drop-${host.name}`;
      const path = join(host.dataDir, 'specs', `${name}.yaml`);
      writeFileSync(path, compose(name, 1));
      await settled(h(1), name, 1);
      writeFileSync(path, compose(name, 2));
      await settled(h(1), name, 2);
      writeFileSync(path, `${compose(name, 3)}\n\tbroken`);
      await until('the mistake is told', async () =>
        (await host.events()).some(({ kind, message }) => kind === 'specs.refused' && message.includes(name)),
      );
      await settled(h(1), name, 2);
      rmSync(path);
      await until('removed', async () => (await running(name)) === 0, 40_000);
    }
  });

  it('keep containers through a crash of the daemon, and adopt them', async () => {
    const before = await h(2).containers();
    h(2).crashDaemon();
    await until('h1 knows', async () => !(await h(1).alive()).includes('h2'), 5_000);
    expect(await h(2).containers()).toEqual(before);
    await h(2).up('--name', 'h2');
    await together();
    await settled(h(1), 'shop', 3);
    expect(await h(2).containers()).toEqual(before);
  });

  it('are back before an engine that does not answer yet, and adopt what it runs', async () => {
    const before = await h(2).containers();
    const thaw = h(2).freezeEngine();
    h(2).crashDaemon();
    await h(2).up('--name', 'h2');
    await together();
    expect((await h(1).cells()).find(({ name }) => name === 'h2')?.engine).toMatch(/^Docker/);
    thaw();
    await settled(h(1), 'shop', 3);
    expect(await h(2).containers()).toEqual(before);
  });

  it('move nothing while a daemon is stopped for a second and a half', async () => {
    const downs = async (): Promise<number> => (await h(1).events()).filter(({ kind }) => kind === 'cell.down').length;
    const [before, told] = [await Promise.all(all().map((host) => host.containers())), await downs()];
    await h(2).freeze(1_500);
    // An answer of the frozen one through another shows that it is back in the middle of things.
    await h(2).ok('cell', 'label', 'h2', 'thawed=yes');
    await until('heard', async () => (await h(1).cells()).some(({ labels }) => labels.thawed === 'yes'));
    expect(await downs()).toBe(told);
    expect(await Promise.all(all().map((host) => host.containers()))).toEqual(before);
  });

  it('run a dead board’s replicas elsewhere, and give them back without duplicates', async () => {
    const before = await settled(h(1), 'shop', 3);
    const start = performance.now();
    h(3).cut();
    await until(
      '3 ready on two hosts',
      async () =>
        (await h(1).replicas('shop')).filter(({ state, cell }) => state === 'ready' && cell !== 'h3').length === 3,
      15_000,
    );
    console.log(`failover after a cut: ${Math.round(performance.now() - start)} ms`);
    h(3).powerOff();
    const kept = (await h(1).replicas('shop')).map(({ service, index, cell }) => `${service}/${index}@${cell}`);
    for (const one of before.filter((row) => !row.endsWith('@h3'))) expect(kept).toContain(one);
    h(3).uncut();
    await h(3).powerOn();
    await h(3).startDocker();
    await h(3).up('--name', 'h3');
    await together();
    await until('as before', async () => (await settled(h(1), 'shop', 3)).join() === before.join(), 60_000);
    await until('no duplicates', async () => (await running('shop')) === 3, 60_000);
  });

  it('serve on both sides of a partition, and converge on one revision', async () => {
    lab.partition([h(1), h(2)], [h(3)]);
    await until(
      'both sides know',
      async () => (await h(1).alive()).length === 2 && (await h(3).alive()).length === 1,
      30_000,
    );
    const left = await h(1).osca(
      'deploy',
      file(h(1), 'left.yaml', compose('shop', 3, '    environment: [SIDE=left]\n')),
    );
    const right = await h(3).osca(
      'deploy',
      file(h(3), 'right.yaml', compose('shop', 3, '    environment: [SIDE=right]\n')),
    );
    expect([left.code, right.code]).toEqual([0, 0]);
    lab.heal();
    await together();
    const revisions = async (): Promise<string[]> =>
      await Promise.all(
        all().map(async (host) =>
          (await host.json<{ revision: string }[]>('ls')).map(({ revision }) => revision).join(),
        ),
      );
    await until('one revision', async () => new Set(await revisions()).size === 1, 20_000);
    await settled(h(1), 'shop', 3, 60_000);
    await until('no duplicates', async () => (await running('shop')) === 3, 60_000);
    const told = (await Promise.all(all().map((host) => host.events()))).flat();
    expect(told.some(({ kind }) => kind === 'app.conflict')).toBe(true);
  });

  it('survive the engine being stopped and started under a daemon', async () => {
    await h(2).stopDocker();
    await until(
      '3 ready elsewhere',
      async () =>
        (await h(1).replicas('shop')).filter(({ state, cell }) => state === 'ready' && cell !== 'h2').length === 3,
      40_000,
    );
    await h(2).startDocker();
    await settled(h(1), 'shop', 3, 90_000);
    await until('no duplicates', async () => (await running('shop')) === 3, 60_000);
  });

  it('hand over on SIGTERM: what a cell ran is ready elsewhere before it is gone', async () => {
    const gone = h(2).leave();
    let isGone = false;
    void gone.then(() => (isGone = true));
    while (!isGone) {
      const ready = (await h(1).replicas('shop')).filter(({ state }) => state === 'ready');
      expect(new Set(ready.map(({ index }) => index)).size).toBe(3);
    }
    expect((await settled(h(1), 'shop', 3)).filter((one) => one.endsWith('@h2'))).toEqual([]);
    expect((await h(2).containers()).filter((name) => name.startsWith('osca-shop-'))).toEqual([]);
    expect((await h(1).cells()).find(({ name }) => name === 'h2')?.state).toBe('left');
    await h(2).up('--name', 'h2');
    await together();
    await until('its share is back', async () =>
      (await settled(h(1), 'shop', 3, 60_000)).some((one) => one.endsWith('@h2')),
    );
  });

  it('drop no request on SIGTERM: who follows the replicas reaches one all along', async () => {
    // It goes on serving for a second after it was told to end, as servers that drain do.
    const line = 'httpd -p 8080 -h /www; trap "sleep 1; exit 0" TERM; sleep 100000 & wait';
    const spec = `name: site
services:
  web:
    image: busybox:lab
    command: [sh, -c, '${line}']
    ports: ["8080"]
    healthcheck: { test: [CMD, wget, -q, -O, /dev/null, "127.0.0.1:8080"], interval: 1s, start_period: 10s, start_interval: 200ms }
    deploy: { replicas: 3 }
`;
    await h(1).ok('deploy', file(h(1), 'site.yaml', spec));
    await settled(h(1), 'site', 3);
    const { seen } = await under(h(1), followOsca(lab, 'site'), { replicas: 3, calmMs: 0 }, () => h(2).leave());
    console.log(`a cell left: ${JSON.stringify(seen)}`);
    expect(seen.requests).toBeGreaterThan(100);
    expect(seen.reasons).toEqual({});
    expect((await settled(h(1), 'site', 3)).filter((one) => one.endsWith('@h2'))).toEqual([]);
    await h(2).up('--name', 'h2');
    await together();
    await h(1).ok('rm', 'site');
  });

  it('end a strict service with its lease where the daemon is dead, before it runs elsewhere', async () => {
    const strict = compose('db', 1, '    x-osca: { singleton: strict }\n');
    await h(1).ok('deploy', file(h(1), 'db.yaml', strict));
    const [placed] = await settled(h(1), 'db', 1);
    const home = all().find(({ name }) => placed!.endsWith(`@${name}`))!;
    const witness = all().find((host) => host !== home)!;
    home.crashDaemon();
    const heir = await until(
      'it runs elsewhere',
      async () => {
        const rows = await witness.replicas('db');
        const row = rows.find(({ state, cell }) => state === 'ready' && cell !== home.name);
        return all().find(({ name }) => name === row?.cell);
      },
      60_000,
    );
    const [before, after] = [await home.lifeOf('osca-db-'), await heir.lifeOf('osca-db-')];
    expect(before.running).toBe(false);
    expect(after.running).toBe(true);
    expect(before.endedMs).toBeLessThan(after.startedMs);
    await home.up('--name', home.name);
    await together();
    await settled(h(1), 'db', 1);
    await h(1).ok('rm', 'db');
  });

  it('remove a cell: its replicas move, it is out', async () => {
    await h(1).ok('cell', 'rm', 'h3');
    await until(
      '3 ready on two',
      async () =>
        (await h(1).replicas('shop')).filter(({ state, cell }) => state === 'ready' && cell !== 'h3').length === 3,
      20_000,
    );
    await until(
      'h3 stops its own',
      async () => (await h(3).containers()).filter((name) => name.includes('-shop-')).length === 0,
      40_000,
    );
    expect((await h(2).cells()).map(({ name }) => name).sort()).toEqual(['h1', 'h2']);
  });

  it('let a stranger in after a person approved it', async () => {
    h(3).crashDaemon();
    rmSync(h(3).dataDir, { recursive: true, force: true });
    await h(3).up('--name', 'h3');
    const waiting = await until(
      'h3 waits',
      async () =>
        (await h(1).json<{ pending: { name: string; code: string }[] }>('cell', 'ls')).pending.find(
          ({ name }) => name === 'h3',
        ),
      20_000,
    );
    expect((await h(3).json<{ join: { code: string } }>('status')).join.code).toBe(waiting.code);
    await h(1).ok('cell', 'approve', 'h3');
    await together();
    await settled(h(3), 'shop', 3, 60_000);
  });
});
