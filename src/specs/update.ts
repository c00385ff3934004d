/** deploy.update_config and deploy.rollback_config: how a change goes through a service. */

import type { UpdatePolicy } from '../core/spec.ts';
import type { Report } from './context.ts';
import type { Raw } from './extend.ts';
import { parseDuration } from './values.ts';

const orders = ['start-first', 'stop-first'];
const actions = { update_config: ['rollback', 'pause', 'continue'], rollback_config: ['pause', 'continue'] };

/** What the file says; undefined where it says nothing. */
export function policyOf(
  config: Raw | undefined,
  key: keyof typeof actions,
  report: Report,
): Partial<UpdatePolicy> | undefined {
  if (config === undefined) return undefined;
  const policy: Partial<UpdatePolicy> = {};
  const refuse = (name: string, message: string, hint: string): void => report(['deploy', key, name], message, hint);
  if (config.parallelism !== undefined) {
    policy.parallelism = Number(config.parallelism);
    if (policy.parallelism < 0) refuse('parallelism', 'must be 0 or more', '0 changes all at once');
  }
  if (config.delay !== undefined) policy.delayMs = parseDuration(String(config.delay))!;
  if (config.monitor !== undefined) policy.monitorMs = parseDuration(String(config.monitor))!;
  if (config.max_failure_ratio !== undefined) {
    policy.maxFailureRatio = Number(config.max_failure_ratio);
    if (policy.maxFailureRatio < 0 || policy.maxFailureRatio > 1)
      refuse('max_failure_ratio', `${policy.maxFailureRatio} is no part of the whole`, 'write 0 to 1');
  }
  if (config.order !== undefined) {
    policy.order = String(config.order) as UpdatePolicy['order'];
    if (!orders.includes(policy.order)) refuse('order', `'${policy.order}' is no order`, `use ${orders.join(' or ')}`);
  }
  if (config.failure_action !== undefined) {
    policy.onFailure = String(config.failure_action) as UpdatePolicy['onFailure'];
    if (!actions[key].includes(policy.onFailure))
      refuse('failure_action', `'${policy.onFailure}' can't be done`, `use ${actions[key].join(' or ')}`);
  }
  return policy;
}
