/**
 * npm run bench -- [NAME] [--json]: OSCA beside Docker Swarm, on the same three lab hosts in the same run. Times are of this
 * machine and this day; the ratios are what counts. Results go to bench/results/NAME.json.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import type { LabHost } from '../test/lab/host.ts';
import { root } from '../test/lab/host.ts';
import { Lab } from '../test/lab/lab.ts';
import { isAlive, trySh } from '../test/lab/shell.ts';
import { until } from '../test/until.ts';
import { benchBoot } from './boot.ts';
import { benchDeploys } from './deploys.ts';
import { cpuPercent, median, quietMachine, residentMb, series, timed } from './measure.ts';
import { benchMembership } from './membership.ts';
import { benchMemory } from './memory.ts';
import { benchPlacement } from './placement.ts';
import { rolled, rollOsca, rollSwarm } from './rolling.ts';
import { simScale } from './scale.ts';
import { benchSpecs } from './specs.ts';
import { nodeId, running, swarmDeploy, swarmRemove, swarmUp } from './swarm.ts';
import { benchWifi } from './wifi.ts';
import { benchYears } from './years.ts';

const quiet = process.argv.includes('--json');
const tell = (text: string): void => (quiet ? undefined : console.log(text));

const compose = (name: string): string => `name: ${name}
services:
  web:
    image: busybox:lab
    command: sleep 86400
    stop_signal: SIGKILL
    deploy: { replicas: 3 }
`;

async function cellsUp(lab: Lab): Promise<number[]> {
  const [first, ...others] = lab.hosts as [LabHost, ...LabHost[]];
  await first.up('--found', '--name', first.name);
  const { ticket } = await first.json<{ ticket: string }>('ticket', 'create', '--uses', '9');
  const joins: number[] = [];
  for (const host of others) {
    joins.push(
      await timed(async () => {
        const started = host.up('--name', host.name, '--ticket', ticket);
        const known = [first, ...others.slice(0, others.indexOf(host))];
        await until('in every view', async () =>
          (await Promise.all(known.map((one) => one.alive()))).every((names) => names.includes(host.name)),
        );
        await started;
      }),
    );
  }
  await until('all', async () =>
    (await Promise.all(lab.hosts.map((host) => host.alive()))).every((names) => names.length === lab.hosts.length),
  );
  return joins;
}

function specOf(host: LabHost, name: string): string {
  const path = join(host.folder, `${name}.yaml`);
  writeFileSync(path, compose(name));
  return path;
}

async function gone(lab: Lab, prefix: string): Promise<void> {
  await until(
    'no container is left',
    async () =>
      (await Promise.all(lab.hosts.map((host) => host.containers()))).flat().every((name) => !name.startsWith(prefix)),
    60_000,
  );
}

async function deploy(lab: Lab): Promise<object> {
  const host = lab.host(1);
  await cellsUp(lab);
  const [ours, floor]: [number[], number[]] = [[], []];
  for (let i = 0; i < 8; i++) {
    const path = specOf(host, `bench${i}`);
    await quietMachine();
    floor.push(await enginesAlone(lab));
    await quietMachine();
    ours.push(await timed(() => host.ok('deploy', path)));
    await host.ok('rm', `bench${i}`);
    await gone(lab, 'osca-bench');
  }
  for (const one of lab.hosts) one.crashDaemon();
  await swarmUp(lab.hosts);
  const theirs: number[] = [];
  for (let i = 0; i < 8; i++) {
    await quietMachine();
    theirs.push(await timed(() => swarmDeploy(host, `bench${i}`)));
    await swarmRemove(host, `bench${i}`);
  }
  // The first of each warms caches of the engines.
  const engines = series(floor.slice(1));
  return {
    ...compared('deploy of 3 replicas, ms', ours.slice(1), theirs.slice(1), 600),
    floor: { what: 'three engines asked by their API to make and start one each, at once', ...engines },
    ratioToFloor: round(median(ours.slice(1)) / engines.median),
  };
}

/** What three engines need by themselves. */
async function enginesAlone(lab: Lab): Promise<number> {
  const made: { remove(options: { force: boolean }): Promise<unknown> }[] = [];
  const start = async ({ docker }: LabHost): Promise<void> => {
    const container = await docker.createContainer({ Image: 'busybox:lab', Cmd: ['sleep', '86400'] });
    made.push(container);
    await container.start();
  };
  const ms = await timed(() => Promise.all(lab.hosts.map(start)));
  await Promise.all(made.map((one) => one.remove({ force: true })));
  return ms;
}

