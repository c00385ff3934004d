/**
 * Secrets and configs: sealed on their way into the document, opened only where a replica needs them. Cells that have a key of the
 * appliance seal it for those that have not, the first by id of those that are there.
 */
import type { CellId } from '../core/model.ts';
import type { AppSpec, ContainerSpec, FileSource, ServiceSpec } from '../core/spec.ts';
import type { Vault } from '../core/vault.ts';
import type { Blob } from '../crdt/blobs.ts';
import { idOf } from '../crdt/blobs.ts';
import type { WantedDocument } from '../crdt/document.ts';
import type { Member } from '../gossip/roster.ts';

export interface SecretsDeps {
  self: CellId;
  vault: Vault;
  document: WantedDocument;
  members(): readonly Member[];
  write(edit: () => void): void;
}

/** An app as the document has it, and what has to be written with it. */
export interface Prepared {
  spec: AppSpec;
  edit(): void;
}

const isHere = ({ state }: Member): boolean => state === 'alive' || state === 'suspect';

export class Secrets {
  readonly #deps: SecretsDeps;
  /** Keys that this cell could open, by id. */
  readonly #keys = new Map<string, string>();
  #tendedFor = '';

  constructor(deps: SecretsDeps) {
    this.#deps = deps;
  }

  #key(id: string): string | undefined {
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    const { vault, document, self } = this.#deps;
    const envelope = document.blobs.envelope(self, id);
    const key = envelope === undefined ? undefined : vault.unwrap(envelope);
    if (key !== undefined) this.#keys.set(id, key);
    return key;
  }

  /** What a file or a variable of a service holds, as base64; undefined where this cell can't know it (yet). */
  reveal(app: string, id: string): string | undefined {
    const blob = this.#deps.document.blobs.get(app, id);
    if (blob?.key === undefined) return blob?.data;
    const key = this.#key(blob.key);
    return key === undefined ? undefined : this.#deps.vault.open(key, blob.data);
  }

  /** Is there a key for what is new, or may this cell make one? Not where others have one that has not come here yet. */
  get isReady(): boolean {
    const { document } = this.#deps;
    const id = document.blobs.currentKey;
    return id === undefined || this.#key(id) !== undefined || !this.#holders(id).some(isHere);
  }

  #holders(id: string): Member[] {
    return this.#deps.members().filter((member) => this.#deps.document.blobs.envelope(member.id, id) !== undefined);
  }

  /** Puts ids of sealed and plain contents in the place of names. `seed` makes a key where there is none. */
  prepare(spec: AppSpec, sources: Readonly<Record<string, FileSource>>, seed: string | undefined): Prepared {
    const names = Object.entries(sources);
    if (names.length === 0) return { spec, edit: () => {} };
    const edits: (() => void)[] = [];
    const { blobs } = this.#deps.document;
    const key = names.some(([, { secret }]) => secret === true) ? this.#currentKey(seed, edits) : undefined;
    const known = blobs.of(spec.name);
    const ids = new Map<string, string>();
    for (const [name, { data, secret }] of names) {
      // A secret that did not change stays as it was sealed, by whatever key.
      const before =
        secret === true
          ? known.find(([id, blob]) => blob.key !== undefined && this.reveal(spec.name, id) === data)
          : undefined;
      const made = secret === true ? this.#sealed(data, key) : { data };
      if (made === undefined) continue;
      const blob: Blob = before?.[1] ?? made;
      ids.set(name, idOf(blob));
      edits.push(() => blobs.put(spec.name, blob));
    }
    const services = spec.services.map((service) => withIds(service, ids));
    return {
      spec: { ...spec, services },
      edit: () => {
        for (const edit of edits) edit();
      },
    };
  }

  #sealed(data: string, key: { id: string; key: string } | undefined): Blob | undefined {
    return key === undefined ? undefined : { data: this.#deps.vault.seal(key.key, data), key: key.id };
  }

  #currentKey(seed: string | undefined, edits: (() => void)[]): { id: string; key: string } | undefined {
    const id = this.#deps.document.blobs.currentKey;
    const key = id === undefined ? undefined : this.#key(id);
    if (id !== undefined && key !== undefined) return { id, key };
    const made = seed === undefined ? undefined : this.#deps.vault.make(seed);
    if (made !== undefined) edits.push(() => this.#hand(made));
    return made;
  }

  /** A new key, for all that are known but `without`. */
  renew(seed: string, without: CellId): void {
    const made = this.#deps.document.blobs.currentKey === undefined ? undefined : this.#deps.vault.make(seed);
    if (made !== undefined) this.#hand(made, without);
  }

  #hand({ id, key }: { id: string; key: string }, without?: CellId): void {
    const { vault, document, self, members } = this.#deps;
    this.#keys.set(id, key);
    document.blobs.currentKey = id;
    const boxes = members().flatMap(({ id: cell, record }): [CellId, string][] =>
      record.box === undefined || cell === without ? [] : [[cell, record.box]],
    );
    for (const [cell, box] of [...boxes, [self, vault.box] as const]) {
      const text = vault.wrap(key, box);
      if (text !== undefined) document.blobs.addEnvelope(cell, id, text);
    }
  }

  /** Gives the keys that are in use to cells that have them not. */
  tend(state: string): void {
    const { vault, document, self, members, write } = this.#deps;
    if (document.blobs.currentKey === undefined || state === this.#tendedFor) return;
    this.#tendedFor = state;
    for (const id of document.blobs.keysInUse()) {
      const first = this.#holders(id).filter(isHere)[0];
      const key = first?.id === self ? this.#key(id) : undefined;
      if (key === undefined) continue;
      const lacking = members().filter(
        ({ id: cell, state, record }) =>
          state !== 'left' && record.box !== undefined && document.blobs.envelope(cell, id) === undefined,
      );
      if (lacking.length === 0) continue;
      write(() => {
        for (const { id: cell, record } of lacking) {
          const text = vault.wrap(key, record.box!);
          if (text !== undefined) document.blobs.addEnvelope(cell, id, text);
        }
      });
    }
  }
}

function withIds<T extends ContainerSpec & Pick<ServiceSpec, 'parts'>>(
  service: T,
  ids: ReadonlyMap<string, string>,
): T {
  const idFor = (name: string): string => ids.get(name) ?? name;
  const { files, sealedEnvironment, parts } = service;
  return {
    ...service,
    ...(parts === undefined ? {} : { parts: parts.map((part) => withIds(part, ids)) }),
    ...(files === undefined ? {} : { files: files.map((file) => ({ ...file, blob: idFor(file.blob) })) }),
    ...(sealedEnvironment === undefined
      ? {}
      : {
          sealedEnvironment: Object.fromEntries(
            Object.entries(sealedEnvironment).map(([name, blob]) => [name, idFor(blob)]),
          ),
        }),
  };
}
