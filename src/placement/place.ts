/**
 * Who runs what: a function of the view, so that every cell finds the same answer without asking. Three passes:
 *
 * 1. Every replica gets a *home*, laid out over all cells of the appliance as if none were down (layout.ts). It depends on
 *    nothing that passes by itself, and is kept until a cell or a service comes, goes or changes.
 * 2. A replica that runs elsewhere stays there unless it must go (stay.ts). So a new cell takes its share and nothing else
 *    moves, and a stateful replica stays where its data is.
 * 3. Replicas whose home can't have them are lent to others in the same way. So a cell that dies moves only its own replicas,
 *    and a cell that returns takes its share of them back.
 */
import { compare } from '../core/hash.ts';
import type { Assignment, CellId, Verdict } from '../core/model.ts';
import { replicaId } from '../core/model.ts';
import type { ServiceSpec } from '../core/spec.ts';
import type { PlacementInput, PlacementService } from './filter.ts';
import { absence, hasData, heldBack, isChoosy, leavingNow, nothingTaken, refusal, verdictOf } from './filter.ts';
import { Fleet } from './fleet.ts';
import { fullAt, Layout, sharesAt, sharesOf } from './layout.ts';
import type { Stray } from './stay.ts';
import { leaving } from './stay.ts';
import { draw, straw } from './straw2.ts';
import type { Group, Want } from './wants.ts';
import { areSame, bind, groupsOf, heldBy, isCounted, nowhere, staying, wantOf } from './wants.ts';

export class Placement {
  #fleet = new Fleet([]);
  #services: readonly PlacementService[] = [];
  #groups: Group[] = [];
  /** Replicas with others that are where they are. */
  #hosts: readonly Want[] = [];
  #count = 0;
  readonly #wants = new Map<string, Want>();
  #homes = new Layout(this.#fleet, new Int32Array(0));
  #last = this.#homes;
  /** By row: whose replicas live there. */
  #dwellers: Group[][] = [];
  /** Cells that may have anything at all; the others are asked service by service. */
  #isOpen = new Uint8Array(0);
  /** Not all that are there are held back. */
  #anyCalm = false;
  #anyHeld = false;
  readonly #units = new Map<CellId, readonly string[]>();

