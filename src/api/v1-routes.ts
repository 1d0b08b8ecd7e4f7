import { readFile } from 'node:fs/promises';
import { EntropyError } from '../base/errors.ts';
import type { ControlService, Readiness } from '../contract/control-service.ts';
import { PROBLEM_MEDIA_TYPE, problemOf } from '../contract/problem.ts';
import { ROUTES } from '../contract/routes.ts';
import { keptEvents } from './kept-events.ts';
import type { ControlApp, ServerDependencies, ServerOptions } from './control-app.ts';
import { registered } from './registered.ts';
import { registerAccessRoutes } from './v1-access-routes.ts';
import { registerEntropyRoutes } from './v1-entropy-routes.ts';
import { registerEncryptionRoutes } from './v1-encryption-routes.ts';
import { registerExternalRoutes } from './v1-external-routes.ts';
import { registerZeroizeRoutes } from './v1-zeroize-routes.ts';
import { registerRecoveryRoutes } from './v1-recovery-routes.ts';

/** Gives each route of the table its handler: none of them does more than pass a checked request to the service. */
export function registerV1Routes(
  app: ControlApp,
  options: ServerOptions,
  dependencies: Pick<ServerDependencies, 'service'>,
): void {
  registerHealth(app, dependencies.service);
  registerReads(app, dependencies.service);
  registerChanges(app, dependencies.service);
  registerEncryptionRoutes(app, dependencies.service);
  registerExternalRoutes(app, dependencies.service);
  registerAccessRoutes(app, dependencies.service);
  registerRecoveryRoutes(app, dependencies.service);
  registerZeroizeRoutes(app, dependencies.service);
  registerEntropyRoutes(app, dependencies.service);
  app.route({
    ...registered(ROUTES.openApi),
    handler: async (_request, reply) => {
      return reply.type('application/json').send(await openApiDocument(options.openApiFile));
    },
  });
}

function registerHealth(app: ControlApp, service: ControlService): void {
  app.route({ ...registered(ROUTES.health), handler: () => ({ alive: true as const }) });
  app.route({
    ...registered(ROUTES.ready),
    handler: (_request, reply) => {
      const { ready, reason } = service.ready();
      if (ready) return { ready: true as const };
      const problem = problemOf('gate-closed', whyNotReady(reason), { reason });
      return reply.code(problem.status).type(PROBLEM_MEDIA_TYPE).send(JSON.stringify(problem));
    },
  });
}

function whyNotReady(reason: Readiness['reason']): string {
  if (reason === 'overridden')
    return 'the gate is overridden: blocks can be extracted, but not from the sources that the policy asks for';
  return `the gate is closed: ${reason ?? 'no reason given'}`;
}

function registerReads(app: ControlApp, service: ControlService): void {
  app.route({ ...registered(ROUTES.status), handler: () => service.status() });
  app.route({ ...registered(ROUTES.sources), handler: () => service.sources() });
  app.route({ ...registered(ROUTES.ledger), handler: (request) => service.ledger(request.query.limit) });
  app.route({
    ...registered(ROUTES.events),
    handler: (request) => keptEvents(service, request.query.after, request.query.limit),
  });
  app.route({
    ...registered(ROUTES.eventStream),
    handler: () => {
      throw new EntropyError('upgrade-required', 'this route speaks WebSocket only');
    },
  });
  app.route({ ...registered(ROUTES.configuration), handler: () => service.configuration() });
}

function registerChanges(app: ControlApp, service: ControlService): void {
  app.route({ ...registered(ROUTES.selfTest), handler: () => service.selfTest() });
  app.route({
    ...registered(ROUTES.testSource),
    handler: (request) => service.testSource(request.params.name),
  });
  app.route({
    ...registered(ROUTES.restoreSource),
    handler: (request) =>
      service.restoreSource(request.params.name, request.body.reason, request.caller.peer),
  });
  app.route({
    ...registered(ROUTES.overrideGate),
    handler: (request) => service.overrideGate(request.body, request.caller.peer),
  });
  app.route({
    ...registered(ROUTES.restoreGate),
    handler: (request) => service.restoreGate(request.caller.peer),
  });
  app.route({
    ...registered(ROUTES.changeConfiguration),
    // The store judges keys and values: its errors name key, value and range, which a schema's cannot.
    validatorCompiler: () => (value: unknown) => ({ value }),
    handler: (request) => service.changeConfiguration(request.body, request.caller.peer),
  });
}

async function openApiDocument(file: string | undefined): Promise<string> {
  if (file === undefined) throw new EntropyError('route-unknown', 'openapi.json was not built');
  return readFile(file, 'utf8');
}
