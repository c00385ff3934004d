/** What an engine gets to build from: the folder, without what .dockerignore leaves out (docs.docker.com: build/concepts/context). */
import { execFileSync } from 'node:child_process';
import { createWriteStream, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { packContext } from '../../src/runtime/docker/context.ts';

async function packed(files: Record<string, string>, request: { dockerfile?: string; inline?: string } = {}) {
  const context = mkdtempSync(join(tmpdir(), 'osca-context-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(context, path)), { recursive: true });
    writeFileSync(join(context, path), text);
  }
  symlinkSync('gone', join(context, 'link'));
  const { stream, dockerfile } = await packContext({ context, ...request });
  const archive = join(mkdtempSync(join(tmpdir(), 'osca-packed-')), 'context.tar');
  await pipeline(stream, createWriteStream(archive));
  const tar = (...args: string[]): string => execFileSync('tar', ['--force-local', ...args], { encoding: 'utf8' });
  const lines = tar('-tvf', archive).split('\n');
  const names = lines.flatMap((line) => /^[-l].*:\d\d (.*?)(?: -> .*)?$/.exec(line)?.[1] ?? []);
  const folders = lines.flatMap((line) => /^d.*:\d\d (.*?)\/?$/.exec(line)?.[1] ?? []);
  return { names: names.sort(), folders, dockerfile, read: (name: string) => tar('-xOf', archive, name) };
}

const app = {
  Dockerfile: 'FROM scratch\n',
  '.env': 'PASSWORD=x',
  'src/main.js': '',
  'src/main.log': '',
  'node_modules/a/index.js': '',
  'docs/README.md': '',
  'docs/long.md': '',
};

describe('the context of a build', () => {
  it('is the whole folder where nothing is left out', async () => {
    const { names, dockerfile } = await packed(app);
    for (const name of Object.keys(app)) expect(names).toContain(name);
    expect(names).toContain('link');
    expect(dockerfile).toBe('Dockerfile');
  });

  it('is without what .dockerignore names, at any depth', async () => {
    const { names } = await packed({ ...app, '.dockerignore': '# not these\nnode_modules\n.env\n**/*.log\n' });
    const rest = ['docs/README.md', 'docs/long.md', 'link', 'src/main.js'];
    expect(names).toEqual(['.dockerignore', 'Dockerfile', ...rest]);
  });

  it('has again what a later line brings back, also from a folder that is left out', async () => {
    const { names } = await packed({ ...app, '.dockerignore': '*\n!src\n!docs/README.md\nsrc/*.log\n' });
    expect(names).toEqual(['.dockerignore', 'Dockerfile', 'docs/README.md', 'src/main.js']);
  });

  it('has again what a pattern brings back, and nothing beside it', async () => {
    const files = {
      ...{ Dockerfile: '', 'packages/a/package.json': '', 'packages/a/index.js': '', 'packages/notes.md': '' },
      ...{ 'packages/b/deep/package.json': '', 'lib/x.go': '', 'lib/x.js': '' },
    };
    const some = async (lines: string) => (await packed({ ...files, '.dockerignore': lines })).names;
    const always = ['.dockerignore', 'Dockerfile'];
    expect(await some('*\n!packages/*/package.json\n')).toEqual([...always, 'packages/a/package.json']);
    expect(await some('*\n!./packages//b/\n')).toEqual([...always, 'packages/b/deep/package.json']);
    expect(await some('*\n!**/*.go\n')).toEqual([...always, 'lib/x.go']);
  });

  it('takes letters that mean something elsewhere as they are, and says which line is no pattern', async () => {
    const files = { Dockerfile: '', 'c++': '', c: '', 'copy (1).env': '', 'a^b': '', ab: '', 'x|y': '', z: '' };
    const { names } = await packed({ ...files, '.dockerignore': 'c++\ncopy (1).env\na^b\nx|y\n[^a-y]\n' });
    expect(names).toEqual(['.dockerignore', 'Dockerfile', 'ab', 'c', 'link']);
    await expect(packed({ ...files, '.dockerignore': 'foo\n[abc\n' })).rejects.toThrow(
      /^\.dockerignore:2: "\[abc" is no pattern: .*a "\[" needs its "\]"/,
    );
  });

  it('ends with an error where a file can not be read, or is shorter than it said', async () => {
    const drained = async (context: string): Promise<void> =>
      await pipeline((await packContext({ context })).stream, createWriteStream('/dev/null'));
    // The kernel says 4096 bytes of each file of these, and has fewer, or none for now.
    await expect(drained('/sys/devices/virtual/net/lo/queues')).rejects.toThrow();
    await expect(drained('/sys/devices/virtual/net/lo')).rejects.toThrow();
  }, 5_000);

  it('does not look into a folder that is left out for what is brought back elsewhere', async () => {
    const { folders } = await packed({ ...app, '.dockerignore': 'node_modules\ndocs\n!.env\n!docs/README.md\n' });
    expect(folders).toContain('docs');
    expect(folders).not.toContain('node_modules');
  });

  it('goes by the file of its Dockerfile’s own where there is one', async () => {
    const files = { ...app, 'small.Dockerfile': 'FROM scratch\n', '.dockerignore': '.env\n' };
    const own = { ...files, 'small.Dockerfile.dockerignore': '*\n!src\n!.dockerignore\n' };
    const { names } = await packed(own, { dockerfile: 'small.Dockerfile' });
    expect(names).toEqual(['small.Dockerfile', 'small.Dockerfile.dockerignore', 'src/main.js', 'src/main.log']);
  });

  it('has a Dockerfile that lies outside of it', async () => {
    const elsewhere = join(mkdtempSync(join(tmpdir(), 'osca-elsewhere-')), 'web.Dockerfile');
    writeFileSync(elsewhere, 'FROM scratch\n# outside\n');
    const { names, dockerfile, read } = await packed({ 'src/main.js': '' }, { dockerfile: elsewhere });
    expect(names).toEqual(['.dockerignore', dockerfile, 'link', 'src/main.js']);
    expect(read(dockerfile)).toContain('# outside');
    await expect(packed(app, { dockerfile: '../gone' })).rejects.toThrow('gone');
  });

  it('does not follow links, also those that lead in circles', async () => {
    const context = mkdtempSync(join(tmpdir(), 'osca-context-'));
    symlinkSync('.', join(context, 'again'));
    writeFileSync(join(context, '.dockerignore'), '*\n!again/x\n');
    const { stream } = await packContext({ context });
    await expect(pipeline(stream, createWriteStream('/dev/null'))).resolves.toBeUndefined();
  });

  it('has a Dockerfile that stands in no file in place of the one that does', async () => {
    const inline = 'FROM scratch\nCOPY src /\n';
    const { names, dockerfile, read } = await packed({ ...app, '.dockerignore': '*\n!src\n' }, { inline });
    expect(names).toEqual(['.dockerignore', dockerfile, 'src/main.js', 'src/main.log']);
    expect(read(dockerfile)).toBe(inline);
  });
});
