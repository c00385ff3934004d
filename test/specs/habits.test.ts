/** What people write in Compose files beside what the specification is about. */
import { describe, expect, it } from 'vitest';
import { SpecError } from '../../src/core/errors.ts';
import type { ServiceSpec } from '../../src/core/spec.ts';
import type { ComposeResult } from '../../src/specs/compose.ts';
import { readEnv } from '../../src/specs/dotenv.ts';
import { readSpec } from '../../src/specs/read.ts';
import { put } from './folder.ts';

const read = (text: string): ComposeResult => readSpec({ file: put('compose.yaml', text), env: {}, profiles: [] });

const values = (text: string, around = {}): Record<string, string> => readEnv({ path: '.env', text }, around);

describe('files of variables', () => {
  it('name what stands before, in their order', () => {
    const text = 'USER=u\nPASSWORD=p\nDATABASE_URL=postgres://${USER}:${PASSWORD}@db/app\nA=$DATABASE_URL\n';
    expect(values(text)).toMatchObject({ DATABASE_URL: 'postgres://u:p@db/app', A: 'postgres://u:p@db/app' });
    const unset: string[] = [];
    expect(readEnv({ path: 'f', text: 'A=$B\nB=1\n' }, {}, (name) => unset.push(name))).toEqual({ A: '', B: '1' });
    expect(unset).toEqual(['B']);
  });

  it('have comments after a space, and # in values', () => {
    const text =
      'C=#fff\nKEY=r8Ow!!dci#P9 # a key\nURL=redis://h/0#f\nE= # none\nQ="a # b" # c\n# X=1\n  # Y=1\nS=\'#\'\n';
    expect(values(text)).toEqual({ C: '#fff', KEY: 'r8Ow!!dci#P9', URL: 'redis://h/0#f', E: '', Q: 'a # b', S: '#' });
  });

  it('have quotes, escapes, several lines, names alone and colons', () => {
    const text =
      'J="{\\"a\\":1}"\nN="a\\nb\\$c"\nM="one\ntwo"\nL=\'it\\\'s $A\'\nT=`back`\nD=a$\nP="a$1#x"\nLONE\nGONE\nY: y\nexport X = 1 \r\nZ=${NO:-d}\n';
    expect(values(text, { LONE: 'l' })).toEqual({
      ...{
        J: '{"a":1}',
        N: 'a\nb$c',
        M: 'one\ntwo',
        L: "it's $A",
        T: '`back`',
        D: 'a$',
        P: 'a$1#x',
        LONE: 'l',
        Y: 'y',
        X: '1',
        Z: 'd',
      },
    });
  });

  it('have dollars that are doubled, and names that objects have by themselves', () => {
    expect(values('A=pa$$1\nB=$$\nC="x\\$5"\nD=$$A\nconstructor\nE=$constructor${valueOf:-v}\nF=a\u2028b\n')).toEqual({
      ...{ A: 'pa$1', B: '$', C: 'x$5', D: '$A', E: 'v', F: 'a\u2028b' },
    });
  });

  it('are read in no time where they are long', () => {
    const text = Array.from({ length: 20_000 }, (_, i) => `V${i}=$V${i - 1}x`)
      .join('\n')
      .replace('$V-1', '')
      .replace(/\$V\d+/g, '$V0');
    expect(Object.keys(values(text))).toHaveLength(20_000);
    expect(() => values('x'.repeat(2_000_000))).toThrow('is too large');
  });

  it('are refused by line', () => {
    const refused = (text: string): string => {
      try {
        values(text);
      } catch (error) {
        return (error as Error).message;
      }
      return '';
    };
    expect(refused('A=1\nA(B=$HOME\n')).toContain(".env:2:1: env: 'A(B=$HOME' is no NAME=value");
    expect(refused('\nA="open\nB=2\n')).toContain('.env:2:1: env: the quote of A is not closed');
    expect(refused('A=${B:?say it}\n')).toContain('variable B must be set: say it');
    expect(refused('A=${B\n')).toContain('is not closed');
  });
});

