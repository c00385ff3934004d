/** Kubernetes manifests in the style of those that people have: what they become, or what is refused, and where. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SpecError } from '../../src/core/errors.ts';
import { reservationOf } from '../../src/core/service.ts';
import type { ServiceSpec } from '../../src/core/spec.ts';
import type { ComposeResult } from '../../src/specs/compose.ts';
import { readSpec } from '../../src/specs/read.ts';

const folder = mkdtempSync(join(tmpdir(), 'osca-kube-'));
const read = (file: string, ...over: string[]): ComposeResult => readSpec({ file, over, env: {}, profiles: [] });
const corpus = (name: string): ComposeResult => read(new URL(`kubernetes/${name}.yaml`, import.meta.url).pathname);
const services = (result: ComposeResult): Record<string, ServiceSpec> =>
  Object.fromEntries(result.app.services.map((service) => [service.name, service]));

function text(content: string, name = 'web.yaml'): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** 'LINE KEY: MESSAGE' of all that is refused. */
function refused(file: string): string[] {
  try {
    read(file);
  } catch (error) {
    if (error instanceof SpecError) return error.problems.map(({ line, key, message }) => `${line} ${key}: ${message}`);
    throw error;
  }
  return [];
}

const pod = (container: string, more = ''): string =>
  text(
    `apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - name: web\n    image: web\n${container}\n${more}`,
  );

