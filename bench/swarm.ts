/** The peer: Docker Swarm on the same hosts and engines. */
import type { LabHost } from '../test/lab/host.ts';
import { until } from '../test/until.ts';

interface Task {
  Status: { State: string };
  DesiredState: string;
  NodeID: string;
}

export async function swarmUp(hosts: readonly LabHost[]): Promise<void> {
  const [first, ...others] = hosts;
  await first!.docker.swarmInit({ ListenAddr: `${first!.address}:2377`, AdvertiseAddr: first!.address });
  const { JoinTokens } = (await first!.docker.swarmInspect()) as { JoinTokens: { Manager: string } };
  for (const host of others) {
    await host.docker.swarmJoin({
      ListenAddr: `${host.address}:2377`,
      AdvertiseAddr: host.address,
      RemoteAddrs: [`${first!.address}:2377`],
      JoinToken: JoinTokens.Manager,
    });
  }
}

/** A service of three busybox replicas; resolves when three run. */
export async function swarmDeploy(host: LabHost, name: string): Promise<void> {
  await host.docker.createService({
    Name: name,
    TaskTemplate: {
      ContainerSpec: { Image: 'busybox:lab', Command: ['sleep', '86400'], StopSignal: 'SIGKILL' },
      Placement: {},
    },
    Mode: { Replicated: { Replicas: 3 } },
  });
  await until('3 of 3 tasks run', async () => (await running(host, name)).length === 3, 60_000);
}

export async function running(host: LabHost, name: string): Promise<Task[]> {
  const tasks = (await host.docker.listTasks({ filters: { service: [name] } })) as Task[];
  return tasks.filter(({ Status, DesiredState }) => Status.State === 'running' && DesiredState === 'running');
}

export async function nodeId(host: LabHost): Promise<string> {
  return ((await host.docker.info()) as { Swarm: { NodeID: string } }).Swarm.NodeID;
}

export async function swarmRemove(host: LabHost, name: string): Promise<void> {
  await host.docker.getService(name).remove();
  await until(
    'gone',
    async () =>
      ((await host.docker.listTasks({ filters: { service: [name] } }).catch(() => [])) as Task[]).length === 0,
    60_000,
  );
}
