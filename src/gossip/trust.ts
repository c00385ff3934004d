/**
 * Who belongs. Think of a guest list to which any guest may add, but each new name carries the whole line of
 * introductions back to the host of the party, every one signed. Anybody can check the line without asking anyone.
 *
 * A *link* says "`iss` vouches for `sub`". A *chain* of links starts at the founding key and ends at a cell. A
 * *ticket* is a link to a fresh key whose seed travels with it, so whoever holds the ticket can sign the last link itself.
 *
 * The *trust log* is the list of chains and revocations in the replicated document. All cells read the same list
 * in the same order, so that over-used, expired and revoked tickets admit nobody, decided alike everywhere.
 */
import { fromBase64, toBase64 } from '../core/base64.ts';
import type { Link, Sealer, Signer } from '../core/frames.ts';
import { isChain } from '../core/frames.ts';
import { compare, hash32 } from '../core/hash.ts';
import { limits } from '../core/limits.ts';
import type { CellId, TicketView, TrustItem } from '../core/model.ts';

/** One entry of the trust log. */
export type TrustEntry =
  | { kind: 'admit'; chain: Link[] }
  | { kind: 'ticket'; chain: Link[] }
  /** `users`: of a ticket, who stays: an entry that stands before this one may have been written without knowing of it. */
  | { kind: 'revoke'; sub: string; by: CellId; users?: CellId[] };

export interface Ticket {
  founder: string;
  /** From the founding key to the ticket's key. */
  chain: Link[];
  /** base64 of the ticket key's 32-byte seed. */
  seed: string;
  /** Multiaddrs where a member may be found. */
  addrs: string[];
  /** base64 of the founding key's seed: whoever holds it may begin the appliance, where nobody is there yet. */
  founding?: string;
}

type LinkBody = Omit<Link, 'sig'>;

/** The appliance's id: the short form of its founding key. */
export const applianceId = (founder: string): string => founder.slice(-12).toLowerCase();

/** Ten letters that two people can compare over a shoulder. */
export function shortCode(appliance: string, cell: CellId): string {
  const alphabet = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';
  const code = [1, 2].map((seed) => hash32(`${appliance}:${cell}`, seed));
  const letters = code.flatMap((word) => [0, 5, 10, 15].map((shift) => alphabet[(word >>> shift) & 31]));
  return `${letters.slice(0, 4).join('')}-${letters.slice(4).join('')}`;
}

const bodyText = (link: LinkBody): string =>
  JSON.stringify([link.kind, link.app, link.sub, link.iss, link.at, link.name ?? '', link.uses ?? 0, link.exp ?? 0]);

export function signLink(signer: Signer, body: Omit<LinkBody, 'iss'>): Link {
  const whole: LinkBody = { ...body, iss: signer.id };
  return { ...whole, sig: signer.sign(bodyText(whole)) };
}

export type ChainVerdict = { ok: true } | { ok: false; reason: string };

/** Is every link signed, in line, and rooted in the founding key? Says nothing of revocation, uses or the clock. */
export function verifyChain(sealer: Sealer, founder: string, chain: readonly Link[]): ChainVerdict {
  const app = applianceId(founder);
  let issuer = founder;
  let ticket: Link | undefined;
  if (chain.length === 0) return { ok: false, reason: 'the chain of admission is empty' };
  for (const link of chain) {
    if (link.app !== app) return { ok: false, reason: `it is for appliance ${link.app}, this is ${app}` };
    if (link.iss !== issuer) return { ok: false, reason: 'a link of the chain of admission is missing' };
    if (!sealer.verify(link.iss, bodyText(link), link.sig)) return { ok: false, reason: 'a signature does not match' };
    if (ticket !== undefined && link.kind !== 'cell') return { ok: false, reason: 'a ticket can only admit a cell' };
    if (ticket?.exp !== undefined && link.at > ticket.exp)
      return { ok: false, reason: 'the ticket had expired; make a new one with: osca ticket create' };
    ticket = link.kind === 'ticket' ? link : undefined;
    issuer = link.sub;
  }
  return { ok: true };
}

/** `osca1-<base64 of JSON>-<checksum>`: one line to copy. */
export function encodeTicket(ticket: Ticket): string {
  const { founder: f, seed: k, addrs: a, chain: c, founding: s } = ticket;
  const packed = { f, k, a, c, ...(s === undefined ? {} : { s }) };
  const body = toBase64(new TextEncoder().encode(JSON.stringify(packed)));
  return `osca1-${body}-${checksum(body)}`;
}

const checksum = (body: string): string => hash32(body, 7).toString(36).padStart(7, '0');