describe('manifests that somebody wrote', () => {
  it('guestbook: deployments, probes, and what is reached from outside', () => {
    const result = corpus('guestbook');
    const { redis, frontend } = services(result);
    expect(result.app.name).toBe('guestbook');
    expect(redis).toMatchObject({
      ...{ image: 'docker.io/redis:6.0.5', replicas: 1, ports: [] },
      ...{ labels: { app: 'redis', role: 'leader', tier: 'backend' } },
      resources: { reserveCpuMilli: 100, reserveMemoryBytes: 100 * 2 ** 20 },
    });
    expect(frontend).toMatchObject({
      ...{ replicas: 3, environment: { GET_HOSTS_FROM: 'dns' } },
      ports: [{ target: 80, protocol: 'tcp', published: 8_080 }],
      probes: {
        live: { check: { kind: 'http', port: 80, path: '/' }, initialDelayMs: 5_000, intervalMs: 10_000, failures: 3 },
        ready: { check: { kind: 'tcp', port: 80 }, intervalMs: 5_000, failures: 1 },
      },
    });
    expect(result.warnings).toEqual([
      'Service redis: services do not reach each other by name yet; with type: NodePort it publishes a port on the cells that run it, and others use CELL:PORT',
      'Service frontend: port 8080 is one of a cell: 3 replicas of frontend need as many cells',
    ]);
  });

  it('wordpress: a secret variable, a claim, as whom it runs, where', () => {
    const result = corpus('wordpress');
    const [mysql] = result.app.services as [ServiceSpec];
    expect(mysql).toMatchObject({
      ...{ name: 'wordpress-mysql', strict: true, user: '999:999', stopSignal: 'SIGINT', stopGraceMs: 60_000 },
      ...{ environment: { ID: '7' }, ownVariables: { POD: 'replica' } },
      sealedEnvironment: { MYSQL_ROOT_PASSWORD: '#Secret/mysql-pass/password' },
      command: ['--default-authentication-plugin=mysql_native_password', '--server-id=7'],
      mounts: [{ kind: 'volume', source: 'wordpress_mysql-pv-claim', target: '/var/lib/mysql' }],
      ...{ capAdd: ['NET_BIND_SERVICE'], capDrop: ['ALL'], preStop: [{ command: ['mysqladmin', 'shutdown'] }] },
      engine: { groupAdd: ['999'], securityOpt: ['no-new-privileges:true'] },
      update: { order: 'stop-first', parallelism: 0 },
    });
    expect(mysql.constraints).toEqual([
      { key: 'node.labels.disk', op: '==', value: 'ssd' },
      { key: 'node.platform.arch', op: '==', value: 'arm64' },
    ]);
    const { data, secret } = result.files['#Secret/mysql-pass/password']!;
    expect([Buffer.from(data, 'base64url').toString(), secret]).toEqual(['open sesame', true]);
  });

  it('config: a list, files from a ConfigMap, one on every cell', () => {
    const result = corpus('config');
    const [proxy] = result.app.services as [ServiceSpec];
    expect(proxy).toMatchObject({
      ...{ mode: 'global', pull: 'always', engine: { network: 'host' } },
      environment: { NGINX_LEVEL: 'info' },
      files: [
        { target: '/etc/nginx/nginx.conf', blob: '#ConfigMap/nginx/nginx.conf', mode: 0o644 },
        { target: '/conf/types', blob: '#ConfigMap/nginx/mime.types', mode: 0o400 },
      ],
      mounts: [
        { kind: 'tmpfs', target: '/tmp', sizeBytes: 64 * 2 ** 20 },
        { kind: 'bind', source: '/var/log', target: '/host/log' },
      ],
    });
  });

  it('batch: a schedule, a job, and replicas with a disk each', () => {
    const { backup, pi, etcd } = services(corpus('batch'));
    expect(backup).toMatchObject({
      job: { parallelism: 1, retries: 2, deadlineMs: 600_000 },
      schedule: { cron: '30 3 * * *', zone: 'Europe/Berlin', missed: 'run', overlap: 'skip' },
      entrypoint: ['restic', 'backup', '/data'],
    });
    expect(pi).toMatchObject({ replicas: 5, job: { parallelism: 2, retries: 6 } });
    expect(etcd).toMatchObject({
      replicas: 3,
      maxPerCell: 1,
      mounts: [{ source: 'batch_data-etcd', target: '/data' }],
    });
    expect(etcd!.strict).toBeUndefined();
  });

  it('web-with-logs: what runs first, what runs beside, and what they share', () => {
    const { blog } = services(corpus('web-with-logs'));
    expect(blog).toMatchObject({
      image: 'nginx:1.27',
      ports: [{ target: 80, protocol: 'tcp', published: 8_080 }],
      mounts: [
        { kind: 'scratch', source: 'html', target: '/usr/share/nginx/html', readOnly: true },
        { kind: 'scratch', source: 'logs', target: '/var/log/nginx' },
      ],
      environment: { MEMORY_MIB: '64' },
      ownVariables: { NODE: 'cell' },
      engine: { dns: ['10.0.0.53'], groupAdd: ['2000'] },
      parts: [
        {
          ...{ name: 'clone', kind: 'init', image: 'alpine/git', user: '1000' },
          ...{
            mounts: [{ kind: 'scratch', source: 'html', target: '/work' }],
            sealedEnvironment: { TOKEN: '#Secret/git/token' },
          },
          engine: { dns: ['10.0.0.53'], groupAdd: ['2000'] },
        },
        {
          name: 'proxy',
          kind: 'sidecar',
          mounts: [{ kind: 'scratch', source: 'certs', target: '/certs', inMemory: true }],
        },
        {
          ...{ name: 'exporter', kind: 'peer', engine: { groupAdd: ['2000'] } },
          probes: { ready: { check: { kind: 'http', port: 9_113, path: '/metrics' } } },
        },
        {
          name: 'shipper',
          kind: 'peer',
          files: [{ target: '/etc/vector/vector.yaml', blob: '#ConfigMap/vector/vector.yaml' }],
        },
      ],
    });
    expect(reservationOf(blog!)).toEqual({ cpuMilli: 500, memoryBytes: 96 * 2 ** 20 });
  });

  it('refused: each with its line, all at once', () => {
    const file = new URL('kubernetes/refused.yaml', import.meta.url).pathname;
    expect(refused(file)).toEqual([
      '6 kind: Ingress is not supported',
      "11 kind: 'Deploiment' is not known",
      '18 spec.replica: is no key that is known here',
    ]);
    const rest = text(`${'\n'.repeat(2)}apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      ephemeralContainers: [{name: debug, image: busybox}]
      containers:
        - {name: web, image: web}
      volumes: [{name: share, csi: {driver: nas}}]
`);
    expect(refused(rest)).toEqual([
      '9 spec.template.spec.ephemeralContainers: is not supported',
      '12 spec.template.spec.volumes[0].csi: is not supported',
    ]);
  });
});

