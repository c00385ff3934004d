/** Is a cell what it was before it started anew, with another version of the daemon or of its system? */
import type { ClusterView } from './model.ts';

/** What was well before. */
export interface Before {
  /** Other cells were heard. */
  others: boolean;
  /** Replicas that were up here, `ready` or `running`. */
  ready: readonly { replica: string; hash: string; state: string }[];
}

const othersOf = ({ members, self }: ClusterView): number =>
  members.filter(({ id, state }) => id !== self && state === 'alive').length;

export function beforeOf(view: ClusterView): Before {
  const units = view.members.find(({ id }) => id === view.self)?.units ?? [];
  const up = units.filter(({ state }) => state === 'ready' || state === 'running');
  const ready = up.map(({ replica, hash, state }) => ({ replica, hash, state }));
  return { others: othersOf(view) > 0, ready };
}

/** What is not as it was before; '' where all is. What was deployed anew meanwhile, or came to its end, says nothing. */
export function lackingOf({ others, ready }: Before, view: ClusterView): string {
  if (view.phase !== 'member') return 'it was no member';
  if (others && othersOf(view) === 0) return 'it heard no other cell';
  const { units = [], vetoes = [] } = view.members.find(({ id }) => id === view.self) ?? {};
  const now = new Map(units.map(({ replica, hash, state }) => [`${replica}@${hash}`, state]));
  const assigned = new Map(view.assignments.map((one) => [one.replica, one]));
  for (const { replica, hash, state } of ready) {
    const assignment = assigned.get(replica);
    if (assignment?.hash !== hash) continue;
    const service = `${assignment.app}/${assignment.service}`;
    const veto = vetoes.find((one) => one.service === service && one.hash === hash);
    if (veto !== undefined) return `${replica} did not start again: ${veto.reason}`;
    const is = now.get(`${replica}@${hash}`);
    if (assignment.cell === view.self && is !== state && is !== 'ready' && is !== 'exited')
      return `${replica} was not ${state} again`;
  }
  return '';
}
