/** Jobs in World: each replica of one ends once, each time of a schedule runs once, and a change waits for its hook. */
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { ApiDeps } from '../../src/api/context.ts';
import { runSteps } from '../../src/api/running.ts';
import type { Run } from '../../src/core/model.ts';
import type { ServiceSpec } from '../../src/core/spec.ts';
import { until } from '../until.ts';
import { appliance, simService } from './makers.ts';
import type { World } from './world.ts';

const startWall = 1_700_000_000_000;
const minutely = { cron: '* * * * *', zone: 'UTC', missed: 'run', overlap: 'skip' } as const;
const job = { parallelism: 1, retries: 0 };

function deploy(world: World, services: ServiceSpec[], where = 'h1'): Record<string, unknown> {
  return world.get(where, { op: 'deploy', spec: { name: 'shop', services }, by: where, note: 'test', acks: 1 });
}

const shop = (world: World, name = 'h1') => world.view(name).apps.find((app) => app.name === 'shop')!;
const runs = (world: World, name = 'h1'): readonly Run[] => shop(world, name).runs;
const runningOf = (world: World, service: string): string[] =>
  world.running().filter((one) => one.startsWith(`shop/${service}`));

describe('a job', () => {
  it('runs each of its replicas once, some at a time, and not again', () => {
    const world = appliance(3, { seed: 'job' });
    deploy(world, [simService('resize', 7, { job: { parallelism: 3, retries: 0 } })]);
    let most = 0;
    world.until(
      () => {
        most = Math.max(most, runningOf(world, 'resize').length);
        return runs(world)[0]?.state === 'done';
      },
      60_000,
      'it is done',
    );
    expect(most).toBe(3);
    expect([...world.worked.values()]).toEqual([1, 1, 1, 1, 1, 1, 1]);
    world.run(60_000);
    expect([...world.worked.values()].reduce((a, b) => a + b)).toBe(7);
    // A deploy that does not change it does not run it again; one that does, does.
    deploy(world, [simService('resize', 7, { job }), simService('web', 1)]);
    world.run(20_000);
    expect([...world.worked.values()].reduce((a, b) => a + b)).toBe(7);
    deploy(world, [simService('resize', 2, { job, environment: { SIZE: '2' } })]);
    world.until(() => runs(world)[0]?.state === 'done', 60_000, 'the changed one is done');
    expect([...world.worked.values()].reduce((a, b) => a + b)).toBe(9);
  });

  it('begins anew elsewhere where its cell dies, and its result outlives the cell that ran it', () => {
    const world = appliance(5, { seed: 'job-death' });
    deploy(world, [simService('resize', 1, { job })]);
    world.until(() => runningOf(world, 'resize').length === 1, 20_000, 'it runs');
    world.powerOff(runningOf(world, 'resize')[0]!.split('@')[1]!);
    const alive = world.up()[0]!.name;
    world.until(() => runs(world, alive)[0]?.state === 'done', 60_000, 'it is done elsewhere');
    const [done] = Object.values(runs(world, alive)[0]!.results);
    world.powerOff([...world.hosts.values()].find(({ id }) => id === done!.cell)!.name);
    world.run(30_000);
    expect([...world.worked.values()]).toEqual([1]);
  });

  it('is tried again as often as it says, and then has failed', () => {
    const world = appliance(3, { seed: 'job-fails' });
    deploy(world, [simService('resize', 2, { image: 'falls-1', job: { parallelism: 1, retries: 2 } })]);
    world.until(() => runs(world)[0]?.state === 'failed', 60_000, 'it has failed');
    expect(Object.values(runs(world)[0]!.results)).toMatchObject([
      { ok: false, reason: 'exit code 1; gave up after 2 restarts' },
    ]);
    // The other of its replicas is not begun any more; the same file, deployed again, tries again.
    world.run(20_000);
    expect(world.view('h1').assignments).toEqual([]);
    world.falling = false;
    deploy(world, [simService('resize', 2, { image: 'falls-1', job: { parallelism: 1, retries: 2 } })]);
    world.until(() => runs(world)[0]?.state === 'done', 60_000, 'it is done');
  });

  it('is ended at its deadline, and keeps what it wrote', () => {
    const world = appliance(1, { seed: 'job-late' });
    deploy(world, [simService('resize', 1, { job: { ...job, deadlineMs: 50 } })]);
    world.until(() => runs(world)[0]?.state === 'failed', 20_000, 'it has failed');
    expect(Object.values(runs(world)[0]!.results)[0]!.reason).toBe('it took longer than its deadline');
    world.run(20_000);
    expect(world.hosts.get('h1')!.ended.size).toBe(1);
  });

  it('once on each cell, also on one that joins', () => {
    const world = appliance(3, { seed: 'job-global' });
    deploy(world, [simService('scan', 1, { mode: 'global', job })]);
    world.until(() => world.worked.size === 3, 20_000, 'it ran everywhere');
    const { ticket } = world.get('h1', { op: 'ticket.create', uses: 1, expiresInMs: 60_000, seed: 'one more' });
    world.addHost('h4');
    world.start('h4', String(ticket));
    world.until(() => world.worked.has(`shop/${runs(world)[0]!.name}/h4`), 30_000, 'it ran on the newcomer');
    world.run(20_000);
    expect([...world.worked.values()]).toEqual([1, 1, 1, 1]);
  });

  it('on each cell is waited for too, and asked for by hand runs once', () => {
    const world = appliance(3, { seed: 'job-global-awaited' });
    const web = simService('web', 1, { dependsOn: [{ service: 'scan', condition: 'completed' }] });
    deploy(world, [simService('scan', 1, { mode: 'global', job }), web]);
    world.until(() => runningOf(world, 'web').length === 1, 30_000, 'what waited runs');
    expect(world.worked.size).toBe(3);
    world.get('h1', { op: 'run', app: 'shop', service: 'scan', id: 'asked', by: 'h1' });
    world.until(() => runs(world).find(({ name }) => name === 'scan.asked')?.state === 'done', 20_000, 'it is done');
  });

  it('keeps others waiting until it has ended, also where the cell that ran it is gone', () => {
    const world = appliance(5, { seed: 'job-awaited' });
    const web = simService('web', 2, { dependsOn: [{ service: 'migrate', condition: 'completed' }] });
    deploy(world, [simService('migrate', 1, { job }), web]);
    world.until(() => runningOf(world, 'migrate').length === 1, 20_000, 'it runs');
    expect(runningOf(world, 'web')).toEqual([]);
    world.until(() => runningOf(world, 'web').length === 2, 20_000, 'what waited runs');
    expect([...world.worked.values()]).toEqual([1]);
  });
});