async function ready(witness: LabHost, app: string, without: string): Promise<boolean> {
  return (await witness.replicas(app)).filter(({ state, cell }) => state === 'ready' && cell !== without).length === 3;
}

async function settled(lab: Lab, app: string): Promise<void> {
  await until(
    'three on three',
    async () => {
      const rows = await lab.host(1).replicas(app);
      return (
        rows.length === 3 &&
        rows.every(({ state }) => state === 'ready') &&
        new Set(rows.map(({ cell }) => cell)).size === 3
      );
    },
    90_000,
  );
}

async function failoverCut(lab: Lab): Promise<object> {
  const [witness, victim] = [lab.host(1), lab.host(3)];
  await cellsUp(lab);
  await witness.ok('deploy', specOf(witness, 'cut'));
  const ours: number[] = [];
  for (let i = 0; i < 5; i++) {
    await settled(lab, 'cut');
    victim.cut();
    ours.push(await timed(() => until('3 on two', () => ready(witness, 'cut', victim.name), 60_000)));
    victim.uncut();
    tell(`  osca ${ours.at(-1)} ms`);
  }
  for (const one of lab.hosts) one.crashDaemon();
  const theirs = await swarmFailovers(lab, {
    fall: async () => victim.cut(),
    back: async () => victim.uncut(),
  });
  return compared('host cut off to all replicas elsewhere, ms', ours, theirs, 3_000);
}

/** The last host falls five times; how long Swarm needs each time until three tasks run on the others. */
async function swarmFailovers(
  lab: Lab,
  { fall, back }: { fall(): Promise<void>; back(): Promise<void> },
): Promise<number[]> {
  const [witness, victim] = [lab.host(1), lab.host(3)];
  await swarmUp(lab.hosts);
  const lost = await nodeId(victim);
  const took: number[] = [];
  for (let i = 0; i < 5; i++) {
    // A node that returns gets no share by itself.
    if (i > 0) await swarmRemove(witness, 'cut');
    await swarmDeploy(witness, 'cut');
    const elsewhere = async (): Promise<boolean> =>
      (await running(witness, 'cut')).filter(({ NodeID }) => NodeID !== lost).length === 3;
    took.push(
      await timed(async () => {
        await fall();
        await until('3 on two', elsewhere, 90_000);
      }),
    );
    tell(`  swarm ${took.at(-1)} ms`);
    await back();
    const nodes = async () => (await witness.docker.listNodes()) as { Status: { State: string } }[];
    await until('back', async () => (await nodes()).every(({ Status }) => Status.State === 'ready'), 90_000);
  }
  return took;
}

async function failoverKill(lab: Lab): Promise<object> {
  const [witness, victim] = [lab.host(1), lab.host(3)];
  await cellsUp(lab);
  await witness.ok('deploy', specOf(witness, 'kill'));
  const ours: number[] = [];
  for (let i = 0; i < 5; i++) {
    await settled(lab, 'kill');
    const containers = await victim.docker.listContainers();
    const took = await timed(async () => {
      victim.crashDaemon();
      await Promise.all(containers.map(({ Id }) => victim.docker.getContainer(Id).kill()));
      await until('3 on two', () => ready(witness, 'kill', victim.name), 60_000);
    });
    ours.push(took);
    tell(`  osca ${took} ms`);
    await victim.up('--name', victim.name);
  }
  for (const one of lab.hosts) one.crashDaemon();
  await gone(lab, 'nothing');
  const theirs = await swarmFailovers(lab, {
    fall: async () => victim.powerOff(),
    back: async () => {
      await victim.powerOn();
      await victim.startDocker();
    },
  });
  return compared('daemon and containers killed to all replicas elsewhere, ms', ours, theirs, 1_500);
}

