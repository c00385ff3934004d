/** What goes through `osca exec` on another cell is whole, however much it is and however slowly it is read. */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../until.ts';
import { TestCell } from './cells.ts';

const [ada, bob] = [new TestCell('ada'), new TestCell('bob')];
const bytes = 40_000_000;

beforeAll(async () => {
  await ada.up('--found');
  const { ticket } = await ada.json<{ ticket: string }>('ticket', 'create');
  await bob.up('--ticket', ticket);
  await until('two cells', async () => (await ada.json<{ alive: number }>('status')).alive === 2);
  await ada.ok('cell', 'label', 'bob', 'here=yes');
  const file = ada.file(
    'one.yaml',
    [
      'name: one',
      'services:',
      '  box:',
      '    command: sleep 1000',
      '    deploy: {placement: {constraints: [node.labels.here == yes]}}',
      '    x-osca: {driver: process}',
    ].join('\n'),
  );
  await ada.ok('deploy', file);
}, 60_000);
afterAll(async () => {
  for (const cell of [ada, bob]) await cell.stop();
});

async function shell(text: string): Promise<string> {
  const child = spawn('sh', ['-c', text], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await new Promise((done) => child.once('close', done));
  return output.trim();
}

it.each([
  ['read at once', 'wc -c'],
  ['read late', '(sleep 2; wc -c)'],
])('output %s', async (_words, reader) => {
  const exec = `${ada.launcher} --data ${ada.folder} exec one/box --`;
  expect(await shell(`${exec} head -c ${bytes} /dev/zero | ${reader}`)).toBe(String(bytes));
});

it.each([
  ['read at once', 'wc -c'],
  ['read late', 'sleep 2; wc -c'],
])('input %s', async (_words, reader) => {
  const exec = `${ada.launcher} --data ${ada.folder} exec one/box --`;
  expect(await shell(`head -c ${bytes} /dev/zero | ${exec} sh -c '${reader}'`)).toBe(String(bytes));
});

it('errors, and the exit code', async () => {
  const exec = `${ada.launcher} --data ${ada.folder} exec one/box --`;
  const text = `(${exec} sh -c 'head -c ${bytes} /dev/zero >&2; exit 7'; echo $? >&3) 2>&1 >/dev/null | (sleep 2; wc -c)`;
  expect(await shell(`exec 3>&1; ${text}`)).toBe(`7\n${bytes}`.split('\n').sort().reverse().join('\n'));
});

it('ends with its command, whatever still comes in', async () => {
  const exec = `${ada.launcher} --data ${ada.folder} exec one/box --`;
  expect(await shell(`yes | ${exec} head -c 2`)).toBe('y');
}, 20_000);

it('ends the command when the one who asked is gone, also while it is held back', async () => {
  const exec = `${ada.launcher} --data ${ada.folder} exec one/box --`;
  // More than any buffer holds goes to one who does not read, and then its sender is gone.
  const mark = `sleep 98765.${process.pid}`;
  const child = spawn('sh', ['-c', `head -c ${bytes} /dev/zero | exec timeout -s KILL 3 ${exec} ${mark}`], {
    stdio: 'ignore',
  });
  await until('it runs', async () => (await shell(`pgrep -f "^${mark}" || true`)) !== '');
  await new Promise((done) => child.once('close', done));
  await until('it is gone', async () => (await shell(`pgrep -f "^${mark}" || true`)) === '', 20_000);
}, 40_000);

it('does not wait for a child that keeps the output open', async () => {
  const exec = `${ada.launcher} --data ${ada.folder} exec one/box --`;
  expect(await shell(`${exec} sh -c 'sleep 30 & echo done'`)).toBe('done');
}, 10_000);
