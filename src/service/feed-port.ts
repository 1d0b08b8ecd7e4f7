import type { ReceivedFrame, TakenFrame } from '../engine/engine-messages.ts';

export type { ReceivedFrame, TakenFrame };

/** The engine's side of the feed, as the network side sees it: frames go in, and what became of each comes out. */
export interface FeedPort {
  /**
   * A buffer of 65,536 zero bytes from a small pool, to put a payload in; waits until one is free, and so bounds what is under way.
   * It must be given to `receive` (as a view from its start) or to `release`.
   */
  acquire(): Promise<ArrayBuffer>;
  /** Wipes a buffer that was not used after all and gives it back. */
  release(buffer: ArrayBuffer): void;
  /**
   * Tests a frame at the feeder's door, mixes or caches it. The payload is a view of an acquired buffer, which is moved to the
   * engine, wiped there and put back into the pool. Frames of one feeder are done in order; a stored part is fsynced when it resolves.
   *
   * @throws EntropyError engine-stopped: what became of the frame is not known
   */
  receive(frame: ReceivedFrame): Promise<TakenFrame>;
  /** A new session: the tests' runs and windows begin anew; failures are remembered. */
  resetDoor(door: number): Promise<void>;
  /** What the door remembers of failures is forgotten: another feeder gets it, or an operator enabled the feeder again. */
  renewDoor(door: number): Promise<void>;
  /** The bytes of a revoked feeder are never used any more. */
  voidFeeder(feeder: number): Promise<void>;
}
