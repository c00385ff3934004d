/**
 * Who runs what: a pure function of the view, so that every cell finds the same answer without asking.
 *
 * Two passes. First every replica gets a *home*, laid out over all cells of the appliance as if none were down: by the
 * fewest replicas of its service, then by the longest straw. Then the replicas whose home can't have them now are lent
 * to others in the same way. So a cell that dies moves only its own replicas, and a cell that returns takes back
 * just those. A stateful replica stays where it runs.
 */
import { compare } from '../core/hash.ts';
import type { Assignment, CellId, Verdict } from '../core/model.ts';
import { replicaId } from '../core/model.ts';
import type { Ledger, PlacementCell, PlacementInput, PlacementService } from './filter.ts';
import { absence, emptyLedger, refusal, take, verdictOf } from './filter.ts';
import { byStraw } from './straw2.ts';

interface Wanted {
  replica: string;
  index: string;
  serviceKey: string;
  service: PlacementService;
  home?: PlacementCell;
}

/** Where each replica should be, in replica order. `explain` also gives the verdicts of one replica that is placed. */
export function place(input: PlacementInput, explain?: string): Assignment[] {
  const cells = [...input.cells].sort((a, b) => compare(a.id, b.id));
  const ledgers = new Map(cells.map((cell) => [cell.id, emptyLedger()]));
  const wanted = input.services.flatMap((service) => replicasOf(service, cells));
  wanted.sort(
    (a, b) => compare(a.serviceKey, b.serviceKey) || Number(a.index) - Number(b.index) || compare(a.index, b.index),
  );
  const verdicts = new Map<string, Verdict[]>();
  const settle = (want: Wanted, pool: readonly PlacementCell[]): PlacementCell | undefined => {
    const chosen = choose(want, pool, ledgers);
    if (chosen !== undefined) take(ledgers.get(chosen.id)!, want.service.spec, want.serviceKey, want.replica);
    return chosen;
  };
  for (const want of wanted) {
    if (want.service.spec.mode === 'global') continue;
    if (want.replica === explain) verdicts.set(explain, judge(want, cells, ledgers));
    const home = settle(want, cells);
    if (home !== undefined) want.home = home;
    else verdicts.set(want.replica, judge(want, cells, ledgers));
  }
  return wanted.map((want) => {
    if (want.replica === explain && want.service.spec.mode === 'global')
      verdicts.set(explain, judge(want, cells, ledgers));
    const cell =
      want.service.spec.mode === 'global' ? onItsCell(want, ledgers, verdicts) : lend(want, input, cells, settle);
    if (cell === undefined && !verdicts.has(want.replica)) verdicts.set(want.replica, judge(want, cells, ledgers));
    const { replica, index, service } = want;
    const named = { replica, app: service.app, service: service.spec.name, index, hash: service.hash };
    return { ...named, ...(cell === undefined ? {} : { cell: cell.id }), verdicts: verdicts.get(replica) ?? [] };
  });
}

function replicasOf(service: PlacementService, cells: readonly PlacementCell[]): Wanted[] {
  const { app, spec } = service;
  const serviceKey = `${app}/${spec.name}`;
  const want = (index: string, home?: PlacementCell): Wanted => {
    const replica = replicaId(app, spec.name, index);
    return { replica, index, serviceKey, service, ...(home === undefined ? {} : { home }) };
  };
  if (spec.mode === 'global') {
    return cells
      .filter((cell) => refusal(spec, cell, emptyLedger()) === undefined && cell.up && !cell.drain)
      .map((cell) => want(cell.name, cell));
  }
  return Array.from({ length: spec.replicas }, (_, i) => want(String(i + 1)));
}

/** The cell with the fewest replicas of the service, of those the longest straw. */
function choose(
  want: Wanted,
  pool: readonly PlacementCell[],
  ledgers: ReadonlyMap<CellId, Ledger>,
): PlacementCell | undefined {
  const { spec } = want.service;
  const fitting = pool.filter((cell) => refusal(spec, cell, ledgers.get(cell.id)!) === undefined);
  const count = (cell: PlacementCell) => ledgers.get(cell.id)!.services.get(want.serviceKey) ?? 0;
  const least = fitting.reduce((low, cell) => Math.min(low, count(cell)), Number.POSITIVE_INFINITY);
  return byStraw(
    want.replica,
    fitting.filter((cell) => count(cell) === least),
  )[0];
}

/** The home if it can; else where a stateful replica already runs; else the best that can. */
function lend(
  want: Wanted,
  input: PlacementInput,
  cells: readonly PlacementCell[],
  settle: (want: Wanted, pool: readonly PlacementCell[]) => PlacementCell | undefined,
): PlacementCell | undefined {
  const { spec, hash } = want.service;
  if (want.home === undefined) return undefined;
  const key = `${want.serviceKey}@${hash}`;
  const present = cells.filter((cell) => absence(spec, key, cell) === undefined);
  if (spec.mounts.some(({ kind }) => kind === 'volume')) {
    const holders = input.running.get(want.replica) ?? [];
    const stay = present.find((cell) => holders.includes(cell.id));
    if (stay !== undefined && !holders.includes(want.home.id)) return settle(want, [stay]) ?? stay;
  }
  if (present.includes(want.home)) return want.home;
  return settle(want, present);
}

function onItsCell(
  want: Wanted,
  ledgers: ReadonlyMap<CellId, Ledger>,
  verdicts: Map<string, Verdict[]>,
): PlacementCell | undefined {
  const cell = want.home!;
  const { spec, hash } = want.service;
  const ledger = ledgers.get(cell.id)!;
  const reason = absence(spec, `${want.serviceKey}@${hash}`, cell) ?? refusal(spec, cell, ledger);
  if (reason === undefined) {
    take(ledger, spec, want.serviceKey, want.replica);
    return cell;
  }
  verdicts.set(want.replica, [verdictOf(cell, reason)]);
  return undefined;
}

function judge(want: Wanted, cells: readonly PlacementCell[], ledgers: ReadonlyMap<CellId, Ledger>): Verdict[] {
  const { spec, hash } = want.service;
  const key = `${want.serviceKey}@${hash}`;
  return cells.map((cell) => verdictOf(cell, absence(spec, key, cell) ?? refusal(spec, cell, ledgers.get(cell.id)!)));
}
