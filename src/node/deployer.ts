/** From a file to a deploy: read it, build what must be built, and hand the normalised app to the cell. */
import { existsSync, statSync } from 'node:fs';
import { OscaError } from '../core/errors.ts';
import type { AppSpec, BuildSpec } from '../core/spec.ts';
import type { ComposeRequest, ComposeResult } from '../specs/compose.ts';
import { readSpec } from '../specs/read.ts';
import type { Host } from './host.ts';
import { freshSeed } from './identity.ts';

export interface Builder {
  /** Builds and returns the image's id; throws build-failed or engine-away. */
  build(tag: string, build: BuildSpec, progress: (text: string) => void): Promise<string>;
  tag(image: string, repo: string, tag: string): Promise<void>;
}

export interface DeployRequest extends ComposeRequest {
  by: string;
  acks: number;
}

export type Progress = (text: string) => void;

/** What was accepted: a revision is found again by its id, its number in the app and its time. */
export interface Deployment {
  app: AppSpec;
  revision: string;
  seq: number;
  atMs: number;
  warnings: string[];
}

export class Deployer {
  readonly #host: Host;
  readonly #builder: Builder;

  constructor(host: Host, builder: Builder) {
    this.#host = host;
    this.#builder = builder;
  }

  read(request: ComposeRequest): ComposeResult {
    const result = readSpec(request);
    for (const [service, { context }] of Object.entries(result.builds)) {
      if (existsSync(context) && statSync(context).isDirectory()) continue;
      throw new OscaError(
        'bad-spec',
        `${request.file}: services.${service}.build: there is no folder ${context}`,
        'the context is relative to the file',
      );
    }
    return result;
  }

  /** The app as it would be deployed; images are built first, so that equal contexts give equal revisions. */
  async prepare(request: ComposeRequest, progress: Progress): Promise<Omit<ComposeResult, 'builds'>> {
    const { app, builds, files, warnings } = this.read(request);
    const services = [];
    for (const spec of app.services) {
      const build = builds[spec.name];
      if (build === undefined) services.push(spec);
      else
        services.push({
          ...spec,
          image: await this.#build(app.name, spec.name, build, progress),
          builtOn: this.#host.cell.id,
        });
    }
    return { app: { ...app, services }, files, warnings };
  }

  /** An image's name says what is in it: the same bytes are the same image on every cell. */
  async #build(app: string, service: string, build: BuildSpec, progress: Progress): Promise<string> {
    const repo = `osca/${app}-${service}`;
    const id = await this.#builder.build(`${repo}:latest`, build, (text) => progress(`build ${service}: ${text}`));
    const tag = id.slice(0, 12);
    await this.#builder.tag(`${repo}:latest`, repo, tag);
    return `${repo}:${tag}`;
  }

  async deploy(request: DeployRequest, progress: Progress): Promise<Deployment> {
    const { app, files, warnings } = await this.prepare(request, progress);
    const note = `deploy ${request.file.split('/').at(-1)}`;
    const { value, warning } = await this.#host.ask({
      op: 'deploy',
      spec: app,
      ...(Object.keys(files).length === 0 ? {} : { files, keySeed: freshSeed() }),
      by: request.by,
      note,
      acks: request.acks,
    });
    return {
      app,
      ...{ revision: String(value.revision), seq: Number(value.seq), atMs: Number(value.atMs) },
      warnings: warning === undefined ? warnings : [...warnings, warning],
    };
  }
}