describe('a schedule', () => {
  it('runs each of its times once, whoever is master', () => {
    const world = appliance(5, { seed: 'schedule' });
    deploy(world, [simService('backup', 1, { job, schedule: minutely })]);
    for (let minute = 0; minute < 6; minute++) {
      world.run(60_000);
      // The owner of the schedule, or another: somebody is always taking its place.
      const victim = `h${(minute % 4) + 2}`;
      world.powerOff(victim);
      world.run(20_000);
      world.powerOn(victim);
    }
    world.run(60_000);
    const done = runs(world).filter(({ state }) => state === 'done');
    const minutes = Math.floor((startWall + world.nowMs) / 60_000) - Math.floor(startWall / 60_000);
    expect(done.length).toBeGreaterThanOrEqual(Math.min(9, minutes - 1));
    expect([...world.worked.values()].every((times) => times === 1)).toBe(true);
    expect(new Set(done.map(({ atMs }) => atMs)).size).toBe(done.length);
    expect(world.violations).toEqual([]);
  });

  it('a minority begins nothing; the time that it missed runs once when it is over, or not, as the file says', () => {
    for (const missed of ['run', 'skip'] as const) {
      const world = appliance(3, { seed: `schedule-${missed}` });
      const schedule = { ...minutely, cron: '*/5 * * * *', missed };
      deploy(world, [simService('backup', 1, { job, schedule })]);
      world.powerOff('h2');
      world.powerOff('h3');
      world.run(700_000);
      expect(runs(world)).toEqual([]);
      // Not within a minute of one of its times.
      while ((startWall + world.nowMs) % 300_000 < 90_000 || (startWall + world.nowMs) % 300_000 > 200_000)
        world.run(10_000);
      world.powerOn('h2');
      world.powerOn('h3');
      world.run(60_000);
      expect(runs(world).map(({ state }) => state)).toEqual(missed === 'run' ? ['done'] : []);
    }
  });

  it('does not begin while the run before it goes on, and says so', () => {
    const world = appliance(1, { seed: 'schedule-overlap' });
    const heavy = world.hosts.get('h1')!;
    heavy.startFactor = 400;
    deploy(world, [simService('backup', 1, { job, schedule: minutely })]);
    world.run(200_000);
    expect(runs(world).map(({ state }) => state)).toContain('skipped');
    expect(Math.max(...world.worked.values())).toBe(1);
  });

  it('holds at most ten runs in the document', () => {
    const world = appliance(1, { seed: 'schedule-many' });
    deploy(world, [simService('backup', 1, { job, schedule: minutely })]);
    world.run(20 * 60_000);
    expect(runs(world).length).toBeLessThanOrEqual(11);
    expect(world.hosts.get('h1')!.ended.size).toBeLessThanOrEqual(4);
  });

  it('does not run a time again because people ran the job many times since', () => {
    const world = appliance(1, { seed: 'schedule-asked' });
    deploy(world, [simService('backup', 1, { job, schedule: { ...minutely, cron: '*/30 * * * *' } })]);
    world.run(1_900_000);
    expect(runs(world).map(({ state, cause }) => `${state} ${cause}`)).toEqual(['done schedule']);
    for (let i = 0; i < 14; i++) {
      world.get('h1', { op: 'run', app: 'shop', service: 'backup', id: `asked${i}`, by: 'h1' });
      world.run(20_000);
    }
    expect([...world.worked.values()].every((times) => times === 1)).toBe(true);
    expect(runs(world).filter(({ cause }) => cause === 'schedule')).toHaveLength(1);
    expect(runs(world).length).toBeLessThanOrEqual(12);
  });

  it('is not fooled by a clock that jumps', () => {
    const world = appliance(3, { seed: 'schedule-clock' });
    deploy(world, [simService('backup', 1, { job, schedule: minutely })]);
    world.run(130_000);
    const before = world.worked.size;
    for (const name of ['h1', 'h2', 'h3']) world.setClock(name, -7_200_000);
    world.run(120_000);
    // The times of those two hours have run.
    expect(world.worked.size).toBeLessThanOrEqual(before + 1);
    for (const name of ['h1', 'h2', 'h3']) world.setClock(name, 0);
    world.run(130_000);
    expect(world.worked.size).toBeGreaterThan(before);
    expect([...world.worked.values()].every((times) => times === 1)).toBe(true);
  });
});

