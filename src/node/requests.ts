/** What people ask of a cell: each request is checked whole before anything changes, and answered once. */

import type { Outbox, Reply, Request, RequestOf } from '../core/events.ts';
import type { Link, Sealer } from '../core/frames.ts';
import { compare } from '../core/hash.ts';
import { limits } from '../core/limits.ts';
import type { CellId, Revision } from '../core/model.ts';
import type { RunRecord } from '../core/runs.ts';
import { runName } from '../core/runs.ts';
import { lastDone } from '../crdt/catalogue.ts';
import type { WantedDocument } from '../crdt/document.ts';
import type { Admission } from '../gossip/admission.ts';
import type { Membership } from '../gossip/membership.ts';
import { decodeTicket, encodeTicket, signLink } from '../gossip/trust.ts';
import type { Secrets } from './secrets.ts';

export interface RequestsDeps {
  self: CellId;
  sealer: Sealer;
  out: Outbox;
  admission: Admission;
  membership: Membership;
  document(): WantedDocument;
  secrets: Secrets;
  write(edit: () => void, request: { id: number; value: Record<string, unknown>; acks: number }, now: number): void;
  wallMs(now: number): number;
  addrs(): string[];
  leave(gone: boolean): void;
}

type Refusal = Omit<Reply & { ok: false }, 'ok'>;
const notFound = (message: string, hint: string): Refusal => ({ code: 'not-found', message, hint });
const isCalled = ({ id, seq }: Revision, name: string): boolean =>
  name === String(seq) || (name.length >= 4 && id.startsWith(name));
