import { PASSWORD_BYTES } from '../contract/access.ts';
import type { ControlService } from '../contract/control-service.ts';
import { ROUTES } from '../contract/routes.ts';
import type { ControlApp } from './control-app.ts';
import { registered } from './registered.ts';
import { sendOnce, takeSecrets } from './secret-bodies.ts';

/** The routes of tokens and accounts. Tokens leave and passwords come as bytes, so that neither becomes a string here. */
export function registerAccessRoutes(app: ControlApp, { access }: ControlService): void {
  app.route({ ...registered(ROUTES.tokens), handler: () => access.tokens() });
  app.route({
    ...registered(ROUTES.createToken),
    handler: async ({ params, query, caller }, reply) =>
      sendOnce(reply, await access.createToken(params.name, query, caller.peer)),
  });
  app.route({
    ...registered(ROUTES.revokeToken),
    handler: ({ params, caller }) => access.revokeToken(params.name, caller.peer),
  });
  app.route({ ...registered(ROUTES.accounts), handler: () => access.accounts() });
  app.route({
    ...registered(ROUTES.setRole),
    handler: ({ params, body, caller }) => access.setRole(params.name, body.role, caller.peer),
  });
  app.route({
    ...registered(ROUTES.removeAccount),
    handler: ({ params, caller }) => access.removeAccount(params.name, caller.peer),
  });
  void app.register((scope, _options, done) => {
    takeSecrets(scope, {
      maximumBytes: PASSWORD_BYTES.maximum,
      refusal: `body: a password has ${PASSWORD_BYTES.minimum} to ${PASSWORD_BYTES.maximum} bytes`,
      accepts: (bytes) => bytes >= PASSWORD_BYTES.minimum,
    });
    registerPasswordRoutes(scope, access);
    done();
  });
}

function registerPasswordRoutes(app: ControlApp, access: ControlService['access']): void {
  app.route({
    ...registered(ROUTES.addAccount),
    handler: ({ params, query, body, caller }) =>
      access.addAccount(params.name, query, passwordIn(body), caller.peer),
  });
  app.route({
    ...registered(ROUTES.setPassword),
    handler: ({ params, body, caller }) => access.setPassword(params.name, passwordIn(body), caller.peer),
  });
}

/** A request without a body never met the parser. */
function passwordIn(body: Uint8Array | null | undefined): Uint8Array {
  return body ?? new Uint8Array();
}
