import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ServiceSpec } from '../../src/core/spec.ts';
import { folder, problems, put, read, service } from './folder.ts';

describe('a Compose file', () => {
  it('is named after its folder, or by itself', () => {
    expect(read('services: {web: {image: a}}').app.name).toBe('shop');
    expect(read('name: other\nservices: {web: {image: a}}').app.name).toBe('other');
  });

  it('says how a change goes', () => {
    const web = service(`    deploy:
      update_config: {parallelism: 2, delay: 10s, monitor: 1m, max_failure_ratio: 0.25, order: stop-first, failure_action: pause}
      rollback_config: {parallelism: 0, failure_action: continue}
`);
    expect(web.update).toEqual({
      ...{ parallelism: 2, delayMs: 10_000, monitorMs: 60_000, maxFailureRatio: 0.25 },
      ...{ order: 'stop-first', onFailure: 'pause' },
    });
    expect(web.rollback).toEqual({ parallelism: 0, onFailure: 'continue' });
    expect(service('').update).toBeUndefined();
    const wrong = problems(() =>
      service(`    deploy:
      update_config: {parallelism: -1, order: both, max_failure_ratio: 3, failure_action: panic}
      rollback_config: {failure_action: rollback}
`),
    );
    expect(wrong.map(({ key }) => key.split('.').at(-1))).toEqual([
      ...['parallelism', 'max_failure_ratio', 'order', 'failure_action', 'failure_action'],
    ]);
    expect(wrong.every(({ line, hint }) => line > 3 && hint !== '')).toBe(true);
  });

  it('starts a job that others wait for once, unless it says otherwise', () => {
    const job = (more: string): ServiceSpec =>
      read(
        `services:\n  job: {image: a${more}}\n  web: {image: a, depends_on: {job: {condition: service_completed_successfully}}}\n`,
      ).app.services.find(({ name }) => name === 'job')!;
    expect(job('').restart.condition).toBe('on-failure');
    expect(job(', restart: always').restart.condition).toBe('any');
  });

  it('joins what extends what, in whatever form each is written', () => {
    const { services } = read(`services:
  base: {image: a, depends_on: {db: {condition: service_healthy}}, sysctls: {a: 1}, extra_hosts: [x=1.1.1.1], dns: 9.9.9.9}
  web: {extends: base, depends_on: [cache], sysctls: [b=2], extra_hosts: {y: 2.2.2.2}, dns: [8.8.8.8]}
  db: {image: a}
  cache: {image: a}
`).app;
    const web = services.find(({ name }) => name === 'web')!;
    expect(web.dependsOn!.map(({ service: name }) => name)).toEqual(['db', 'cache']);
    expect(web.engine).toEqual({
      ...{ sysctls: { a: '1', b: '2' }, extraHosts: ['x:1.1.1.1', 'y:2.2.2.2'], dns: ['9.9.9.9', '8.8.8.8'] },
    });
  });

  it('takes the same limit written in two ways, negative scores, and variables in names of volumes', () => {
    const web = service(
      '    mem_limit: 1g\n    cpus: 0.5\n    oom_score_adj: -500\n    deploy: {resources: {limits: {memory: 1024M, cpus: "0.50"}}}\n',
    );
    expect(web.resources).toEqual({ limitMemoryBytes: 2 ** 30, limitCpuMilli: 500 });
    expect(web.engine).toEqual({ oomScoreAdj: -500 });
    const text = 'services: {web: {image: a, volumes: ["d:/d"]}}\nvolumes: {d: {name: "${V}"}}\n';
    expect(read(text, { V: 'real' }).app.services[0]!.mounts[0]!.source).toBe('real');
  });

  it('becomes a normalised service', () => {
    put('shop/app.env', 'FROM_FILE=1\nBOTH=file\n');
    const web = service(
      `    command: sh -c "echo 'a b'"
    env_file: [app.env, {path: none.env, required: false}]
    environment: [BOTH=here, SHELL_VAR]
    user: "1000:1000"
    ports: ["8080:80", "127.0.0.1:53:53/udp", 9000, "3000-3001:3000-3001"]
    volumes: [data:/data, ./conf:/etc/conf:ro, {type: tmpfs, target: /run, tmpfs: {size: 64m}}]
    labels: {team: a}
    restart: on-failure:3
    healthcheck: {test: curl -f localhost, interval: 1m30s, retries: 5}
    cap_add: [NET_ADMIN]
    read_only: true
    ulimits: {nofile: {soft: 10, hard: 20}, nproc: 5}
    stop_grace_period: 3s
    deploy:
      replicas: 4
      resources: {limits: {cpus: '0.5', memory: 256M}, reservations: {memory: 64m}}
      placement: {constraints: [node.labels.zone == attic, "node.platform.arch!=arm"]}
volumes: {data: {}}
`,
      { SHELL_VAR: 'shell' },
    );
    expect(web).toMatchObject({
      command: ['sh', '-c', "echo 'a b'"],
      environment: { FROM_FILE: '1', BOTH: 'here', SHELL_VAR: 'shell' },
      user: '1000:1000',
      ports: [
        { target: 80, published: 8080, protocol: 'tcp' },
        { target: 53, published: 53, protocol: 'udp', hostIp: '127.0.0.1' },
        { target: 9000, protocol: 'tcp' },
        { target: 3000, published: 3000, protocol: 'tcp' },
        { target: 3001, published: 3001, protocol: 'tcp' },
      ],
      mounts: [
        { kind: 'volume', source: 'shop_data', target: '/data' },
        { kind: 'bind', source: join(folder, 'shop/conf'), target: '/etc/conf', readOnly: true, createPath: true },
        { kind: 'tmpfs', target: '/run', sizeBytes: 67_108_864 },
      ],
      restart: { condition: 'on-failure', maxAttempts: 3 },
      healthcheck: { test: ['CMD-SHELL', 'curl -f localhost'], intervalMs: 90_000, retries: 5, timeoutMs: 30_000 },
      ulimits: { nofile: { soft: 10, hard: 20 }, nproc: { soft: 5, hard: 5 } },
      stopGraceMs: 3_000,
      replicas: 4,
      resources: { limitCpuMilli: 500, limitMemoryBytes: 268_435_456, reserveMemoryBytes: 67_108_864 },
      constraints: [
        { key: 'node.labels.zone', op: '==', value: 'attic' },
        { key: 'node.platform.arch', op: '!=', value: 'arm' },
      ],
    });
  });

  it('reads anchors, merge keys, profiles and a number from a variable', () => {
    const { app } = read(`x-base: &base
  image: nginx
  deploy:
    replicas: \${N:-2}
services:
  web: { <<: *base, environment: { A: b } }
  debug: { <<: *base, profiles: [debug] }
`);
    expect(app.services.map(({ name, replicas }) => [name, replicas])).toEqual([['web', 2]]);
    const both = read('services:\n  web: {image: a}\n  debug: {image: a, profiles: [debug]}\n', {}, ['debug']);
    expect(both.app.services).toHaveLength(2);
  });

  it('interpolates by the specification', () => {
    const env = { SET: 'x', EMPTY: '' };
    const value = (text: string): string => service(`    environment: {V: '${text}'}`, env).environment.V!;
    expect(value('$SET ${SET}')).toBe('x x');
    expect(value('${EMPTY:-a}${EMPTY-b}${NONE-c}${NONE:-${SET}}')).toBe('acx');
    expect(value('${SET:+yes}${EMPTY:+no}${EMPTY+yes}')).toBe('yesyes');
    expect(value('$$SET')).toBe('$SET');
    expect(problems(() => service('    user: ${NONE:?say who}'))[0]).toMatchObject({
      line: 4,
      key: 'services.web.user',
      message: 'variable NONE must be set: say who',
    });
  });

  it('takes .env from beside the file, the shell before it', () => {
    put('shop/.env', 'A=file\nB=file\n');
    expect(service('    environment: {A: "$A", B: "$B"}', { B: 'shell' }).environment).toEqual({
      A: 'file',
      B: 'shell',
    });
  });
});