describe('a wrong manifest is refused by place', () => {
  it.each<[string, string]>([
    ['    resources: {limits: {memory: lots}}', "8 spec.containers[0].resources.limits.memory: 'lots' is no quantity"],
    [
      '    env: [{name: A, valueFrom: {secretKeyRef: {name: none, key: a}}}]',
      "8 spec.containers[0].env[0].valueFrom: there is no Secret 'none'",
    ],
    [
      '    env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]',
      "8 spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: 'status.podIP' is not known here",
    ],
    [
      '    volumeMounts: [{name: none, mountPath: /a}]',
      "8 spec.containers[0].volumeMounts[0].name: there is no volume 'none'",
    ],
    [
      '    livenessProbe: {httpGet: {port: http}}',
      "8 spec.containers[0].livenessProbe.httpGet.port: 'http' is no port of the container",
    ],
    ['    livenessProbe: {periodSeconds: 5}', '8 spec.containers[0].livenessProbe: says not what to ask'],
    ['    imagePullPolicie: Always', '8 spec.containers[0].imagePullPolicie: is no key that is known here'],
    ['    securityContext: {runAsGroup: 5}', '8 spec.containers[0].securityContext.runAsGroup: says not which user'],
    ['  - {name: web, image: b}', "8 spec.containers[1].name: another container is called 'web'"],
    ['  - {image: b}', "8 spec.containers[1].name: '' is no name"],
    [
      '  - {name: b, image: b, restartPolicy: Always, imagine: c}',
      '8 spec.containers[1].imagine: is no key that is known here',
    ],
    ['  initContainers: [{name: b}]', '8 spec.initContainers[0].image: has no image'],
    [
      '    env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]',
      "8 spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: the container says nothing of 'limits.cpu'",
    ],
  ])('%s', (container, problem) => {
    expect(refused(pod(container))).toEqual([problem]);
  });

  it('objects that contradict each other, or select nothing', () => {
    const web =
      'apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {app: web}}\nspec: {containers: [{name: a, image: a}]}\n';
    expect(refused(text(`${web}---\n${web}`))).toEqual(['8 metadata.name: Pod web has the same name']);
    const service =
      'apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: NodePort, selector: {app: wep}, ports: [{port: 80}]}\n';
    expect(refused(text(`${web}---\n${service}`))).toEqual(['9 spec.selector: selects nothing of the file']);
    expect(
      refused(
        text(
          `apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {pw: "not base64!"}\n---\n${web.replace('image: a', 'image: a, envFrom: [{secretRef: {name: a}}]')}`,
        ),
      ),
    ).toEqual(['4 data.pw: is no base64']);
    expect(() => read(text('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n'))).toThrow('nothing that runs');
  });
});

it('of a variable that is said twice the last holds, and what is known only where it runs is left for there', () => {
  const secret = 'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {HOST: sealed, PW: word}\n---\n';
  const web =
    'apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - name: a\n    image: a\n    args: ["--url=$(URL)", "--me=$(ME)"]\n    envFrom: [{secretRef: {name: s}}]\n    env:\n    - {name: HOST, value: plain}\n    - {name: ME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}\n    - {name: URL, value: "pg://$(PW)@$(HOST)"}\n';
  const [service] = read(text(secret + web)).app.services;
  expect(service).toMatchObject({
    environment: { HOST: 'plain', URL: 'pg://$(PW)@plain' },
    ownVariables: { ME: 'replica' },
  });
  expect(service!.sealedEnvironment).toEqual({ PW: '#Secret/s/PW' });
  expect(service!.command).toEqual(['--url=pg://$(PW)@plain', '--me=$(ME)']);
  const large = `apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {PW: "${'x'.repeat(300_000)}"}\n---\n`;
  expect(refused(text(large + web))[0]).toContain('Secret/s/PW is larger than 256 KiB');
});

it('quantities, several files, and what a cluster adds to what it gives out', () => {
  const service = text(
    'apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}\n',
    'service.yaml',
  );
  const web = text(
    'apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {app: web}, uid: x, creationTimestamp: null, managedFields: [{a: b}]}\nspec:\n  containers: [{name: a, image: a, resources: {limits: {cpu: "1.5", memory: 1.5G}, requests: {cpu: 250m, memory: 128974848}}}]\nstatus: {phase: Running}\n',
    'pod.yaml',
  );
  const result = read(web, service);
  expect(result.app.services[0]).toMatchObject({
    ports: [{ target: 80, published: 30_080 }],
    resources: {
      limitCpuMilli: 1_500,
      limitMemoryBytes: 1_500_000_000,
      reserveCpuMilli: 250,
      reserveMemoryBytes: 128_974_848,
    },
  });
});