  /** Where each replica should be, in replica order: the same objects as before where nothing changed. */
  place({ cells, services }: PlacementInput): Assignment[] {
    const fleet = this.#fleet.with(cells);
    const isNew = !fleet.isLike(this.#fleet) || !areSame(services, this.#services);
    this.#fleet = fleet;
    if (isNew) {
      this.#services = services;
      this.#groups = groupsOf(services, this.#groups);
      this.#hosts = bind(this.#groups);
      this.#layHomes();
      this.#units.clear();
      for (const { wants } of this.#groups) for (const want of wants) want.held = nowhere;
    }
    this.#hold();
    this.#layOut();
    for (const host of this.#hosts) this.#seat(host);
    for (const group of this.#groups) if (group.isGlobal) this.#everywhere(group);
    const assignments: Assignment[] = [];
    for (const group of this.#groups) this.#tellOf(group, assignments);
    return assignments;
  }

  /** The verdict of every cell about one replica, as of the last `place`. */
  explain(replica: string): Assignment | undefined {
    for (const group of this.#groups) {
      const want = group.wants.find((one) => one.replica === replica);
      if (want?.assignment === undefined) continue;
      if (want.host !== undefined) return { ...want.assignment, verdicts: this.#besides(want, want.host) };
      const take = (sign: 1 | -1): void => {
        if (want.row >= 0) this.#last.take(want.row, want.taken, replica, sign);
      };
      take(-1);
      const verdicts = this.#judge(group, want);
      take(1);
      return { ...want.assignment, verdicts };
    }
    return undefined;
  }

  // -- homes -------------------------------------------------------------------------------------------------------

  #layHomes(): void {
    const fleet = this.#fleet;
    const replicated = this.#groups.filter(({ isGlobal }) => !isGlobal);
    this.#count = replicated.reduce((sum, { own }) => sum + own.length, 0);
    const layout = new Layout(fleet, sharesAt(sharesOf(fleet, this.#count, () => true)));
    this.#wants.clear();
    this.#dwellers = fleet.cells.map(() => []);
    for (const group of this.#groups) group.unsettle();
    const open = (spec: ServiceSpec): void => {
      const isFree = !isChoosy(spec);
      layout.open(spec, (row) => isFree || refusal(spec, fleet.cells[row]!, nothingTaken) === undefined);
    };
    for (const { asks, least, own } of replicated) {
      open(asks);
      for (const want of own) {
        want.asked = asks;
        want.home = layout.choose(want.keyHash, want.replica);
        if (want.home < 0 && least !== asks) {
          // Some of those that are tied are better than none.
          open((want.asked = least));
          want.home = layout.choose(want.keyHash, want.replica);
        }
        if (want.home >= 0) this.#dwellers[want.home]!.push(want.group);
        this.#wants.set(want.replica, want);
        for (const guest of want.guests) this.#wants.set(guest.replica, guest);
      }
    }
    this.#homes = layout;
  }

  // -- who has what ------------------------------------------------------------------------------------------------

  #hold(): void {
    this.#fleet.cells.forEach(({ id, up, units }, row) => {
      const now = up ? units : [];
      const before = this.#units.get(id) ?? [];
      if (before === now || (before.length === 0 && now.length === 0)) return;
      this.#units.set(id, now);
      this.#unsettle(row);
      for (const replica of before) {
        const want = this.#wants.get(replica);
        if (want !== undefined) want.held = want.held.filter((holder) => holder !== row);
      }
      for (const replica of now) {
        const want = this.#wants.get(replica);
        if (want !== undefined) want.held = [...want.held, row];
      }
    });
  }

  #unsettle(row: number): void {
    for (const group of this.#dwellers[row]!) group.unsettle();
  }

  // -- where they are now ------------------------------------------------------------------------------------------

  #layOut(): void {
    const { cells } = this.#fleet;
    const isPresent = (row: number): boolean => cells[row]!.up && !cells[row]!.drain && !cells[row]!.leaving;
    const shares = sharesOf(this.#fleet, this.#count, isPresent);
    const layout = new Layout(this.#fleet, fullAt(shares), this.#homes);
    this.#last = layout;
    const strays: Stray[] = [];
    const loose: Want[] = [];
    this.#anyHeld = cells.some(({ held }) => held);
    this.#anyCalm = cells.some(({ up, drain, leaving, held }) => up && !drain && !leaving && !held);
    const isOpen = Uint8Array.from(cells, ({ up, drain, cordon, leaving, held, vetoes, facts }) =>
      up && !drain && !cordon && !leaving && !held && vetoes.size === 0 && facts.engine !== '' ? 1 : 0,
    );
    for (let row = 0; row < isOpen.length; row++) if (isOpen[row] !== this.#isOpen[row]) this.#unsettle(row);
    this.#isOpen = isOpen;
    for (const group of this.#groups) {
      if (group.isGlobal || group.isSettled) continue;
      const { own } = group;
      if (own.length === 0) continue;
      let may: ((row: number) => boolean) | undefined;
      let mayStay: ((row: number) => boolean) | undefined;
      group.isSettled = group.service.tie === undefined;
      for (const want of own) {
        const { home } = want;
        // Nearly all are at home.
        if (want.held[0] === home && isOpen[home] === 1) {
          want.row = home;
          want.taken = want.asked;
          continue;
        }
        const { replica, asked } = want;
        group.isSettled = false;
        may ??= this.#whoMay(group);
        mayStay ??= this.#whoMay(group, false, true);
        const held = heldBy(want);
        const isThere = held.includes(home);
        const isHome = home >= 0 && (isOpen[home] === 1 || (isThere ? mayStay(home) : may(home)));
        want.row = isHome ? home : -1;
        want.taken = asked;
        if (isHome && isThere) continue;
        if (home >= 0 && !isHome) layout.take(home, asked, replica, -1);
        const here = held.length === 0 ? -1 : this.#stayOf(want, held, mayStay);
        if (here >= 0) {
          want.taken = staying(want, here);
          const { least } = group;
          strays.push({ ...{ replica, spec: want.taken, least, asked, service: group }, here, home: want.row });
          want.row = here;
        } else if (home >= 0) loose.push(want);
      }
    }
    if (strays.length > 0) {
      const gone = leaving(strays, this.#fleet, layout, shares, () => this.#evict(loose, layout));
      const out: Want[] = [];
      for (const { replica, spec } of strays) this.#wants.get(replica)!.taken = spec;
      for (const { replica, home, asked } of gone) {
        const want = this.#wants.get(replica)!;
        want.row = home;
        want.taken = asked;
        if (home < 0) out.push(want);
      }
      // What runs chooses before what does not: else two that want one place would take it from each other for ever.
      this.#lend(out, layout);
    }
    this.#lend(loose, layout);
  }

  /** Which rows may have a replica of this service now, apart from room. */
  #whoMay(
    { asks: spec, service: { hash, tie }, serviceKey, keys }: Group,
    alsoHeld = false,
    isThere = false,
    isAlone = false,
  ): (row: number) => boolean {
    const { cells } = this.#fleet;
    // Data that several use stays where it is also where one of them could not be started.
    const key = isThere && tie !== undefined ? '' : `${serviceKey}@${hash}`;
    const isVetoed = (row: number): boolean => !isThere && !isAlone && keys.some((one) => cells[row]!.vetoes.has(one));
    // Data does not move for a while only, and not because a daemon is started anew.
    if (hasData(spec)) return (row) => !isVetoed(row) && absence(spec, key, cells[row]!, isThere) === undefined;
    const isHeld = (row: number): boolean => !alsoHeld && this.#anyCalm && cells[row]!.held;
    const isOut = (row: number): boolean => isHeld(row) || cells[row]!.leaving;
    return (row) => !isOut(row) && absence(spec, key, cells[row]!, isThere) === undefined;
  }

  /** Where it runs away from home and may stay: where its straw is longest. */
  #stayOf({ group, keyHash }: Want, held: readonly number[], may: (row: number) => boolean): number {
    const { cells, hashes, weights } = this.#fleet;
    let best = -1;
    let longest = Number.NEGATIVE_INFINITY;
    for (const row of held) {
      if (!may(row) || refusal(group.least, cells[row]!, nothingTaken) !== undefined) continue;
      const length = straw(draw(keyHash, hashes[row]!), weights[row]!);
      if (length < longest || (length === longest && best < row)) continue;
      best = row;
      longest = length;
    }
    return best;
  }

  /** Those that run nowhere yet and whose home is full of others look elsewhere. */
  #evict(loose: readonly Want[], layout: Layout): void {
    for (const want of loose) {
      const { row } = want;
      if (row < 0 || layout.load[row]! <= Math.max(layout.full[row]!, this.#homes.load[row]!)) continue;
      layout.take(row, want.taken, want.replica, -1);
      want.row = -1;
    }
  }

  /** A place for those that run nowhere and have no home now. */
  #lend(loose: readonly Want[], layout: Layout): void {
    let at: Group | undefined;
    for (const want of loose) {
      if (want.row >= 0) continue;
      if (at !== want.group) this.#open((at = want.group), layout);
      const { asks, least } = want.group;
      want.taken = asks;
      want.row = layout.choose(want.keyHash, want.replica);
      if (want.row < 0 && least !== asks) {
        this.#open(want.group, layout, false, (want.taken = least));
        want.row = layout.choose(want.keyHash, want.replica);
        at = undefined;
      }
      if (want.row >= 0 || !this.#anyHeld) continue;
      // Better on a cell that fell often than nowhere.
      this.#open(want.group, layout, true, want.taken);
      want.row = layout.choose(want.keyHash, want.replica);
      at = undefined;
    }
  }

  /** Those that are tied to one: where it is, if there is room beside what is taken for it. */
  #seat(host: Want): void {
    const { row } = host;
    for (const guest of host.guests) {
      guest.row = row;
      if (row < 0 || isCounted(guest, host)) continue;
      if (this.#besideHost(guest, host) !== undefined) guest.row = -1;
      else this.#last.take(row, guest.group.service.spec, guest.replica);
    }
  }

  /** Why it can't be where its host is. */
  #besideHost({ group, held, clash }: Want, { row }: Want): string | undefined {
    const cell = this.#fleet.cells[row]!;
    const { spec, hash } = group.service;
    const key = `${group.serviceKey}@${hash}`;
    return clash ?? absence(spec, key, cell, held.includes(row)) ?? refusal(spec, cell, this.#last.takenOn(row));
  }

  #open(group: Group, layout: Layout, alsoHeld = false, spec = group.asks): void {
    const { cells } = this.#fleet;
    const { own } = group;
    const may = this.#whoMay(group, alsoHeld, false, spec !== group.asks);
    const isFree = !isChoosy(spec);
    const fitsAt = (row: number): boolean => isFree || refusal(spec, cells[row]!, nothingTaken) === undefined;
    layout.open(spec, (row) => (this.#isOpen[row] === 1 || may(row)) && fitsAt(row));
    for (const { row } of own) if (row >= 0) layout.has(row);
  }

  #everywhere(group: Group): void {
    const { cells } = this.#fleet;
    const { app, spec, ended = [] } = group.service;
    const known = new Map(group.wants.map((want) => [want.index, want]));
    group.wants = [];
    for (const [row, cell] of cells.entries()) {
      if (ended.includes(cell.name)) continue;
      if (!cell.up || cell.drain || cell.leaving || refusal(spec, cell, nothingTaken) !== undefined) continue;
      const replica = replicaId(app, spec.name, cell.name);
      const want = known.get(cell.name) ?? wantOf(group, replica, cell.name);
      const isThere = cell.units.includes(replica);
      const isOpen = this.#whoMay(group, false, isThere)(row) && this.#last.fits(row, spec);
      want.home = row;
      want.row = isOpen ? row : -1;
      if (isOpen) this.#last.take(row, spec, replica);
      group.wants.push(want);
    }
    group.wants.sort((a, b) => compare(a.index, b.index));
  }

  // -- what is told ------------------------------------------------------------------------------------------------

  #tellOf(group: Group, into: Assignment[]): void {
    if (group.told !== undefined) {
      for (const assignment of group.told) into.push(assignment);
      return;
    }
    const { cells } = this.#fleet;
    const { app, spec, hash } = group.service;
    const from = into.length;
    let verdicts: Verdict[] | undefined;
    for (const want of group.wants) {
      const cell = cells[want.row]?.id;
      if (cell !== undefined && want.assignment?.cell === cell && want.assignment.hash === hash) {
        into.push(want.assignment);
        continue;
      }
      const named = { replica: want.replica, app, service: spec.name, index: want.index, hash };
      if (cell !== undefined) want.assignment = { ...named, cell, verdicts: [] };
      else {
        const isSame = !group.isGlobal && want.host === undefined;
        const said = isSame ? (verdicts ??= this.#judge(group, want)) : this.#verdictsOf(group, want);
        want.assignment = { ...named, verdicts: said };
      }
      into.push(want.assignment);
    }
    if (group.isSettled) group.told = into.slice(from);
  }

  #verdictsOf(group: Group, want: Want): Verdict[] {
    return want.host === undefined ? this.#judge(group, want) : this.#besides(want, want.host);
  }

  /** Of one that is always with others. */
  #besides(want: Want, host: Want): Verdict[] {
    const { cells } = this.#fleet;
    const at = cells[host.row];
    if (at === undefined) return this.#judge(host.group, host);
    const reason = `${host.replica} is on ${at.name}: they share volume ${want.group.service.tie?.volumes.join(', ')}`;
    const beside = want.row >= 0 ? undefined : this.#besideHost(want, host);
    return cells.map((cell) => verdictOf(cell, cell === at ? beside : reason));
  }

  /** A global replica has but one cell that could have it. */
  #judge({ service: { hash, tie }, serviceKey, wants, least }: Group, want: Want): Verdict[] {
    const spec = want.row >= 0 ? want.taken : least;
    const keyAt = (row: number): string => (tie !== undefined && want.row === row ? '' : `${serviceKey}@${hash}`);
    const { cells } = this.#fleet;
    const most = spec.maxPerCell ?? Number.POSITIVE_INFINITY;
    const full = (row: number): string | undefined =>
      wants.filter((other) => other !== want && other.row === row).length < most
        ? undefined
        : `max_replicas_per_node: it has ${most} already`;
    return cells.flatMap((cell, row) => {
      if (spec.mode === 'global' && row !== want.home) return [];
      const reason =
        absence(spec, keyAt(row), cell, want.row === row) ??
        (cell.leaving ? leavingNow : cell.held ? heldBack : undefined);
      return [verdictOf(cell, reason ?? refusal(spec, cell, this.#last.takenOn(row)) ?? full(row))];
    });
  }
}

/** The same without a memory. */
export const place = (input: PlacementInput): Assignment[] => new Placement().place(input);
