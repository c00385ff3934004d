/** Reads what people deploy: a Compose file, or Kubernetes manifests. */
import { existsSync, statSync } from 'node:fs';
import { limits } from '../core/limits.ts';
import type { ComposeRequest, ComposeResult } from './compose.ts';
import { readCompose } from './compose.ts';
import { isKubernetes, readKubernetes } from './kubernetes/read.ts';
import { readSome } from './reading.ts';
import { ofVolumes } from './warnings.ts';

/** Throws SpecError with every problem, or OscaError not-found. */
export function readSpec(request: ComposeRequest): ComposeResult {
  const isFile = existsSync(request.file) && statSync(request.file).isFile();
  const read =
    isFile && isKubernetes(readSome(request.file, limits.specBytes).toString()) ? readKubernetes : readCompose;
  const result = read(request);
  return { ...result, warnings: [...result.warnings, ...ofVolumes(result.app.services)] };
}