describe('a hook before a deploy', () => {
  const hooked = (image: string): ServiceSpec[] => [
    simService('db', 1),
    simService('web', 2, {
      image,
      preDeploy: { command: ['migrate'] },
      dependsOn: [{ service: 'db', condition: 'started' }],
    }),
  ];

  it('runs once, after what it needs and before its service; then with each change of the service', () => {
    const world = appliance(3, { seed: 'hook' });
    deploy(world, hooked('one'));
    world.until(() => runningOf(world, 'web.pre').length === 1, 20_000, 'the hook runs');
    expect(runningOf(world, 'db')).toHaveLength(1);
    expect(runningOf(world, 'web/')).toEqual([]);
    world.until(() => runningOf(world, 'web/').length === 2, 20_000, 'the service runs');
    expect(world.worked.size).toBe(1);
    world.get('h1', { op: 'scale', app: 'shop', service: 'web', replicas: 3, by: 'h1' });
    world.until(() => runningOf(world, 'web/').length === 3, 20_000, 'more of it run');
    expect(world.worked.size).toBe(1);
    deploy(world, hooked('two'), 'h2');
    expect(shop(world, 'h2').next?.seq).toBe(3);
    world.until(() => shop(world).revision.outcome?.state === 'done' && shop(world).revision.seq === 3, 90_000, 'done');
    expect([...world.worked.values()]).toEqual([1, 1]);
  });

  it('that fails leaves all as it was, and says why; the same file tries again', () => {
    const world = appliance(3, { seed: 'hook-fails' });
    deploy(world, hooked('one'));
    world.until(() => shop(world).revision.outcome?.state === 'done', 60_000, 'the first is done');
    const before = world.running().join();
    deploy(world, hooked('falls-2'));
    world.until(() => shop(world).undone !== undefined, 30_000, 'it is taken back');
    expect(shop(world).undone!.outcome).toMatchObject({ state: 'undone', reason: 'pre_deploy of web: exit code 1' });
    expect(world.running().join()).toBe(before);
    expect(world.events.some(({ kind }) => kind === 'app.rolledback')).toBe(true);
    world.falling = false;
    deploy(world, hooked('falls-2'));
    world.until(
      () => shop(world).revision.outcome?.state === 'done' && shop(world).undone === undefined,
      90_000,
      'done',
    );
  });

  it('that fails is tried again with the next file, and until it has run nothing changes, whatever ran before', () => {
    // The first is not through when the second comes, and the second comes twice.
    const world = appliance(3, { seed: 'hook-order' });
    deploy(world, hooked('one'));
    world.until(() => runningOf(world, 'web/').length === 2, 20_000, 'the first runs');
    const first = runningOf(world, 'web/').join();
    const formOf = (): string =>
      [...world.hosts.values()]
        .flatMap(({ containers }) => [...containers.values()].map(({ replica, hash }) => `${replica} ${hash}`))
        .filter((one) => one.startsWith('shop/web/'))
        .sort()
        .join();
    const before = formOf();
    for (const image of ['falls-2', 'falls-2', 'falls-3']) {
      deploy(world, hooked(image));
      for (let i = 0; i < 40 && shop(world).undone === undefined; i++) {
        world.run(250);
        expect([runningOf(world, 'web/').join(), formOf()]).toEqual([first, before]);
      }
      expect(shop(world).undone?.outcome?.reason).toContain('pre_deploy of web');
    }
    // What runs is concluded, and can be scaled without its own hook running again.
    world.until(() => shop(world).revision.outcome?.state === 'done', 20_000, 'the first is through');
    const ran = world.worked.size;
    world.get('h1', { op: 'scale', app: 'shop', service: 'web', replicas: 3, by: 'h1' });
    world.until(() => runningOf(world, 'web/').length === 3, 20_000, 'more of it run');
    expect(world.worked.size).toBe(ran);
    expect(shop(world).next).toBeUndefined();
  });

  it('that fails the first time keeps its service from starting', () => {
    const world = appliance(2, { seed: 'hook-first' });
    deploy(world, hooked('falls-1'));
    world.until(
      () => 'web' in shop(world).withheld && shop(world).withheld.web !== 'waits for its pre_deploy',
      30_000,
      'held',
    );
    expect(shop(world).withheld.web).toBe('pre_deploy of web: exit code 1');
    world.run(10_000);
    expect(runningOf(world, 'web')).toEqual([]);
  });
});

