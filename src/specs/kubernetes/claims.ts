/** Where claims keep their data: in a PersistentVolume of the file that is theirs, or in a volume of the cell. */
import type { SpecProblem } from '../../core/errors.ts';
import { contentHash } from '../../core/hash.ts';
import type { Mount } from '../../core/spec.ts';
import type { Raw } from '../extend.ts';
import type { KubeObject } from './objects.ts';
import { labelsOf, list, quantity, raw } from './objects.ts';

type Place = Omit<Mount, 'target'>;

export class Claims {
  readonly #app: string;
  readonly #places = new Map<string, Place>();
  readonly warnings: string[] = [];

  /** Binds as a cluster does: by volumeName, by claimRef, else the first of the same class that is large enough and has the labels that are asked for. */
  constructor(app: string, objects: readonly KubeObject[], problems: SpecProblem[]) {
    this.#app = app;
    const free = new Map(objects.filter(({ kind }) => kind === 'PersistentVolume').map((one) => [one.name, one]));
    for (const { name, value } of objects.filter(({ kind }) => kind === 'PersistentVolumeClaim')) {
      const spec = raw(value.spec);
      const wanted = spec.volumeName;
      const volume =
        wanted === undefined
          ? ([...free.values()].find((one) => raw(raw(one.value.spec).claimRef).name === name) ??
            [...free.values()].find((one) => fits(one, spec)))
          : free.get(String(wanted));
      if (volume === undefined) {
        if (wanted !== undefined)
          this.warnings.push(
            `claim ${name}: PersistentVolume ${String(wanted)} is not of the file; it is a volume of the cell`,
          );
        continue;
      }
      free.delete(volume.name);
      const place = placeOf(raw(volume.value.spec));
      if (place?.kind === 'bind')
        this.warnings.push(
          `claim ${name} is the folder ${place.source} of whichever cell runs it: pin what uses it to one, by nodeSelector`,
        );
      const nfs = raw(volume.value.spec).nfs;
      const lacks = nfs === undefined ? undefined : shareLacks(raw(nfs));
      if (lacks !== undefined)
        problems.push(
          volume.source.problem([...volume.path, 'spec', 'nfs'], `nfs has no ${lacks}`, 'write server and path'),
        );
      else if (place !== undefined) this.#places.set(name, place);
      else
        problems.push(
          volume.source.problem(
            [...volume.path, 'spec'],
            'is kept where OSCA reaches nothing',
            'hostPath, local and nfs can be had; mount others on the cells, and use hostPath',
          ),
        );
    }
    for (const name of free.keys())
      this.warnings.push(`PersistentVolume ${name} is no claim's of the file; it is ignored`);
  }

  of(claim: string): Place {
    return this.#places.get(claim) ?? { kind: 'volume', source: `${this.#app}_${claim}` };
  }
}

function fits({ value }: KubeObject, claim: Raw): boolean {
  const spec = raw(value.spec);
  const size = (one: unknown): number | undefined => quantity(raw(one).storage ?? '');
  const asked = size(raw(claim.resources).requests) ?? 0;
  return (
    spec.claimRef === undefined &&
    spec.storageClassName === claim.storageClassName &&
    (size(spec.capacity) ?? asked) >= asked &&
    Object.entries(raw(raw(claim.selector).matchLabels)).every(
      ([key, one]) => labelsOf(value.metadata)[key] === String(one),
    )
  );
}

function placeOf({ hostPath, local, nfs, mountOptions }: Raw): Place | undefined {
  if (nfs !== undefined) return shareOf(raw(nfs), list(mountOptions).map(String));
  const { path } = raw(hostPath ?? local);
  return path === undefined ? undefined : { kind: 'bind', source: String(path), createPath: true };
}

/** Of what a share needs, what is not there. */
export const shareLacks = (nfs: Raw): string | undefined => ['server', 'path'].find((key) => nfs[key] === undefined);

/** A folder of another machine, which every cell reaches by its engine, and into which nothing of the image comes. */
export function shareOf({ server, path, readOnly }: Raw, mountOptions: readonly string[] = []): Place {
  const driverOptions = {
    type: 'nfs',
    o: [`addr=${String(server)}`, ...mountOptions].join(),
    device: `:${String(path)}`,
  };
  const sealed = readOnly === true || mountOptions.includes('ro') ? { readOnly: true } : {};
  const source = `nfs-${contentHash(driverOptions)}`;
  return { kind: 'remote', source, driverOptions, options: ['nocopy'], ...sealed };
}
