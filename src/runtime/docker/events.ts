/** What an engine says of the containers of a cell as it happens. */
import type { Exit } from '../../core/events.ts';
import { labelKeys } from './container.ts';

interface EngineEvent {
  Action?: string;
  status?: string;
  Actor?: { ID?: string; Attributes?: Record<string, string> };
}

export interface Death {
  id: string;
  replica: string;
  hash: string;
  /** Of one of several containers (container.ts); absent where it is the only one. */
  kind: string | undefined;
  exit: Exit;
}

export async function readEvents(stream: NodeJS.ReadableStream, onDeath: (death: Death) => void): Promise<void> {
  let rest = '';
  const oom = new Set<string>();
  for await (const chunk of stream) {
    rest += chunk.toString();
    const lines = rest.split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      if (line.trim() === '') continue;
      const event = JSON.parse(line) as EngineEvent;
      const action = event.Action ?? event.status;
      const attributes = event.Actor?.Attributes ?? {};
      const replica = attributes[labelKeys.replica];
      const hash = attributes[labelKeys.hash];
      if (replica === undefined || hash === undefined) continue;
      const of = `${replica}@${hash} ${attributes[labelKeys.part] ?? ''}`;
      if (action === 'oom') oom.add(of);
      if (action !== 'die' && action !== 'died') continue;
      const exitCode = Number(attributes.exitCode ?? attributes.containerExitCode ?? 0);
      const part = attributes[labelKeys.part] ?? '';
      const exit = { exitCode, oom: oom.delete(of), ...(part === '' ? {} : { part }) };
      onDeath({ id: event.Actor?.ID ?? '', replica, hash, kind: attributes[labelKeys.kind], exit });
    }
  }
}
