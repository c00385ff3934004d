/** How a cell goes, for a moment or for longer, and what it remembers of that when it is back. */
import { limits } from '../core/limits.ts';
import type { Store } from '../crdt/sqlite/store.ts';
import type { Host } from './host.ts';

/** So long others have to take over what this cell runs. */
const handOverMs = 20_000;

/** Lets others start what runs here, and stops each as soon as it runs elsewhere. What has nowhere to go runs on. */
export async function handOver(host: Host): Promise<void> {
  await host.ask({ op: 'leave', gone: false }).catch(() => {});
  const deadline = performance.now() + handOverMs;
  // The view is a moment old: by one of before nothing would be anybody else's, nor while those who could take it are not heard of yet.
  const isTold = (): boolean => {
    const { phase, mature, members } = host.view();
    return phase !== 'member' || (mature && members.some(({ self, leaving }) => self && leaving === true));
  };
  while (!isTold() && performance.now() < deadline) await new Promise((done) => setTimeout(done, 10));
  const mine = (): number => {
    const { members, assignments, self } = host.view();
    const placed = new Map(assignments.map(({ replica, cell }) => [replica, cell]));
    const units = members.find(({ id }) => id === self)?.units ?? [];
    return units.filter(({ replica }) => ![undefined, self].includes(placed.get(replica))).length;
  };
  if (mine() > 0)
    host.tell({ level: 'info', kind: 'cell.leaving', message: `leaving: ${mine()} replicas are handed over` });
  while (mine() > 0 && performance.now() < deadline) await new Promise((done) => setTimeout(done, 50));
}

/** The last word is out by then. */
const wordMs = 50;

/** Says goodbye, so that others take over at once; what still runs here runs on. */
export async function farewell(host: Host): Promise<void> {
  await host.ask({ op: 'leave', gone: true }).catch(() => {});
  await new Promise((done) => setTimeout(done, wordMs));
}

/** Says that it is back at once: others wait for it, and this start is no fall. */
export async function announceReturn(host: Host, store: Store): Promise<void> {
  store.set('returns', 'yes');
  await host.ask({ op: 'return', withinMs: limits.returnMs }).catch(() => {});
  await new Promise((done) => setTimeout(done, wordMs));
}

/** How long ago this cell started before, of the last few times; this start is noted for the next, where it was not said before. */
export function earlierStarts(store: Store): number[] {
  const starts = (JSON.parse(store.get('starts') ?? '[]') as number[]).filter(Number.isFinite).slice(-15);
  const isAnnounced = store.get('returns') === 'yes';
  if (isAnnounced) store.set('returns', '');
  else store.set('starts', JSON.stringify([...starts, Date.now()]));
  return starts.map((atMs) => Date.now() - atMs);
}
