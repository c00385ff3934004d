/** Stands for @chainsafe/as-sha256 in the bundle: the runtime's own sha256, without a WebAssembly engine. */
import { createHash } from 'node:crypto';

export const digest = (data: Uint8Array): Uint8Array => createHash('sha256').update(data).digest();
