/** Engines: the driver's contract on real Docker and real Podman, images, and containers that go wrong. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DockerDriver } from '../../src/runtime/docker/driver.ts';
import { driverSuite, testFiles } from '../contract/driver.suite.ts';
import { podSuite } from '../contract/pods.suite.ts';
import { loopback } from '../loopback.ts';
import { until } from '../until.ts';
import type { LabHost } from './host.ts';
import { root } from './host.ts';
import { Lab } from './lab.ts';
import { run, sh } from './shell.ts';

let lab: Lab;
const h = (number: number): LabHost => lab.host(number);

beforeAll(async () => {
  lab = await Lab.up(2);
  await Promise.all([h(1).startDocker(), h(2).startPodman()]);
});
afterAll(() => lab.down());

const driverOf = (number: number, cell: string): DockerDriver =>
  new DockerDriver({
    docker: new Docker({ socketPath: h(number).engineSocket }),
    ...{ owner: () => ({ cell, appliance: 'lab' }), fetchImage: async () => {}, files: testFiles },
  });

for (const [number, name] of [
  [1, 'Docker'],
  [2, 'Podman'],
] as const) {
  const given = {
    driver: () => driverOf(number, 'cell-one'),
    again: () => driverOf(number, 'cell-one'),
    stranger: () => driverOf(number, 'cell-two'),
    service: { driver: 'docker' as const, image: 'busybox:lab' },
    engine: () => h(number).engineSocket,
    until,
  };
  driverSuite(name, given);
  podSuite(name, {
    ...given,
    volumes: async () => {
      const { Volumes } = await new Docker({ socketPath: h(number).engineSocket }).listVolumes();
      return (Volumes ?? []).map(({ Name }) => Name);
    },
  });
}

function file(name: string, text: string, folder = name): string {
  const path = join(h(1).folder, folder, 'compose.yaml');
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `name: ${name}\n${text}`);
  return path;
}

const web = (line: string, more = ''): string =>
  `services:\n  web:\n    image: busybox:lab\n    command: [sh, -c, '${line}']\n    stop_grace_period: 1s\n${more}`;
/** Some disk of this machine. */
const disk = ['/dev/vda', '/dev/sda', '/dev/nvme0n1', '/dev/loop0'].find((path) => existsSync(path));
const forever = 'while :; do sleep 0.2; done';