describe('as a cluster has it', () => {
  const one = (spec: string, kind = 'StatefulSet', head = 'apps/v1'): ServiceSpec =>
    services(read(text(`apiVersion: ${head}\nkind: ${kind}\nmetadata: {name: db}\nspec:\n${spec}`))).db!;
  const container = '{name: a, image: a}';

  it('is seen in whatever style it is written', () => {
    const flow =
      '{ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "db" }, "spec": { "containers": [{ "name": "a", "image": "a:$1" }] } }';
    expect(services(read(text(flow))).db!.image).toBe('a:$1');
    expect(services(read(text(`---\n${flow}\n`))).db!.image).toBe('a:$1');
  });

  it('replicas with a number, and completions with one', () => {
    expect(one(`  template: {spec: {containers: [${container}]}}`).ordinals).toBe(true);
    const job = one(
      `  completionMode: Indexed\n  completions: 4\n  template: {spec: {containers: [${container}]}}`,
      'Job',
      'batch/v1',
    );
    expect(job).toMatchObject({ replicas: 4, ownVariables: { JOB_COMPLETION_INDEX: 'completion' } });
    const queue = one(`  parallelism: 3\n  template: {spec: {containers: [${container}]}}`, 'Job', 'batch/v1');
    expect(queue).toMatchObject({ replicas: 3, job: { parallelism: 3 } });
    const zoned = `  schedule: "CRON_TZ=Europe/Rome 0 3 * * *"\n  jobTemplate: {spec: {template: {spec: {containers: [${container}]}}}}`;
    expect(one(zoned, 'CronJob', 'batch/v1').schedule).toMatchObject({ cron: '0 3 * * *', zone: 'Europe/Rome' });
  });

  it('parts of volumes, and where the cell mounts later', () => {
    const mounts = (more: string): ServiceSpec =>
      one(
        `  template: {spec: {containers: [{name: a, image: a, volumeMounts: [{name: d, mountPath: /d, subPath: my/sql}, {name: h, mountPath: /h, mountPropagation: HostToContainer}${more}]}], volumes: [{name: d, persistentVolumeClaim: {claimName: data}}, {name: h, hostPath: {path: /, type: Directory}}]}}`,
      );
    expect(mounts('').mounts).toEqual([
      { kind: 'volume', source: 'web_data_my_sql', target: '/d' },
      { kind: 'bind', source: '/', target: '/h', options: ['rslave'] },
    ]);
    expect(() => mounts(', {name: d, mountPath: /all}')).toThrow(/subPath.*'d' is mounted as a whole too/s);
  });

  it('several values, limits that are requests, and what is text', () => {
    const spec = one(
      '  template: {spec: {nodeSelector: {beta.kubernetes.io/arch: arm64}, affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: disk, operator: In, values: [ssd, nvme]}]}]}}}, containers: [{name: a, image: a, args: ["$$(ME)", "$(ME)", "$(constructor)", "$$(X)"], env: [{name: ME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}], resources: {limits: {memory: 64Mi}}}]}}',
    );
    expect(spec.constraints).toEqual([
      { key: 'node.platform.arch', op: '==', value: 'arm64' },
      { key: 'node.labels.disk', op: '==', value: 'ssd', or: ['nvme'] },
    ]);
    expect(spec.resources).toMatchObject({ limitMemoryBytes: 2 ** 26, reserveMemoryBytes: 2 ** 26 });
    expect(spec.command).toEqual(['$$(ME)', '$(ME)', '$(constructor)', '$(X)']);
  });

  it('numbers that a cluster would write on the pod, and what only a cluster writes', () => {
    const field = (path: string): string => pod(`    env: [{name: N, valueFrom: {fieldRef: {fieldPath: "${path}"}}}]`);
    const own = (path: string) => read(field(path)).app.services[0]!;
    expect(own("metadata.annotations['batch.kubernetes.io/job-completion-index']").ownVariables).toEqual({
      N: 'completion',
    });
    expect(own("metadata.labels['apps.kubernetes.io/pod-index']").ownVariables).toEqual({ N: 'completion' });
    expect(own("metadata.labels['statefulset.kubernetes.io/pod-name']").ownVariables).toEqual({ N: 'replica' });
    expect(own("metadata.labels['none']").environment).toEqual({ N: '' });
    expect(own("metadata.labels['app.kubernetes.io/version']").environment).toEqual({ N: '' });
    expect(refused(field("metadata.labels['pod-template-hash']"))[0]).toContain('is not known here');
    expect(() => read(field('status.podIP'))).toThrow('with hostNetwork: true');
    // On every cell one: they have no numbers.
    const daemons = `apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {a: b}}\n  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: a, env: [{name: N, valueFrom: {fieldRef: {fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}}}]}]}}\n`;
    expect(() => read(text(daemons))).toThrow("pod-index']' is not known here");
  });

  it('hooks that are requests', () => {
    const [web] = read(
      pod(
        '    ports: [{name: admin, containerPort: 9000}]\n    lifecycle: {preStop: {httpGet: {port: admin, path: /quit, httpHeaders: [{name: X, value: "1"}]}}}',
      ),
    ).app.services as [ServiceSpec];
    expect(web.preStop).toEqual([
      { check: { kind: 'http', port: 9_000, path: '/quit', scheme: 'http', headers: { X: '1' } } },
    ]);
    expect(refused(pod('    lifecycle: {postStart: {httpGet: {port: none}}}'))[0]).toContain(
      "lifecycle.postStart.httpGet.port: 'none' is no port of the container",
    );
  });

  it('nothing asked for, modes of all files, profiles, and one on each cell', () => {
    const [web] = read(
      pod(
        '    resources: {requests: {cpu: "0"}, limits: {cpu: 500m}}\n    securityContext: {seccompProfile: {type: Unconfined}}\n    volumeMounts: [{name: v, mountPath: /v}, {name: e, mountPath: /e}]',
        '  volumes:\n  - {name: v, projected: {defaultMode: 0400, sources: [{configMap: {name: c}}]}}\n  - {name: e, emptyDir: {}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: v}\n',
      ),
    ).app.services as [ServiceSpec];
    expect(web.resources).toMatchObject({ reserveCpuMilli: 0, limitCpuMilli: 500 });
    expect(web.files).toMatchObject([{ mode: 0o400 }]);
    const wrongMode = pod(
      '    volumeMounts: [{name: v, mountPath: /v}]',
      '  volumes:\n  - {name: v, configMap: {name: c, defaultMode: 0999}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: v}\n',
    );
    expect(refused(wrongMode)[0]).toContain('a file mode is not 999');
    expect(web.engine).toEqual({ securityOpt: ['seccomp=unconfined'] });
    expect(web.mounts).toEqual([{ kind: 'volume', target: '/e', options: ['nocopy'] }]);
    expect(refused(pod('    securityContext: {seccompProfile: {type: Localhost, localhostProfile: p}}'))[0]).toContain(
      'is a file of the machine',
    );
    const apart = (selector: string): string =>
      text(
        `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 3\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: ${selector}}]}}\n      containers: [{name: a, image: a}]\n`,
      );
    expect(read(apart('{matchLabels: {app: web}}')).app.services[0]!.maxPerCell).toBe(1);
    expect(
      read(apart('{matchExpressions: [{key: app, operator: In, values: [web]}]}')).app.services[0]!.maxPerCell,
    ).toBe(1);
    expect(read(apart('{matchLabels: {app: db}}')).app.services[0]!.maxPerCell).toBeUndefined();
  });

  it('folders of a claim that others have as a whole, and Services of what is elsewhere', () => {
    const mount = (name: string, more: string): string =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\nspec:\n  containers: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /v${more}}]}]\n  volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]\n---\n`;
    const service =
      'apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {app: none}, ports: [{port: 1}]}\n';
    const { warnings } = read(text(`${mount('a', '')}${mount('b', ', subPath: sub')}${service}`));
    expect(warnings[0]).toContain('Service s: services do not reach each other by name yet');
    expect(warnings[1]).toContain('a has the whole of volume web_c, and does not see the folders');
  });

  it('addresses that are known before it starts', () => {
    const own = (more: string, field: string): unknown =>
      one(
        `  template: {spec: {${more}containers: [{name: a, image: a, env: [{name: AT, valueFrom: {fieldRef: {fieldPath: ${field}}}}]}]}}`,
      ).ownVariables;
    expect(own('', 'status.hostIP')).toEqual({ AT: 'address' });
    expect(own('hostNetwork: true, ', 'status.podIP')).toEqual({ AT: 'address' });
    expect(() => own('', 'status.podIP')).toThrow(/'status.podIP' is not known here/);
  });

  it('nothing leaves its folder', () => {
    const pod = (volume: string): string =>
      `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /v}]}], volumes: [${volume}]}\n`;
    expect(() => read(text(pod('{name: v, configMap: {name: c, items: [{key: a, path: ../../x}]}}')))).toThrow(
      /leads out of the folder/,
    );
    expect(() => read(text(pod('{name: v, emptyDir: {}}, {name: x/../y, emptyDir: {}}')))).toThrow(
      /'x\/..\/y' is no name/,
    );
  });

  it('two namespaces, and a template that is not rendered, are refused', () => {
    const map = (space: string): string =>
      `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: ${space}}\ndata: {a: b}\n---\n`;
    const web = 'apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: a, image: a}]}\n';
    expect(refused(text(map('one') + map('two') + web))).toEqual(['8 metadata.name: ConfigMap s has the same name']);
  });
});