describe('a run that somebody asks for', () => {
  it('is told of to its end, also where the view is older than the document for a moment', async () => {
    const world = appliance(1, { seed: 'run-told' });
    deploy(world, [simService('web', 1)]);
    world.until(() => runningOf(world, 'web').length === 1, 20_000, 'it runs');
    const old = world.view('h1');
    let looks = 0;
    const host = {
      cell: { id: 'none' },
      onChange: () => () => {},
      view: () => (looks++ < 4 ? old : world.view('h1')),
      ask: async (request: Parameters<World['get']>[1]) => {
        const value = world.get('h1', request);
        world.until(() => runs(world)[0]?.state === 'done', 20_000, 'it is done');
        return { value };
      },
    };
    // What it wrote comes some looks after its end.
    const request = async () => {
      await until('some looks later', () => looks > 12, 5_000);
      const lines = [`${JSON.stringify({ stream: 'stdout', text: 'late' })}\n`];
      return Object.assign(Readable.from(lines), { statusCode: 200 });
    };
    const deps = { host, randomId: () => 'abc123', peers: { request } };
    const steps: string[] = [];
    const asked = { app: 'shop', service: 'web', command: ['true'], by: 'h1' };
    const signal = AbortSignal.timeout(20_000);
    for await (const { type } of runSteps(deps as unknown as ApiDeps, asked, { detach: false, signal }))
      steps.push(type);
    expect(steps).toEqual(['accepted', 'log', 'ended']);
  });

  it('runs beside its service, once, and can be cancelled', () => {
    const world = appliance(3, { seed: 'run' });
    deploy(world, [simService('web', 2)]);
    world.until(() => runningOf(world, 'web').length === 2, 20_000, 'it runs');
    world.get('h2', { op: 'run', app: 'shop', service: 'web', id: 'abc123', command: ['true'], by: 'h2' });
    world.until(() => runs(world, 'h2')[0]?.state === 'done', 20_000, 'it is done');
    expect(world.worked.get('shop/web.abc123/1')).toBe(1);
    expect(runningOf(world, 'web/')).toHaveLength(2);
    world.hosts.get('h1')!.startFactor = 500;
    world.hosts.get('h2')!.startFactor = 500;
    world.hosts.get('h3')!.startFactor = 500;
    world.get('h1', { op: 'run', app: 'shop', service: 'web', id: 'abc124', command: ['true'], by: 'h1' });
    world.run(1_000);
    world.get('h1', { op: 'run.cancel', app: 'shop', run: 'web.abc124', by: 'h1' });
    world.run(400_000);
    expect(runs(world).find(({ name }) => name === 'web.abc124')?.state).toBe('failed');
    expect(world.worked.has('shop/web.abc124/1')).toBe(false);
  });
});

