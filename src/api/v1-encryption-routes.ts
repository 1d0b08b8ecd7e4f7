import { MAXIMUM_PASSPHRASE_FILE_BYTES } from '../contract/passphrase.ts';
import type { ControlService } from '../contract/control-service.ts';
import { ROUTES } from '../contract/routes.ts';
import type { ControlApp } from './control-app.ts';
import { registered } from './registered.ts';
import { takeSecrets } from './secret-bodies.ts';

/** The routes of the encryption of the configuration. */
export function registerEncryptionRoutes(app: ControlApp, { encryption }: ControlService): void {
  app.route({ ...registered(ROUTES.encryption), handler: () => encryption.report() });
  app.route({
    ...registered(ROUTES.changeEncryption),
    handler: ({ body, caller }) => encryption.change(body, caller.peer),
  });
  app.route({
    ...registered(ROUTES.suspendSeal),
    handler: ({ body, caller }) => encryption.suspend(body.boots, caller.peer),
  });
  app.route({ ...registered(ROUTES.checkSeal), handler: () => encryption.check() });
  app.route({
    ...registered(ROUTES.removePassphrase),
    handler: ({ caller }) => encryption.removePassphrase(caller.peer),
  });
  void app.register((scope, _options, done) => {
    takeSecrets(scope, {
      maximumBytes: MAXIMUM_PASSPHRASE_FILE_BYTES,
      refusal: `body: a passphrase file has at most ${MAXIMUM_PASSPHRASE_FILE_BYTES} bytes`,
      accepts: () => true,
    });
    registerSecretRoutes(scope, encryption);
    done();
  });
}

function registerSecretRoutes(app: ControlApp, encryption: ControlService['encryption']): void {
  app.route({
    ...registered(ROUTES.setPassphrase),
    handler: ({ body, caller }) => encryption.setPassphrase(contentIn(body), caller.peer),
  });
}

/** A request without a body never met the parser. */
function contentIn(body: Uint8Array | null | undefined): Uint8Array {
  return body ?? new Uint8Array();
}
