import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compare } from '../../src/core/hash.ts';
import { createSealer } from '../../src/gossip/libp2p/seal.ts';
import type { Ticket } from '../../src/gossip/trust.ts';
import { applianceId, decodeTicket, encodeTicket, redeem, signLink, Trust } from '../../src/gossip/trust.ts';

/** With the real keys. */
const sealer = (n: number) => createSealer(new Uint8Array(32).fill(n));
const [founding, first, second, third] = [sealer(1), sealer(2), sealer(3), sealer(4)] as const;
const app = applianceId(founding.id);
const seed = Buffer.alloc(32, 9).toString('base64url');
const key = first.derive(seed)!;
const firstLink = signLink(founding, { kind: 'cell', app, sub: first.id, name: 'first', at: 1 });

function ticket(uses: number, exp: number): Ticket {
  const link = signLink(first, { kind: 'ticket', app, sub: key.id, uses, at: 2, exp });
  return { founder: founding.id, chain: [firstLink, link], seed, addrs: ['/ip4/10.0.0.1/tcp/4470'] };
}

function trustWith(...entries: object[]): Trust {
  const trust = new Trust(sealer(8), founding.id);
  trust.update(
    [{ kind: 'admit', chain: [firstLink] }, ...entries].map((entry, i) => ({
      key: String.fromCharCode(97 + i),
      text: JSON.stringify(entry),
    })),
  );
  return trust;
}

describe('a ticket', () => {
  it('survives copying, and admits whoever holds it', () => {
    const text = encodeTicket(ticket(1, 1_000));
    const decoded = decodeTicket(second, `  ${text}\n`);
    expect(decoded.ok && decoded.ticket).toEqual(ticket(1, 1_000));
    expect(trustWith().judge(redeem(second, ticket(1, 1_000), second.id, 'second', 500), 500)).toEqual({ ok: true });
  });

  it('with one letter changed is refused, wherever the letter is', () => {
    const text = encodeTicket(ticket(1, 1_000));
    for (let at = 0; at < text.length; at += 7) {
      const changed = text.slice(0, at) + (text[at] === 'a' ? 'b' : 'a') + text.slice(at + 1);
      const decoded = decodeTicket(second, changed);
      expect(decoded.ok).toBe(false);
      if (!decoded.ok) expect(decoded.reason).toMatch(/checksum|not whole/);
    }
  });

  it('that expired is refused, by the clock and by its own signature', () => {
    const { chain, seed } = ticket(1, 1_000);
    const { app } = chain[0]!;
    const late = signLink(second.derive(seed)!, { kind: 'cell', app, sub: second.id, name: 'second', at: 2_000 });
    expect(trustWith().judge([...chain, late])).toEqual({
      ok: false,
      reason: 'the ticket had expired; make a new one with: osca ticket create',
    });
    const backdated = redeem(second, ticket(1, 1_000), second.id, 'second', 500);
    expect(trustWith().judge(backdated, 2_000)).toMatchObject({
      ok: false,
      reason: expect.stringContaining('expired'),
    });
  });

  it('that is used up or revoked admits nobody more', () => {
    const admit = { kind: 'admit', chain: redeem(second, ticket(1, 1_000), second.id, 'second', 3) };
    const other = redeem(third, ticket(1, 1_000), third.id, 'third', 4);
    expect(trustWith(admit).isAdmitted(second.id)).toBe(true);
    expect(trustWith(admit).judge(other)).toMatchObject({ reason: expect.stringContaining('used up') });
    expect(trustWith({ kind: 'revoke', sub: key.id, by: first.id }).judge(other)).toMatchObject({
      reason: expect.stringContaining('revoked'),
    });
  });

  it('cannot be widened: every fact in it is signed', () => {
    const wide = ticket(1, 1_000);
    wide.chain[1] = { ...wide.chain[1]!, uses: 100 };
    expect(decodeTicket(second, encodeTicket(wide))).toEqual({ ok: false, reason: 'a signature does not match' });
  });
});

describe('the trust log', () => {
  it('keeps out a removed cell with its old ticket, and lets it in with a new one', () => {
    const admit = { kind: 'admit', chain: redeem(second, ticket(5, 1_000), second.id, 'second', 3) };
    const revoke = { kind: 'revoke', sub: second.id, by: first.id };
    expect(trustWith(admit, revoke, admit).isAdmitted(second.id)).toBe(false);
    const newSeed = Buffer.alloc(32, 10).toString('base64url');
    const link = signLink(first, { kind: 'ticket', app, sub: first.derive(newSeed)!.id, uses: 1, at: 5, exp: 9_000 });
    const fresh = redeem(
      second,
      { founder: founding.id, chain: [firstLink, link], seed: newSeed, addrs: [] },
      second.id,
      'second',
      6,
    );
    expect(trustWith(admit, revoke, { kind: 'admit', chain: fresh }).isAdmitted(second.id)).toBe(true);
  });

  it('keeps who had come by a ticket when it was revoked, and nobody who was let in unbeknown', () => {
    const [known, unknown] = [second, third].map(({ id }) => ({
      kind: 'admit',
      chain: redeem(second, ticket(5, 1_000), id, id, 3),
    }));
    const { sub } = ticket(5, 1_000).chain.at(-1)!;
    const trust = trustWith(known!, unknown!, { kind: 'revoke', sub, by: first.id, users: [second.id] });
    expect([second, third].map(({ id }) => trust.isAdmitted(id))).toEqual([true, false]);
  });

  it('takes no chain that another key signed', () => {
    const forged = signLink(third, { kind: 'cell', app, sub: third.id, at: 1 });
    expect(trustWith({ kind: 'admit', chain: [forged] }).isAdmitted(third.id)).toBe(false);
    expect(trustWith({ kind: 'admit', chain: [firstLink, { ...forged, iss: first.id }] }).isAdmitted(third.id)).toBe(
      false,
    );
  });

  it('decides the same in whatever order the entries come', () => {
    const cells = [2, 3, 4, 5, 6].map((fill) => sealer(fill));
    const admits = cells.map(({ id }, i) => ({
      kind: 'admit',
      chain: redeem(second, ticket(3, 1_000), id, `c${i}`, 3),
    }));
    const approval = signLink(first, { kind: 'cell', app, sub: second.id, name: 'again', at: 9 });
    const entries: object[] = [
      { kind: 'admit', chain: [firstLink] },
      { kind: 'ticket', chain: ticket(3, 1_000).chain },
      ...admits,
      { kind: 'revoke', sub: second.id, by: first.id },
      { kind: 'admit', chain: [firstLink, approval] },
      { kind: 'revoke', sub: cells[3]!.id, by: first.id },
    ];
    const items = entries.map((entry, i) => ({ key: `k${i}`, text: JSON.stringify(entry) }));
    const admittedBy = (log: typeof items, batches: number[]): readonly string[] => {
      const trust = new Trust(sealer(8), founding.id);
      for (const end of [...batches, log.length].sort((a, b) => a - b)) trust.update(log.slice(0, end));
      return trust.admitted();
    };
    const keys = fc.shuffledSubarray(items, { minLength: 1 });
    fc.assert(
      fc.property(keys, fc.array(fc.nat(9), { maxLength: 5 }), (log, batches) => {
        const inOrder = [...log].sort((a, b) => compare(a.key, b.key));
        const ends = batches.map((end) => Math.min(end, log.length));
        expect(admittedBy(log, ends)).toEqual(admittedBy(inOrder, []));
      }),
    );
  });
});
