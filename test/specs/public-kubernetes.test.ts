/** What was found in manifests of public projects. */
import { describe, expect, it } from 'vitest';
import { OscaError } from '../../src/core/errors.ts';
import type { ComposeResult } from '../../src/specs/compose.ts';
import { readSpec } from '../../src/specs/read.ts';
import { put } from './folder.ts';

const read = (text: string): ComposeResult => readSpec({ file: put('web.yaml', text), env: {}, profiles: [] });
const said = (text: string): string => {
  try {
    read(text);
  } catch (error) {
    if (error instanceof OscaError) return error.message;
    throw error;
  }
  return '';
};
const deployment = (container: string, pod = '', more = ''): string =>
  `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  ${more === '' ? 'replicas: 1' : more}
  template:
    metadata: { labels: { app: web } }
    spec:
      ${pod === '' ? 'hostname: web' : pod}
      containers:
        - name: web
          image: web
          ${container}
`;

describe('manifests of public projects', () => {
  it('say once which Secret is missing, with all that is asked of it', () => {
    const variable = (name: string): string =>
      `{ name: ${name}, valueFrom: { secretKeyRef: { name: pw, key: ${name} } } }`;
    const text = said(
      `${deployment(`env:\n            - ${variable('A')}\n            - ${variable('B')}`)}---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: { name: web }\n`,
    );
    expect(text.match(/there is no Secret/g)).toHaveLength(1);
    expect(text).toContain("there is no Secret 'pw', and on line 15");
    expect(text).toContain('kind: Secret, metadata: {name: pw}, stringData: {A: …, B: …}');
    // All at once.
    expect(text).toContain('Ingress is not supported');
  });

  it('have ReplicaSets, and folders of other machines', () => {
    const volumes = 'volumes: [{ name: films, nfs: { server: 10.0.0.5, path: /films, readOnly: true } }]';
    const { app } = read(
      deployment('volumeMounts: [{ name: films, mountPath: /films }]', volumes).replace(
        'kind: Deployment',
        'kind: ReplicaSet',
      ),
    );
    expect(app.services[0]!.mounts).toMatchObject([
      {
        kind: 'remote',
        target: '/films',
        readOnly: true,
        driverOptions: { type: 'nfs', o: 'addr=10.0.0.5', device: ':/films' },
      },
    ]);
    expect(app.services[0]).not.toHaveProperty('strict');
  });

  it('are told of themselves in files', () => {
    const items = [
      '{ path: labels, fieldRef: { fieldPath: metadata.labels } }',
      '{ path: space, fieldRef: { fieldPath: metadata.namespace } }',
      '{ path: memory, resourceFieldRef: { containerName: web, resource: limits.memory, divisor: 1Mi } }',
    ].join();
    const text = (all: string): string =>
      deployment(
        'volumeMounts: [{ name: me, mountPath: /me }]\n          resources: { limits: { memory: 64Mi } }',
        `volumes: [{ name: me, downwardAPI: { items: [${all}] } }]`,
      );
    const { app, files } = read(text(items));
    const held = app.services[0]!.files!.map(({ target, blob }) => [
      target,
      Buffer.from(files[blob]!.data, 'base64').toString(),
    ]);
    expect(Object.fromEntries(held)).toEqual({ '/me/labels': 'app="web"\n', '/me/space': 'web', '/me/memory': '64' });
    expect(said(text('{ path: name, fieldRef: { fieldPath: metadata.name } }'))).toContain('can stand in a variable');
    expect(said(text('{ fieldRef: { fieldPath: metadata.namespace } }'))).toContain('a file in the folder is meant');
    const one = read(text(items).replace('mountPath: /me }', 'mountPath: /etc/labels, subPath: labels }')).app;
    expect(one.services[0]!.files!.map(({ target, folder }) => [target, folder])).toEqual([['/etc/labels', undefined]]);
  });

  it('keep the data of a claim where a PersistentVolume of the file says', () => {
    const volume = (name: string, where: string, more = ''): string =>
      `---\napiVersion: v1\nkind: PersistentVolume\nmetadata: { name: ${name} }\nspec: { capacity: { storage: 5Gi }, accessModes: [ReadWriteOnce], ${more}${where} }\n`;
    const claim = (more: string): string =>
      `---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: data }\nspec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } }${more} }\n`;
    const web = deployment(
      'volumeMounts: [{ name: data, mountPath: /data, subPath: db }]',
      'volumes: [{ name: data, persistentVolumeClaim: { claimName: data } }]',
    );
    const kept = (...parts: string[]) => {
      const { app, warnings } = read([web, ...parts].join(''));
      return [app.services[0]!.mounts[0]!, warnings.join()] as const;
    };
    const disk = volume('disk', 'hostPath: { path: /mnt/disk }', 'storageClassName: manual, ');
    const [bound, advice] = kept(disk, claim(', storageClassName: manual'));
    expect(advice).toContain('claim data is the folder /mnt/disk of whichever cell runs it');
    expect(bound).toMatchObject({ kind: 'bind', source: '/mnt/disk/db', target: '/data' });
    expect(kept(disk, volume('nas', 'nfs: { server: nas, path: /x }'), claim(', volumeName: nas'))[0]).toMatchObject({
      ...{ kind: 'remote', driverOptions: { type: 'nfs', o: 'addr=nas', device: ':/x/db' } },
    });
    const old = volume('nas', 'nfs: { server: nas, path: /x }', 'mountOptions: [nfsvers=3, ro], ');
    expect(kept(old, claim(', volumeName: nas'))[0]).toMatchObject({
      ...{ readOnly: true, options: ['nocopy'], driverOptions: { o: 'addr=nas,nfsvers=3,ro' } },
    });
    expect(said([web, volume('nas', 'nfs: { server: nas }'), claim('')].join(''))).toContain('nfs has no path');
    const [own, warned] = kept(disk, claim(''));
    expect(own).toMatchObject({ kind: 'volume', source: 'web_data_db' });
    expect(warned).toContain("PersistentVolume disk is no claim's of the file");
    expect(kept(claim(', volumeName: gone'))[1]).toContain('PersistentVolume gone is not of the file');
    expect(said([web, volume('far', 'csi: { driver: x }'), claim('')].join(''))).toContain('hostPath, local and nfs');
  });

  it.each<[string, string, string]>([
    [
      'a selector of others',
      deployment('', '', 'selector: { matchLabels: { app: wep } }'),
      'is wep, and the template has web',
    ],
    ['a number as a variable', deployment('env: [{ name: PORT, value: 8080 }]'), 'put it into quotes: "8080"'],
    ['a line as a command', deployment('command: nginx -g x'), 'write a list: [program, argument]'],
    ['what envsubst fills in', deployment('', '', "replicas: '${N}'"), 'with envsubst'],
    [
      'containers too far out',
      deployment('').replace('    spec:\n      hostname: web\n      containers', '    containers'),
      'it stands under spec:',
    ],
    ['an operator', 'apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: { name: a }\n', 'for an operator'],
    [
      'resources of a cluster',
      deployment('resources: { limits: { example.com/dongle: 1 } }'),
      'are not counted: label',
    ],
  ])('%s is told how to mend', (_what, text, hint) => {
    try {
      read(text);
      expect.unreachable();
    } catch (error) {
      expect(`${(error as OscaError).message} ${(error as OscaError).hint}`).toContain(hint);
    }
  });
});