/** OSCA alone, often: cuts without and with loss, and a daemon that is stopped for a second. */
async function failover(lab: Lab): Promise<object> {
  const [witness, ...victims] = lab.hosts as [LabHost, LabHost, LabHost];
  // As often as a host may fall before it is held back.
  const afresh = async (): Promise<void> => {
    if (witness.daemonPid > 0) {
      await witness.ok('rm', 'often');
      await gone(lab, 'osca-often');
    }
    for (const host of lab.hosts) {
      host.crashDaemon();
      rmSync(host.dataDir, { recursive: true, force: true });
    }
    await cellsUp(lab);
    await witness.ok('deploy', specOf(witness, 'often'));
  };
  const cut = async (times: number): Promise<number[]> => {
    const took: number[] = [];
    for (let i = 0; i < times; i++) {
      await settled(lab, 'often');
      const victim = victims[i % victims.length]!;
      victim.cut();
      took.push(await timed(() => until('3 on two', () => ready(witness, 'often', victim.name), 60_000)));
      victim.uncut();
      tell(`  ${took.at(-1)} ms`);
    }
    return took;
  };
  const clean: number[] = [];
  for (let i = 0; i < 4; i++) {
    await afresh();
    clean.push(...(await cut(5)));
  }
  await afresh();
  lab.loss(10);
  const lossy = await cut(5);
  lab.loss(0);
  await settled(lab, 'often');
  const starts = async (): Promise<string> =>
    (await Promise.all(lab.hosts.map((host) => host.containers()))).flat().sort().join();
  const before = await starts();
  const moved: boolean[] = [];
  for (let i = 0; i < 5; i++) {
    await victims[i % victims.length]!.freeze(1_000);
    await new Promise((done) => setTimeout(done, 2_000));
    moved.push((await starts()) !== before);
  }
  const [none, ten] = [series(clean), series(lossy)];
  return {
    what: 'host cut off to all replicas running on the others, ms; with 10 % loss; replicas moved by a daemon stopped for 1 s',
    ...{ cut: none, loss10: ten, movedByPause: moved.filter(Boolean).length },
    target: { median: 1_500, worst: 2_500, loss10: 3_000, movedByPause: 0 },
    met: none.median <= 1_500 && none.worst <= 2_500 && ten.worst <= 3_000 && !moved.includes(true),
  };
}

/** The last host as a machine that was never here: start to joined and in everyone's view. */
async function joinAfresh(lab: Lab): Promise<number> {
  const [first, ...others] = lab.hosts as [LabHost, ...LabHost[]];
  const fresh = others.at(-1)!;
  await first.ok('cell', 'rm', fresh.name);
  fresh.crashDaemon();
  rmSync(fresh.dataDir, { recursive: true, force: true });
  const { ticket } = await first.json<{ ticket: string }>('ticket', 'create');
  await quietMachine();
  return await timed(async () => {
    const started = fresh.up('--name', fresh.name, '--ticket', ticket);
    await until('in every view', async () =>
      (await Promise.all([first, ...others.slice(0, -1)].map((one) => one.alive()))).every((names) =>
        names.includes(fresh.name),
      ),
    );
    await started;
  });
}

async function rest(lab: Lab): Promise<object> {
  const joins = await cellsUp(lab);
  await lab.host(1).ok('deploy', specOf(lab.host(1), 'rest'));
  await new Promise((done) => setTimeout(done, 20_000));
  const pids = lab.hosts.map(({ daemonPid }) => daemonPid);
  const cpu = await Promise.all(pids.map((pid) => cpuPercent(pid, 20_000)));
  const memory = pids.map(residentMb);
  const engines = lab.hosts.map(({ enginePids }) =>
    enginePids.filter(isAlive).reduce((sum, pid) => sum + residentMb(pid), 0),
  );
  for (let i = 0; i < 3; i++) joins.push(await joinAfresh(lab));
  return {
    what: 'daemon at rest, 3 cells, 3 replicas; joins of fresh cells',
    osca: { memoryMb: series(memory), cpuPercent: series(cpu), joinMs: series(joins) },
    floor: { dockerdAndContainerdMb: series(engines) },
    ratio: { memory: round(median(memory) / median(engines)) },
    target: { memoryMb: 90, cpuPercent: 2, joinMs: 1_500 },
    met: median(memory) <= 90 && median(cpu) <= 2 && median(joins) <= 1_500,
  };
}