const nameShape = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export class Requests {
  readonly #deps: RequestsDeps;

  constructor(deps: RequestsDeps) {
    this.#deps = deps;
  }

  handle(id: number, request: Request, now: number): void {
    const refusal = this.#do(id, request, now);
    if (refusal !== undefined) this.#reply(id, { ok: false, ...refusal });
  }

  #reply(id: number, reply: Reply): void {
    this.#deps.out.push({ type: 'reply', id, reply });
  }

  #do(id: number, request: Request, now: number): Refusal | undefined {
    if (request.op === 'found') return this.#found(id, request, now);
    if (request.op === 'join') return this.#join(id, request, now);
    if (request.op === 'leave') {
      this.#deps.leave(request.gone);
      this.#reply(id, { ok: true, value: {} });
      return undefined;
    }
    const { admission } = this.#deps;
    if (!admission.isAdmitted(this.#deps.self)) {
      const message = admission.join.refused ?? 'this cell belongs to no appliance yet';
      return { code: 'not-member', message, hint: 'osca status shows what it waits for; osca join TICKET joins one' };
    }
    switch (request.op) {
      case 'deploy':
        return this.#deploy(id, request, now);
      case 'remove':
        return (
          this.#app(request.app) ??
          this.#edit(id, now, { app: request.app }, (doc) => doc.catalogue.remove(request.app))
        );
      case 'stop':
        return (
          this.#app(request.app, request.service) ??
          this.#edit(id, now, { app: request.app }, (doc) =>
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
      case 'cell.set':
        return this.#setCell(id, request, now);
      case 'cell.rm':
        return this.#removeCell(id, request, now);
      case 'settings.set':
        return this.#set(id, request, now);
      case 'cell.approve':
        return this.#approve(id, request, now);
      case 'ticket.create':
        return this.#createTicket(id, request, now);
      case 'ticket.revoke':
        return this.#revokeTicket(id, request, now);
    }
  }

  #edit(
    id: number,
    now: number,
    value: Record<string, unknown>,
    edit: (doc: WantedDocument) => void,
    acks = 1,
  ): undefined {
    const document = this.#deps.document();
    this.#deps.write(() => edit(document), { id, value, acks }, now);
    return undefined;
  }

  // -- apps --------------------------------------------------------------------------------------------------------

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
    return this.#edit(
      id,
      now,
      value,
      (doc) => {
        edit();
        const kept = doc.catalogue.app(spec.name)?.history.map((one) => one.spec) ?? [];
        doc.blobs.prune(spec.name, [...kept, spec]);
        const { id: revision, seq } = doc.catalogue.deploy(spec, made);
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
    return this.#edit(
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
    return this.#edit(id, now, { app }, (doc) => doc.catalogue.restart(app, service === undefined ? all : [service]));
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
    return this.#edit(id, now, value, (doc) => {
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
    return this.#edit(id, now, { app, paused }, ({ catalogue }) =>
      paused ? catalogue.pause(app, { by, reason: `paused by ${by}` }) : catalogue.resume(app),
    );
  }

  #run(id: number, request: RequestOf<'run'>, now: number): Refusal | undefined {
    const { app, service, id: runId, command, environment, cell, by } = request;
    const refusal = this.#app(app, service);
    if (refusal !== undefined) return refusal;
    const { catalogue } = this.#deps.document();
    const { revision, stopped, stoppedServices } = catalogue.app(app)!;
    if (stopped || stoppedServices.includes(service)) {
      const what = stopped ? app : `${app}/${service}`;
      return { code: 'conflict', message: `${what} is stopped`, hint: `osca start ${what}` };
    }
    const name = runName(service, runId);
    const record: RunRecord = {
      ...{ service, revision: revision.id, cause: 'request', atMs: this.#deps.wallMs(now), by },
      ...(command === undefined ? {} : { command }),
      ...(environment === undefined ? {} : { environment }),
      ...(cell === undefined ? {} : { cell }),
    };
    return this.#edit(id, now, { app, run: name }, (doc) => {
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
    return this.#edit(id, now, { app, run: name }, ({ catalogue }) => {
      const { replicas } = run.work!.spec;
      const open = Array.from({ length: replicas }, (_, i) => String(i + 1)).filter((one) => !(one in run.results));
      catalogue.runs.end(app, name, open[0] ?? '1', result);
    });
  }

  // -- cells -------------------------------------------------------------------------------------------------------

  #setCell(id: number, { cell, name, labels, drain }: RequestOf<'cell.set'>, now: number): Refusal | undefined {
    if (!this.#deps.admission.isAdmitted(cell))
      return notFound(`there is no cell '${cell}'`, 'osca cell ls shows the cells');
    if (name !== undefined && !nameShape.test(name)) {
      return {
        code: 'bad-request',
        message: `'${name}' is no name for a cell`,
        hint: 'use a-z, 0-9 and -, at most 63 letters',
      };
    }
    const set = {
      ...(name === undefined ? {} : { name }),
      ...(labels === undefined ? {} : { labels }),
      ...(drain === undefined ? {} : { drain }),
    };
    return this.#edit(id, now, { cell }, (doc) => doc.setCell(cell, set));
  }

  #set(id: number, { settings }: RequestOf<'settings.set'>, now: number): Refusal | undefined {
    const document = this.#deps.document();
    const next = { ...document.settings(), ...settings };
    const refuse = (message: string, hint: string): Refusal => ({ code: 'bad-request', message, hint });
    for (const [name, value] of Object.entries(next)) {
      if (Number.isSafeInteger(value) && value >= 1 && value <= limits.members) continue;
      return refuse(`${name} can't be ${value}`, `give a whole number from 1 to ${limits.members}`);
    }
    if (next.mastersMaximum < next.mastersThreshold) {
      const { mastersMaximum, mastersThreshold } = next;
      const message = `at most ${mastersMaximum} masters can't be at least ${mastersThreshold}`;
      return refuse(message, 'the maximum is the threshold or more: osca settings --masters-maximum N');
    }
    return this.#edit(id, now, { ...next }, (doc) => doc.set(settings));
  }

  #removeCell(id: number, { cell, keySeed }: RequestOf<'cell.rm'>, now: number): Refusal | undefined {
    const { admission, self } = this.#deps;
    if (!admission.isAdmitted(cell)) return notFound(`there is no cell '${cell}'`, 'osca cell ls shows the cells');
    if (cell === self) {
      return { code: 'bad-request', message: 'a cell cannot remove itself', hint: 'run osca cell rm on another cell' };
    }
    return this.#edit(id, now, { cell }, (doc) => {
      doc.addTrust({ kind: 'revoke', sub: cell, by: self });
      doc.dropCell(cell);
      if (keySeed !== undefined) this.#deps.secrets.renew(keySeed, cell);
    });
  }

  #approve(id: number, { cell }: RequestOf<'cell.approve'>, now: number): Refusal | undefined {
    if (!this.#deps.admission.approve(cell, now)) {
      return notFound(`no cell '${cell}' is waiting here`, 'osca cell ls shows the waiting cells and their codes');
    }
    this.#reply(id, { ok: true, value: { cell } });
    return undefined;
  }

  // -- joining -----------------------------------------------------------------------------------------------------

  #found(id: number, { seed }: RequestOf<'found'>, now: number): Refusal | undefined {
    const { admission } = this.#deps;
    if (admission.trust !== undefined) {
      return {
        code: 'conflict',
        message: `this cell belongs to appliance ${admission.appliance}`,
        hint: 'use another --data folder to found a second one',
      };
    }
    if (!admission.found(seed, now))
      return { code: 'bad-request', message: 'the founding seed is not 32 bytes', hint: '' };
    this.#reply(id, { ok: true, value: { appliance: admission.appliance } });
    return undefined;
  }

  #join(id: number, { ticket: text }: RequestOf<'join'>, now: number): Refusal | undefined {
    const { admission, sealer } = this.#deps;
    const decoded = decodeTicket(sealer, text);
    const hint = 'copy the whole line that osca ticket create printed, or make a new ticket';
    if (!decoded.ok) return { code: 'bad-ticket', message: `the ticket can't be used: ${decoded.reason}`, hint };
    const { ticket } = decoded;
    if (admission.trust !== undefined && admission.trust.founder !== ticket.founder) {
      const message = `this cell belongs to appliance ${admission.appliance}, the ticket is for another`;
      return { code: 'conflict', message, hint: 'join from a fresh data folder: osca up --data DIR --ticket TICKET' };
    }
    if (admission.phase === 'member') {
      return { code: 'conflict', message: 'this cell is a member already', hint: 'nothing to do' };
    }
    const reason = admission.redeem(ticket, text, now);
    if (reason !== undefined) return { code: 'bad-ticket', message: `the ticket can't be used: ${reason}`, hint };
    this.#reply(id, { ok: true, value: { appliance: admission.appliance } });
    return undefined;
  }

  #createTicket(id: number, { uses, expiresInMs, seed }: RequestOf<'ticket.create'>, now: number): Refusal | undefined {
    const { admission, sealer, self } = this.#deps;
    const key = sealer.derive(seed);
    if (key === undefined || !Number.isSafeInteger(uses) || uses < 1 || uses > limits.members || !(expiresInMs > 0)) {
      return {
        code: 'bad-request',
        message: 'a ticket needs 1 to 2048 uses and a time to live',
        hint: 'osca ticket create --uses 5 --expires 1h',
      };
    }
    const wallMs = this.#deps.wallMs(now);
    // What is done with it comes after all that is in the log now, also where a clock was behind.
    const at = Math.max(wallMs, this.#deps.document().trustNumber + 1);
    const body = {
      kind: 'ticket',
      app: admission.appliance,
      sub: key.id,
      uses,
      at,
      exp: wallMs + Math.round(expiresInMs),
    } as const;
    const chain: Link[] = [...admission.trust!.chainOf(self)!, signLink(sealer, body)];
    const founder = admission.trust!.founder;
    const others = this.#deps.membership.members().flatMap(({ record }) => record.addrs.slice(0, 2));
    const addrs = [...new Set([...this.#deps.addrs(), ...others.sort(compare)])].slice(0, 8);
    const ticket = encodeTicket({ founder, chain, seed, addrs });
    const value = { ticket, id: key.id.slice(-8), uses, expiresMs: body.exp };
    return this.#edit(id, now, value, (doc) => doc.addTrust({ kind: 'ticket', chain }, at));
  }

  #revokeTicket(id: number, { ticket }: RequestOf<'ticket.revoke'>, now: number): Refusal | undefined {
    const { admission, sealer, self } = this.#deps;
    const decoded = ticket.startsWith('osca1-') ? decodeTicket(sealer, ticket) : undefined;
    const sub = decoded?.ok ? decoded.ticket.chain.at(-1)!.sub : admission.trust!.ticketKey(ticket);
    if (sub === undefined) return notFound(`there is no ticket '${ticket}'`, 'osca ticket ls shows the tickets');
    return this.#edit(id, now, { id: sub.slice(-8) }, (doc) => doc.addTrust({ kind: 'revoke', sub, by: self }));
  }
}
