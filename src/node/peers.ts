/** Other cells' APIs, over libp2p: the same HTTP as at home, authenticated by the connection. */

import type { IncomingMessage, RequestOptions } from 'node:http';
import { request } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { OscaError, reasonOf } from '../core/errors.ts';
import type { CellId } from '../core/model.ts';
import type { Host } from './host.ts';

export interface HttpOpener {
  openHttp(to: CellId): Promise<Duplex>;
}

export class Peers {
  readonly #host: Host;
  readonly #opener: () => HttpOpener | undefined;

  constructor(host: Host, opener: () => HttpOpener | undefined) {
    this.#host = host;
    this.#opener = opener;
  }

  /** A request to a cell's API. Throws daemon-away where it can't be reached. */
  async request(cell: CellId, options: RequestOptions): Promise<IncomingMessage> {
    const socket = await this.open(cell);
    return await new Promise((resolve, reject) => {
      const asked = request({ ...options, host: 'osca', createConnection: () => socket as never });
      asked.once('response', resolve);
      asked.once('error', (error) => reject(this.#away(cell, error)));
      asked.end();
    });
  }

  async open(cell: CellId): Promise<Duplex> {
    try {
      const opener = this.#opener();
      if (opener === undefined) throw new Error('the network is not open yet');
      return await opener.openHttp(cell);
    } catch (error) {
      throw this.#away(cell, error);
    }
  }

  #away(cell: CellId, error: unknown): OscaError {
    const name = this.#host.view().members.find(({ id }) => id === cell)?.name ?? cell;
    return new OscaError(
      'daemon-away',
      `cell ${name} can't be reached: ${reasonOf(error)}`,
      'osca cell ls shows which cells are up',
      error,
    );
  }

  /** Gets an image's archive from the cell that built it, or from any that has it. */
  async fetchImage(
    image: string,
    first: CellId | undefined,
    progress: (text: string) => void,
    load: (archive: Readable) => Promise<void>,
  ): Promise<void> {
    const up = this.#host.view().members.filter(({ self, state }) => !self && state === 'alive');
    const order = [...up.filter(({ id }) => id === first), ...up.filter(({ id }) => id !== first)];
    const reasons: string[] = [];
    for (const { id, name } of order) {
      progress(`loading ${image} from ${name}`);
      try {
        const answer = await this.request(id, { path: `/v1/images?name=${encodeURIComponent(image)}` });
        if (answer.statusCode === 200) return await load(answer);
        answer.resume();
        reasons.push(`${name} does not have it`);
      } catch (error) {
        reasons.push(`${name}: ${reasonOf(error)}`);
      }
    }
    throw new OscaError(
      'image-missing',
      `no cell could give ${image}: ${reasons.join('; ')}`,
      'deploy again where its build context is',
    );
  }
}
