/**
 * A change that goes through six replicas with a health check, one after the other, while a client asks them 200 times a second: does a
 * request fail, and how long does it take, beside Swarm. Swarm's mesh needs IPVS, so on both sides the client follows the replicas
 * itself: OSCA tells it of each change, Swarm is asked ten times a second.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ReplicaRow } from '../src/api/rows.ts';
import type { Asked } from '../test/lab/asked.ts';
import { addressOf, followOsca, under } from '../test/lab/asked.ts';
import type { LabHost } from '../test/lab/host.ts';
import type { Lab } from '../test/lab/lab.ts';
import { until } from '../test/until.ts';
import { quietMachine, series } from './measure.ts';

const replicas = 6;
const asked = { replicas, calmMs: 2_000 };
const rounds = 3;
// It goes on serving for a second after it was told to end, as servers that drain do.
const line = 'httpd -p 8080 -h /www; trap "sleep 1; exit 0" TERM; sleep 100000 & wait';
const test = ['CMD', 'wget', '-q', '-O', '/dev/null', '127.0.0.1:8080'];

const spec = (form: number): string => `name: roll
services:
  web:
    image: busybox:lab
    command: [sh, -c, '${line}']
    environment: { FORM: "${form}" }
    ports: ["8080"]
    stop_grace_period: 5s
    healthcheck: { test: ${JSON.stringify(test)}, interval: 1s, timeout: 2s, start_period: 10s, start_interval: 200ms }
    deploy: { replicas: ${replicas}, update_config: { parallelism: 1, order: start-first } }
`;

export async function rollOsca(lab: Lab, tell: (text: string) => void): Promise<Asked[]> {
  const [host] = lab.hosts as [LabHost];
  const path = join(host.folder, 'roll.yaml');
  const deploy = async (form: number): Promise<void> => {
    writeFileSync(path, spec(form));
    await host.ok('deploy', '--detach', path);
  };
  await deploy(0);
  const all = async (): Promise<ReplicaRow[]> => await host.replicas('roll');
  const isWhole = (rows: readonly ReplicaRow[], not: string): boolean =>
    rows.length === replicas && rows.every(({ state, hash }) => state === 'ready' && hash !== not);
  await until('six run', async () => isWhole(await all(), ''), 60_000);
  await until('it is through', async () => (await host.ok('history', 'roll')).includes('done'), 60_000);
  const done: Asked[] = [];
  for (let form = 1; form <= rounds; form++) {
    const [{ hash }] = (await all()) as [ReplicaRow];
    await quietMachine();
    done.push(
      await under(host, followOsca(lab, 'roll'), asked, async () => {
        await deploy(form);
        await until('all are new', async () => isWhole(await all(), hash), 180_000);
      }),
    );
    tell(`  osca ${JSON.stringify(done.at(-1))}`);
    await until('it is through', async () => !(await host.ok('history', 'roll')).includes('on its way'), 60_000);
  }
  return done;
}

interface Task {
  ID: string;
  NodeID: string;
  DesiredState: string;
  Spec: { ContainerSpec: { Env?: string[] } };
  Status: { State: string; PortStatus?: { Ports?: { PublishedPort: number }[] } };
}

const swarmSpec = (form: number): object => ({
  Name: 'roll',
  TaskTemplate: {
    ContainerSpec: {
      ...{ Image: 'busybox:lab', Command: ['sh', '-c', line], Env: [`FORM=${form}`], StopGracePeriod: 5e9 },
      Healthcheck: { Test: test, Interval: 1e9, Timeout: 2e9, Retries: 3, StartPeriod: 10e9, StartInterval: 2e8 },
    },
  },
  Mode: { Replicated: { Replicas: replicas } },
  UpdateConfig: { Parallelism: 1, Order: 'start-first', Monitor: 5e9, FailureAction: 'rollback' },
  EndpointSpec: { Ports: [{ Protocol: 'tcp', TargetPort: 8_080, PublishMode: 'host' }] },
});

export async function rollSwarm(lab: Lab, tell: (text: string) => void): Promise<Asked[]> {
  const [host] = lab.hosts as [LabHost];
  const nodes = (await host.docker.listNodes()) as {
    ID: string;
    Status: { Addr: string };
    Description: { Hostname: string };
  }[];
  const at = new Map(nodes.map(({ ID, Description }) => [ID, addressOf(lab, Description.Hostname)]));
  const tasks = async (): Promise<Task[]> =>
    ((await host.docker.listTasks({ filters: { service: ['roll'] } })) as Task[]).filter(
      ({ Status, DesiredState }) => Status.State === 'running' && DesiredState === 'running',
    );
  const follow = (say: (targets: string[]) => void): (() => void) => {
    const look = async (): Promise<void> => {
      const up = (await tasks()).filter(({ Status }) => Status.PortStatus?.Ports?.[0] !== undefined);
      say(up.map(({ NodeID, Status }) => `${at.get(NodeID)}:${Status.PortStatus!.Ports![0]!.PublishedPort}`));
    };
    const timer = setInterval(() => void look().catch(() => {}), 100);
    return () => clearInterval(timer);
  };
  await host.docker.createService(swarmSpec(0));
  await until('six run', async () => (await tasks()).length === replicas, 90_000);
  const done: Asked[] = [];
  for (let form = 1; form <= rounds; form++) {
    await quietMachine();
    done.push(
      await under(host, follow, asked, async () => {
        const service = host.docker.getService('roll');
        const { Version } = (await service.inspect()) as { Version: { Index: number } };
        await service.update({ version: Version.Index, ...swarmSpec(form) });
        const isNew = ({ Spec }: Task): boolean => Spec.ContainerSpec.Env?.includes(`FORM=${form}`) === true;
        await until(
          'all are new',
          async () => {
            const up = await tasks();
            return up.length === replicas && up.every(isNew);
          },
          180_000,
        );
      }),
    );
    tell(`  swarm ${JSON.stringify(done.at(-1))}`);
    await new Promise((wait) => setTimeout(wait, 6_000));
  }
  return done;
}

const summed = (rounds: readonly Asked[]) => ({
  ms: series(rounds.map(({ ms }) => ms)),
  failed: rounds.reduce((sum, { seen }) => sum + seen.failed, 0),
  requests: rounds.reduce((sum, { seen }) => sum + seen.requests, 0),
  worstP99Ms: Math.max(...rounds.map(({ seen }) => seen.p99Ms)),
  longestGapMs: Math.max(...rounds.map(({ seen }) => seen.gapMs)),
});

export function rolled(ours: readonly Asked[], theirs: readonly Asked[]): object {
  const [osca, swarm] = [summed(ours), summed(theirs)];
  return {
    what: 'rolling update of 6 replicas with a health check, 200 requests a second meanwhile: ms until all are new, requests that failed',
    ...{ osca, swarm, ratio: Math.round((osca.ms.median / swarm.ms.median) * 1_000) / 1_000 },
    target: { failed: 0, ratio: 1 },
    met: osca.failed === 0 && osca.ms.median <= swarm.ms.median,
  };
}
