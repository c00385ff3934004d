/** Images: pulled with progress, built from a local context, saved and loaded between cells. */
import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { OscaError, reasonOf } from '../../core/errors.ts';
import type { BuildSpec } from '../../core/spec.ts';
import { packContext } from './context.ts';
import { engineError } from './errors.ts';

interface Progress {
  id?: string;
  status?: string;
  stream?: string;
  error?: string;
  progressDetail?: { current?: number; total?: number };
  aux?: { ID?: string };
}

export interface BuildRequest extends BuildSpec {
  tag: string;
}

/** Errors of pull, push and build come in the stream, with HTTP 200. */
async function followed(
  docker: Docker,
  stream: NodeJS.ReadableStream,
  onProgress: (step: Progress) => void,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(
      stream,
      (error, steps: Progress[] | null) => {
        const last = steps?.findLast(({ error: said }) => said !== undefined)?.error;
        if (error !== null || last !== undefined) reject(new Error(last ?? reasonOf(error)));
        else resolve();
      },
      onProgress,
    );
  });
}

/** Throws image-missing, with the registry's words. */
export async function pullImage(docker: Docker, image: string, progress: (text: string) => void): Promise<void> {
  const named = /[:@][^/]*$/.test(image) ? image : `${image}:latest`;
  const layers = new Map<string, { current: number; total: number }>();
  progress(`pulling ${named}`);
  let told = -1;
  try {
    await followed(docker, await docker.pull(named), ({ id, status, progressDetail }) => {
      if (id === undefined || status !== 'Downloading' || progressDetail?.total === undefined) return;
      layers.set(id, { current: progressDetail.current ?? 0, total: progressDetail.total });
      const sum = [...layers.values()].reduce((a, b) => ({ current: a.current + b.current, total: a.total + b.total }));
      const percent = Math.floor((sum.current * 10) / sum.total) * 10;
      if (percent !== told) progress(`pulling ${named}: ${(told = percent)} %`);
    });
  } catch (error) {
    const hint = 'check the name and the registry, or build or load the image on this cell';
    throw new OscaError(
      'image-missing',
      `no image ${image}: ${reasonOf(error)
        .replace(/^\(HTTP code \d+\) [^-]*- /, '')
        .trim()}`,
      hint,
      error,
    );
  }
}

/** Builds with the classic builder; returns the image's id. Throws build-failed with the last step's words. */
export async function buildImage(
  docker: Docker,
  request: BuildRequest,
  progress: (text: string) => void,
): Promise<string> {
  const { context, target, args, tag, labels, network, extraHosts, shmBytes, noCache, pull } = request;
  const tail: string[] = [];
  let packed: Awaited<ReturnType<typeof packContext>> | undefined;
  try {
    packed = await packContext(request);
    const stream = await docker.buildImage(packed.stream, {
      ...{ t: tag, buildargs: args, rm: true, forcerm: true },
      dockerfile: packed.dockerfile,
      ...(target === undefined ? {} : { target }),
      ...(labels === undefined ? {} : { labels }),
      ...(network === undefined ? {} : { networkmode: network }),
      ...(extraHosts === undefined ? {} : { extrahosts: extraHosts.join(',') }),
      ...(shmBytes === undefined ? {} : { shmsize: shmBytes }),
      ...(noCache === true ? { nocache: true } : {}),
      ...(pull === true ? { pull: true } : {}),
    });
    await followed(docker, stream, ({ stream: text }) => {
      const line = text?.trim() ?? '';
      if (line === '') return;
      tail.push(line);
      if (tail.length > 10) tail.shift();
      progress(line);
    });
    return (await docker.getImage(tag).inspect()).Id.replace(/^sha256:/, '');
  } catch (error) {
    // A file that is missing in the context has the same code.
    if ((error as NodeJS.ErrnoException).syscall === 'connect') throw engineError(error);
    const isShort = (error as NodeJS.ErrnoException).code === 'ERR_STREAM_PREMATURE_CLOSE';
    const why = isShort ? 'a file has changed while it was packed' : reasonOf(error);
    const message = `build of ${context} failed: ${why}\n${tail.join('\n')}`;
    throw new OscaError('build-failed', message, 'mend the Dockerfile or its context; nothing was deployed', error);
  } finally {
    packed?.stream.destroy();
  }
}

export async function tagImage(docker: Docker, image: string, repo: string, tag: string): Promise<void> {
  await docker.getImage(image).tag({ repo, tag });
}

export async function saveImage(docker: Docker, image: string): Promise<NodeJS.ReadableStream> {
  return await docker.getImage(image).get();
}

export async function loadImage(docker: Docker, archive: Readable): Promise<void> {
  const stream = await docker.loadImage(archive);
  await followed(docker, stream, () => {});
}
