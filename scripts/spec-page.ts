/** Prints docs/SPEC.md from the key table, so that the page is never behind the code. Run: node scripts/spec-page.ts > docs/SPEC.md */
import { composeKeys } from '../src/specs/compose-keys.ts';

export function specPage(): string {
  const rows = composeKeys.filter(({ path }) => path !== '');
  const line = ({ path, types, class: kind, note }: (typeof rows)[number]): string =>
    `| \`${path}\` | ${kind === 'refused' ? '' : types.join(', ')} | ${kind} | ${note.replaceAll('|', '\\|')} |`;
  return `# Compose files

Every key of the Compose Specification, and what becomes of it. *works*: as the specification says. *translated*: as the note
says. *refused*: the file is not deployed, and the error names file, line, column and what to do. \`*\` stands for a name of
yours, \`[]\` for an item of a list. Keys that start with \`x-\` are ignored, except \`x-osca\`.

A spec arrives by \`osca deploy FILE\`, or as a file copied into the \`specs/\` folder of a cell's data folder.

| key | types | class | meaning |
|---|---|---|---|
${rows.map(line).join('\n')}
`;
}

if (process.argv[1]?.endsWith('spec-page.ts')) process.stdout.write(specPage());