describe('where and how a service runs', () => {
  it('on machines that have what it needs, some on each', () => {
    const text = `    gpus: 2
    pull_policy: always
    annotations: {a: b}
    deploy:
      placement: {max_replicas_per_node: 2, preferences: [{spread: node.labels.zone}]}
      resources: {reservations: {devices: [{capabilities: [gpu], count: 1}]}}
`;
    expect(service(text)).toMatchObject({ maxPerCell: 2, pull: 'always', labels: { a: 'b' }, resources: { gpus: 3 } });
    expect(service('    gpus: all').resources.gpus).toBe(-1);
    expect(service('    deploy: {placement: {max_replicas_per_node: 0}}').maxPerCell).toBeUndefined();
  });

  it('with hooks', () => {
    const web = service(
      '    post_start: [{command: ./warm-up now, user: root}]\n    pre_stop: [{command: [drain], environment: [A=1]}]',
    );
    expect(web.postStart).toEqual([{ command: ['./warm-up', 'now'], user: 'root' }]);
    expect(web.preStop).toEqual([{ command: ['drain'], environment: { A: '1' } }]);
  });

  it.each([
    ['    pull_policy: sometimes', 'services.web.pull_policy'],
    ['    post_start: [{user: root}]', 'services.web.post_start[0]'],
    [
      '    deploy: {resources: {reservations: {devices: [{capabilities: [tpu]}]}}}',
      'services.web.deploy.resources.reservations.devices[0]',
    ],
    ['    gpus: many', 'services.web.gpus[0].count'],
    ['    deploy: {placement: {max_replicas_per_node: -1}}', 'services.web.deploy.placement.max_replicas_per_node'],
  ])('refuses %s', (text, key) => {
    expect(problems(() => service(text))[0]!.key).toBe(key);
  });
});

