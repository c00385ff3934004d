/** Several files, and services that extend others. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ServiceSpec } from '../../src/core/spec.ts';
import type { ComposeResult } from '../../src/specs/compose.ts';
import { readCompose } from '../../src/specs/compose.ts';
import { folder, problems, put, read, service } from './folder.ts';

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

  it('keep the folder of a build, drop the options of another driver of logs, and wait as the later says', () => {
    const file = put(
      'shop/compose.yaml',
      'services:\n  web:\n    build: ./app\n    logging: { driver: json-file, options: { max-size: 1m } }\n    depends_on: { db: { condition: service_healthy } }\n  db: { image: a }\n',
    );
    const over = put(
      'shop/over.yaml',
      'services:\n  web:\n    build: { target: dev }\n    logging: { driver: syslog }\n    depends_on: [db]\n',
    );
    const { app, builds } = readCompose({ file, over: [over], env: {}, profiles: [] });
    expect(builds.web).toMatchObject({ context: join(folder, 'shop/app'), target: 'dev' });
    expect(app.services[0]!.engine!.logging).toEqual({ driver: 'syslog', options: {} });
    expect(app.services[0]!.dependsOn).toEqual([{ service: 'db', condition: 'started' }]);
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

/** One service, of two files that are merged. */
function merged(below: string, over: string): ServiceSpec {
  const file = put('shop/compose.yaml', `services:\n  web:\n    image: nginx\n${below}`);
  const other = put('shop/prod.yaml', `services:\n  web:\n${over}`);
  return readCompose({ file, over: [other], env: {}, profiles: [] }).app.services[0]!;
}

describe('what a later file takes away', () => {
  const below = '    ports: ["80", "81"]\n    environment: ["A=1", "B=2"]\n    user: root\n';

  it('is without what is reset', () => {
    expect(merged(below, '    ports: !reset []\n    user: !reset null\n')).toMatchObject({
      ports: [],
      environment: { A: '1', B: '2' },
    });
    expect(merged(below, '    user: !reset null\n').user).toBeUndefined();
    expect(merged(below, '    environment: {A: !reset null, C: "3"}\n').environment).toEqual({ B: '2', C: '3' });
    expect(merged('    depends_on: []\n', '    depends_on: !reset\n').dependsOn).toBeUndefined();
  });

  it('is what overrides it, and nothing else', () => {
    expect(merged(below, '    ports: !override ["90"]\n').ports.map(({ target }) => target)).toEqual([90]);
    expect(merged(below, '    environment: !override {C: "3"}\n').environment).toEqual({ C: '3' });
  });

  it('goes from what is extended, too', () => {
    const base = '  base: {image: b, ports: ["80"], environment: {A: "1"}}\n';
    const [web] = read(
      `services:\n  web:\n    extends: base\n    ports: !override ["81"]\n    environment: {A: !reset null}\n${base}`,
    ).app.services;
    expect(web!.ports.map(({ target }) => target)).toEqual([81]);
    expect(web!.environment).toEqual({});
  });

  it('may be a whole service, and is nothing where there is no other file', () => {
    const file = put('shop/compose.yaml', 'services:\n  web: {image: a}\n  debug: {image: b}\n');
    const over = put('shop/prod.yaml', 'services:\n  debug: !reset null\n');
    expect(readCompose({ file, over: [over], env: {}, profiles: [] }).app.services.map(({ name }) => name)).toEqual([
      'web',
    ]);
    expect(service('    user: !reset root\n').user).toBeUndefined();
  });

  it('is not what has no value', () => {
    const web = merged('    deploy: {replicas: 3}\n    x-a: {labels: [1]}\n', '    deploy:\n    x-a: {labels: [2]}\n');
    expect(web.replicas).toBe(3);
  });

  it('is no item of a list', () => {
    expect(problems(() => service('    ports:\n      - !reset "80"\n'))).toMatchObject([
      { line: 5, hint: 'say it of the whole list' },
    ]);
  });
});
