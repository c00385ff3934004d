/**
 * Duties: work that one cell does for all, such as a rollout. Whoever ranks first for a duty among the masters owns it, and gives
 * its orders in its record; who obeys takes those of the newest epoch that it has heard of and no others, so that a master that
 * slept, or was cut off, can't meddle when it is back (fencing tokens: Chubby's sequencers, Burrows, OSDI '06, section 2.4).
 * A new owner speaks one epoch higher than whatever it has heard, and begins with what the view shows: nothing is handed over.
 */
import type { CellId, MemberState, Order } from '../core/model.ts';
import { byStraw } from './straw2.ts';

/** An order and who gave it: of two with one epoch, that of the higher id is newer. */
export interface Given extends Order {
  by: CellId;
}

interface Giver {
  id: CellId;
  state?: MemberState;
  orders?: readonly Order[];
}

/** Who owns it; undefined where there is no master. */
export function ownerOf(duty: string, masters: readonly CellId[]): CellId | undefined {
  const candidates = masters.map((id) => ({ id, weight: 1 }));
  return byStraw(duty, candidates)[0]?.id;
}

/** The newest orders, by duty. Of the dead too: a successor speaks in a higher epoch than theirs. */
export function newest(members: readonly Giver[]): Map<string, Given> {
  const orders = new Map<string, Given>();
  for (const { id: by, orders: given = [] } of members) {
    for (const order of given) {
      const other = orders.get(order.duty);
      if (other === undefined || isNewer({ ...order, by }, other)) orders.set(order.duty, { ...order, by });
    }
  }
  return orders;
}

/** The orders to obey: the newest, where the one who gave it is there. Else a successor is about to speak. */
export function obeyed(members: readonly Giver[]): Map<string, Given> {
  const away = new Set(members.filter(({ state }) => state === 'down' || state === 'left').map(({ id }) => id));
  return new Map([...newest(members)].filter(([, { by }]) => !away.has(by)));
}

const isNewer = (a: Given, b: Given): boolean => a.epoch > b.epoch || (a.epoch === b.epoch && a.by > b.by);

/** The epoch in which `self` speaks: its own while it is the newest. */
export function epochOf(self: CellId, last: Given | undefined): number {
  if (last === undefined) return 1;
  return last.by === self ? last.epoch : last.epoch + 1;
}