describe('as other people write them', () => {
  const web = (more: string, top = ''): ServiceSpec =>
    read(`services:\n  web:\n    image: a\n${more}${top}`).app.services[0]!;

  it('numbers that are texts are what is written', () => {
    const { environment, labels } = web(
      '    environment: {BIG: 12345678901234567890, V: 1.10, M: 0644}\n    labels: {v: 1.0}\n',
    );
    expect([environment, labels]).toEqual([{ BIG: '12345678901234567890', V: '1.10', M: '0644' }, { v: '1.0' }]);
  });

  it('files of variables are filled in, but not between single quotes', () => {
    const env = `A=one\nB="\${A}-two"\nC='\${A}'\nE=5$\nexport F=$A\n`;
    expect(values(env)).toEqual({ A: 'one', B: 'one-two', C: '${A}', E: '5$', F: 'one' });
    expect(values('A=one\nB=$A\n', { A: 'shell' }).B).toBe('shell');
  });

  it('mounts with what the engine is told, and what only desktops need', () => {
    const { mounts } = web(
      '    volumes: ["/a:/a:ro,z", "/b:/b:cached", "data:/d"]\n    tmpfs: ["/t:size=1m,noexec,nosuid", "/u:size=1m"]\n',
      'volumes:\n  data: {driver: local, driver_opts: {type: none, o: bind, device: /disk}}\n',
    );
    expect(mounts).toEqual([
      { kind: 'bind', source: '/a', target: '/a', createPath: true, readOnly: true, options: ['z'] },
      { kind: 'bind', source: '/b', target: '/b', createPath: true },
      { kind: 'bind', source: '/disk', target: '/d' },
      { kind: 'tmpfs', target: '/t', options: ['size=1m', 'noexec', 'nosuid'] },
      { kind: 'tmpfs', target: '/u', sizeBytes: 2 ** 20 },
    ]);
    const other = (options: string): string => `volumes:\n  data: {driver_opts: {${options}}}\n`;
    expect(() => web('    volumes: ["data:/d"]\n', other('type: ext4, device: /dev/sdb'))).toThrow(/can not be had/);
    expect(() => web('    volumes: ["data:/d"]\n', other('type: nfs'))).toThrow(/says not where the share is/);
  });

  it('shares that every cell reaches, by the engine, and nothing is bound to a cell by them', () => {
    const on = (host: string): ServiceSpec =>
      web(
        '    volumes: ["data:/d:ro"]\n',
        `volumes:\n  data: {driver_opts: {type: nfs, o: addr=${host}, device: ":/x"}}\n`,
      );
    const [mount] = on('nas').mounts;
    const driverOptions = { type: 'nfs', o: 'addr=nas', device: ':/x' };
    expect(mount).toMatchObject({ kind: 'remote', target: '/d', readOnly: true, driverOptions });
    expect(on('nas')).not.toHaveProperty('strict');
    expect(on('other').mounts[0]!.source).not.toBe(mount!.source);
  });

  it('an address that is empty, times that are zero, a role that all have', () => {
    const spec = web(
      '    ports: [":80:80", "53:53/UDP"]\n    healthcheck: {test: x, retries: 0, timeout: 0s}\n    platform: ""\n    deploy: {placement: {constraints: [node.role == manager]}}\n',
    );
    expect(spec.ports).toEqual([
      { target: 80, published: 80, protocol: 'tcp' },
      { target: 53, published: 53, protocol: 'udp' },
    ]);
    expect(spec.healthcheck).toMatchObject({ retries: 3, timeoutMs: 30_000 });
    expect(spec.constraints).toEqual([]);
  });

  it('names with dots and capitals, and links', () => {
    const { app, warnings } = read(
      'services:\n  Laravel.Test:\n    image: a\n    links: ["my.sql:db"]\n  my.sql: {image: b, healthcheck: {interval: 5s}}\n',
    );
    expect(app.services.map(({ name, dependsOn }) => [name, dependsOn])).toEqual([
      ['laravel-test', [{ service: 'my-sql', condition: 'started' }]],
      ['my-sql', undefined],
    ]);
    expect(warnings).toEqual([
      'Laravel.Test is called laravel-test here',
      'my.sql is called my-sql here',
      "my.sql: the image's own health check is not asked; add healthcheck.test",
      'services reach each other by published ports for now, not by name',
    ]);
  });

  it('volumes that look shared are told of, unless their users are pinned to one cell', () => {
    const warnings = (more: string): string[] => {
      const file = put(
        'compose.yaml',
        `services:\n  a: {image: a, volumes: ["d:/d"]${more}}\n  b: {image: b, volumes: ["d:/d"]${more}}\n  c: {image: c, volumes: ["e:/e"], deploy: {replicas: 2}}\nvolumes: {d: {}, e: {}}\nname: n\n`,
      );
      return readSpec({ file, env: {}, profiles: [] }).warnings;
    };
    const spread = 'volume n_e is another on each cell: replicas of c do not share it';
    expect(warnings('')).toEqual(['a, b share volume n_d: all their replicas are on one cell', spread]);
    const on = (...all: string[]): string => `, deploy: {placement: {constraints: ${JSON.stringify(all)}}}`;
    expect(warnings(on('node.hostname == pi'))).toEqual([spread]);
    expect(warnings(on('node.hostname != pi'))).toEqual([
      'a, b share volume n_d: all their replicas are on one cell',
      spread,
    ]);
  });

  it('services that share a volume and are pinned apart, and folders beside the file of what is only kept off a cell', () => {
    const at = (constraint: string): string =>
      `volumes: ["d:/d"], deploy: {placement: {constraints: ["node.hostname ${constraint}"]}}`;
    const apart = read(
      `name: n\nservices:\n  a: {image: a, ${at('== pi')}}\n  b: {image: b, ${at('== nas')}}\nvolumes: {d: }\n`,
    );
    expect(apart.warnings).toEqual(['a, b share volume n_d, and are to be on different cells: each cell has its own']);
    const bound = (constraint: string) =>
      read(`services: {a: {image: a, ${at(constraint).replace('d:/d', './d:/d')}}}\n`).warnings;
    expect(bound('!= pi')[0]).toContain('is not copied to other cells');
    expect(bound('== pi')).toEqual([]);
  });

  it('services in the network of another are its containers', () => {
    const stack = (more = ''): string =>
      `services:\n  web: {image: w, depends_on: [torrent]}\n  vpn: {image: v, cap_add: [NET_ADMIN], ports: ["8080:8080"]}\n  torrent:\n    image: t\n    network_mode: service:vpn\n    depends_on: [vpn, db]\n    stop_grace_period: 30s\n    volumes: ["data:/d"]\n${more}  db: {image: d}\nvolumes: {data: {}}\n`;
    const { app, warnings } = read(stack());
    expect(app.services.map(({ name, dependsOn }) => [name, dependsOn?.map(({ service }) => service)])).toEqual([
      ['web', ['vpn']],
      ['vpn', ['db']],
      ['db', undefined],
    ]);
    expect(app.services[1]).toMatchObject({
      ...{ image: 'v', strict: true, stopGraceMs: 30_000, capAdd: ['NET_ADMIN'] },
      parts: [{ name: 'torrent', kind: 'peer', image: 't', mounts: [{ kind: 'volume', target: '/d' }] }],
    });
    expect(warnings).toContain('torrent is a container of vpn: osca logs -c torrent shows what it writes');
    const stronger = read(
      stack()
        .replace('image: v,', 'image: v, depends_on: {db: {condition: service_healthy}},')
        .replace('db: {image: d}', 'db: {image: d, healthcheck: {test: x}}'),
    );
    expect(stronger.app.services[1]!.dependsOn).toEqual([{ service: 'db', condition: 'healthy' }]);
    expect(read(stack('    platform: linux/arm64\n')).app.services[1]!.constraints).toHaveLength(1);
    expect(() => read(stack('    restart: "no"\n'))).toThrow(/torrent.restart: it is a container of vpn/);
    expect(() => read(stack('    ports: [80]\n'))).toThrow(/torrent.ports: it has no network of its own/);
    expect(() => read(stack().replace('service:vpn', 'service:vpm'))).toThrow(
      /no service 'vpm'.*name one of: web, vpn, db/s,
    );
  });

  it('arguments of a build that are only named are those of the shell, or left to the Dockerfile', () => {
    const file = put('compose.yaml', 'services: {web: {build: {context: ., args: [A, B, C=3]}}}\n');
    expect(readSpec({ file, env: { A: '1' }, profiles: [] }).builds.web!.args).toEqual({ A: '1', C: '3' });
    const url = put('url.yaml', 'services: {web: {build: "https://git.example/x/y.git#main"}}\n');
    expect(() => readSpec({ file: url, env: {}, profiles: [] })).toThrow(/is not on this machine\n {2}clone it/);
  });

  it('flags in words', () => {
    expect(web('    privileged: yes\n    read_only: off\n    init: "true"\n')).toMatchObject({
      engine: { privileged: true },
      init: true,
    });
    expect(() => web('    privileged: maybe\n')).toThrow('must be true or false, not "maybe"');
  });

  it('the app has a name that its files may use', () => {
    const file = put('compose.yaml', 'services: {web: {image: "$COMPOSE_PROJECT_NAME/a"}}\n');
    const named = (env = {}, more = {}) => readSpec({ file, env, profiles: [], ...more }).app;
    expect(named({ COMPOSE_PROJECT_NAME: 'shell' })).toMatchObject({ name: 'shell', services: [{ image: 'shell/a' }] });
    expect(named({ COMPOSE_PROJECT_NAME: 'shell' }, { name: 'given' })).toMatchObject({
      name: 'given',
      services: [{ image: 'given/a' }],
    });
    expect(named({}, { fallbackName: 'else' })).toMatchObject({ name: 'else', services: [{ image: 'else/a' }] });
    put('.env', 'COMPOSE_PROJECT_NAME=file\n');
    expect(named({}, { fallbackName: 'else' })).toMatchObject({ name: 'file', services: [{ image: 'file/a' }] });
    const own = put('own/compose.yaml', 'name: "${WHO}-own"\nservices: {web: {image: "${COMPOSE_PROJECT_NAME}"}}\n');
    expect(readSpec({ file: own, env: { WHO: 'my' }, profiles: [] }).app).toMatchObject({
      name: 'my-own',
      services: [{ image: 'my-own' }],
    });
  });

  it('what stands there for nothing, and volumes and networks of others in the old way', () => {
    expect(web('    deploy:\n').replicas).toBe(1);
    const { app, warnings } = read(
      'services: {web: {image: a, volumes: ["d:/d:nocopy", "e:/e", {type: volume, source: e, target: /f, volume: {nocopy: true}}], networks: [n]}}\nvolumes: {d: {external: {name: other}}, e: {external: true}}\nnetworks: {n: {external: {name: proxy}}}\n---\n',
    );
    expect(app.services[0]!.mounts).toEqual([
      { kind: 'volume', source: 'other', target: '/d', options: ['nocopy'] },
      { kind: 'volume', source: 'e', target: '/e' },
      { kind: 'volume', source: 'e', target: '/f', options: ['nocopy'] },
    ]);
    expect(() => read('services: {a: {image: a, volumes: ["constructor:/d"]}}')).toThrow('is not declared');
    put('.env/x', 'a folder');
    expect(web('').image).toBe('a');
    expect(warnings.join()).toContain('network n of other files');
  });

  it.each([
    [
      'no Compose file at all',
      'name: a\nreplicaCount: 3\nimage:\n  tag: a\nvolumes: []\n',
      'is no Compose file, and no manifest',
    ],
    ['a key with a typo', 'servces:\n  web: {image: a}\n', "did you mean 'services'?"],
    ['services of the old format', 'web:\n  image: a\n', 'then it stands under services:'],
    [
      'a service that stands too far out',
      'services:\n  a: {image: a}\nb:\n  image: b\n',
      'then it stands under services:',
    ],
    [
      'a list without items',
      'services:\n  a:\n    image: a\n    ports:\n',
      'remove the key, or write something under it',
    ],
    ['a time without a unit', 'services:\n  a: {image: a, healthcheck: {test: x, timeout: 30}}\n', 'write 30s'],
    ['a variable with a dash', 'services:\n  a:\n    image: a\n    environment:\n      - A: 1\n', 'A=…'],
  ])('%s is told of in words', (_what, text, words) => {
    expect(() => read(text)).toThrow(words);
  });

  it('odd names are problems with a place, not crashes', () => {
    expect(() => read('services:\n  a(: {image: a}\n  b: {image: b}\n')).toThrow(/services.a\(: is no name/);
  });

  it('all that is wrong is said at once, and where an anchor has it', () => {
    const text = 'x-base: &base\n  image: a\n  isolation: b\nservices:\n  web:\n    <<: *base\n    ports: [nonsense]\n';
    let said: string[] = [];
    try {
      read(text);
    } catch (error) {
      if (error instanceof SpecError) said = error.problems.map(({ line, key }) => `${line} ${key}`);
    }
    expect(said).toEqual(['3 services.web.isolation', '7 services.web.ports[0]']);
  });
});