describe('configs and secrets', () => {
  const whole = (top: string, uses: string, env: Record<string, string> = {}) =>
    read(`${top}\nservices:\n  web:\n    image: nginx\n${uses}`, env);
  const plain = (data: string): string => Buffer.from(data, 'base64url').toString();

  it('are read from files, the environment, and the spec itself', () => {
    put('shop/pw.txt', 'open sesame');
    const { app, files } = whole(
      'secrets: {pw: {file: ./pw.txt}, token: {environment: TOKEN}, unused: {file: ./none}}\nconfigs: {site: {content: "port ${PORT}"}}',
      '    secrets: [pw, {source: token, target: api, uid: "103", mode: 0440}]\n    configs: [{source: site, target: /etc/site.conf}]',
      { TOKEN: 'abc', PORT: '80' },
    );
    expect(app.services[0]!.files).toEqual([
      { target: '/etc/site.conf', blob: '#configs/site' },
      { target: '/run/secrets/pw', blob: '#secrets/pw' },
      { target: '/run/secrets/api', blob: '#secrets/token', uid: 103, mode: 0o440 },
    ]);
    expect(Object.entries(files).map(([name, { data, secret }]) => [name, plain(data), secret])).toEqual([
      ['#configs/site', 'port 80', undefined],
      ['#secrets/pw', 'open sesame', true],
      ['#secrets/token', 'abc', true],
    ]);
  });

  it.each([
    ['secrets: {pw: {file: ./none}}', '    secrets: [pw]', 'secrets.pw.file', 'there is no file'],
    ['secrets: {pw: {environment: NONE}}', '    secrets: [pw]', 'secrets.pw.environment', 'NONE is not set'],
    ['secrets: {pw: {external: true}}', '    secrets: [pw]', 'secrets.pw.external', 'is kept apart'],
    ['secrets: {pw: {}}', '    secrets: [pw]', 'secrets.pw', 'says not what it holds'],
    ['secrets: {pw: {content: a, environment: B}}', '    secrets: [pw]', 'secrets.pw', 'says twice'],
    ['configs: {a: {content: b}}', '    configs: [c]', 'services.web.configs[0]', "no config 'c'"],
    [
      'configs: {a: {content: b}}',
      '    configs: [a, {source: a, target: /a}]',
      'services.web.configs[1]',
      'another file',
    ],
    ['configs: {a: {content: b}}', '    configs: [{source: a, mode: 999}]', 'services.web.configs[0].mode', 'is none'],
  ])('refuse %s with%s', (top, uses, key, message) => {
    const [problem] = problems(() => whole(top, uses));
    expect([problem!.key, problem!.message]).toEqual([key, expect.stringContaining(message)]);
  });

  it('have the mode that people mean, however they write it', () => {
    const mode = (text: string) =>
      whole('configs: {a: {content: b}}', `    configs: [{source: a, mode: ${text}}]`).app.services[0]!.files![0]!.mode;
    for (const text of ['0400', '"0400"', '0o400', '"400"']) expect(mode(text), text).toBe(0o400);
    for (const text of ['0644', '0o644', '420']) expect(mode(text), text).toBe(0o644);
  });

  it('refuse what is too large, alone and together', () => {
    put('shop/big', 'x'.repeat(300_000));
    put('shop/half', 'x'.repeat(200_000));
    expect(problems(() => whole('configs: {a: {file: big}}', '    configs: [a]'))[0]!.message).toContain('256 KiB');
    const three = 'configs: {a: {file: half}, b: {file: half}, c: {file: half}}';
    expect(problems(() => whole(three, '    configs: [a, b, c]'))[0]!.message).toContain('512 KiB together');
  });
});

