import { EntropyError } from '../base/errors.ts';
import type { ControlService, EventPage } from '../contract/control-service.ts';

/**
 * Kept events above `after`. Throws `event-lost` when some of them are no longer kept, or when the daemon has
 * restarted and `after` belongs to its former life: a reader must know that he missed something. 0 asks for whatever
 * is kept, so it can miss nothing.
 */
export function keptEvents(service: ControlService, after: number, limit: number): EventPage {
  const page = service.events(after, limit);
  if (after > page.latest) {
    throw new EntropyError(
      'event-lost',
      `the daemon restarted; oldest ${page.oldest}, latest ${page.latest}`,
    );
  }
  if (after > 0 && after + 1 < page.oldest) {
    throw new EntropyError('event-lost', `oldest ${page.oldest}, latest ${page.latest}`);
  }
  return page;
}
