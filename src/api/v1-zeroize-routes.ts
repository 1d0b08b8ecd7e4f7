import { finished } from 'node:stream';
import type { ControlService } from '../contract/control-service.ts';
import { ROUTES } from '../contract/routes.ts';
import type { ControlApp } from './control-app.ts';
import { registered } from './registered.ts';

/** Destroys the state; the daemon ends when its answer is sent, or its asker is gone. */
export function registerZeroizeRoutes(app: ControlApp, { zeroizing }: ControlService): void {
  app.route({
    ...registered(ROUTES.zeroize),
    handler: async ({ body, caller }, reply) => {
      const report = await zeroizing.zeroize(body.host, caller.peer);
      finished(reply.raw, () => zeroizing.end());
      return report;
    },
  });
}