describe('jobs', () => {
  it('are what says so, with retries as its restart policy has them', () => {
    expect(service('    deploy: {mode: replicated-job, replicas: 4}')).toMatchObject({
      ...{ mode: 'replicated', replicas: 4, job: { parallelism: 1, retries: 3 } },
    });
    expect(service('    deploy: {mode: global-job}')).toMatchObject({ mode: 'global', job: { retries: 3 } });
    expect(service('    x-osca: {job: {parallelism: 2, retries: 5, deadline: 10m}}').job).toEqual({
      ...{ parallelism: 2, retries: 5, deadlineMs: 600_000 },
    });
    expect(service('    x-osca: {job: {}}\n    restart: on-failure:7').job!.retries).toBe(7);
    expect(service('    x-osca: {job: {}}\n    restart: "no"').job!.retries).toBe(0);
    expect(service('    x-osca: {job: {}, singleton: loose}').job!.loose).toBe(true);
    expect(service('    restart: "no"').job).toBeUndefined();
  });

  it('and schedules, in their time zone', () => {
    const { schedule, job } = service("    x-osca: {schedule: '30 3 * * mon-fri'}");
    expect(schedule).toEqual({ cron: '30 3 * * mon-fri', zone: 'UTC', missed: 'run', overlap: 'skip' });
    expect(job).toEqual({ parallelism: 1, retries: 3 });
    const given = "{cron: '@daily', timezone: Europe/Berlin, missed: skip, overlap: allow}";
    expect(service(`    x-osca: {schedule: ${given}}`).schedule).toEqual({
      ...{ cron: '@daily', zone: 'Europe/Berlin', missed: 'skip', overlap: 'allow' },
    });
  });

  it.each([
    ["{schedule: '61 * * * *'}", 'x-osca.schedule', 'Invalid value for minute: 61'],
    ["{schedule: '0 0 30 2 *'}", 'x-osca.schedule', 'there is no such day'],
    ["{schedule: 'at night'}", 'x-osca.schedule', 'five, six, or seven'],
    ["{schedule: {cron: '@daily', timezone: Mars/Base}}", 'x-osca.schedule', 'no time zone'],
    ["{schedule: {cron: '@daily', missed: maybe}}", 'missed', 'is not known'],
    ['{schedule: {timezone: UTC}}', 'x-osca.schedule', 'has no cron'],
    ['{job: {retries: -1}}', 'retries', 'must be 0 or more'],
    ['{job: {parallelism: 0}}', 'parallelism', 'must be 1 or more'],
    ["{job: {}, pre_deploy: {command: 'true'}}", 'pre_deploy', 'a job has no change'],
    ['{pre_deploy: {command: "echo \'oh"}}', 'command', 'quote'],
    ['{pre_deploy: {}}', 'command', 'must be a command'],
  ])('refuse %s', (osca, key, message) => {
    const [problem] = problems(() => service(`    x-osca: ${osca}`));
    expect(problem!.key).toContain(key);
    expect(problem!.message).toContain(message);
    expect(problem!.line).toBe(4);
  });

  it('refuse a restart that never ends, and a schedule on every cell', () => {
    expect(problems(() => service('    restart: always\n    x-osca: {job: {}}'))[0]!.key).toContain('restart');
    expect(
      problems(() => service("    deploy: {mode: global-job}\n    x-osca: {schedule: '@daily'}"))[0]!.key,
    ).toContain('mode');
  });
});

describe('strict services', () => {
  const strict = (text: string) => service(text).strict;

  it('are those that say so, and single ones with a named volume', () => {
    const volume = '    volumes: ["data:/data"]\n';
    const withVolume = (more = '') =>
      read(`services:\n  web:\n    image: nginx\n${volume}${more}volumes: { data: {} }\n`).app.services[0]!.strict;
    expect(strict('')).toBeUndefined();
    expect(strict('    x-osca: { singleton: strict }\n')).toBe(true);
    expect(withVolume()).toBe(true);
    expect(withVolume('    deploy: { replicas: 2 }\n')).toBeUndefined();
    expect(withVolume('    x-osca: { singleton: loose }\n')).toBeUndefined();
    expect(strict('    volumes: ["/data"]\n')).toBeUndefined();
  });

  it('are refused with more than one replica, and by another word', () => {
    const many = '    x-osca: { singleton: strict }\n    deploy: { replicas: 2 }\n';
    expect(problems(() => service(many))[0]).toMatchObject({ line: 4, message: 'a strict service has one replica' });
    expect(problems(() => service('    x-osca: { singleton: yes }\n'))[0]!.hint).toBe('use strict or loose');
    expect(problems(() => service('    x-osca: { strict: true }\n'))[0]).toMatchObject({
      message: expect.stringContaining('is no key of x-osca'),
      hint: expect.stringContaining('here may stand: driver, singleton'),
    });
    expect(problems(() => service('    x-osca: { pre_deploy: { picture: x } }\n'))[0]!.hint).toBe(
      'here may stand: command, deadline',
    );
  });
});
