/** Files in the style of those that people have: what they become, or which keys are refused, and where. */
import { describe, expect, it } from 'vitest';
import { SpecError } from '../../src/core/errors.ts';
import type { ServiceSpec } from '../../src/core/spec.ts';
import { readCompose } from '../../src/specs/compose.ts';

const pathOf = (name: string): string => new URL(`corpus/${name}.yaml`, import.meta.url).pathname;
const read = (name: string, profiles: string[] = []) => readCompose({ file: pathOf(name), env: {}, profiles });

function services(name: string, profiles: string[] = []): Record<string, ServiceSpec> {
  return Object.fromEntries(read(name, profiles).app.services.map((service) => [service.name, service]));
}

/** 'LINE KEY' of all that is refused. */
function refused(name: string): string[] {
  try {
    read(name);
  } catch (error) {
    if (error instanceof SpecError) return error.problems.map(({ line, key }) => `${line} ${key}`);
    throw error;
  }
  return [];
}

describe('a file that somebody wrote', () => {
  it('wordpress: a blog waits for its database', () => {
    const { wordpress, db } = services('wordpress');
    expect(wordpress!.dependsOn).toEqual([{ service: 'db', condition: 'started' }]);
    expect(wordpress!.strict && db!.strict).toBe(true);
  });

  it('home assistant: the machine’s own network and devices', () => {
    const { homeassistant } = services('home-assistant');
    expect(homeassistant!.engine).toEqual({
      ...{ privileged: true, network: 'host' },
      devices: [{ host: '/dev/ttyUSB0', inside: '/dev/ttyUSB0', permissions: 'rwm' }],
      logging: { driver: 'json-file', options: { 'max-size': '10m', 'max-file': '3' } },
    });
  });

  it('pihole: names, kernel settings, a terminal that nobody needs', () => {
    const { pihole } = services('pihole');
    expect(pihole!.engine).toEqual({
      ...{ hostname: 'pihole', dns: ['127.0.0.1', '1.1.1.1'] },
      sysctls: { 'net.ipv6.conf.all.disable_ipv6': '0' },
    });
    expect(pihole!.ports.map(({ published, protocol }) => `${published}/${protocol}`)).toEqual([
      ...['53/tcp', '53/udp', '67/udp', '80/tcp'],
    ]);
  });

  it('gitea: one network for all', () => {
    const { server, db } = services('gitea');
    expect(server!.dependsOn).toEqual([{ service: 'db', condition: 'healthy' }]);
    expect(db!.engine).toEqual({ shmBytes: 128 * 2 ** 20 });
    expect(read('gitea').warnings).toEqual([
      'server: ./gitea is not copied to other cells: use configs for small files, or pin it with node.hostname',
      'db: ./postgres is not copied to other cells: use configs for small files, or pin it with node.hostname',
      'services reach each other by published ports for now, not by name',
    ]);
  });

  it('monitoring: two networks, and a link', () => {
    expect(refused('monitoring')).toEqual(['20 services.grafana.networks']);
  });

  it('voting: rolled out, limited the old way, a job that waits', () => {
    const { vote, worker, migrate, report } = services('voting');
    expect(vote!.update).toMatchObject({ parallelism: 2, delayMs: 5_000, onFailure: 'rollback', monitorMs: 15_000 });
    expect(worker).toMatchObject({ replicas: 3, resources: { limitCpuMilli: 500, limitMemoryBytes: 128 * 2 ** 20 } });
    expect(worker!.constraints).toEqual([{ key: 'node.platform.arch', op: '==', value: 'amd64' }]);
    expect(migrate!.restart.condition).toBe('none');
    expect(report).toBeUndefined();
    expect(services('voting', ['monthly']).report!.dependsOn).toEqual([{ service: 'migrate', condition: 'completed' }]);
  });

  it('traefik: a network that is somebody else’s, and names on it', () => {
    expect(read('traefik').warnings).toContain(
      'network proxy of other files can not be joined yet: reach those services by published ports',
    );
  });

  it('node-dev: what is for a developer’s machine', () => {
    expect(services('node-dev').app!.files).toEqual([{ target: '/run/secrets/token', blob: '#secrets/token' }]);
  });
});
