/** The one error of the project: a literal code to act on, a message that says what survived, a hint with the remedy. */
export type ErrorCode =
  | 'bad-spec'
  | 'bad-ticket'
  | 'bad-request'
  | 'not-found'
  | 'not-member'
  | 'conflict'
  | 'data-busy'
  | 'data-newer'
  | 'data-unusable'
  | 'daemon-away'
  | 'denied'
  | 'engine-away'
  | 'image-missing'
  | 'port-taken'
  | 'start-failed'
  | 'lease-lost'
  | 'build-failed'
  | 'timeout'
  | 'internal';

export class OscaError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, hint = '', cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'OscaError';
    this.code = code;
    this.hint = hint;
  }
}

/** Where a spec is wrong. Lines and columns count from 1. */
export interface SpecProblem {
  file: string;
  line: number;
  column: number;
  key: string;
  message: string;
  hint: string;
}

export class SpecError extends OscaError {
  readonly problems: SpecProblem[];

  /** What is said twice of one place is said once. */
  constructor(given: readonly SpecProblem[]) {
    // Of an anchor that several take, too.
    const texts = given.map((one) => problemText({ ...one, key: '' }));
    const problems = given.filter((_, i) => texts.indexOf(texts[i]!) === i);
    super('bad-spec', problems.map(problemText).join('\n'), 'Nothing was changed; mend the file.');
    this.problems = problems;
  }
}

export function problemText(problem: SpecProblem): string {
  const hint = problem.hint === '' ? '' : `\n  ${problem.hint}`;
  const key = problem.key === '' ? '' : ` ${problem.key}:`;
  return `${problem.file}:${problem.line}:${problem.column}:${key} ${problem.message}${hint}`;
}

/** The message of anything thrown. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The same, with the way out where one is known. */
export const wordsOf = (thrown: unknown): string =>
  thrown instanceof OscaError && thrown.hint !== '' ? `${thrown.message} (${thrown.hint})` : reasonOf(thrown);

/** The lease of a strict replica ended while its start was under way. */
export const leaseLost = ({ replica }: { replica: string }): OscaError =>
  new OscaError(
    'lease-lost',
    `the lease of ${replica} ended before it was started`,
    'it starts where a majority sees it',
  );
