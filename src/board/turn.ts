/** When a board may start anew by itself, for updates of its system, and whether it is well with them. */

/** Of what the daemon says of cells (`/v1/cells`). */
export interface TurnCell {
  id: string;
  name: string;
  self: boolean;
  state: string;
  /** Since when, Unix ms. */
  sinceMs: number;
}

/** Of what it says of itself (`/v1/status`). */
export interface CellStatus {
  phase: string;
  /** '' where it has none. */
  engine: string;
  cells: number;
  alive: number;
}

const turnMs = 600_000;
/** Who is down for longer keeps the others from no updates. */
const goneMs = 3 * 86_400_000;
/** Who begins later is not back when the next one's turn comes. */
const latestMs = turnMs / 2;

/**
 * What keeps this board from starting anew; '' where nothing does. One board after the other: by the order of their ids each has ten minutes of the
 * clock, and begins in the first half of them while all cells are alive but those that are down for three days. Nobody has to be asked, so boards of one image need no master for it.
 * `wallMs`: Unix time.
 */
export function turnHindrance(cells: readonly TurnCell[], wallMs: number): string {
  const all = cells.filter(({ state }) => state !== 'left').sort((a, b) => (a.id < b.id ? -1 : 1));
  const mine = all.findIndex(({ self }) => self);
  if (mine < 0) return 'this board is no member';
  const isGone = ({ state, sinceMs }: TurnCell): boolean => state === 'down' && wallMs - sinceMs > goneMs;
  const away = all.filter((cell) => cell.state !== 'alive' && !isGone(cell)).map(({ name }) => name);
  if (away.length > 0) return `not all cells are up: ${away.slice(0, 5).join(', ')}${away.length > 5 ? ' …' : ''}`;
  const whose = Math.floor(wallMs / turnMs) % all.length;
  if (whose === mine && wallMs % turnMs < latestMs) return '';
  const turns = (mine - whose + all.length) % all.length || all.length;
  return `its turn comes in ${Math.ceil((turns * turnMs - (wallMs % turnMs)) / 60_000)} min`;
}

/** What is not as it should be; '' where the cell is a member with an engine, and hears others where there are any. */
export function unwell({ phase, engine, cells, alive }: CellStatus): string {
  if (phase !== 'member') return `it is no member: ${phase}`;
  if (engine === '') return 'it has no container engine';
  return cells > 1 && alive < 2 ? 'it hears no other cell' : '';
}