describe('an appliance of one Docker and one Podman host', () => {
  it('comes together', async () => {
    await h(1).up('--found', '--name', 'h1');
    const { ticket } = await h(1).json<{ ticket: string }>('ticket', 'create');
    await h(2).up('--name', 'h2', '--ticket', ticket);
    await until('two', async () => (await h(1).alive()).length === 2 && (await h(2).alive()).length === 2);
    const engines = (await h(1).cells()).map(({ engine }) => engine.split(' ')[0]);
    expect(engines.sort()).toEqual(['Docker', 'Podman']);
  });

  it('runs a service on both engines, healthy by its check', async () => {
    const check = '    healthcheck: { test: [CMD, test, -f, /tmp/up], interval: 300ms, start_interval: 100ms }\n';
    await h(1).ok(
      'deploy',
      file('both', web(`sleep 0.3; touch /tmp/up; ${forever}`, `${check}    deploy: { replicas: 2 }\n`)),
    );
    expect((await h(1).replicas('both')).map(({ cell }) => cell).sort()).toEqual(['h1', 'h2']);
    // A log without an end fills the disk.
    const [name] = (await h(1).containers()).filter((one) => one.startsWith('osca-both-'));
    const { HostConfig } = await h(1).docker.getContainer(name!).inspect();
    expect(HostConfig.LogConfig).toEqual({ Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } });
    expect((await h(2).sh('sh', '-c', 'ps -eo args | grep "[c]onmon.*osca-both"')).stdout).toContain(
      '--log-size-max 10000000',
    );
    for (const index of [1, 2])
      expect((await h(1).ok('exec', `both/web/${index}`, '--', 'echo', 'hi')).trim()).toBe('hi');
    await h(1).ok('rm', 'both');
  });

  it('runs a Kubernetes manifest on both: probes by network, files, sealed variables, and jobs beside it', async () => {
    const manifest = `apiVersion: v1
kind: ConfigMap
metadata: { name: page }
data: { index.html: "hello from a config map", asked.html: "yes" }
---
apiVersion: v1
kind: Secret
metadata: { name: token }
stringData: { word: open-sesame }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: web
          image: busybox:lab
          command: [httpd, -f, -vv, -p, "8080", -h, /www]
          ports: [{ name: http, containerPort: 8080 }]
          lifecycle: { postStart: { exec: { command: [sh, -c, "until grep -q :1F90 /proc/net/tcp*; do sleep 0.1; done"] } } }
          env:
            - { name: WORD, valueFrom: { secretKeyRef: { name: token, key: word } } }
            - { name: ME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
          volumeMounts: [{ name: www, mountPath: /www }]
          readinessProbe: { httpGet: { path: /, port: http }, periodSeconds: 1, timeoutSeconds: 2 }
          livenessProbe: { tcpSocket: { port: http }, periodSeconds: 1, timeoutSeconds: 2 }
        - name: beside
          image: busybox:lab
          command: [sleep, "100000"]
          lifecycle: { postStart: { httpGet: { port: 8080, path: /asked.html } } }
      volumes: [{ name: www, configMap: { name: page } }]
      terminationGracePeriodSeconds: 1
`;
    const path = join(h(1).folder, 'kube.yaml');
    writeFileSync(path, manifest);
    await h(1).ok('deploy', path);
    const rows = await h(1).replicas('kube');
    expect(rows.map(({ cell, state }) => [cell, state]).sort()).toEqual([
      ['h1', 'ready'],
      ['h2', 'ready'],
    ]);
    for (const index of [1, 2]) {
      expect(await h(1).ok('logs', `kube/web/${index}`)).toContain('url:/asked.html');
      const told = await h(1).ok(
        'exec',
        `kube/web/${index}`,
        '--',
        'sh',
        '-c',
        'cat /www/index.html; echo; echo $WORD $ME; mount | grep -c /www',
      );
      expect(told).toMatch(new RegExp(`^hello from a config map\nopen-sesame kube-web-${index}\n`));
    }
    const ran = await h(2).osca('run', 'kube/web', '--', 'sh', '-c', 'echo $WORD; exit 7');
    expect([ran.code, ran.stdout]).toEqual([7, 'open-sesame\n']);
    await h(1).ok('rm', 'kube');
  });

  it('runs pods of several containers on both, brings back the one that falls, and leaves nothing behind', async () => {
    const manifest = `apiVersion: apps/v1
kind: DaemonSet
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      initContainers:
        - { name: page, image: busybox:lab, command: [sh, -c, "echo made first > /www/index.html"], volumeMounts: [{ name: www, mountPath: /www }] }
      containers:
        - name: httpd
          image: busybox:lab
          command: [httpd, -f, -p, "8080", -h, /www]
          ports: [{ name: http, containerPort: 8080 }]
          env: [{ name: CELL, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }]
          volumeMounts: [{ name: www, mountPath: /www }]
        - name: watcher
          image: busybox:lab
          command: [sh, -c, "echo I watch; ${forever}"]
          readinessProbe: { exec: { command: [sh, -c, "wget -qO- 127.0.0.1:8080 | grep -q made"] }, periodSeconds: 1, timeoutSeconds: 3 }
      volumes: [{ name: www, emptyDir: {} }]
      terminationGracePeriodSeconds: 1
`;
    const path = join(h(1).folder, 'pods.yaml');
    writeFileSync(path, manifest);
    await h(1).ok('deploy', path);
    const rows = await h(1).replicas('pods');
    expect(rows.map(({ cell, state }) => `${cell} ${state}`).sort()).toEqual(['h1 ready', 'h2 ready']);
    const [first] = rows;
    const on = `pods/web/${first!.index}`;
    expect((await h(1).ok('exec', on, '--', 'sh', '-c', 'echo $CELL')).trim()).toBe(first!.cell);
    expect(await h(1).ok('exec', '-c', 'watcher', on, '--', 'wget', '-qO-', '127.0.0.1:8080')).toBe('made first\n');
    const wrong = await h(2).osca('logs', '-c', 'watchr', 'pods');
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringContaining("no container 'watchr'\n  it has: web, page, watcher"),
    ]);
    const said = (await h(2).ok('logs', '-c', 'watcher', 'pods')).trim().split('\n').sort();
    expect(said).toEqual(['web/h1@h1 watcher | I watch', 'web/h2@h2 watcher | I watch']);
    const engine = new Docker({ socketPath: h(1).engineSocket });
    const [watcher] = await engine.listContainers({ filters: { label: ['io.osca.part=watcher'] } });
    await engine.getContainer(watcher!.Id).kill();
    await until('it fell', async () => {
      const row = (await h(1).replicas('pods')).find(({ cell }) => cell === 'h1');
      return row?.restarts === 1 && row.state === 'ready';
    });
    expect((await h(1).ok('logs', '-c', 'watcher', 'pods')).match(/h1 watcher \| I watch/g)).toHaveLength(2);
    await h(1).ok('rm', 'pods');
    await until('nothing is left', async () => {
      const left = await Promise.all(
        [1, 2].map(async (number) => {
          const docker = new Docker({ socketPath: h(number).engineSocket });
          const { Volumes } = await docker.listVolumes();
          return (await docker.listContainers({ all: true })).length + (Volumes ?? []).length;
        }),
      );
      return left.every((count) => count === 0);
    });
  });

  it.each([
    [1, 'Docker'],
    [2, 'Podman'],
  ])('hands on what is for the engine alone, on host %i (%s)', async (number) => {
    const more = `    hostname: inside
    extra_hosts: ["shop.test:10.9.8.7"]
    dns: [10.1.1.1]
    shm_size: 16m
    sysctls: { net.ipv4.ip_unprivileged_port_start: 0 }
    devices: [/dev/null:/dev/nothing]
    group_add: ["1234"]
    blkio_config: { device_read_bps: [{ path: ${disk}, rate: 1mb }] }
    volumes: [{ type: tmpfs, target: /mine, tmpfs: { mode: 0700 } }]
    deploy: { placement: { constraints: [node.hostname == h${number}] } }
`;
    await h(1).ok('deploy', file('engine', web(forever, more)));
    const inside = await h(1).ok(
      ...['exec', 'engine/web', '--', 'sh', '-c'],
      'hostname; cat /etc/hosts /etc/resolv.conf /proc/sys/net/ipv4/ip_unprivileged_port_start; df -k /dev/shm; ls -l /dev/nothing; id -G; stat -c %a /mine',
    );
    expect(inside).toMatch(/^inside$/m);
    expect(inside).toMatch(/^10\.9\.8\.7\s+shop\.test$/m);
    expect(inside).toContain('nameserver 10.1.1.1');
    expect(inside).toMatch(/^0$/m);
    expect(inside).toMatch(/\s16384\s/);
    expect(inside).toMatch(/^crw.*\/dev\/nothing$/m);
    expect(inside).toMatch(/\b1234\b/);
    expect(inside).toMatch(/^700$/m);
    const [name] = (await h(number).containers()).filter((one) => one.startsWith('osca-engine-'));
    const { HostConfig } = await h(number).docker.getContainer(name!).inspect();
    expect(HostConfig.BlkioDeviceReadBps).toEqual([{ Path: disk, Rate: 1_048_576 }]);
    await h(1).ok('rm', 'engine');
  });

  it.each([
    [1, 'Docker'],
    [2, 'Podman'],
  ])('asks for a share of another machine, and says why there is none, on host %i (%s)', async (number) => {
    const options = { type: 'nfs', o: 'addr=127.0.0.1', device: ':/nothing' };
    const more = `    volumes: ["data:/data"]
    deploy: { placement: { constraints: [node.hostname == h${number}] } }
volumes: { data: { driver_opts: ${JSON.stringify(options)} } }
`;
    const done = await h(1).osca('deploy', file('share', web(forever, more)));
    expect(done.code).toBe(1);
    expect(done.stderr).toMatch(/mount/);
    const { Volumes } = await h(number).docker.listVolumes();
    expect(Volumes.filter(({ Name }) => Name.startsWith('share_data-'))).toMatchObject([{ Options: options }]);
    await h(1).ok('rm', 'share');
  });

  it('says why: exits at once, never healthy, no image', async () => {
    const crash = await h(1).osca('deploy', file('crash', web('echo no database; exit 3')));
    expect(crash.code).toBe(1);
    expect(crash.stderr).toContain('exit code 3');
    expect(crash.stderr).toContain('| no database');
    await h(1).ok('rm', 'crash');
    const sick = await h(1).osca(
      'deploy',
      file(
        'sick',
        web(
          `echo waiting for a friend; ${forever}`,
          '    healthcheck: { test: "echo not yet; exit 1", interval: 200ms, retries: 2 }\n',
        ),
      ),
    );
    expect(sick.code).toBe(1);
    expect(sick.stderr).toContain('not yet');
    expect(sick.stderr).toContain('| waiting for a friend');
    await h(1).ok('rm', 'sick');
    const none = await h(1).osca('deploy', file('none', 'services: { web: { image: "nosuch:1" } }\n'));
    expect(none.code).toBe(1);
    expect(none.stderr).toContain('no image nosuch:1');
    await h(1).ok('rm', 'none');
  });

  it('shares its engine with another appliance, and neither touches what the other runs', async () => {
    const other = await h(1).upBeside('beside');
    const spec = file('shared', web(forever, '    deploy: { placement: { constraints: [node.hostname == h1] } }\n'));
    const theirs = file('shared', web(`echo theirs; ${forever}`), 'theirs');
    await h(1).ok('deploy', spec);
    expect((await other('deploy', theirs)).code).toBe(0);
    const names = (await h(1).containers()).filter((name) => name.startsWith('osca-shared-'));
    expect(names.length).toBe(2);
    expect((await other('logs', 'shared')).stdout).toContain('theirs');
    expect(await h(1).ok('logs', 'shared')).not.toContain('theirs');
    await h(1).ok('rm', 'shared');
    await until('one is left', async () => (await h(1).containers()).length === 1);
    expect(JSON.parse((await other('ps', '--json')).stdout)).toMatchObject([{ state: 'ready', restarts: 0 }]);
    await other('rm', 'shared');
    await until('none is left', async () => (await h(1).containers()).length === 0);
  });

  it('says that its data folder is read-only', async () => {
    const folder = join(h(1).folder, 'fixed');
    mkdirSync(folder);
    await h(1).sh('mount', '-t', 'tmpfs', '-o', 'ro', 'none', folder);
    const done = await h(1).sh(join(root, 'osca'), '--data', folder, 'up');
    expect(done.code).toBe(1);
    expect(done.stderr).toContain(`${folder} can't be used`);
    expect(done.stderr).toMatch(/read-only/i);
  });

  it('respects limits, read-only roots, volumes, environment and published ports', async () => {
    const text = web(
      `echo $$GREETING > /data/hello; httpd -f -p 80 -h /data`,
      `    environment: { GREETING: hi }
    read_only: true
    volumes: ["keep:/data", { type: tmpfs, target: /scratch }]
    ports: ["8081:80"]
    deploy: { resources: { limits: { memory: 32m, cpus: "0.5", pids: 50 } }, placement: { constraints: [node.hostname == h1] } }
volumes: { keep: {} }
`,
    );
    await h(1).ok('deploy', file('full', text));
    const [name] = (await h(1).containers()).filter((one) => one.startsWith('osca-full-'));
    const info = await h(1).docker.getContainer(name!).inspect();
    expect(info.HostConfig).toMatchObject({
      Memory: 33_554_432,
      NanoCpus: 500_000_000,
      PidsLimit: 50,
      ReadonlyRootfs: true,
    });
    const answer = await until('an answer', async () => {
      const done = await h(1).sh('curl', '-s', 'http://127.0.0.1:8081/hello');
      return done.code === 0 && done.stdout;
    });
    expect(answer).toBe('hi\n');
    await h(1).ok('rm', 'full');
    await until('gone', async () => (await h(1).containers()).length === 0);
    expect((await h(1).docker.listVolumes()).Volumes.map(({ Name }) => Name)).toContain('full_keep');
  });

  it('runs services that share a volume beside each other, and a job of them too', async () => {
    const service = (name: string, command: string, more = ''): string =>
      `  ${name}:\n    image: busybox:lab\n    command: [sh, -c, '${command}']\n    stop_grace_period: 1s\n    volumes: ["words:/data"]\n${more}`;
    const path = file(
      'words',
      `services:\n${service('writer', `echo written by another > /data/word; ${forever}`)}${service('reader', forever, '    deploy: { replicas: 2 }\n')}${service('copy', 'cat /data/word', '    deploy: { mode: replicated-job }\n    depends_on: [writer]\n')}volumes: { words: {} }\n`,
    );
    const done = await h(1).osca('deploy', path);
    expect([done.code, done.stderr]).toEqual([
      0,
      expect.stringContaining('writer, reader, copy share volume words_words: all their replicas are on one cell'),
    ]);
    for (const index of [1, 2])
      expect(await h(2).ok('exec', `words/reader/${index}`, '--', 'cat', '/data/word')).toBe('written by another\n');
    const rows = await h(1).replicas('words');
    const [cell, ...others] = [...new Set(rows.filter(({ state }) => state === 'ready').map((row) => row.cell))];
    expect(others).toEqual([]);
    await until('copied', async () => (await h(1).ok('logs', 'words/copy')).includes('written by another'));
    expect(await h(1).ok('why', 'words/reader/2')).toMatch(
      new RegExp(`words/writer/1 is on ${cell}: they share volume words_words`),
    );
    await h(1).ok('rm', 'words');
  });

  it('builds on the cell that takes the deploy, and loads the image where it is needed', async () => {
    const folder = join(h(1).folder, 'built');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'Dockerfile'), 'FROM busybox:lab\nARG WORD\nRUN echo built $WORD > /word\n');
    const path = file(
      'built',
      `services:\n  web:\n    build: { context: ., args: { WORD: here } }\n    command: [sh, -c, '${forever}']\n    stop_grace_period: 1s\n    deploy: { replicas: 2 }\n`,
    );
    const done = await h(1).osca('deploy', path);
    expect(done).toMatchObject({ code: 0 });
    for (const index of [1, 2])
      expect((await h(2).ok('exec', `built/web/${index}`, '--', 'cat', '/word')).trim()).toBe('built here');
    const again = await h(1).osca('plan', path);
    expect(again.code).toBe(0);
    writeFileSync(join(folder, 'Dockerfile'), 'FROM busybox:lab\nRUN false\n');
    const failed = await h(1).osca('deploy', path);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('build');
    expect(await h(1).replicas('built')).toHaveLength(2);
    await h(1).ok('rm', 'built');
  });

  it.each([
    [1, 'Docker'],
    [2, 'Podman'],
  ])('builds from a Dockerfile in the spec, without what .dockerignore names, on host %i (%s)', async (number) => {
    const folder = join(h(1).folder, 'inline');
    mkdirSync(join(folder, 'node_modules'), { recursive: true });
    writeFileSync(join(folder, '.dockerignore'), 'node_modules\n.env\n');
    for (const name of ['node_modules/big', '.env', 'app.sh']) writeFileSync(join(folder, name), name);
    const build = `    build:\n      dockerfile_inline: |\n        FROM busybox:lab\n        COPY . /app\n`;
    const path = file(
      'inline',
      `services:\n  web:\n${build}    command: [sh, -c, '${forever}']\n    stop_grace_period: 1s\n`,
    );
    await h(number).ok('deploy', path);
    const inside = await h(1).ok('exec', 'inline/web', '--', 'sh', '-c', 'ls -A /app');
    expect(inside.trim().split('\n').sort()).toEqual(['app.sh', 'compose.yaml']);
    await h(1).ok('rm', 'inline');
    // Its files are shorter than the kernel says, or can't be read: it ends, and says so.
    const broken = file('broken', 'services:\n  web:\n    build: /sys/devices/virtual/net/lo/queues\n');
    const done = await h(number).osca('deploy', broken);
    expect([done.code, done.stderr]).toEqual([
      1,
      expect.stringContaining(
        'build of /sys/devices/virtual/net/lo/queues failed: a file has changed while it was packed',
      ),
    ]);
  });

  it('pulls from a registry, and says what it is doing', async () => {
    if ((await run('sh', ['-c', 'command -v docker-registry'])).code !== 0) return;
    const config = join(h(1).folder, 'registry.yml');
    writeFileSync(
      config,
      `version: 0.1\nstorage: { filesystem: { rootdirectory: ${h(1).folder}/registry } }\nhttp: { addr: 127.0.0.1:5055 }\n`,
    );
    void h(1).sh('docker-registry', 'serve', config);
    await until(
      'the registry answers',
      async () => (await h(1).sh('curl', '-sf', 'http://127.0.0.1:5055/v2/')).code === 0,
    );
    await h(1).docker.getImage('busybox:lab').tag({ repo: '127.0.0.1:5055/shop', tag: '1' });
    const push = await h(1).docker.getImage('127.0.0.1:5055/shop:1').push({ authconfig: {} });
    await new Promise((done) => push.on('end', done).resume());
    await h(1).docker.getImage('127.0.0.1:5055/shop:1').remove();
    const place = '    deploy: { placement: { constraints: [node.hostname == h1] } }\n';
    const done = await h(1).osca(
      'deploy',
      file('pulled', web(forever, place).replace('busybox:lab', '127.0.0.1:5055/shop:1')),
    );
    expect(done.code).toBe(0);
    expect(done.stdout).toContain('pulling 127.0.0.1:5055/shop:1');
    await h(1).ok('rm', 'pulled');
  });

  it('says that its disk is full, keeps what was acknowledged, and goes on when there is space', async () => {
    const small = join(lab.folder, 'small');
    mkdirSync(small);
    sh('mount', '-t', 'tmpfs', '-o', 'size=12m', 'none', small);
    try {
      const args = ['--data', small, 'up', '--found', '--name', 'tiny', ...loopback, '--detach'];
      const tiny = async (...words: string[]) => await run(join(root, 'osca'), ['--data', small, ...words]);
      const up = await run(join(root, 'osca'), args);
      expect(up.code).toBe(0);
      const label = async (word: string) => await tiny('cell', 'label', 'tiny', word);
      expect((await label('kept=yes')).code).toBe(0);
      sh('sh', '-c', `dd if=/dev/zero of=${small}/ballast bs=4k 2>/dev/null || true`);
      const blocked = await label(`later=${'x'.repeat(50_000)}`);
      expect(blocked.code).toBe(1);
      expect(blocked.stderr).toContain('full');
      sh('rm', join(small, 'ballast'));
      await until('there is room', async () => (await label('room=yes')).code === 0);
      const { pid } = JSON.parse((await tiny('status', '--json')).stdout) as { pid: number };
      sh('kill', '-9', String(pid));
      await until('it is gone', async () => (await tiny('status')).code === 3);
      expect((await run(join(root, 'osca'), args)).code).toBe(0);
      const after = (await tiny('cell', 'ls')).stdout;
      for (const word of ['kept=yes', 'later=xxx', 'room=yes']) expect(after).toContain(word);
      const again = JSON.parse((await tiny('status', '--json')).stdout) as { pid: number };
      sh('kill', '-9', String(again.pid));
    } finally {
      const left = await run(join(root, 'osca'), ['--data', small, 'status', '--json']);
      if (left.code === 0) sh('kill', '-9', String((JSON.parse(left.stdout) as { pid: number }).pid));
      sh('umount', '-l', small);
    }
  });
});
