/** What people ask of apps: checked whole before anything changes. */
import type { Reply, Request, RequestOf } from '../core/events.ts';
import { limits } from '../core/limits.ts';
import type { Revision } from '../core/model.ts';
import type { RunRecord } from '../core/runs.ts';
import { runName } from '../core/runs.ts';
import { lastDone } from '../crdt/catalogue.ts';
import type { WantedDocument } from '../crdt/document.ts';
import type { Secrets } from './secrets.ts';

export type Refusal = Omit<Reply & { ok: false }, 'ok'>;
export const notFound = (message: string, hint: string): Refusal => ({ code: 'not-found', message, hint });
const isCalled = ({ id, seq }: Revision, name: string): boolean =>
  name === String(seq) || (name.length >= 4 && id.startsWith(name));

const ops = ['deploy', 'remove', 'stop', 'restart', 'scale', 'rollback', 'pause', 'run', 'run.cancel'] as const;
type AppRequest = RequestOf<(typeof ops)[number]>;

export const isAppRequest = (request: Request): request is AppRequest =>
  (ops as readonly string[]).includes(request.op);

export interface AppRequestsDeps {
  self: string;
  document(): WantedDocument;
  secrets: Secrets;
  edit(
    id: number,
    now: number,
    value: Record<string, unknown>,
    edit: (doc: WantedDocument) => void,
    acks?: number,
  ): undefined;
  wallMs(now: number): number;
}

export class AppRequests {
  readonly #deps: AppRequestsDeps;

  constructor(deps: AppRequestsDeps) {
    this.#deps = deps;
  }