/** Is it a ticket, with every letter? Says nothing of what is in it. */
export function isWhole(text: string): boolean {
  const [, body, sum] = /^osca1-([A-Za-z0-9_-]+)-([0-9a-z]{7})$/.exec(text.trim()) ?? [];
  return body !== undefined && checksum(body) === sum;
}

/** A ticket from text, or in words what is wrong with it. Does not ask the clock. */
export function decodeTicket(
  sealer: Sealer,
  text: string,
): { ok: true; ticket: Ticket } | { ok: false; reason: string } {
  const match = /^osca1-([A-Za-z0-9_-]+)-([0-9a-z]{7})$/.exec(text.trim());
  if (match === null) return { ok: false, reason: 'it is not whole: a ticket starts with osca1- and has no spaces' };
  const [, body, sum] = match as unknown as [string, string, string];
  if (checksum(body) !== sum) return { ok: false, reason: 'its checksum does not match: a letter was changed or lost' };
  const bytes = fromBase64(body);
  try {
    const { f, k, a, c, s } = JSON.parse(new TextDecoder().decode(bytes)) as {
      f: string;
      k: string;
      a: string[];
      c: Link[];
      s?: string;
    };
    const ticket: Ticket = { founder: f, seed: k, addrs: a, chain: c, ...(s === undefined ? {} : { founding: s }) };
    const verdict = verifyChain(sealer, ticket.founder, ticket.chain);
    if (!verdict.ok) return { ok: false, reason: verdict.reason };
    const fits = sealer.derive(k)?.id === c.at(-1)?.sub && (s === undefined || sealer.derive(s)?.id === f);
    if (!fits) return { ok: false, reason: 'its key does not fit it' };
    return { ok: true, ticket };
  } catch {
    return { ok: false, reason: 'its content cannot be read' };
  }
}

/**
 * A ticket for an appliance that nobody has begun: its holders are one when they meet, and one of them begins. `seed`, `ticketSeed`:
 * base64 of 32 random bytes. Undefined where they are not.
 */
export function foundersTicket(
  sealer: Sealer,
  { seed, ticketSeed, ...terms }: { seed: string; ticketSeed: string; uses: number; at: number; exp?: number },
): Ticket | undefined {
  const [founding, key] = [sealer.derive(seed), sealer.derive(ticketSeed)];
  if (founding === undefined || key === undefined) return undefined;
  const body = { kind: 'ticket', app: applianceId(founding.id), sub: key.id, ...terms } as const;
  return { founder: founding.id, seed: ticketSeed, addrs: [], chain: [signLink(founding, body)], founding: seed };
}

/**
 * The chain with which the holder of a ticket admits itself. Its clock may be wrong by years: whether the ticket has expired is for
 * the member to say that opens.
 */
export function redeem(sealer: Sealer, ticket: Ticket, cell: CellId, name: string, atMs: number): Link[] {
  const signer = sealer.derive(ticket.seed)!;
  const app = applianceId(ticket.founder);
  const at = Math.min(Math.round(atMs), ticket.chain.at(-1)?.exp ?? Number.POSITIVE_INFINITY);
  return [...ticket.chain, signLink(signer, { kind: 'cell', app, sub: cell, name, at })];
}

interface TicketUse {
  link: Link;
  users: Set<CellId>;
  revoked: boolean;
  /** Somebody was too late for it. */
  refused: boolean;
}

const usesOf = ({ uses }: Link): number => uses ?? 1;

/**
 * The trust log, as read in the order of its keys. What comes late and stands before what was read already is taken in
 * where it stands if its place can't matter; else the whole log is read anew.
 */
export class Trust {
  readonly #sealer: Sealer;
  readonly #founder: string;
  readonly #admitted = new Map<CellId, Link[]>();
  #sorted: readonly CellId[] | undefined;
  readonly #revoked = new Set<string>();
  readonly #everRevoked = new Set<string>();
  readonly #spent = new Map<CellId, Set<string>>();
  /** Of a ticket that was revoked, who stays. */
  readonly #stay = new Map<string, ReadonlySet<CellId>>();
  readonly #tickets = new Map<string, TicketUse>();
  readonly #entries = new Map<string, ReadEntry>();
  #read = 0;
  #lastKey = '';

  constructor(sealer: Sealer, founder: string) {
    this.#sealer = sealer;
    this.#founder = founder;
  }

  get founder(): string {
    return this.#founder;
  }

