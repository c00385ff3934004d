/**
 * What runs by a lease must end with it, also when the daemon is dead or stopped. A watchdog of a few lines of `sh`, with a
 * life of its own, reads one small file per unit (when it ends, by the kernel's uptime, which no clock change moves) and kills
 * what was not put off in time. It ends when no file is left.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contentHash } from '../../core/hash.ts';
import type { Life } from '../../core/ports.ts';
import { startTimeOf } from './proc.ts';

// Lines: UNTIL PID START SIGN ID. The pid counts only while its start time is the same. Where it is 0, or may not be killed,
// the engine is asked.
const watchdog = `
dir=$1
ask() {
  curl -sf -m 3 -X POST --unix-socket "$ENGINE" "http://engine/containers/$id/kill" || docker kill "$id" || podman kill "$id"
}
end() {
  [ "$pid" != 0 ] || { ask; return $?; }
  read -r line < "/proc/$pid/stat" || return 0
  set -- \${line##*) }
  [ "\${20}" = "$start" ] || return 0
  kill -s KILL -- "\${sign#+}$pid" || ask
}
echo $$ > "$dir/.pid"
while read -r mine < "$dir/.pid" && [ "$mine" = "$$" ]; do
  read -r up _ < /proc/uptime
  now=\${up%.*}\${up#*.}
  any=
  for file in "$dir"/*; do
    [ -f "$file" ] || continue
    any=1
    read -r until pid start sign id < "$file" || continue
    [ "$now" -ge "$until" ] || continue
    # What could not be ended is tried again for a minute.
    if end >/dev/null 2>&1 || [ "$now" -ge $((until + 6000)) ]; then rm -f "$file"; fi
  done
  [ -n "$any" ] || exit 0
  sleep 0.5
done
`;

export interface FusesOptions {
  folder: string;
  /** Socket of the engine, for a watchdog that may not kill containers itself. */
  engine: string;
}

export class Fuses {
  readonly #options: FusesOptions;
  #watchdog: ChildProcess | undefined;

  constructor(options: FusesOptions) {
    this.#options = options;
  }

  /** Ends what has these lives after `forMs`, unless it is said again or put out. Throws where it can't be written. */
  light(key: string, lives: readonly Life[], forMs: number): void {
    // Named by what it ends: of several containers one may go, and the others' order with it.
    const written = new Set(lives.map((life) => `${nameOf(key)}+${contentHash(life.id, 12)}`));
    for (const life of lives) this.#light(`${nameOf(key)}+${contentHash(life.id, 12)}`, life, forMs);
    for (const file of this.#filesOf(key))
      if (!written.has(file)) rmSync(join(this.#options.folder, file), { force: true });
  }

  #light(name: string, { pid, isGroup, id }: Life, forMs: number): void {
    const start = pid === 0 ? '-' : startTimeOf(pid);
    if (start === undefined) return;
    const { folder } = this.#options;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
    const until = Math.floor((uptime + forMs / 1_000) * 100);
    writeFileSync(join(folder, `.${name}`), `${until} ${pid} ${start} ${isGroup ? '-' : '+'} ${id}\n`, { mode: 0o600 });
    renameSync(join(folder, `.${name}`), join(folder, name));
    const { exitCode, signalCode } = this.#watchdog ?? { exitCode: 0, signalCode: null };
    if (exitCode !== null || signalCode !== null) this.#watch();
  }

  putOut(key: string): void {
    for (const file of this.#filesOf(key)) rmSync(join(this.#options.folder, file), { force: true });
  }

  #filesOf(key: string): string[] {
    const { folder } = this.#options;
    return existsSync(folder) ? readdirSync(folder).filter((file) => file.startsWith(`${nameOf(key)}+`)) : [];
  }

  #watch(): void {
    const { folder, engine } = this.#options;
    const socket = `unix://${engine}`;
    const path = process.env.PATH ?? '/usr/bin:/bin';
    const env = { PATH: path, ENGINE: engine, DOCKER_HOST: socket, CONTAINER_HOST: socket };
    this.#watchdog = spawn('/bin/sh', ['-c', watchdog, 'osca-fuses', folder], { env, detached: true, stdio: 'ignore' });
    this.#watchdog.on('error', () => {});
    this.#watchdog.unref();
  }
}

const nameOf = (key: string): string => key.replaceAll('/', '_');
