/** Puts the settings of a board in place: each file whole or not at all, and none where something in `osca.yaml` is wrong. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { OscaError, reasonOf, SpecError, wordsOf } from '../../core/errors.ts';
import { Source } from '../../specs/source.ts';
import type { BoardFacts, BoardSettings } from '../settings.ts';
import { filesOf, readSettings } from '../settings.ts';

export interface Applied {
  name: string;
  /** Paths of files that are other than before. */
  changed: string[];
}

/** What is wrong is written beside `osca.yaml` too, for whoever reads the card. */
const errorsFile = 'osca-errors.txt';

/** Of a system below `root`. Throws SpecError where the file is wrong, with nothing changed. */
export function applyBoard(root: string): Applied {
  const boot = join(root, 'boot/firmware');
  const facts = factsOf(root);
  const [errors, shown] = [join(boot, errorsFile), join(root, 'run', errorsFile)];
  let settings: BoardSettings;
  try {
    settings = readSettings(
      sourceOf(join(boot, 'osca.yaml'), !existsSync(join(root, 'etc/default/osca-board'))),
      facts,
    );
  } catch (error) {
    const said = `${inFile(error)}\n`;
    tryTo(() => writeFileSync(shown, said));
    // A card that can't be written says it on the screen alone.
    tryTo(() => writeFileSync(errors, said.replaceAll('\n', '\r\n')));
    throw error;
  }
  for (const path of [errors, shown]) tryTo(() => rmSync(path, { force: true }));
  const files = [
    ...filesOf(settings, facts),
    { path: '/etc/default/osca-board', text: '# osca.yaml was applied.\n', mode: 0o644 },
  ];
  const changed = files.filter((file) => put(join(root, file.path), file)).map(({ path }) => path);
  const zone = join(root, 'etc/localtime');
  rmSync(zone, { force: true });
  symlinkSync(`../usr/share/zoneinfo/${settings.timezone ?? 'Etc/UTC'}`, zone);
  return { name: files[0]!.text!.trim(), changed };
}

/** `isFirst`: nothing was applied yet. A file that is lost, or empty, is no wish to have nothing any more. */
function sourceOf(path: string, isFirst: boolean): Source {
  const isLost = !existsSync(path) || readFileSync(path).length === 0;
  if (isLost && !isFirst)
    throw new OscaError(
      'data-unusable',
      'osca.yaml is lost',
      'the board keeps what it had; write {} into it for nothing',
    );
  if (isLost && !isMounted(dirname(path)))
    throw new OscaError('data-unusable', "the first partition can't be read", 'flash the card again, or another one');
  if (isLost) return Source.one('osca.yaml', '{}');
  try {
    return Source.one('osca.yaml', readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof SpecError) throw error;
    throw new OscaError('data-unusable', `osca.yaml can't be read: ${reasonOf(error)}`, 'is the card damaged?', error);
  }
}

/** Where a partition is not there, its folder has at most what was written by the start before. */
const isMounted = (folder: string): boolean =>
  existsSync(folder) && readdirSync(folder).some((name) => name !== errorsFile);

const inFile = (error: unknown): string =>
  error instanceof SpecError
    ? error.problems
        .map(
          ({ line, column, message, hint }) =>
            `osca.yaml, line ${line}, column ${column}: ${message}${hint === '' ? '' : ` (${hint})`}`,
        )
        .join('\n')
    : wordsOf(error);

function put(path: string, { text, mode }: { text?: string; mode: number }): boolean {
  const before = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  if (before === text) return false;
  if (text === undefined) rmSync(path, { force: true });
  else {
    mkdirSync(dirname(path), { recursive: true, mode: mode === 0o600 ? 0o700 : 0o755 });
    writeFileSync(`${path}.new`, text, { mode, flush: true });
    chmodSync(`${path}.new`, mode);
    renameSync(`${path}.new`, path);
  }
  return true;
}

function tryTo(act: () => void): void {
  try {
    act();
  } catch {
    // It is of no use to whoever has no such thing.
  }
}

function factsOf(root: string): BoardFacts {
  const read = (path: string): string => {
    try {
      return readFileSync(join(root, path), 'latin1');
    } catch {
      return '';
    }
  };
  const cards = join(root, 'sys/class/net');
  const macs = existsSync(cards)
    ? readdirSync(cards)
        .sort()
        .map((name) => read(`sys/class/net/${name}/address`))
    : [];
  const mac = macs.find((text) => /[1-9a-f]/.test(text)) ?? '';
  // A Pi has a serial number. The cards of a PC are not always there yet, and come in another order.
  const found = [read('sys/firmware/devicetree/base/serial-number'), read('etc/machine-id'), mac]
    .map((text) => text.toLowerCase().replace(/[^0-9a-f]/g, ''))
    .find((text) => /[1-9a-f]/.test(text) && text.length >= 6);
  return {
    serial: found ?? '000000',
    hasTimezone: (name) => /^[A-Za-z0-9_+/-]+$/.test(name) && existsSync(join(root, 'usr/share/zoneinfo', name)),
  };
}
