/** What people ask of a cell: each request is checked whole before anything changes, and answered once. */

import type { Outbox, Reply, Request, RequestOf } from '../core/events.ts';
import type { Link, Sealer } from '../core/frames.ts';
import { compare } from '../core/hash.ts';
import { limits } from '../core/limits.ts';
import type { CellId } from '../core/model.ts';
import type { WantedDocument } from '../crdt/document.ts';
import type { Admission } from '../gossip/admission.ts';
import type { Membership } from '../gossip/membership.ts';
import { decodeTicket, encodeTicket, signLink } from '../gossip/trust.ts';
import { signRelease, versionShape } from '../release/release.ts';
import type { Refusal } from './app-requests.ts';
import { AppRequests, isAppRequest, notFound } from './app-requests.ts';
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
  return(withinMs: number): void;
}

const nameShape = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export class Requests {
  readonly #deps: RequestsDeps;
  readonly #apps: AppRequests;

  constructor(deps: RequestsDeps) {
    this.#deps = deps;
    const { self, secrets } = deps;
    this.#apps = new AppRequests({
      ...{ self, secrets, document: () => deps.document(), wallMs: (now) => deps.wallMs(now) },
      edit: (...asked) => this.#edit(...asked),
    });
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
    if (request.op === 'return') {
      this.#deps.return(request.withinMs);
      this.#reply(id, { ok: true, value: {} });
      return undefined;
    }
    const { admission } = this.#deps;
    if (!admission.isAdmitted(this.#deps.self)) {
      const message = admission.join.refused ?? 'this cell belongs to no appliance yet';
      return { code: 'not-member', message, hint: 'osca status shows what it waits for; osca join TICKET joins one' };
    }
    if (isAppRequest(request)) return this.#apps.handle(id, request, now);
    switch (request.op) {
      case 'cell.set':
        return this.#setCell(id, request, now);
      case 'cell.replace':
        return this.#replaceCell(id, request, now);
      case 'cell.rm':
        return this.#removeCell(id, request, now);
      case 'settings.set':
        return this.#set(id, request, now);
      case 'upgrade':
        return this.#upgrade(id, request, now);
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

  // -- cells -------------------------------------------------------------------------------------------------------

  #setCell(id: number, { cell, name, labels, drain, cordon }: RequestOf<'cell.set'>, now: number): Refusal | undefined {
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
      ...(cordon === undefined ? {} : { cordon }),
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

  #upgrade(id: number, { version, packages, wellMs }: RequestOf<'upgrade'>, now: number): Refusal | undefined {
    const { admission, membership, sealer } = this.#deps;
    const refuse = (message: string, hint: string): Refusal => ({ code: 'bad-request', message, hint });
    if (!versionShape.test(version))
      return refuse(`'${version}' is no version`, 'a package says it: dpkg-deb -f FILE Version');
    if (!(wellMs >= 0 && wellMs <= limits.wellMs))
      return refuse(
        `a cell can't have to be well for ${wellMs / 1_000} s`,
        `give 0s to ${limits.wellMs / 60_000}m: --well 30s`,
      );
    const able = membership
      .members()
      .filter(({ record, state }) => state === 'alive' && record.facts.upgrades === true);
    if (able.length === 0)
      return refuse(
        'no cell takes another version by itself',
        'those of the package do; what runs from a checkout is upgraded there: git pull',
      );
    const lacking = able.find(({ record }) => packages[record.facts.arch] === undefined);
    if (lacking !== undefined) {
      const { name, facts } = lacking.record;
      return refuse(
        `there is no package for ${facts.arch}, which ${name} needs`,
        'name the packages of all architectures',
      );
    }
    const release = signRelease(sealer, admission.appliance, {
      version,
      packages,
      wellMs,
      atMs: this.#deps.wallMs(now),
    });
    return this.#edit(id, now, { release: release.id, version }, (doc) => doc.setRelease(release), 2);
  }

  /** Whoever comes in the place of another gets its name and labels, and so what is bound to them. */
  #replaceCell(id: number, { cell, by, keySeed }: RequestOf<'cell.replace'>, now: number): Refusal | undefined {
    const { admission, membership, self } = this.#deps;
    for (const one of [cell, by])
      if (!admission.isAdmitted(one)) return notFound(`there is no cell '${one}'`, 'osca cell ls shows the cells');
    if (cell === by) return { code: 'bad-request', message: 'a cell can not replace itself', hint: 'name another' };
    const [old, fresh] = [cell, by].map((one) => membership.get(one));
    if (fresh?.state !== 'alive')
      return { code: 'conflict', message: 'the cell that is to take its place is not up', hint: 'osca cell ls' };
    const document = this.#deps.document();
    const { name = old?.record.name ?? admission.trust!.nameOf(cell), labels } = document.cell(cell);
    const isThere = cell === self || old?.state === 'alive' || old?.state === 'suspect';
    const former = `${name.slice(0, 55)}-former`;
    return this.#edit(id, now, { name, former: isThere ? former : '' }, (doc) => {
      doc.setCell(by, { name, labels, drain: false, cordon: false });
      if (isThere) {
        doc.setCell(cell, { name: former, drain: true });
        return;
      }
      doc.addTrust({ kind: 'revoke', sub: cell, by: self });
      doc.dropCell(cell);
      if (keySeed !== undefined) this.#deps.secrets.renew(keySeed, cell);
    });
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
    const users = admission.trust!.usersOf(sub);
    return this.#edit(id, now, { id: sub.slice(-8) }, (doc) => doc.addTrust({ kind: 'revoke', sub, by: self, users }));
  }
}
