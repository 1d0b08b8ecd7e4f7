import type { ControlService } from '../contract/control-service.ts';
import { FEEDER_KEY_BYTES } from '../contract/feeders.ts';
import { ROUTES } from '../contract/routes.ts';
import type { ControlApp } from './control-app.ts';
import { registered } from './registered.ts';
import { sendOnce, takeSecrets } from './secret-bodies.ts';

/** The routes of external entropy: feeders, caches, install seed, receipts, and what is served. */
export function registerExternalRoutes(app: ControlApp, service: ControlService): void {
  registerReads(app, service);
  registerFeederChanges(app, service);
  void app.register((scope, _options, done) => {
    takeSecrets(scope, {
      maximumBytes: FEEDER_KEY_BYTES,
      refusal: `body: a key is ${FEEDER_KEY_BYTES} bytes`,
      accepts: (bytes) => bytes === 0 || bytes === FEEDER_KEY_BYTES,
    });
    registerKeyRoutes(scope, service);
    done();
  });
}

function registerReads(app: ControlApp, service: ControlService): void {
  app.route({ ...registered(ROUTES.external), handler: () => service.external() });
  app.route({ ...registered(ROUTES.installSeed), handler: () => service.installSeed() });
  app.route({ ...registered(ROUTES.feeders), handler: () => service.feeders() });
  app.route({ ...registered(ROUTES.receiptKey), handler: () => service.receiptKey() });
  app.route({
    ...registered(ROUTES.random),
    handler: async ({ query }, reply) => sendOnce(reply, await service.random(query.bytes, query.pr)),
  });
}

function registerFeederChanges(app: ControlApp, service: ControlService): void {
  app.route({
    ...registered(ROUTES.disableFeeder),
    handler: ({ params, caller }) => service.disableFeeder(params.name, caller.peer),
  });
  app.route({
    ...registered(ROUTES.enableFeeder),
    handler: ({ params, caller }) => service.enableFeeder(params.name, caller.peer),
  });
  app.route({
    ...registered(ROUTES.revokeFeeder),
    handler: ({ params, caller }) => service.revokeFeeder(params.name, caller.peer),
  });
}

/** Answers with a key in them: bytes in and out, so that no key ever becomes a string. */
function registerKeyRoutes(app: ControlApp, service: ControlService): void {
  app.route({
    ...registered(ROUTES.enrollFeeder),
    handler: async ({ params, query, body, caller }, reply) =>
      sendOnce(reply, await service.enrollFeeder(params.name, query, keyIn(body), caller.peer)),
  });
  app.route({
    ...registered(ROUTES.rotateFeeder),
    handler: async ({ params, body, caller }, reply) =>
      sendOnce(reply, await service.rotateFeeder(params.name, keyIn(body), caller.peer)),
  });
}

function keyIn(body: Uint8Array | null | undefined): Uint8Array | undefined {
  return body === null || body === undefined || body.length === 0 ? undefined : body;
}
