import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SpecProblem } from '../../src/core/errors.ts';
import { SpecError } from '../../src/core/errors.ts';
import type { ServiceSpec } from '../../src/core/spec.ts';
import type { ComposeResult } from '../../src/specs/compose.ts';
import { readCompose } from '../../src/specs/compose.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'osca-spec-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

function read(text: string, env: Record<string, string> = {}, profiles: string[] = []): ComposeResult {
  return readCompose({ file: put('shop/compose.yaml', text), env, profiles });
}

function service(text: string, env: Record<string, string> = {}): ServiceSpec {
  return read(`services:\n  web:\n    image: nginx\n${text}`, env).app.services[0]!;
}

function problems(run: () => unknown): SpecProblem[] {
  try {
    run();
  } catch (error) {
    if (error instanceof SpecError) return error.problems;
    throw error;
  }
  throw new Error('nothing was refused');
}

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

  it('extends a service of another file, paths relative to that one', () => {
    put(
      'shop/common/base.yaml',
      'services:\n  base:\n    image: nginx\n    command: [a]\n    environment: {A: "1", B: "1"}\n    volumes: ["./data:/data"]\n    ports: ["80"]\n',
    );
    const { app } = read(
      'services:\n  web:\n    extends: {file: common/base.yaml, service: base}\n    command: [b]\n    environment: [B=2]\n    ports: ["81"]\n',
    );
    expect(app.services[0]).toMatchObject({ command: ['b'], environment: { A: '1', B: '2' } });
    expect(app.services[0]!.mounts[0]!.source).toBe(join(folder, 'shop/common/data'));
    expect(app.services[0]!.ports.map(({ target }) => target)).toEqual([80, 81]);
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
    ['    pull_policy: weekly', 'services.web.pull_policy'],
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

describe('several files', () => {
  const names = (result: ComposeResult): string[] => result.app.services.map(({ name }) => name);

  it('are merged, the later over the earlier, each complaint with its own place', () => {
    const file = put(
      'shop/compose.yaml',
      'services:\n  web:\n    image: a\n    ports: ["80"]\n    volumes: ["one:/data"]\n    environment: {A: "1", B: "2"}\nvolumes: {one: {}, two: {}}',
    );
    const over = put(
      'other/prod.yaml',
      'services:\n  web:\n    image: b\n    ports: ["81"]\n    volumes: ["two:/data"]\n    environment: [B=3]\n  job: {image: c, env_file: [vars.env]}',
    );
    put('shop/vars.env', 'C=4');
    const { services } = readCompose({ file, over: [over], env: {}, profiles: [] }).app;
    const web = services.find(({ name }) => name === 'web')!;
    expect(web).toMatchObject({ image: 'b', environment: { A: '1', B: '3' } });
    expect(web.ports.map(({ target }) => target)).toEqual([80, 81]);
    expect(web.mounts).toMatchObject([{ source: 'shop_two', target: '/data' }]);
    // Paths are relative to the first file.
    expect(services.find(({ name }) => name === 'job')!.environment).toEqual({ C: '4' });
    const wrong = put('other/wrong.yaml', '\n\nservices: {web: {image: b, deploy: {mode: many}}}');
    expect(problems(() => readCompose({ file, over: [wrong], env: {}, profiles: [] }))).toMatchObject([
      { file: wrong, line: 3, key: 'services.web.deploy.mode' },
    ]);
  });

  it('are included, each with its own folder and variables', () => {
    put(
      'shop/db/compose.yaml',
      'services:\n  db: {image: "pg:${TAG}", secrets: [pw], volumes: [data:/data]}\nvolumes: {data: {}}\nsecrets: {pw: {file: pw}}',
    );
    put('shop/db/.env', 'TAG=17');
    put('shop/db/pw', 'sesame');
    put('shop/mail/a.yaml', 'services: {mail: {image: a}}');
    put('shop/mail/b.yaml', 'services: {mail: {command: b}}');
    const result = read(
      'include: [db/compose.yaml, {path: [mail/a.yaml, mail/b.yaml]}]\nservices: {web: {image: web, depends_on: [db]}}',
    );
    expect(names(result)).toEqual(['web', 'db', 'mail']);
    expect(result.app.services[1]).toMatchObject({ image: 'pg:17', mounts: [{ source: 'shop_data' }] });
    expect(Object.keys(result.files)).toEqual(['#secrets/pw']);
    expect(
      read('include: [db/compose.yaml]\nservices: {web: {image: web}}', { TAG: '18' }).app.services[1]!.image,
    ).toBe('pg:18');
  });

  it('are refused where they go in a circle, differ, or are not there', () => {
    put('shop/circle.yaml', 'include: [compose.yaml]\nservices: {a: {image: a}}');
    expect(problems(() => read('include: [circle.yaml]'))[0]!.message).toContain('includes itself');
    expect(problems(() => read('include: [none.yaml]'))).toMatchObject([{ key: 'include[0]', line: 1 }]);
    put('shop/same.yaml', 'services: {web: {image: b}}');
    const [problem] = problems(() => read('include: [same.yaml]\nservices: {web: {image: a}}'));
    expect(problem).toMatchObject({ key: 'services.web', message: expect.stringContaining('differs') });
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
    ['secrets: {pw: {file: ./none}}', '    secrets: [pw]', 'secrets.pw.file', "can't be read"],
    ['secrets: {pw: {environment: NONE}}', '    secrets: [pw]', 'secrets.pw.environment', 'NONE is not set'],
    ['secrets: {pw: {external: true}}', '    secrets: [pw]', 'secrets.pw.external', 'nothing outside'],
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

describe('a wrong Compose file is refused by place', () => {
  const refused = (text: string) => problems(() => read(text))[0]!;

  it.each([
    ['a tab', 'services:\n\tweb: {image: a}\n', 2, 'tab'],
    ['an unknown key', 'services:\n  web:\n    image: a\n    comand: b\n', 4, 'no key'],
    ['an unsupported key', 'services:\n  web:\n    image: a\n    volumes_from: [db]\n', 4, 'not supported'],
    [
      'a service to wait for that is not there',
      'services:\n  web:\n    image: a\n    depends_on: [db]\n',
      4,
      "no service 'db'",
    ],
    [
      'services that wait for each other',
      'services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n',
      ...[2, 'a → b → a'],
    ],
    [
      'an unknown condition',
      'services:\n  a: {image: x}\n  b:\n    image: x\n    depends_on: {a: {condition: up}}\n',
      5,
      'no condition',
    ],
    [
      'two networks',
      'services:\n  a: {image: x, networks: [one]}\n  b:\n    image: x\n    networks: [two]\nnetworks: {one: , two: }\n',
      5,
      'more than one network',
    ],
    [
      'another service’s network',
      'services:\n  web:\n    image: a\n    network_mode: service:db\n',
      4,
      'there is no service',
    ],
    [
      'two words for one limit',
      'services:\n  web:\n    image: a\n    cpus: 1\n    deploy: {resources: {limits: {cpus: 2}}}\n',
      4,
      'remove one',
    ],
    ['a strange platform', 'services:\n  web:\n    image: a\n    platform: windows/amd64\n', 4, 'linux/amd64'],
    ['a device that is none', 'services:\n  web:\n    image: a\n    devices: [ttyUSB0]\n', 4, 'no device'],
    [
      'a device for a process',
      'services:\n  web:\n    command: a\n    x-osca: {driver: process}\n    devices: [/dev/null]\n',
      5,
      'plain process',
    ],
    ['a wrong type', 'services:\n  web:\n    image: a\n    ports: 80\n', 4, 'must be a list'],
    ['a wrong value', 'services:\n  web:\n    image: a\n    ports:\n      - "80:http"\n', 5, 'no port'],
    ['no image', 'services:\n  web:\n    command: a\n', 2, 'neither image nor build'],
    ['an undeclared volume', 'services:\n  web:\n    image: a\n    volumes:\n      - data:/data\n', 5, 'not declared'],
    ['a missing env_file', 'services:\n  web:\n    image: a\n    env_file: none.env\n', 4, 'no file'],
    ['an empty file', '', 1, 'empty'],
    ['a duplicate key', 'services:\n  web: {image: a}\n  web: {image: b}\n', 3, 'unique'],
    [
      'a wrong constraint',
      'services:\n  web:\n    image: a\n    deploy:\n      placement:\n        constraints: [zone=attic]\n',
      6,
      'no constraint',
    ],
  ])('%s', (_what, text, line, words) => {
    const problem = refused(text);
    expect(problem.line).toBe(line);
    expect(problem.column).toBeGreaterThan(0);
    expect(`${problem.message} ${problem.hint}`.toLowerCase()).toContain(words);
  });

  it('names what was meant, and all mistakes at once', () => {
    const all = problems(() => read('services:\n  web:\n    imag: a\n    isolation: b\n'));
    expect(all.map(({ key }) => key)).toEqual(['services.web.imag', 'services.web.isolation']);
    expect(all[0]!.hint).toBe("did you mean 'image'?");
  });

  it('a cycle in extends', () => {
    expect(refused('services:\n  a: {image: x, extends: b}\n  b: {image: x, extends: a}\n').message).toContain(
      'a → b → a',
    );
  });

  it('anchors that explode, within bounded memory', () => {
    let text = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n';
    for (let i = 1; i < 12; i++)
      text += `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]\n`;
    expect(refused(`${text}services: {web: {image: a}}\n`).message).toContain('aliases');
  });

  it('five megabytes', () => {
    expect(refused(`# ${'x'.repeat(5_000_000)}\nservices: {web: {image: a}}\n`).message).toContain('larger than 1 MiB');
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
  });
});