  /** Why it can't be; undefined where it is on its way. */
  handle(id: number, request: AppRequest, now: number): Refusal | undefined {
    switch (request.op) {
      case 'deploy':
        return this.#deploy(id, request, now);
      case 'remove':
        return (
          this.#app(request.app) ??
          this.#deps.edit(id, now, { app: request.app }, (doc) => doc.catalogue.remove(request.app))
        );
      case 'stop':
        return (
          this.#app(request.app, request.service) ??
          this.#deps.edit(id, now, { app: request.app }, (doc) =>
            doc.catalogue.setStopped(request.app, request.service, request.stopped),
          )
        );
      case 'restart':
        return this.#restart(id, request, now);
      case 'scale':
        return this.#scale(id, request, now);
      case 'rollback':
        return this.#rollback(id, request, now);
      case 'pause':
        return this.#pause(id, request, now);
      case 'run':
        return this.#run(id, request, now);
      case 'run.cancel':
        return this.#cancel(id, request, now);
    }
  }

  #app(app: string, service?: string): Refusal | undefined {
    const state = this.#deps.document().catalogue.app(app);
    if (state === undefined) return notFound(`there is no app '${app}'`, 'osca ls shows the apps');
    const services = state.revision.spec.services.map(({ name }) => name);
    if (service === undefined || services.includes(service)) return undefined;
    return notFound(`app '${app}' has no service '${service}'`, `it has: ${services.join(', ')}`);
  }

  #deploy(id: number, request: RequestOf<'deploy'>, now: number): Refusal | undefined {
    const { by, note, acks, files = {}, keySeed } = request;
    const { secrets } = this.#deps;
    if (Object.values(files).some(({ secret }) => secret === true) && !secrets.isReady) {
      const message = 'this cell has not been given the key for secrets yet';
      return { code: 'conflict', message, hint: 'try again in a moment, or deploy on another cell' };
    }
    const { spec, edit } = secrets.prepare(request.spec, files, keySeed);
    const document = this.#deps.document();
    const tooMany = document.catalogue.app(spec.name) === undefined && document.apps().length >= limits.apps;
    if (tooMany)
      return { code: 'bad-request', message: `there are ${limits.apps} apps already`, hint: 'remove one: osca rm APP' };
    const made = { atMs: this.#deps.wallMs(now), by, note };
    const value: Record<string, unknown> = { app: spec.name };
    return this.#deps.edit(
      id,
      now,
      value,
      (doc) => {
        edit();
        const kept = doc.catalogue.app(spec.name)?.history.map((one) => one.spec) ?? [];
        doc.blobs.prune(spec.name, [...kept, spec]);
        const { id: revision, seq } = doc.catalogue.deploy(spec, made, { again: true });
        Object.assign(value, { revision, seq, atMs: made.atMs });
      },
      acks,
    );
  }

  #scale(id: number, { app, service, replicas, by }: RequestOf<'scale'>, now: number): Refusal | undefined {
    const refusal = this.#app(app, service);
    if (refusal !== undefined) return refusal;
    const state = this.#deps.document().catalogue.app(app)!;
    const { spec } = state.next ?? state.revision;
    const target = spec.services.find(({ name }) => name === service)!;
    if (target.job !== undefined) {
      const message = `${app}/${service} is a job: it runs ${target.replicas} times and ends`;
      return { code: 'bad-request', message, hint: 'say deploy.replicas in its file' };
    }
    if (target.mode === 'global') {
      return {
        code: 'bad-request',
        message: `${app}/${service} runs once on every cell (mode: global)`,
        hint: 'only replicated services scale',
      };
    }
    if (!Number.isSafeInteger(replicas) || replicas < 0 || replicas > limits.replicas) {
      return {
        code: 'bad-request',
        message: `${replicas} replicas can't be`,
        hint: `give a whole number from 0 to ${limits.replicas}`,
      };
    }
    if (target.strict === true && replicas > 1) {
      const message = `${app}/${service} is strict: it never runs twice`;
      return { code: 'bad-request', message, hint: 'say x-osca: {singleton: loose} in its file' };
    }
    const services = spec.services.map((other) => (other.name === service ? { ...other, replicas } : other));
    const made = { atMs: this.#deps.wallMs(now), by, note: `scale ${service}=${replicas}` };
    return this.#deps.edit(
      id,
      now,
      { app, service, replicas },
      (doc) => void doc.catalogue.deploy({ ...spec, services }, made),
    );
  }

  #restart(id: number, { app, service }: RequestOf<'restart'>, now: number): Refusal | undefined {
    const refusal = this.#app(app, service);
    if (refusal !== undefined) return refusal;
    const { revision, stopped, stoppedServices } = this.#deps.document().catalogue.app(app)!;
    const all = revision.spec.services.map(({ name }) => name);
    if (stopped || (service !== undefined && stoppedServices.includes(service))) {
      const what = service === undefined ? app : `${app}/${service}`;
      return { code: 'conflict', message: `${what} is stopped`, hint: `osca start ${what}` };
    }
    return this.#deps.edit(id, now, { app }, (doc) =>
      doc.catalogue.restart(app, service === undefined ? all : [service]),
    );
  }

  #rollback(id: number, { app, to, by }: RequestOf<'rollback'>, now: number): Refusal | undefined {
    const refusal = this.#app(app);
    if (refusal !== undefined) return refusal;
    const { revision, history, undone } = this.#deps.document().catalogue.app(app)!;
    const others = history.filter((one) => one.id !== revision.id);
    const hint = `osca history ${app} shows its revisions`;
    const last = undone === undefined ? lastDone(history, revision) : undefined;
    const found = to === undefined ? last : others.find((one) => isCalled(one, to));
    if (found === undefined && to !== undefined) {
      if (!isCalled(revision, to)) return notFound(`${app} has no revision '${to}'`, hint);
      return { code: 'conflict', message: `${app} runs revision ${to} already`, hint };
    }
    if (found === undefined) {
      const message =
        undone === undefined
          ? `${app} has no earlier revision that was ever through`
          : `${app} is back at revision ${revision.seq} already: ${undone.seq} was rolled back`;
      return { code: 'conflict', message, hint: `${hint}; osca rollback ${app} NUMBER picks one` };
    }
    const note = `rollback to ${found.seq}`;
    const made = { atMs: this.#deps.wallMs(now), by, note, back: true } as const;
    const value: Record<string, unknown> = { app, from: revision.seq, to: found.seq };
    return this.#deps.edit(id, now, value, (doc) => {
      const { id: chosen, seq } = doc.catalogue.deploy(found.spec, made);
      Object.assign(value, { revision: chosen, seq, atMs: made.atMs });
    });
  }

  #pause(id: number, { app, paused, by }: RequestOf<'pause'>, now: number): Refusal | undefined {
    const refusal = this.#app(app);
    if (refusal !== undefined) return refusal;
    const known = this.#deps.document().catalogue.app(app)!.paused;
    if (!paused && known === undefined)
      return {
        code: 'conflict',
        message: `${app} is not paused`,
        hint: 'nothing to do; osca status shows what changes',
      };
    if (paused && known !== undefined)
      return { code: 'conflict', message: `${app} is paused already`, hint: `osca resume ${app} lets it go on` };
    return this.#deps.edit(id, now, { app, paused }, ({ catalogue }) =>
      paused ? catalogue.pause(app, { by, reason: `paused by ${by}` }) : catalogue.resume(app),
    );
  }

  #run(id: number, request: RequestOf<'run'>, now: number): Refusal | undefined {
    const { app, service, id: runId, command, environment, cell, by } = request;
    const refusal = this.#app(app, service);
    if (refusal !== undefined) return refusal;
    const { catalogue } = this.#deps.document();
    const { revision, stopped, stoppedServices, runs } = catalogue.app(app)!;
    if (stopped || stoppedServices.includes(service)) {
      const what = stopped ? app : `${app}/${service}`;
      return { code: 'conflict', message: `${what} is stopped`, hint: `osca start ${what}` };
    }
    if (runs.filter(({ state }) => state === 'open').length >= limits.openRuns) {
      const message = `${limits.openRuns} runs of ${app} have not ended yet`;
      return { code: 'conflict', message, hint: `osca runs ${app} shows them, osca cancel RUN ends one` };
    }
    const name = runName(service, runId);
    const record: RunRecord = {
      ...{ service, revision: revision.id, cause: 'request', atMs: this.#deps.wallMs(now), by },
      ...(command === undefined ? {} : { command }),
      ...(environment === undefined ? {} : { environment }),
      ...(cell === undefined ? {} : { cell }),
    };
    return this.#deps.edit(id, now, { app, run: name }, (doc) => {
      doc.catalogue.runs.begin(app, name, record);
      doc.catalogue.runs.prune(doc.catalogue.app(app)!);
    });
  }

  #cancel(id: number, { app, run: name, by }: RequestOf<'run.cancel'>, now: number): Refusal | undefined {
    const refusal = this.#app(app);
    if (refusal !== undefined) return refusal;
    const run = this.#deps
      .document()
      .catalogue.app(app)!
      .runs.find((one) => one.name === name);
    const hint = `osca runs ${app} shows its runs`;
    if (run === undefined) return notFound(`${app} has no run '${name}'`, hint);
    if (run.state !== 'open') return { code: 'conflict', message: `${app}/${name} has ended already`, hint };
    const atMs = this.#deps.wallMs(now);
    const result = { ok: false, reason: `cancelled by ${by}`, cell: this.#deps.self, startMs: atMs, endMs: atMs };
    return this.#deps.edit(id, now, { app, run: name }, ({ catalogue }) => {
      const { replicas } = run.work!.spec;
      const open = Array.from({ length: replicas }, (_, i) => String(i + 1)).filter((one) => !(one in run.results));
      catalogue.runs.end(app, name, open[0] ?? '1', result);
    });
  }
}
