/** A deploy, or the way back to an earlier revision, as it goes: until all runs and stays, one fails for good, or time is up. */
import type { ErrorCode } from '../core/errors.ts';
import { OscaError, reasonOf } from '../core/errors.ts';
import type { AppState, Revision } from '../core/model.ts';
import { updateDefaults } from '../core/spec.ts';
import type { Deployment, DeployRequest } from '../node/deployer.ts';
import { Bell } from './bell.ts';
import type { ApiDeps } from './context.ts';
import { replicaLogs } from './follow.ts';
import type { ReplicaRow } from './rows.ts';
import { allRows, isFine, replicaRows } from './rows.ts';

export type DeployStep =
  | { type: 'progress' | 'warning'; text: string }
  | { type: 'accepted'; app: string; revision: string; number: number }
  | { type: 'replica'; row: ReplicaRow }
  | { type: 'done'; app: string; replicas: number; ms: number }
  | { type: 'failed'; code: ErrorCode; message: string; hint: string; replica?: string; cell?: string; log: string[] };

interface FollowOptions {
  detach: boolean;
  timeoutMs: number;
}

type Made = Omit<Deployment, 'app'> & { app: string };

/** A pending replica is given this long: a veto or a member may still be on its way. */
const pendingGraceMs = 2_500;
/** Where something failed, whoever leads the rollout is given this long to take it back. */
const verdictGraceMs = 10_000;

/** Deploys, then tells of each replica until all run and stay. */
export async function* deploySteps(
  deps: ApiDeps,
  request: DeployRequest,
  options: FollowOptions,
): AsyncGenerator<DeployStep> {
  yield* followed(deps, options, async (progress) => {
    const made = await deps.deployer.deploy(request, progress);
    return { ...made, app: made.app.name };
  });
}

/** Runs an earlier revision again. */
export async function* rollbackSteps(
  deps: ApiDeps,
  request: { app: string; to?: string; by: string },
  options: FollowOptions,
): AsyncGenerator<DeployStep> {
  yield* followed(deps, options, async (progress) => {
    const { value, warning } = await deps.host.ask({ op: 'rollback', ...request });
    progress(`${request.app}: from revision ${String(value.from)} back to ${String(value.to)}`);
    return {
      ...{ app: request.app, revision: String(value.revision), seq: Number(value.seq), atMs: Number(value.atMs) },
      warnings: warning === undefined ? [] : [warning],
    };
  });
}

async function* followed(
  deps: ApiDeps,
  { detach, timeoutMs }: FollowOptions,
  make: (progress: (text: string) => void) => Promise<Made>,
): AsyncGenerator<DeployStep> {
  const startMs = performance.now();
  const texts: string[] = [];
  const bell = new Bell();
  let made: Made | undefined;
  let failure: unknown;
  make((text) => {
    texts.push(text);
    bell.ring();
  })
    .then(
      (value) => (made = value),
      (error: unknown) => (failure = error),
    )
    .finally(bell.ring);
  const off = deps.host.onChange(bell.ring);
  try {
    while (made === undefined) {
      for (const text of texts.splice(0)) yield { type: 'progress', text };
      if (failure !== undefined) throw failure;
      await bell.wait(1_000);
    }
    for (const text of texts.splice(0)) yield { type: 'progress', text };
    for (const text of made.warnings) yield { type: 'warning', text };
    yield { type: 'accepted', app: made.app, revision: made.revision, number: made.seq };
    if (!detach) yield* untilRunning(deps, made, bell, startMs, timeoutMs);
  } catch (error) {
    const known = error instanceof OscaError;
    yield {
      type: 'failed',
      code: known ? error.code : 'internal',
      message: reasonOf(error),
      hint: known ? error.hint : '',
      log: [],
    };
  } finally {
    off();
  }
}

