import type { FastifyReply, FastifyRequest } from 'fastify';
import { finished } from 'node:stream';
import { secretBytes, wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import { KIB } from '../base/units.ts';
import { BYTES_MEDIA_TYPE } from '../contract/route.ts';
import type { ControlApp } from './control-app.ts';
import { compileValidator } from './validation.ts';

/** Secrets in bodies and answers: bytes as they are, which never become a string and are wiped when they are used. */

/** What is read of a body that is too long, so that its sender gets an answer; beyond that the connection is cut. */
const READ_LIMIT_BYTES = 64 * KIB;

/** Sends bytes that nobody else holds, and wipes them when the socket has them or the peer is gone. */
export function sendOnce(reply: FastifyReply, bytes: Uint8Array): FastifyReply {
  finished(reply.raw, () => wipe(bytes));
  return reply.type(BYTES_MEDIA_TYPE).send(bytes);
}

/**
 * Within this scope a body of bytes is read into memory of its own that is wiped after the answer; it has at most `maximumBytes`, and
 * `accepts` says of which lengths it may be.
 */
export function takeSecrets(
  scope: ControlApp,
  options: {
    readonly maximumBytes: number;
    readonly refusal: string;
    readonly accepts: (bytes: number) => boolean;
  },
): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    BYTES_MEDIA_TYPE,
    async (_request: FastifyRequest, payload: AsyncIterable<Buffer>) => {
      const secret = await readSecret(payload, options.maximumBytes);
      if (secret !== undefined && options.accepts(secret.length)) return secret;
      if (secret !== undefined) wipe(secret);
      throw new EntropyError('request-invalid', options.refusal);
    },
  );
  scope.setValidatorCompiler((route) =>
    route.httpPart === 'body' ? (value: unknown) => ({ value }) : compileValidator(route),
  );
  scope.addHook('onResponse', (request, _reply, next) => {
    if (request.body instanceof Uint8Array) wipe(request.body);
    next();
  });
}

/** Undefined for what is too long. Each part is a view of what the connection received, and is wiped there as well. */
async function readSecret(
  payload: AsyncIterable<Buffer>,
  maximumBytes: number,
): Promise<Uint8Array | undefined> {
  const room = secretBytes(maximumBytes);
  let lengthBytes = 0;
  for await (const part of payload) {
    if (lengthBytes + part.length <= maximumBytes) room.set(part, lengthBytes);
    lengthBytes += part.length;
    wipe(part);
    if (lengthBytes > READ_LIMIT_BYTES) break;
  }
  if (lengthBytes <= maximumBytes) return room.subarray(0, lengthBytes);
  wipe(room);
  return undefined;
}
