/** What a service of a file is read with. */
import type { SpecProblem } from '../core/errors.ts';
import type { Raw } from './extend.ts';
import type { Environment } from './interpolate.ts';
import type { Path, Places } from './source.ts';

export type Report = (path: Path, message: string, hint: string) => void;

export interface ServiceContext {
  source: Places;
  app: string;
  service: string;
  folder: string;
  volumes: Record<string, Raw>;
  env: Environment;
  /** Told of names in files of variables that have no value. */
  unset: (name: string) => void;
  /** Told of what is not wrong, and may not be what was meant. */
  warn: (text: string) => void;
  problems: SpecProblem[];
}