  /** Brings the derived state up to `log`, which only grows. Undefined for nothing new, else the cells that lost their place. */
  update(log: readonly TrustItem[]): CellId[] | undefined {
    if (log.length === this.#read) return undefined;
    const fresh = log.slice(this.#read);
    this.#read = log.length;
    this.#sorted = undefined;
    if (log.length <= limits.trustEntries && fresh.every((item) => this.#takeIn(item))) return [];
    const before = [...this.#admitted.keys()];
    for (const map of [this.#admitted, this.#spent, this.#tickets, this.#stay]) map.clear();
    this.#revoked.clear();
    const sorted = [...log].sort((a, b) => compare(a.key, b.key)).slice(0, limits.trustEntries);
    for (const { text } of sorted) this.#apply(text);
    this.#lastKey = sorted.at(-1)!.key;
    return before.filter((id) => !this.#admitted.has(id)).sort(compare);
  }

  /** False where its place among what was read already could change the outcome, or where somebody may lose a place. */
  #takeIn({ key, text }: TrustItem): boolean {
    const { entry, valid } = this.#entryOf(text);
    if (entry?.kind === 'revoke') return false;
    if (valid && key < this.#lastKey && entry?.kind === 'admit' && !this.#fitsAnywhere(entry.chain)) return false;
    this.#apply(text);
    if (key > this.#lastKey) this.#lastKey = key;
    return true;
  }

  /** Nobody in its chain was ever revoked, its ticket had place for all who came, and it is no other chain of a member. */
  #fitsAnywhere(chain: readonly Link[]): boolean {
    if (chain.some(({ sub }) => this.#everRevoked.has(sub))) return false;
    const last = chain.at(-1)!;
    const mine = this.#admitted.get(last.sub);
    if (mine !== undefined && mine.at(-1)?.sig !== last.sig) return false;
    const ticket = this.#tickets.get(last.iss);
    return ticket === undefined || (!ticket.refused && (mine !== undefined || ticket.users.size < usesOf(ticket.link)));
  }

  #apply(text: string): void {
    const { entry, valid } = this.#entryOf(text);
    if (entry === undefined || !valid) return;
    if (entry.kind === 'revoke') this.#revoke(entry.sub, entry.users);
    else if (entry.kind === 'ticket') this.#noteTickets(entry.chain);
    else if (this.#place(entry.chain).ok) this.#admit(entry.chain);
    else {
      const ticket = this.#tickets.get(entry.chain.at(-1)!.iss);
      if (ticket !== undefined) ticket.refused = true;
    }
  }

  /** Parsed and verified once: the log may be read anew. */
  #entryOf(text: string): ReadEntry {
    const known = this.#entries.get(text);
    if (known !== undefined) return known;
    const open = (): ReadEntry => readEntry(this.#sealer, this.#founder, text);
    const read = this.#sealer.memo === undefined ? open() : this.#sealer.memo(`${this.#founder} ${text}`, open);
    if (this.#entries.size < limits.trustEntries * 2) this.#entries.set(text, read);
    return read;
  }

  #revoke(sub: string, users: readonly CellId[] | undefined): void {
    this.#revoked.add(sub);
    this.#everRevoked.add(sub);
    this.#admitted.delete(sub);
    const ticket = this.#tickets.get(sub);
    if (ticket !== undefined) ticket.revoked = true;
    if (users === undefined) return;
    this.#stay.set(sub, new Set(users));
    for (const [cell, chain] of this.#admitted) if (this.#isOut(chain)) this.#admitted.delete(cell);
  }

  /** It leads over a ticket that was revoked, by a cell that is none of those who stay. */
  #isOut(chain: readonly Link[]): boolean {
    return chain.some(({ sub }, i) => i > 0 && this.#stay.get(chain[i - 1]!.sub)?.has(sub) === false);
  }

  #noteTickets(chain: readonly Link[]): void {
    for (const link of chain) {
      if (link.kind === 'ticket' && !this.#tickets.has(link.sub)) {
        this.#tickets.set(link.sub, { link, users: new Set(), revoked: this.#revoked.has(link.sub), refused: false });
      }
    }
  }

  #admit(chain: readonly Link[]): void {
    this.#noteTickets(chain);
    const cell = chain.at(-1)!.sub;
    const via = chain.at(-1)!.iss;
    this.#tickets.get(via)?.users.add(cell);
    this.#admitted.set(cell, [...chain]);
    this.#revoked.delete(cell);
    const spent = this.#spent.get(cell) ?? new Set();
    this.#spent.set(cell, spent.add(spendKey(chain)));
  }

  /** Would this chain admit its cell if it stood next in the log? `nowMs` (wall clock) is given where a stranger asks. */
  judge(chain: readonly Link[], nowMs?: number): ChainVerdict {
    const verdict = verifyChain(this.#sealer, this.#founder, chain);
    return verdict.ok ? this.#place(chain, nowMs) : verdict;
  }

  /** The same of a chain whose signatures are known to be good. */
  #place(chain: readonly Link[], nowMs?: number): ChainVerdict {
    const last = chain.at(-1)!;
    if (last.kind !== 'cell') return { ok: false, reason: 'the chain does not end at a cell' };
    const anchor = chain.findLastIndex(
      (link, i) => i < chain.length - 1 && this.#admitted.get(link.sub)?.at(-1)?.sig === link.sig,
    );
    for (const link of chain.slice(anchor + 1, -1)) {
      if (this.#revoked.has(link.sub)) return { ok: false, reason: `the ${link.kind} that vouches for it was revoked` };
    }
    const ticket = chain.at(-2)?.kind === 'ticket' ? chain.at(-2)! : undefined;
    if (ticket !== undefined) {
      if (nowMs !== undefined && ticket.exp !== undefined && nowMs > ticket.exp) {
        return { ok: false, reason: 'the ticket has expired; make a new one with: osca ticket create' };
      }
      const users = this.#tickets.get(ticket.sub)?.users ?? new Set();
      if (!users.has(last.sub) && users.size >= usesOf(ticket)) {
        return { ok: false, reason: 'the ticket is used up; make a new one with: osca ticket create' };
      }
    }
    if (this.#revoked.has(last.sub) && this.#spent.get(last.sub)?.has(spendKey(chain))) {
      return { ok: false, reason: 'this cell was removed; it needs a new ticket: osca ticket create' };
    }
    return { ok: true };
  }

  isAdmitted(cell: CellId): boolean {
    return this.#admitted.has(cell);
  }

  isRevoked(sub: string): boolean {
    return this.#revoked.has(sub);
  }

  /** Was a cell ever removed, even if it is back? */
  get hasRemoved(): boolean {
    return [...this.#everRevoked].some((sub) => this.#spent.has(sub));
  }

  /** What a revoked cell can't use again. */
  spentBy(cell: CellId): string[] {
    return [...(this.#spent.get(cell) ?? [])];
  }

  /** What who came by this chain can't use, whatever else is in the log. */
  spentOf(chain: readonly Link[]): string[] {
    return this.#isOut(chain) ? [spendKey(chain)] : [];
  }

  /** Did `cell` come in by one of these? */
  cameBy(cell: CellId, spent: readonly string[]): boolean {
    const chain = this.#admitted.get(cell);
    return chain !== undefined && spent.includes(spendKey(chain));
  }

  /** Sorted; the same list until something changes. */
  admitted(): readonly CellId[] {
    this.#sorted ??= [...this.#admitted.keys()].sort(compare);
    return this.#sorted;
  }

  chainOf(cell: CellId): Link[] | undefined {
    return this.#admitted.get(cell);
  }

  /** The name that a cell was admitted with. */
  nameOf(cell: CellId): string {
    return this.#admitted.get(cell)?.at(-1)?.name ?? cell.slice(-6);
  }

  tickets(wallMs: number): TicketView[] {
    const views = [...this.#tickets.values()].map(({ link, users, revoked }): TicketView => {
      const uses = usesOf(link);
      const expiresMs = link.exp ?? Number.MAX_SAFE_INTEGER;
      const state = revoked ? 'revoked' : users.size >= uses ? 'used up' : wallMs > expiresMs ? 'expired' : 'valid';
      return { id: link.sub.slice(-8), uses, used: users.size, expiresMs, state };
    });
    return views.sort((a, b) => compare(a.id, b.id));
  }

  /** Who came in by a ticket, sorted. */
  usersOf(ticket: string): CellId[] {
    return [...(this.#tickets.get(ticket)?.users ?? [])].sort(compare);
  }

  /** The full key of a ticket shown by its last eight letters. */
  ticketKey(shortId: string): string | undefined {
    return [...this.#tickets.keys()].find((key) => key === shortId || key.slice(-8) === shortId);
  }
}

/** What a revoked cell can't use again: the ticket, or the very signature of an approval. */
function spendKey(chain: readonly Link[]): string {
  return chain.at(-2)?.kind === 'ticket' ? chain.at(-2)!.sub : chain.at(-1)!.sig;
}

interface ReadEntry {
  entry: TrustEntry | undefined;
  valid: boolean;
}

function readEntry(sealer: Sealer, founder: string, text: string): ReadEntry {
  const entry = parseEntry(text);
  const valid = entry !== undefined && (entry.kind === 'revoke' || verifyChain(sealer, founder, entry.chain).ok);
  return { entry, valid };
}

/** An entry of the log, or undefined for nonsense. */
function parseEntry(text: string): TrustEntry | undefined {
  try {
    const entry = JSON.parse(text) as TrustEntry | null;
    if (typeof entry !== 'object' || entry === null) return undefined;
    const whole =
      entry.kind === 'revoke'
        ? typeof entry.sub === 'string' && (entry.users === undefined || Array.isArray(entry.users))
        : isChain((entry as { chain?: unknown }).chain);
    return whole ? entry : undefined;
  } catch {
    return undefined;
  }
}
