/** What was found in files of public projects. */
import { describe, expect, it } from 'vitest';
import { SpecError } from '../../src/core/errors.ts';
import type { ServiceSpec } from '../../src/core/spec.ts';
import type { ComposeResult } from '../../src/specs/compose.ts';
import { readSpec } from '../../src/specs/read.ts';
import { put } from './folder.ts';

const read = (text: string): ComposeResult => readSpec({ file: put('compose.yaml', text), env: {}, profiles: [] });

describe('what public files have', () => {
  const web = (lines: string): ComposeResult => read(`services:\n  web:\n    image: a\n${lines}`);
  const spec = (lines: string): ServiceSpec => web(lines).app.services[0]!;
  const said = (text: string, env = {}): string => {
    try {
      readSpec({ file: put('compose.yaml', text), env, profiles: [] });
    } catch (error) {
      if (error instanceof SpecError) return error.message;
      throw error;
    }
    return '';
  };

  it('a dollar before something that is no name is a dollar', () => {
    const { environment } = spec("    environment: { A: '$(date) $1 $2y$05$! a$', B: '^a$' }\n");
    expect(environment).toEqual({ A: '$(date) $1 $2y$05$! a$', B: '^a$' });
  });

  it('no mount is lost: paths of Windows and with colons are refused, odd modes ignored with a warning', () => {
    const mount = (text: string): string => said(`services:\n  web:\n    image: a\n    volumes: ['${text}']\n`);
    expect(mount('C:/Users/me/.docker/config.json:/config.json:ro')).toContain('is a path of Windows');
    expect(mount('D:\\srv:/data')).toContain('is a path of Windows');
    expect(mount('/sys/0000:00:02.0:/gpu:ro')).toContain('too many colons');
    const { app, warnings } = web("    volumes: ['./a:/a:ro,U']\n");
    expect(app.services[0]!.mounts).toMatchObject([{ target: '/a', readOnly: true }]);
    expect(warnings).toContain("web: mode 'U' of /a is not known, and ignored");
  });

  it('what stands twice is meant once, the last', () => {
    const { mounts, ports, engine } = spec(
      "    volumes: ['/a:/d', '/b:/d']\n    ports: ['80:80', '80:80/tcp', '80:80/udp']\n    devices: ['/dev/a:/dev/x', '/dev/b:/dev/x']\n",
    );
    expect(mounts.map(({ source }) => source)).toEqual(['/b']);
    expect(ports).toHaveLength(2);
    expect(engine!.devices!.map(({ host }) => host)).toEqual(['/dev/b']);
  });

  it('of several ports on the cell the first, and in its network those that the program opens', () => {
    expect(spec("    ports: ['8000-8010:80', { target: 81, published: '9000-9010' }]\n").ports).toMatchObject([
      { target: 80, published: 8_000 },
      { target: 81, published: 9_000 },
    ]);
    const { app, warnings } = web("    network_mode: host\n    ports: ['7600:8123']\n");
    expect(app.services[0]!.ports).toMatchObject([{ target: 8_123, published: 8_123 }]);
    expect(warnings).toContain('web: with network_mode: host its port is 8123 on the cell, not 7600');
  });

  it('folders of long binds are made where nothing else is said', () => {
    const bind = (more: string) =>
      spec(`    volumes: [{ type: bind, source: /srv, target: /a${more} }]\n`).mounts[0]!.createPath;
    expect([bind(''), bind(', bind: { create_host_path: false }')]).toEqual([true, undefined]);
  });

  it('addresses are not given, and refused where another service counts on one', () => {
    const text = (url: string): string =>
      `services:\n  db:\n    image: a\n    networks: { n: { ipv4_address: 172.20.0.5 } }\n  web:\n    image: a\n    networks: [n]\n    environment: { DB: '${url}' }\nnetworks: { n: }\n`;
    expect(read(text('other')).warnings.join()).toContain('db: address 172.20.0.5 is not given');
    expect(read(text('172.20.0.50')).warnings.join()).toContain('is not given');
    expect(said(text('http://172.20.0.5:80/'))).toContain('web counts on 172.20.0.5');
    expect(said(text('db:172.20.0.5'))).toContain('web counts on 172.20.0.5');
  });

  it('commands that want a shell are told of', () => {
    const warned = (command: string): boolean =>
      web(`    command: ${command}\n`).warnings.some((one) => one.includes('no shell reads'));
    expect(['npm install && npm start', 'a; b', 'a > b', 'a | b'].map(warned)).toEqual([true, true, true, true]);
    expect(['sh -c "a && b"', '/bin/bash -c "a; b"', 'find . -exec a +', '[a, "&&"]'].map(warned)).toEqual([
      ...[false, false, false, false],
    ]);
  });

  it('lines are split as docker compose does', () => {
    expect(spec('    command: sh -c "a && \\(b\\) \\$$x \\"q\\""\n').command).toEqual(['sh', '-c', 'a && (b) $x "q"']);
    expect(spec("    command: echo a\\nb 'c\\nd'\n").command).toEqual(['echo', 'a\nb', 'c\\nd']);
  });

  it('profiles that are empty hold where none is named, and * is all', () => {
    const text =
      'services:\n  a: { image: a, profiles: [""] }\n  b: { image: a, profiles: [b] }\n  c: { image: a, profiles: [c] }\n';
    const names = (env: Record<string, string>, profiles: string[] = []): string =>
      readSpec({ file: put('compose.yaml', text), env, profiles })
        .app.services.map(({ name }) => name)
        .join('');
    expect([
      names({}),
      names({ COMPOSE_PROFILES: 'b, c' }),
      names({ COMPOSE_PROFILES: 'b' }, ['c']),
      names({}, ['*']),
    ]).toEqual([...['a', 'bc', 'c', 'abc']]);
  });

  it('a service without networks is with the others, and a container that a service names is that service', () => {
    expect(
      read('services:\n  a: { image: a }\n  b: { image: a, networks: [n] }\nnetworks: { n: }\n').app.services,
    ).toHaveLength(2);
    const { app } = read(
      'services:\n  vpn: { image: a, container_name: tail }\n  web: { image: a, network_mode: "container:tail", labels: { a: b } }\n',
    );
    expect(app.services.map(({ parts }) => parts?.map(({ name }) => name))).toEqual([['web']]);
  });

  it('memory as a volume, sizes as 2Gi, images that are wanted daily', () => {
    const { app, warnings } = read(
      'services:\n  web: { image: a, volumes: ["m:/m"], mem_limit: 2Gi, pull_policy: daily }\nvolumes: { m: { driver_opts: { type: tmpfs, device: tmpfs, o: size=1m } } }\n',
    );
    expect(app.services[0]).toMatchObject({
      ...{ mounts: [{ kind: 'tmpfs', target: '/m', sizeBytes: 1_048_576 }], pull: 'always' },
      resources: { limitMemoryBytes: 2 ** 31 },
    });
    expect(warnings.join()).toContain('volume m is memory');
  });

  it('what is not used, or not asked, is told', () => {
    const { warnings } = read(
      'services:\n  a: { image: a, environment: { N: "{{.Node.Hostname}}" } }\n  b: { image: a, network_mode: "service:a", labels: { x: y } }\n  c: { image: a, depends_on: { a: { condition: service_healthy } } }\n',
    );
    expect(warnings).toEqual(
      expect.arrayContaining([
        'a: N={{.Node.Hostname}} is not filled in: that is for Swarm',
        'b: labels of it are not used; those of a hold',
        'c waits until a is healthy, which has no healthcheck in the file: it waits until it runs',
      ]),
    );
  });

  it('variables that are not set are named where something is wrong by them', () => {
    expect(said("services:\n  web:\n    image: '${IMG}'\n")).toMatch(/web\.image: is empty\n {2}IMG is not set/);
    expect(said("services:\n  web:\n    image: a\n    ports: ['${A}:${B}']\n")).toContain('A, B are not set');
    expect(said("services:\n  web:\n    image: a\n    mem_limit: '${M}'\n")).toContain('M is not set');
  });

  it.each([
    ["    ports: '80:80'", 'write it as a list: - 80:80'],
    ['    ports: -"80:80"', 'a "-" needs a space behind it'],
    ['    net: host', 'it is network_mode now'],
    ['    volumes:\n      - ./a:/b:', 'the ":" at its end makes it a key'],
    ['    command: `date`', 'a text that begins with ` needs quotes'],
    ['    build: github.com/foo/bar', 'is not on this machine'],
  ])('%s is told how to mend', (lines, hint) => {
    expect(said(`services:\n  web:\n    image: a\n${lines}\n`)).toContain(hint);
  });

  it('paths with a colon are mounted as they are, and not created', () => {
    const disk = (more: string): string =>
      `services:\n  web:\n    image: a\n    volumes: [{ type: bind, source: '/dev/disk/pci-0:1', target: /d${more} }]\n`;
    expect(read(disk('')).app.services[0]!.mounts).toEqual([
      { kind: 'bind', source: '/dev/disk/pci-0:1', target: '/d' },
    ]);
    expect(said(disk(', bind: { create_host_path: true }'))).toContain("a path with a colon can't be created");
  });

  it('a word that ends in a semicolon is none of a shell where it is a part of an argument', () => {
    const line = (command: string): string =>
      read(`services:\n  web:\n    image: a\n    command: ${command}\n`).warnings.join();
    expect(line('nginx -g "daemon off;"')).not.toContain('no shell');
    expect(line('migrate; serve')).toContain('no shell');
  });

  it('files that change others, and profiles that are to be named', () => {
    expect(said('services:\n  web:\n    ports: [80]\n')).toContain('goes behind it: osca deploy compose.yaml THIS');
    expect(said('services:\n  web:\n    image: a\n    profiles: [dev, test]\n')).toContain('--profile: dev, test');
  });
});