it('runs that do not end are not asked for without end', () => {
  const world = appliance(1, { seed: 'run-many' });
  world.hosts.get('h1')!.startFactor = 10_000;
  deploy(world, [simService('web', 1)]);
  const ask = (id: number) => world.ask('h1', { op: 'run', app: 'shop', service: 'web', id: `r${id}`, by: 'h1' });
  for (let i = 0; i < 100; i++) ask(i);
  const last = ask(100);
  world.run(1_000);
  expect(last()).toMatchObject({ ok: false, code: 'conflict', hint: expect.stringContaining('osca cancel') });
});

describe('a cell that takes the place of another', () => {
  it('gets its name and labels, and so what is bound to them; the old one is emptied, or removed where it is down', () => {
    for (const isDown of [false, true]) {
      const world = appliance(4, { seed: `replace-${isDown}` });
      const [old, fresh] = ['h2', 'h4'].map((name) => world.hosts.get(name)!.id) as [string, string];
      world.get('h1', { op: 'cell.set', cell: old, labels: { disk: 'ssd' } });
      const pinned = simService('db', 1, { constraints: [{ key: 'node.labels.disk', op: '==', value: 'ssd' }] });
      deploy(world, [pinned]);
      world.until(() => world.running().join() === 'shop/db/1@h2', 20_000, 'it runs');
      if (isDown) {
        world.powerOff('h2');
        world.until(() => world.view('h1').members.find(({ id }) => id === old)?.state === 'down', 20_000, 'known');
      }
      const { name, former } = world.get('h1', { op: 'cell.replace', cell: old, by: fresh, keySeed: 'seed' });
      expect([name, former]).toEqual(['h2', isDown ? '' : 'h2-former']);
      world.until(() => world.running().join() === 'shop/db/1@h4', 30_000, 'it runs on the other');
      const names = world.view('h1').members.map((member) => member.name);
      expect(names.sort()).toEqual(isDown ? ['h1', 'h2', 'h3'] : ['h1', 'h2', 'h2-former', 'h3']);
    }
  });
});

describe('what is gone', () => {
  it('leaves nothing: a schedule that ran hundreds of times takes no more memory or disk than one that ran fifty', () => {
    const world = appliance(3, { seed: 'years' });
    const secondly = { ...minutely, cron: '* * * * * *', overlap: 'allow' } as const;
    deploy(world, [simService('beat', 1, { job, schedule: secondly })]);
    const stored = (name: string): number =>
      world.hosts.get(name)!.disk.updates.reduce((sum, { length }) => sum + length, 0);
    const most = (forMs: number): number => {
      let most = 0;
      for (let ms = 0; ms < forMs; ms += 500) {
        world.run(500);
        most = Math.max(most, ...['h1', 'h2', 'h3'].map(stored));
      }
      return most;
    };
    world.run(50_000);
    const early = most(30_000);
    world.run(250_000);
    const late = most(30_000);
    expect([...world.worked.values()].reduce((a, b) => a + b)).toBeGreaterThan(200);
    expect(late).toBeLessThan(early * 1.1);
    // And it is all there after a power cut.
    const before = runs(world, 'h2')[0]!.name;
    world.powerOff('h1');
    world.powerOn('h1');
    world.run(20);
    expect(runs(world, 'h1').some(({ name }) => name >= before)).toBe(true);
  });
});
