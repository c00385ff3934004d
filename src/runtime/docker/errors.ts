/** What an engine refuses, in codes that the supervisor understands. */
import { OscaError, reasonOf } from '../../core/errors.ts';

export async function wrap<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw engineError(error);
  }
}

export function engineError(error: unknown): OscaError {
  const reason = reasonOf(error);
  if (/ECONNREFUSED|ENOENT|EACCES|EPIPE|ECONNRESET|socket hang up/.test(reason)) {
    return new OscaError(
      'engine-away',
      `the container engine does not answer: ${reason}`,
      'is it running, and may this user use its socket?',
      error,
    );
  }
  if ((error as { statusCode?: number }).statusCode === 404) return new OscaError('not-found', reason, '', error);
  return new OscaError('internal', reason, '', error);
}

export function startError(image: string | undefined, error: unknown): OscaError {
  if (error instanceof OscaError) return error;
  const reason = reasonOf(error)
    .replace(/^\(HTTP code \d+\) [^-]*- /, '')
    .trim();
  if (/no such image|image not known/i.test(reason)) {
    return new OscaError('image-missing', `no image ${image}: ${reason}`, 'check the name, or build or load it', error);
  }
  if (/port is already allocated|address already in use/i.test(reason))
    return new OscaError('port-taken', reason, 'free the port, or publish another', error);
  const engine = engineError(error);
  return engine.code === 'engine-away' ? engine : new OscaError('start-failed', reason, '', error);
}

/** Of a request: what it asks for is so already, or is gone. */
export const isIdle = (error: unknown): boolean => [304, 404].includes((error as { statusCode?: number }).statusCode!);
