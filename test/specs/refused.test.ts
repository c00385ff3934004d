/** Files that are wrong, and what is said of them. */
import { execFileSync } from 'node:child_process';
import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSpec } from '../../src/specs/read.ts';
import { folder, problems, put, read } from './folder.ts';

describe('a wrong Compose file is refused by place', () => {
  const refused = (text: string) => problems(() => read(text))[0]!;

  it.each([
    ['a tab', 'services:\n\tweb: {image: a}\n', 2, 'tab'],
    ['an unknown key', 'services:\n  web:\n    image: a\n    comand: b\n', 4, 'no key'],
    ['an unsupported key', 'services:\n  web:\n    image: a\n    mac_address: 02:42:ac:11:65:43\n', 4, 'not supported'],
    [
      'a service to wait for that is not there',
      'services:\n  web:\n    image: a\n    depends_on: [db]\n',
      4,
      "no service 'db'",
    ],
    [
      'services that wait for each other',
      'services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n',
      ...[2, 'a → b → a'],
    ],
    [
      'an unknown condition',
      'services:\n  a: {image: x}\n  b:\n    image: x\n    depends_on: {a: {condition: up}}\n',
      5,
      'no condition',
    ],
    [
      'two networks',
      'services:\n  a: {image: x, networks: [one]}\n  b:\n    image: x\n    networks: [two]\nnetworks: {one: , two: }\n',
      5,
      'more than one network',
    ],
    [
      'another service’s network',
      'services:\n  web:\n    image: a\n    network_mode: service:db\n',
      4,
      'there is no service',
    ],
    [
      'two words for one limit',
      'services:\n  web:\n    image: a\n    cpus: 1\n    deploy: {resources: {limits: {cpus: 2}}}\n',
      4,
      'remove one',
    ],
    ['a strange platform', 'services:\n  web:\n    image: a\n    platform: windows/amd64\n', 4, 'linux/amd64'],
    ['a device that is none', 'services:\n  web:\n    image: a\n    devices: [ttyUSB0]\n', 4, 'no device'],
    [
      'a device for a process',
      'services:\n  web:\n    command: a\n    x-osca: {driver: process}\n    devices: [/dev/null]\n',
      5,
      'plain process',
    ],
    ['a wrong type', 'services:\n  web:\n    image: a\n    ports: 80\n', 4, 'must be a list'],
    ['a wrong value', 'services:\n  web:\n    image: a\n    ports:\n      - "80:http"\n', 5, 'no port'],
    [
      'a wrong range',
      'services:\n  web:\n    image: a\n    ports:\n      - target: 80\n        published: "80-zz"\n',
      6,
      'no port',
    ],
    ['no image', 'services:\n  web:\n    command: a\n', 2, 'neither image nor build'],
    ['an undeclared volume', 'services:\n  web:\n    image: a\n    volumes:\n      - data:/data\n', 5, 'not declared'],
    ['a missing env_file', 'services:\n  web:\n    image: a\n    env_file: none.env\n', 4, 'no file'],
    ['an empty file', '', 1, 'empty'],
    ['a duplicate key', 'services:\n  web: {image: a}\n  web: {image: b}\n', 3, 'unique'],
    [
      'a wrong constraint',
      'services:\n  web:\n    image: a\n    deploy:\n      placement:\n        constraints: [zone=attic]\n',
      6,
      'no constraint',
    ],
  ])('%s', (_what, text, line, words) => {
    const problem = refused(text);
    expect(problem.line).toBe(line);
    expect(problem.column).toBeGreaterThan(0);
    expect(`${problem.message} ${problem.hint}`.toLowerCase()).toContain(words);
  });

  it('names what was meant, and all mistakes at once', () => {
    const all = problems(() => read('services:\n  web:\n    imag: a\n    isolation: b\n'));
    expect(all.map(({ key }) => key)).toEqual(['services.web.imag', 'services.web.isolation']);
    expect(all[0]!.hint).toBe("did you mean 'image'?");
  });

  it('a cycle in extends', () => {
    expect(refused('services:\n  a: {image: x, extends: b}\n  b: {image: x, extends: a}\n').message).toContain(
      'a → b → a',
    );
  });

  it('five megabytes', () => {
    expect(refused(`# ${'x'.repeat(5_000_000)}\nservices: {web: {image: a}}\n`).message).toContain('larger than 1 MiB');
  });

  it('what is no file, or has no end: at once, and within bounded memory', () => {
    const huge = put('huge.yaml', '');
    truncateSync(huge, 2 ** 31);
    const pipe = join(folder, 'pipe.yaml');
    execFileSync('mkfifo', [pipe]);
    const before = process.memoryUsage().rss;
    expect(problems(() => readSpec({ file: huge, env: {}, profiles: [] }))[0]!.message).toContain('larger than 1 MiB');
    const readPipe = () => readSpec({ file: pipe, env: {}, profiles: [] });
    expect(readPipe).toThrow(`${pipe} can't be read: it is no file with text in it, but a folder, a pipe or a device`);
    const config = (file: string) =>
      refused(`services: {web: {image: a, configs: [c]}}\nconfigs: {c: {file: ${file}}}\n`).message;
    expect(config(huge)).toContain('is larger than 256 KiB');
    expect(config(pipe)).toContain('but a folder, a pipe or a device');
    expect(config('/dev/zero')).toContain('but a folder, a pipe or a device');
    expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000);
  });
});