/** A change under load, beside Swarm's. */
async function rolling(lab: Lab): Promise<object> {
  await cellsUp(lab);
  const ours = await rollOsca(lab, tell);
  await lab.host(1).ok('rm', 'roll');
  await gone(lab, 'osca-roll');
  for (const one of lab.hosts) one.crashDaemon();
  await swarmUp(lab.hosts);
  return rolled(ours, await rollSwarm(lab, tell));
}

const round = (value: number): number => Math.round(value * 1_000) / 1_000;

function compared(what: string, ours: number[], theirs: number[], target: number): object {
  const [osca, swarm] = [series(ours), series(theirs)];
  return {
    what,
    osca,
    swarm,
    ratio: round(osca.median / swarm.median),
    target,
    met: osca.median <= target && osca.median < swarm.median,
  };
}

/** Three hosts with their own engines, for this benchmark alone. */
const inLab = (bench: (lab: Lab) => Promise<object>) => async (): Promise<object> => {
  const lab = await Lab.up(3);
  const stop = (): void => {
    lab.down();
    process.exit(130);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    await Promise.all(lab.hosts.map((host) => host.startDocker()));
    return await bench(lab);
  } finally {
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
    lab.down();
  }
};

/** The same once more, with the flags of the daemon. */
function asDaemon(script: string): object {
  const [, flags = ''] = /^flags='(.*)'$/m.exec(readFileSync(join(root, 'osca'), 'utf8'))!;
  const out = execFileSync(join(root, 'node_modules/.bin/node'), [...flags.split(' '), join(root, script)]);
  return JSON.parse(String(out)) as object;
}

const benchmarks: Record<string, () => Promise<object>> = {
  deploy: inLab(deploy),
  'failover-cut': inLab(failoverCut),
  'failover-kill': inLab(failoverKill),
  failover: inLab(failover),
  rolling: inLab(rolling),
  rest: inLab(rest),
  memory: async () => await benchMemory(1_000, tell),
  specs: async () => benchSpecs(tell),
  years: async () => benchYears(tell),
  deploys: async () => await benchDeploys(tell),
  membership: async () => await benchMembership(tell),
  placement: async () => ({ ...benchPlacement(tell), asTheDaemonRuns: asDaemon('bench/placement.ts') }),
  boot: async () => await benchBoot(tell),
  // A thousand cell-days are hours: with other seeds and minutes they add up.
  'sim-wifi': async () =>
    benchWifi({
      ...{ cells: 100, minutes: Number(process.env.OSCA_MINUTES ?? 60), seed: process.env.OSCA_SEED ?? 'wifi', tell },
    }),
  'sim-scale': async () => simScale({ cells: 1_000, joining: 300, tell }),
};

async function main(): Promise<void> {
  const asked = process.argv.slice(2).filter((word) => !word.startsWith('--'));
  const unknown = asked.find((name) => benchmarks[name] === undefined);
  if (unknown !== undefined) {
    console.error(`there is no benchmark '${unknown}'; there are: ${Object.keys(benchmarks).join(', ')}`);
    process.exit(2);
  }
  const results: Record<string, object> = {};
  for (const name of asked.length === 0 ? Object.keys(benchmarks) : asked) {
    tell(`${name} …`);
    const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${trySh('uname', '-r').trim()}`;
    const result = { date: new Date().toISOString().slice(0, 10), machine, ...(await benchmarks[name]!()) };
    results[name] = result;
    mkdirSync(join(root, 'bench/results'), { recursive: true });
    writeFileSync(join(root, 'bench/results', `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
    tell(JSON.stringify(result, null, 2));
  }
  if (quiet) console.log(JSON.stringify(results));
}

await main();