async function* untilRunning(
  deps: ApiDeps,
  { app, revision, seq, atMs }: Made,
  bell: Bell,
  startMs: number,
  timeoutMs: number,
): AsyncGenerator<DeployStep> {
  const told = new Map<string, string>();
  // The view shows it once placement has seen it; an earlier deploy of the same spec had another number and time.
  const isMine = (one: Revision): boolean => one.id === revision && one.seq === seq && one.atMs === atMs;
  let placed = false;
  let isWatched = false;
  let [pendingMs, failedMs]: (number | undefined)[] = [];
  let wrong: DeployStep | undefined;
  for (;;) {
    const view = deps.host.view();
    const state = view.apps.find(({ name }) => name === app);
    if (placed && state === undefined)
      throw new OscaError(
        'conflict',
        `${app} was removed while it was being deployed`,
        'deploy it again if it should run',
      );
    placed ||=
      state !== undefined && (isMine(state.revision) || state.history.some(isMine) || state.revision.seq > seq);
    const now = performance.now();
    if (placed && state?.undone !== undefined && isMine(state.undone))
      return yield takenBack(state, wrong ?? (await hookFailureOf(deps, state)));
    const rows = replicaRows(view, app).filter(({ current }) => current && placed);
    const waitsForHook = state?.next !== undefined && isMine(state.next);
    const refused = Object.values(state?.withheld ?? {}).find((why) => why.startsWith('pre_deploy'));
    if (placed && refused !== undefined && isMine(state!.revision))
      return yield notBegun(state!, refused, wrong ?? (await hookFailureOf(deps, state!)));
    // What falls again and again looks fine for moments.
    const holds = state?.paused !== undefined && (state.paused.by === '' || !rows.every(isFine));
    if (placed && holds && isMine(state.revision)) return yield stopped(state, wrong);
    for (const row of rows) {
      const text = `${row.cell} ${row.state} ${row.reason}`;
      if (told.get(row.replica) === text) continue;
      told.set(row.replica, text);
      yield { type: 'replica', row };
    }
    if (placed && rows.every(isFine) && !waitsForHook) {
      if (!isOnTrial(state!, isMine) || state!.paused !== undefined)
        return yield { type: 'done', app, replicas: rows.length, ms: Math.round(now - startMs) };
      if (!isWatched) yield { type: 'progress', text: `all run; a while to see that they stay` };
      isWatched = true;
    }
    const pending = rows.find(({ state }) => state === 'pending');
    pendingMs = pending === undefined ? undefined : (pendingMs ?? now);
    const late = now - startMs >= timeoutMs;
    if (late && !placed)
      throw new OscaError(
        'timeout',
        `${app} was accepted, but this cell has not placed it in time`,
        'osca ps shows how it is',
      );
    if (late && rows.every(isFine) && !waitsForHook)
      return yield { type: 'done', app, replicas: rows.length, ms: Math.round(now - startMs) };
    const fallen = rows.find((row) => (row.state === 'backoff' && row.restarts > 0) || isFailedHook(row));
    if (fallen !== undefined) wrong ??= await failureOf(deps, fallen, false);
    const failed =
      rows.find(isHopeless) ??
      (pendingMs !== undefined && now - pendingMs >= pendingGraceMs ? pending : undefined) ??
      (late ? rows.find((row) => !isFine(row)) : undefined);
    failedMs = failed === undefined ? undefined : (failedMs ?? now);
    const hookFailed = failed !== undefined && isFailedHook(failed);
    const isAwaited = state !== undefined && (hookFailed || mayBeTakenBack(state, isMine)) && !late;
    if (failed !== undefined && !(isAwaited && now - failedMs! < verdictGraceMs))
      return yield await failureOf(deps, failed, late);
    await bell.wait(Math.min(500, Math.max(1, timeoutMs - (now - startMs))));
  }
}

/** Something ran before it: its rollout is not over when all run, but when they stay. */
const isOnTrial = ({ history, revision }: AppState, isMine: (one: Revision) => boolean): boolean =>
  isMine(revision) && revision.outcome === undefined && history.some(({ id }) => id !== revision.id);

