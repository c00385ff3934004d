/** A spec file of either kind. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import type { ComposeRequest, ComposeResult } from './compose.ts';
import { readCompose } from './compose.ts';
import { isKubernetes, readKubernetes } from './kubernetes/read.ts';

/** Throws SpecError with every problem, or OscaError not-found. */
export function readSpec(request: ComposeRequest): ComposeResult {
  const { file } = request;
  const isFile = existsSync(file) && statSync(file).isFile();
  return isFile && isKubernetes(readFileSync(file, 'utf8')) ? readKubernetes(request) : readCompose(request);
}
