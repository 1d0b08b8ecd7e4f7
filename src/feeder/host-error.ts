import { EntropyError, EXIT } from '../base/errors.ts';
import type { CloseReason } from '../protocol/frame-payloads.ts';

/**
 * What the host or the socket to it said, under whatever code: a host's `internal` is no fault of this program, and its `usage` is not that
 * of the command line.
 */
export class HostError extends EntropyError {
  /** The exit code: the mask leaves it out, no proof of the feeder, or else the connection. */
  get exit(): number {
    return OWN_EXITS.includes(this.entry.exit) ? this.entry.exit : EXIT.connection;
  }
}

const OWN_EXITS: readonly number[] = [EXIT.externalDisabled, EXIT.authentication];

/** Why a session is over that the host closed. */
export function closedBy(code: CloseReason): HostError {
  if (code === 'end') return new HostError('feed-connection-lost', 'the session was ended as asked');
  return new HostError(code, 'the host ended the session');
}
