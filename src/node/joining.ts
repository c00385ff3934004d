/** How a fresh cell comes to its appliance: by the ticket that it was started with, or alone, where it hears nobody. */
import { OscaError } from '../core/errors.ts';
import type { Sealer } from '../core/frames.ts';
import { applianceId, decodeTicket } from '../gossip/trust.ts';
import type { Config } from './config.ts';
import type { Host } from './host.ts';
import { freshSeed } from './identity.ts';

/** `founder`: of the appliance that the disk remembers. Throws bad-ticket where the ticket can't be read, or is for another. */
export function checkTicket({ ticket, isBaked, dataDir }: Config, founder: string | undefined, sealer: Sealer): void {
  // What a member was started with once is no reason not to start.
  if (ticket === undefined || (isBaked && founder !== undefined)) return;
  const decoded = decodeTicket(sealer, ticket);
  const hint = 'copy the whole line that osca ticket create printed, or make a new one there';
  if (!decoded.ok) throw new OscaError('bad-ticket', `the ticket can't be used: ${decoded.reason}`, hint);
  if (founder === undefined) return;
  const [mine, theirs] = [applianceId(founder), applianceId(decoded.ticket.founder)];
  if (mine === theirs) return;
  throw new OscaError(
    'bad-ticket',
    `this cell belongs to appliance ${mine}, the ticket is for ${theirs}`,
    `give another data folder with --data DIR, or empty ${dataDir}`,
  );
}

const lookEveryMs = 500;

/** Where this cell listens: its addresses in the network, and how to look around from new ones at once. */
interface Ears {
  addrs(): readonly string[];
  listenAnew(): void;
}

/**
 * Founds an appliance where nobody was heard for `listenMs` on the same addresses. A machine without a network hears nobody, which
 * says nothing: it waits for one.
 */
export function foundLater(listenMs: number, host: Host, { addrs, listenAnew }: Ears): { stop(): void } {
  let at = addrs().join();
  let sinceMs = performance.now();
  const look = setInterval(() => {
    const { phase } = host.view();
    if (phase === 'member') clearInterval(look);
    if (phase !== 'listening') return;
    const nowMs = performance.now();
    const now = addrs().join();
    if (now !== at) {
      // Who looks for others does so every 20 s: not in a network that is just there.
      if (at === '') listenAnew();
      at = now;
      sinceMs = nowMs;
    }
    if (at === '' || nowMs - sinceMs < listenMs || host.cell.defers(nowMs)) return;
    clearInterval(look);
    void host.ask({ op: 'found', seed: freshSeed() }).then(({ value }) => {
      const message = `heard no other; founded appliance ${String(value.appliance)}`;
      host.tell({ level: 'info', kind: 'appliance', message });
    });
  }, lookEveryMs);
  return { stop: () => clearInterval(look) };
}
