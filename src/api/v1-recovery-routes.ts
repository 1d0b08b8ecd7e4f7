import type { ControlService } from '../contract/control-service.ts';
import { ROUTES } from '../contract/routes.ts';
import type { ControlApp } from './control-app.ts';
import { registered } from './registered.ts';
import { sendOnce } from './secret-bodies.ts';

/** The routes of the recovery key. The key itself goes out as bytes that are wiped once they are sent. */
export function registerRecoveryRoutes(app: ControlApp, { recovery }: ControlService): void {
  app.route({ ...registered(ROUTES.recovery), handler: () => recovery.report() });
  app.route({
    ...registered(ROUTES.recoveryKey),
    handler: async ({ caller }, reply) => sendOnce(reply, await recovery.show(caller.peer)),
  });
  app.route({
    ...registered(ROUTES.rotateRecovery),
    handler: ({ caller }) => recovery.rotate(caller.peer),
  });
  app.route({
    ...registered(ROUTES.acknowledgeRecovery),
    handler: ({ caller }) => recovery.acknowledge(caller.peer),
  });
  app.route({
    ...registered(ROUTES.escrowRecovery),
    handler: ({ body, caller }) => recovery.escrow(body.recipient, caller.peer),
  });
  app.route({ ...registered(ROUTES.backup), handler: () => recovery.backup() });
}
