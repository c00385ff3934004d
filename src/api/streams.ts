/** Answers that go on: a value a line. */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';

export function ndjson<T>(reply: FastifyReply, values: AsyncGenerator<T>): FastifyReply {
  async function* lines(): AsyncGenerator<string> {
    for await (const value of values) yield `${JSON.stringify(value)}\n`;
  }
  return reply.type('application/x-ndjson').send(Readable.from(lines()));
}
