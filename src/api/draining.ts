/** A cell that is drained, as it goes: until others run what it ran, or it is clear that something can't move. */
import type { ErrorCode } from '../core/errors.ts';
import { OscaError, reasonOf } from '../core/errors.ts';
import type { ClusterView } from '../core/model.ts';
import { Bell } from './bell.ts';
import type { ApiDeps } from './context.ts';
import { cellOf } from './context.ts';
import { pendingReason, replicaRows } from './rows.ts';

export type DrainStep =
  /** A replica that is here still, and where it goes; 'nowhere' with the reason of each cell. */
  | { type: 'moving'; replica: string; to: string; state: string; reason: string }
  | { type: 'moved'; replica: string; to: string }
  | { type: 'done'; cell: string; moved: number }
  | { type: 'failed'; code: ErrorCode; message: string; hint: string };

/** What has nowhere to go is given this long: a veto or a member may still be on its way. */
const stuckMs = 5_000;

/** Drains a cell and tells of each replica until none is left. The cell stays drained where something could not move. */
export async function* drainSteps(
  deps: ApiDeps,
  named: string,
  { detach, timeoutMs }: { detach: boolean; timeoutMs: number },
): AsyncGenerator<DrainStep> {
  const startMs = performance.now();
  const bell = new Bell();
  const off = deps.host.onChange(bell.ring);
  try {
    const cell = cellOf(deps.host.view(), named);
    await deps.host.ask({ op: 'cell.set', cell, drain: true });
    const told = new Map<string, string>();
    const gone = new Set<string>();
    let stuckSinceMs: number | undefined;
    for (;;) {
      const view = deps.host.view();
      const isSeen = view.members.find(({ id }) => id === cell)?.drain === true;
      const left = isSeen ? leftOn(view, cell) : [];
      const here = new Set(left.map(({ replica }) => replica));
      for (const replica of told.keys()) {
        if (here.has(replica) || gone.has(replica)) continue;
        gone.add(replica);
        yield { type: 'moved', replica, to: homeOf(view, replica).to };
      }
      for (const step of left) {
        gone.delete(step.replica);
        const text = `${step.to} ${step.state} ${step.reason}`;
        if (told.get(step.replica) !== text) yield { type: 'moving', ...step };
        told.set(step.replica, text);
      }
      if (detach || (isSeen && left.length === 0)) return yield { type: 'done', cell: named, moved: gone.size };
      const now = performance.now();
      const stuck = left.filter(({ to }) => to === 'nowhere');
      stuckSinceMs = stuck.length > 0 && stuck.length === left.length ? (stuckSinceMs ?? now) : undefined;
      if (stuckSinceMs !== undefined && now - stuckSinceMs >= stuckMs) {
        const reasons = stuck.map(({ replica, reason }) => `${replica} can't move: ${reason}`);
        const hint = `make room for it, or take the cell back: osca cell resume ${named}`;
        return yield { type: 'failed', code: 'conflict', message: reasons.join('\n'), hint };
      }
      if (now - startMs >= timeoutMs) {
        const message = `${left.length} replicas are still on ${named}`;
        return yield { type: 'failed', code: 'timeout', message, hint: 'osca ps shows where they go' };
      }
      await bell.wait(500);
    }
  } catch (error) {
    const known = error instanceof OscaError;
    yield {
      ...{ type: 'failed', message: reasonOf(error) },
      ...{ code: known ? error.code : 'internal', hint: known ? error.hint : '' },
    };
  } finally {
    off();
  }
}

function leftOn(view: ClusterView, cell: string): { replica: string; to: string; state: string; reason: string }[] {
  const rows = replicaRows(view).filter(({ cellId, state }) => cellId === cell && state !== 'exited');
  return [...new Set(rows.map(({ replica }) => replica))].map((replica) => ({ replica, ...homeOf(view, replica) }));
}

function homeOf(view: ClusterView, replica: string): { to: string; state: string; reason: string } {
  const assignment = view.assignments.find((one) => one.replica === replica);
  if (assignment === undefined) return { to: 'stopped', state: '', reason: '' };
  const [app, service] = replica.split('/');
  const row = replicaRows(view, app, service).find((one) => one.replica === replica && one.current);
  if (assignment.cell === undefined) return { to: 'nowhere', state: '', reason: pendingReason(assignment.verdicts) };
  return { to: row?.cell ?? assignment.cell, state: row?.state ?? '', reason: row?.reason ?? '' };
}
