import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Fuses } from '../../src/runtime/process/fuses.ts';
import { until } from '../until.ts';

const sleeper = () => {
  const child = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
  return { pid: child.pid!, ended: () => child.signalCode !== null, end: () => child.kill() };
};

it('a fuse ends what is not put off in time, and nothing else', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'osca-fuses-'));
  const fuses = new Fuses({ folder, engine: '/nowhere' });
  const [late, kept, out] = [sleeper(), sleeper(), sleeper()];
  const life = ({ pid }: { pid: number }) => ({ pid, isGroup: true, id: 'none' });
  fuses.light('a/db/1@h', [life(late)], 300);
  fuses.light('b/db/1@h', [life(kept)], 300);
  fuses.light('b/db/1@h', [life(kept)], 60_000);
  fuses.light('c/db/1@h', [life(out)], 300);
  fuses.putOut('c/db/1@h');
  await until('the late one ends', () => late.ended());
  expect(kept.ended()).toBe(false);
  expect(out.ended()).toBe(false);
  await until('its file is gone', () => readdirSync(folder).filter((name) => !name.startsWith('.')).length === 1);
  fuses.putOut('b/db/1@h');
  for (const one of [kept, out]) one.end();
});

it('of several lives of one unit, whose order changes, each is put off for itself', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'osca-fuses-'));
  const fuses = new Fuses({ folder, engine: '/nowhere' });
  const [first, peer, late] = [sleeper(), sleeper(), sleeper()];
  const life = ({ pid }: { pid: number }) => ({ pid, isGroup: true, id: `c${pid}` });
  fuses.light('a/web/1@h', [life(peer), life(first)], 300);
  // The peer has gone: what was second is first now.
  fuses.light('a/web/1@h', [life(first)], 60_000);
  fuses.light('b/web/1@h', [life(late)], 400);
  await until('the late one ends', () => late.ended());
  expect(first.ended()).toBe(false);
  fuses.putOut('a/web/1@h');
  for (const one of [first, peer]) one.end();
});

it('the watchdog lives on without the daemon, and spares a stranger who has the pid now', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'osca-fuses-'));
  const victim = sleeper();
  const script = `
    import { Fuses } from ${JSON.stringify(join(import.meta.dirname, '../../src/runtime/process/fuses.ts'))};
    new Fuses({ folder: ${JSON.stringify(folder)}, engine: '' }).light('a/db/1@h', [{ pid: ${victim.pid}, isGroup: true, id: 'x' }], 1500);
    process.kill(process.pid, 'SIGKILL');`;
  spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
  await until('it ends without its daemon', () => victim.ended());
});
