/** What a service has of elsewhere: the volumes of another, labels of files, a Dockerfile of the spec's own, disks of the cell. */
import { describe, expect, it } from 'vitest';
import { folder, problems, put, read, service } from './folder.ts';

const mountsOf = (text: string, name: string) => {
  const { app } = read(text);
  return app.services.find((one) => one.name === name)!;
};

describe('volumes_from', () => {
  it('takes what the other has mounted, its own before it, and waits for it', () => {
    const web = mountsOf(
      `services:
  files:
    image: a
    volumes: [data:/data, ./conf:/conf:z, {type: tmpfs, target: /scratch}]
  middle: {image: a, volumes_from: [files]}
  web: {image: a, volumes: [other:/conf], volumes_from: [middle:ro]}
volumes: {data: , other: }
`,
      'web',
    );
    expect(web.mounts).toEqual([
      { kind: 'volume', source: 'shop_other', target: '/conf' },
      { kind: 'volume', source: 'shop_data', target: '/data', readOnly: true },
    ]);
    expect(web.dependsOn).toEqual([{ service: 'middle', condition: 'started' }]);
    expect(web.strict).toBe(true);
  });

  it('has one volume at one place: its own, else that of the first', () => {
    const { mounts } = mountsOf(
      `services:
  a: {image: a, volumes: ["one:/data", "one:/more", "one:/own"]}
  b: {image: a, volumes: ["two:/data"], volumes_from: [a]}
  web: {image: a, tmpfs: ["/own:size=1m"], volumes_from: [a, b]}
volumes: {one: , two: }
`,
      'web',
    );
    expect(mounts.map(({ kind, target }) => `${kind} ${target}`).sort()).toEqual([
      'tmpfs /own',
      'volume /data',
      'volume /more',
    ]);
  });

  it('of a file that is included: its paths are those of that file', () => {
    put('shop/base/compose.yaml', 'services:\n  files:\n    image: a\n    volumes: [./conf:/conf]\n');
    const web = mountsOf('include: [base/compose.yaml]\nservices:\n  web: {image: a, volumes_from: [files]}\n', 'web');
    expect(web.mounts).toMatchObject([{ kind: 'bind', source: `${folder}/shop/base/conf`, target: '/conf' }]);
  });

  it.each([
    ['a service that is not there', '[db]', "there is no service 'db'"],
    ['a container of elsewhere', '["container:old"]', 'not of the file'],
    ['a strange mode', '["other:rx"]', 'no mode'],
    ['a volume without a name', '["files:ro"]', 'has no name'],
  ])('refuses %s', (_, from, message) => {
    const text = `services:\n  web:\n    image: a\n    volumes_from: ${from}\n  files: {image: a, volumes: [/data]}\n  other: {image: a}\n`;
    const all = problems(() => read(text));
    expect(all.map((one) => one.message).join('\n')).toContain(message);
    expect(all).toMatchObject([{ line: 4 }]);
  });

  it('refuses services that have it of each other', () => {
    const text =
      'services:\n  a: {image: x, volumes: [d:/d], volumes_from: [b]}\n  b: {image: x, volumes_from: [a]}\nvolumes: {d: }\n';
    expect(problems(() => read(text)).map(({ message }) => message)).toContainEqual(
      expect.stringContaining('waits for itself'),
    );
  });
});

describe('a path of a file that is extended', () => {
  it('is that file’s in the long form of a bind too', () => {
    put('shop/base/base.yaml', 'services:\n  web:\n    volumes: [{type: bind, source: conf, target: /conf}]\n');
    const web = mountsOf('services:\n  web:\n    image: a\n    extends: {file: base/base.yaml, service: web}\n', 'web');
    expect(web.mounts).toMatchObject([{ source: `${folder}/shop/base/conf` }]);
  });
});

describe('env_file', () => {
  it('may name what the service says itself', () => {
    put('shop/first.env', 'HOST=db\nURL=pg://${LOGIN}@${HOST}:${PORT}\n');
    put('shop/second.env', 'FULL=${URL}/${NAME:-none}\n');
    const { environment } = service(
      '    env_file: [first.env, second.env]\n    environment: {LOGIN: me, PORT: 5432, URL: own}\n',
    );
    expect(environment).toEqual({ HOST: 'db', URL: 'own', FULL: 'own/none', LOGIN: 'me', PORT: '5432' });
  });
});

describe('label_file', () => {
  it('gives labels, those of the spec before them', () => {
    put('shop/a.labels', '# of the shop\ncom.example.team=attic\nrole=old\n');
    put('shop/b.labels', 'role=new\ntier=1\n');
    expect(service('    label_file: [a.labels, b.labels]\n    labels: {tier: "2"}\n').labels).toEqual({
      'com.example.team': 'attic',
      role: 'new',
      tier: '2',
    });
  });

  it('that is missing is refused by place', () => {
    const [problem] = problems(() => service('    label_file: gone\n'));
    expect(problem).toMatchObject({ line: 4, message: expect.stringContaining('there is no file') as string });
    expect(problem!.hint).toContain('remove the key');
  });
});

describe('a build', () => {
  it('has its Dockerfile in the spec', () => {
    const { builds } = read('services:\n  web:\n    build:\n      dockerfile_inline: |\n        FROM scratch\n');
    expect(builds.web).toMatchObject({ context: `${folder}/shop`, inline: 'FROM scratch\n' });
  });

  it('has one Dockerfile', () => {
    const text = 'services:\n  web:\n    build: {dockerfile: a, dockerfile_inline: FROM scratch}\n';
    expect(problems(() => read(text))[0]).toMatchObject({ line: 3, message: 'there are two Dockerfiles' });
  });
});

describe('disks and memory', () => {
  it('are limited as the file says', () => {
    const { engine } = service(
      `    blkio_config:
      weight: 300
      weight_device: [{path: /dev/sda, weight: 400}]
      device_read_bps: [{path: /dev/sdb, rate: 12mb}]
      device_write_iops: [{path: /dev/sdb, rate: 30}]
`,
    );
    expect(engine?.blkio).toEqual({
      weight: 300,
      weightDevice: [{ path: '/dev/sda', weight: 400 }],
      readBps: [{ path: '/dev/sdb', rate: 12 * 2 ** 20 }],
      writeIops: [{ path: '/dev/sdb', rate: 30 }],
    });
  });

  it.each([
    ['a weight', 'weight: 5', 'from 10 to 1000'],
    ['a rate', 'device_read_iops: [{path: /dev/sda, rate: 0}]', 'from 1'],
    ['a device', 'device_read_bps: [{path: sda, rate: 1m}]', '/dev/sda'],
  ])('refuse %s that can not be', (_, text, hint) => {
    expect(problems(() => service(`    blkio_config: {${text}}\n`))[0]!.hint).toContain(hint);
  });

  it('a tmpfs has the mode that people mean', () => {
    const [mount] = service('    volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0700}}]\n').mounts;
    expect(mount).toEqual({ kind: 'tmpfs', target: '/t', sizeBytes: 2 ** 20, mode: 0o700 });
    const wrong = problems(() => service('    volumes: [{type: tmpfs, target: /t, tmpfs: {mode: rwx}}]\n'));
    expect(wrong[0]!.hint).toContain('octal');
  });
});
