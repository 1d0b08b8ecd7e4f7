import type { FastifyReply, FastifyRequest } from 'fastify';
import { finished } from 'node:stream';
import { wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import { KIB } from '../base/units.ts';
import type { ControlService } from '../contract/control-service.ts';
import { FEEDER_KEY_BYTES } from '../contract/feeders.ts';
import { BYTES_MEDIA_TYPE } from '../contract/route.ts';
import { ROUTES } from '../contract/routes.ts';
import type { ControlApp, ServerDependencies } from './control-app.ts';
import { registered } from './registered.ts';
import { compileValidator } from './validation.ts';

/** The routes of external entropy: feeders, caches, receipts, and what is served. */
export function registerExternalRoutes(app: ControlApp, dependencies: ServerDependencies): void {
  registerReads(app, dependencies.service);
  registerFeederChanges(app, dependencies);
  void app.register((scope, _options, done) => {
    takeKeys(scope);
    registerKeyRoutes(scope, dependencies);
    done();
  });
}

function registerReads(app: ControlApp, service: ControlService): void {
  app.route({ ...registered(ROUTES.external), handler: () => service.external() });
  app.route({ ...registered(ROUTES.feeders), handler: () => service.feeders() });
  app.route({ ...registered(ROUTES.receiptKey), handler: () => service.receiptKey() });
  app.route({
    ...registered(ROUTES.random),
    handler: async ({ query }, reply) => sendOnce(reply, await service.random(query.bytes, query.pr)),
  });
}

function registerFeederChanges(app: ControlApp, { service, peers }: ServerDependencies): void {
  app.route({
    ...registered(ROUTES.disableFeeder),
    handler: ({ params, raw }) => service.disableFeeder(params.name, peers.of(raw.socket)),
  });
  app.route({
    ...registered(ROUTES.enableFeeder),
    handler: ({ params, raw }) => service.enableFeeder(params.name, peers.of(raw.socket)),
  });
  app.route({
    ...registered(ROUTES.revokeFeeder),
    handler: ({ params, raw }) => service.revokeFeeder(params.name, peers.of(raw.socket)),
  });
}

/** Answers with a key in them: bytes in and out, so that no key ever becomes a string. */
function registerKeyRoutes(app: ControlApp, { service, peers }: ServerDependencies): void {
  app.route({
    ...registered(ROUTES.enrollFeeder),
    handler: async ({ params, query, body, raw }, reply) =>
      sendOnce(reply, await service.enrollFeeder(params.name, query, keyIn(body), peers.of(raw.socket))),
  });
  app.route({
    ...registered(ROUTES.rotateFeeder),
    handler: async ({ params, body, raw }, reply) =>
      sendOnce(reply, await service.rotateFeeder(params.name, keyIn(body), peers.of(raw.socket))),
  });
}

/** Sends bytes that nobody else holds, and wipes them when the socket has them or the peer is gone. */
function sendOnce(reply: FastifyReply, bytes: Uint8Array): FastifyReply {
  finished(reply.raw, () => wipe(bytes));
  return reply.type(BYTES_MEDIA_TYPE).send(bytes);
}

/** Within this scope a body is nothing or a key, of one media type, read into memory that is wiped after the answer. */
function takeKeys(scope: ControlApp): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(BYTES_MEDIA_TYPE, (_request: FastifyRequest, payload: AsyncIterable<Buffer>) =>
    readKey(payload),
  );
  scope.setValidatorCompiler((route) =>
    route.httpPart === 'body' ? (value: unknown) => ({ value }) : compileValidator(route),
  );
  scope.addHook('onResponse', (request, _reply, next) => {
    if (request.body instanceof Uint8Array) wipe(request.body);
    next();
  });
}

/** What is read of a body that is too long, so that its sender gets an answer; beyond that the connection is cut. */
const READ_LIMIT_BYTES = 64 * KIB;

/** No bytes, or exactly a key's. Each part is a view of what the connection received, and is wiped there as well. */
async function readKey(payload: AsyncIterable<Buffer>): Promise<Uint8Array> {
  const key = new Uint8Array(FEEDER_KEY_BYTES);
  let lengthBytes = 0;
  for await (const part of payload) {
    if (lengthBytes + part.length <= FEEDER_KEY_BYTES) key.set(part, lengthBytes);
    lengthBytes += part.length;
    wipe(part);
    if (lengthBytes > READ_LIMIT_BYTES) break;
  }
  if (lengthBytes === FEEDER_KEY_BYTES) return key;
  wipe(key);
  if (lengthBytes === 0) return new Uint8Array();
  throw new EntropyError('request-invalid', `body: a key is ${FEEDER_KEY_BYTES} bytes`);
}

function keyIn(body: Uint8Array | null | undefined): Uint8Array | undefined {
  return body === null || body === undefined || body.length === 0 ? undefined : body;
}
