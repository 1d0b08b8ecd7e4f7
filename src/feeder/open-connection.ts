import type { EntropyError } from '../base/errors.ts';
import {
  FeedConnection,
  type FeedConnectionDependencies,
  type FeedConnectionEvents,
  type FeedTarget,
} from './feed-connection.ts';

/** A connection, and its two turning points as promises. */
export interface OpenConnection {
  readonly connection: FeedConnection;
  /** Resolves when both ends are proven; rejects with the reason when it ends before. */
  readonly proven: Promise<void>;
  /** Resolves with the reason once it has ended; never rejects. */
  readonly ended: Promise<EntropyError>;
}

/** Opens a connection. Its events come before the promises settle. */
export function openConnection(
  target: FeedTarget,
  events: FeedConnectionEvents,
  dependencies: FeedConnectionDependencies,
): OpenConnection {
  let prove: () => void = nothing;
  let disprove: (error: EntropyError) => void = nothing;
  let end: (error: EntropyError) => void = nothing;
  const proven = new Promise<void>((resolve, reject) => ([prove, disprove] = [resolve, reject]));
  const ended = new Promise<EntropyError>((resolve) => (end = resolve));
  const connection = new FeedConnection(
    target,
    {
      connected: () => {
        events.connected();
        prove();
      },
      frame: (frame) => events.frame(frame),
      ended: (error) => {
        events.ended(error);
        end(error);
        disprove(error);
      },
    },
    dependencies,
  );
  return { connection, proven, ended };
}

function nothing(): void {
  // Until the promises have put their own in its place.
}
