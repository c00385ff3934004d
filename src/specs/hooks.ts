/** What runs in a container after its start and before its end. */

import type { CommandHook, ServiceSpec } from '../core/spec.ts';
import type { Report } from './context.ts';
import type { Raw } from './extend.ts';
import { isRaw, pairs } from './extend.ts';
import type { Path } from './source.ts';
import { splitCommand } from './values.ts';

export function hooksOf(service: Raw, report: Report): Pick<ServiceSpec, 'postStart' | 'preStop'> {
  const [postStart, preStop] = (['post_start', 'pre_stop'] as const).map((key) =>
    (Array.isArray(service[key]) ? service[key] : []).map((item: unknown, i) => hookOf(item, [key, i], report)),
  ) as [CommandHook[], CommandHook[]];
  return { ...(postStart.length === 0 ? {} : { postStart }), ...(preStop.length === 0 ? {} : { preStop }) };
}

function hookOf(item: unknown, path: Path, report: Report): CommandHook {
  const { command, user, working_dir: workingDir, privileged, environment } = isRaw(item) ? item : {};
  const words = Array.isArray(command) ? command.map(String) : splitCommand(String(command ?? ''));
  if (words === undefined || words.length === 0) report(path, 'has no command', 'write command: [program, argument]');
  const named = Object.entries(pairs(environment)).map(([key, value]) => [key, String(value ?? '')]);
  return {
    command: words ?? [],
    ...(user === undefined ? {} : { user: String(user) }),
    ...(workingDir === undefined ? {} : { workingDir: String(workingDir) }),
    ...(privileged === true || privileged === 'true' ? { privileged: true } : {}),
    ...(named.length === 0 ? {} : { environment: Object.fromEntries(named) as Record<string, string> }),
  };
}