/** Will somebody decide on what failed? */
const mayBeTakenBack = (state: AppState, isMine: (one: Revision) => boolean): boolean =>
  state.insists !== true &&
  isOnTrial(state, isMine) &&
  state.revision.spec.services.some(({ update }) => ({ ...updateDefaults, ...update }).onFailure !== 'continue');

function takenBack({ name, undone, revision }: AppState, wrong: DeployStep | undefined): DeployStep {
  return {
    ...{ type: 'failed', code: 'start-failed', log: wrong?.type === 'failed' ? wrong.log : [] },
    message: `${undone!.outcome?.reason ?? ''}; revision ${undone!.seq} is rolled back, ${name} runs revision ${revision.seq} again`,
    hint: `mend it and deploy again; osca history ${name} shows its revisions`,
  };
}

function stopped({ name, revision, paused }: AppState, wrong: DeployStep | undefined): DeployStep {
  return {
    ...{ type: 'failed', code: 'start-failed', log: wrong?.type === 'failed' ? wrong.log : [] },
    message: `${paused!.reason}; ${name} is paused on its way to revision ${revision.seq}`,
    hint: `osca resume ${name} goes on all the same, osca rollback ${name} goes back`,
  };
}

function notBegun({ name }: AppState, why: string, wrong: DeployStep | undefined): DeployStep {
  return {
    ...{ type: 'failed', code: 'start-failed', log: wrong?.type === 'failed' ? wrong.log : [] },
    message: `${why}; the service does not begin`,
    hint: `mend it and deploy again; osca runs ${name} shows what ran`,
  };
}

/** Whoever waits for it decides what comes of it. */
const isFailedHook = ({ service, state, reason }: ReplicaRow): boolean =>
  service.includes('.pre-') && state === 'exited' && reason !== 'exit code 0';

/** What the last hook that failed wrote: the verdict on it may be seen before its end is. */
async function hookFailureOf(deps: ApiDeps, { name, runs }: AppState): Promise<DeployStep | undefined> {
  const failed = runs.find(({ cause, state }) => cause === 'pre_deploy' && state === 'failed');
  const row = failed === undefined ? undefined : allRows(deps.host.view(), name, failed.name)[0];
  return row === undefined ? undefined : await failureOf(deps, row, false);
}

/** Falls again and again, gave up, or was found unhealthy. */
const isHopeless = ({ state, restarts, reason }: ReplicaRow): boolean =>
  // Told while it is being stopped: its log is still there.
  ((state === 'backoff' || state === 'stopping') && reason.startsWith('unhealthy')) ||
  (state === 'backoff' && restarts >= 2) ||
  (state === 'exited' && reason !== 'exit code 0');

async function failureOf(deps: ApiDeps, row: ReplicaRow, late: boolean): Promise<DeployStep> {
  const log: string[] = [];
  if (row.state !== 'pending') {
    const query = { follow: false, tail: 10, signal: AbortSignal.timeout(3_000) };
    try {
      for await (const line of replicaLogs(deps, row, query)) log.push(line.text);
    } catch {
      // The lines are a help, not a must.
    }
  }
  const what = row.reason === '' ? row.state : row.reason;
  const where = row.cell === '' ? '' : ` on ${row.cell}`;
  const message = late ? `${row.replica}${where} is not ready in time: ${what}` : `${row.replica}${where}: ${what}`;
  const hint =
    row.state === 'pending'
      ? `osca why ${row.app}/${row.service} tells more`
      : `osca logs ${row.app}/${row.service} shows all it wrote; what ran before keeps running`;
  return {
    type: 'failed',
    code: late ? 'timeout' : 'start-failed',
    message,
    hint,
    replica: row.replica,
    cell: row.cell,
    log: log.slice(-10),
  };
}
