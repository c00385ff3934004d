/** A deploy as it goes, drawn for people or as lines of JSON. */
import type { DeployStep } from '../api/deploying.ts';
import type { ReplicaRow } from '../api/rows.ts';
import { OscaError } from '../core/errors.ts';
import { bold, dim, green, LiveBlock, red, say, stateColour, warn, yellow } from './render.ts';
import { exitCodeOf } from './shared.ts';

export const tellSteps = async (steps: AsyncGenerator<DeployStep>, asJson: boolean): Promise<void> =>
  await (asJson ? printSteps(steps) : drawSteps(steps));

async function printSteps(steps: AsyncGenerator<DeployStep>): Promise<void> {
  let ended: DeployStep['type'] | undefined;
  for await (const step of steps) {
    say(JSON.stringify(step));
    ended = step.type;
    if (step.type === 'failed') process.exitCode = exitCodeOf(step.code);
  }
  if (ended !== 'done' && ended !== 'accepted' && ended !== 'failed') process.exitCode = 3;
}

async function drawSteps(steps: AsyncGenerator<DeployStep>): Promise<void> {
  const rows = new Map<string, ReplicaRow>();
  const block = new LiveBlock();
  let ended = false;
  for await (const step of steps) {
    if (step.type === 'failed') return fail(step);
    if (step.type === 'progress') say(dim(step.text));
    else if (step.type === 'warning') warn(yellow(`warning: ${step.text}`));
    if (step.type === 'accepted') {
      ended = true;
      say(`${bold(step.app)} revision ${step.number} (${step.revision}) accepted`);
    } else if (step.type === 'replica') {
      ended = false;
      rows.set(step.row.replica, step.row);
      if (!process.stdout.isTTY) say(rowText(step.row));
      block.draw([...rows.values()].map(rowText));
    } else if (step.type === 'done') {
      ended = true;
      say(green(`${step.app}: ${step.replicas} of ${step.replicas} replicas run (${(step.ms / 1_000).toFixed(2)} s)`));
    }
  }
  if (!ended) throw new OscaError('daemon-away', 'the daemon broke off', 'osca ps shows what became of it');
}

const rowText = ({ service, index, cell, state, reason }: ReplicaRow): string =>
  `  ${`${service}/${index}`.padEnd(16)} ${cell.padEnd(12)} ${stateColour(state)}${reason === '' ? '' : dim(`  ${reason}`)}`;

function fail(step: DeployStep & { type: 'failed' }): void {
  warn(red(`failed: ${step.message}`));
  if (step.log.length > 0) warn(`last lines of its log:\n${step.log.map((line) => `  | ${line}`).join('\n')}`);
  if (step.hint !== '') warn(`  ${step.hint}`);
  process.exitCode = exitCodeOf(step.code);
}
