import type { ControlService } from '../contract/control-service.ts';
import { ROUTES } from '../contract/routes.ts';
import type { ControlApp } from './control-app.ts';
import { registered } from './registered.ts';

/** The routes of the encryption of the configuration. */
export function registerEncryptionRoutes(app: ControlApp, { encryption }: ControlService): void {
  app.route({ ...registered(ROUTES.encryption), handler: () => encryption.report() });
  app.route({
    ...registered(ROUTES.changeEncryption),
    handler: ({ body, caller }) => encryption.change(body, caller.peer),
  });
  app.route({ ...registered(ROUTES.checkSeal), handler: () => encryption.check() });
}
