/** Commands are read one module at a time; who asks for one must get the one it is in. */
import { expect, it } from 'vitest';
import { modules, program } from '../../src/cli/program.ts';

it.each(modules.map(([names]) => names))('knows the module of: %s', async (names) => {
  for (const name of names.split(' ')) {
    const found = (await program(name)).commands.map((one) => one.name());
    expect(found).toEqual(name === 'completion' ? expect.arrayContaining(['deploy', name]) : names.split(' '));
  }
});

it('has all commands where none is asked for, or one that does not exist', async () => {
  const all = modules.flatMap(([names]) => names.split(' '));
  for (const word of [undefined, '--help', 'help', 'depoly'])
    expect((await program(word)).commands.map((one) => one.name())).toEqual(all);
});
