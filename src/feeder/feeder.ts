import { wipe } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { EntropyError, isEntropyError } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import { PAYLOAD_MAXIMUM_BYTES, PAYLOAD_MINIMUM_BYTES } from '../protocol/limits.ts';
import { BackOff } from './back-off.ts';
import type { ByteInput } from './byte-input.ts';
import type { FeedClient } from './feed-client.ts';

export interface FeederOptions {
  /** Bytes of a frame, 32 to 65,536. */
  readonly chunkBytes: number;
  /** Ends after so many bytes; without it, with the input. */
  readonly totalBytes?: number;
  /** No faster than this. */
  readonly bytesPerSecond?: number;
  /** One connection: when it fails or ends, so does the run. Without it the feeder connects again for as long as it may help. */
  readonly once: boolean;
}

export interface FeederDependencies {
  readonly client: FeedClient;
  readonly input: ByteInput;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly observe?: (event: FeederEvent) => void;
}

export type FeederEvent =
  /** The connection failed; the next try comes after waitMs. */
  | { readonly kind: 'retry'; readonly error: EntropyError; readonly waitMs: number }
  | { readonly kind: 'sent'; readonly bytes: number }
  /** The last bytes are too few for a frame, and were left out. */
  | { readonly kind: 'left-out'; readonly bytes: number };

/** Why a run ended that ended well. */
export type FeederEnd = 'input-ended' | 'total-reached' | 'stopped';

/** Full jitter between 0 and a bound that doubles from half a second to a minute. */
const FIRST_RECONNECT_MS = 500;
const LONGEST_RECONNECT_MS = 60_000;

/**
 * Carries bytes from an input to a host: draws a chunk once the host has granted room for it, sends it, and reconnects when the
 * connection is lost. A chunk that was sent and got no receipt is gone; new bytes are drawn.
 */
export class Feeder {
  readonly #options: FeederOptions;
  readonly #client: FeedClient;
  readonly #input: ByteInput;
  readonly #clock: Clock;
  readonly #backOff: BackOff;
  readonly #observe: (event: FeederEvent) => void;
  readonly #stopping: Promise<'stopped'>;
  #stop: () => void = () => undefined;
  #isOver = false;
  #nextFrameMs = 0;
  readonly #pauses = new Set<() => void>();

  constructor(options: FeederOptions, dependencies: FeederDependencies) {
    assertOptions(options);
    this.#options = options;
    this.#client = dependencies.client;
    this.#input = dependencies.input;
    this.#clock = dependencies.clock;
    this.#observe = dependencies.observe ?? (() => undefined);
    this.#backOff = new BackOff(
      { firstMs: FIRST_RECONNECT_MS, longestMs: LONGEST_RECONNECT_MS },
      { random: dependencies.random },
    );
    this.#stopping = new Promise((resolve) => (this.#stop = () => resolve('stopped')));
  }

  /**
   * Feeds until the input ends, the total is reached, or `stop`; then waits for the last receipts and the host's signed end. May be called
   * once.
   *
   * @throws EntropyError what the input failed with, what the host refused for good, or with `once` why the connection failed
   */
  async run(): Promise<FeederEnd> {
    try {
      const opened = await Promise.race([this.#input.open(), this.#stopping]);
      if (opened === 'stopped') return 'stopped';
      // Rejects when there is nothing left to try; never resolves before the run is over.
      const connected = this.#keepConnected();
      const end = await Promise.race([this.#pump(), this.#stopping, connected]);
      if (end !== 'stopped') await Promise.race([this.#client.settled(), this.#stopping, connected]);
      return end;
    } finally {
      this.#isOver = true;
      for (const wake of this.#pauses) wake();
      await this.#client.close();
      await this.#input.close();
    }
  }

  /** Finishes the frame under way and ends the run in order. */
  stop(): void {
    this.#stop();
  }

  /** Connects, and again after each end. */
  async #keepConnected(): Promise<never> {
    for (;;) {
      const error = await this.#connection();
      if (this.#options.once || !error.entry.retryable || this.#isOver) throw error;
      const waitMs = this.#backOff.next();
      this.#observe({ kind: 'retry', error, waitMs });
      await this.#pause(waitMs);
    }
  }

  /** One connection from its start to its end: why it ended. */
  async #connection(): Promise<EntropyError> {
    const startMs = this.#clock.monotonicMs();
    try {
      const { ended } = await this.#client.connect();
      const error = await ended;
      // A host that welcomes, grants and closes is as good as none.
      const lastedMs = this.#clock.monotonicMs() - startMs;
      if (this.#client.sessionReceipts > 0 || lastedMs >= LONGEST_RECONNECT_MS) this.#backOff.reset();
      return error;
    } catch (error) {
      if (isEntropyError(error)) return error;
      throw error;
    }
  }

  /** One chunk at a time through one buffer; up to 128 frames may be on their way to their receipts. */
  async #pump(): Promise<FeederEnd> {
    const { chunkBytes, totalBytes = Infinity } = this.#options;
    const chunk = Buffer.alloc(chunkBytes);
    try {
      for (let sentBytes = 0; ;) {
        const wantedBytes = Math.min(chunkBytes, totalBytes - sentBytes);
        if (wantedBytes < PAYLOAD_MINIMUM_BYTES) return this.#ended('total-reached', wantedBytes);
        const grantedBytes = await this.#client.granted(wantedBytes);
        const payload = chunk.subarray(0, await this.#filled(chunk.subarray(0, grantedBytes)));
        if (payload.length < PAYLOAD_MINIMUM_BYTES) return this.#ended('input-ended', payload.length);
        sentBytes += payload.length;
        await this.#sent(payload);
      }
    } finally {
      wipe(chunk);
    }
  }

  /** As one frame, or as several when the host offers less by now than before the payload was drawn. */
  async #sent(payload: Uint8Array): Promise<void> {
    for (let rest = payload; rest.length > 0;) {
      const frameBytes = frameBytesOf(rest.length, await this.#client.granted(rest.length));
      if (frameBytes === undefined) continue;
      const { receipt } = await this.#client.dispatch(rest.subarray(0, frameBytes));
      // A frame without a receipt is told by the client, and there is nothing else to be done about it.
      receipt.catch(() => undefined);
      rest = rest.subarray(frameBytes);
      this.#observe({ kind: 'sent', bytes: frameBytes });
      await this.#paced(frameBytes);
    }
  }

  /** Reads until the target is full or the input ends; tells how many bytes there are. */
  async #filled(target: Uint8Array): Promise<number> {
    let length = 0;
    while (length < target.length) {
      const count = await this.#input.read(target.subarray(length));
      if (count === 0) break;
      length += count;
    }
    return length;
  }

  #ended(end: FeederEnd, leftOutBytes: number): FeederEnd {
    if (leftOutBytes > 0) this.#observe({ kind: 'left-out', bytes: leftOutBytes });
    return end;
  }

  /** Waits for the moment of the next frame; time that was not used for sending is not made up for by a burst. */
  async #paced(bytes: number): Promise<void> {
    const { bytesPerSecond } = this.#options;
    if (bytesPerSecond === undefined) return;
    const nowMs = this.#clock.monotonicMs();
    this.#nextFrameMs = Math.max(nowMs, this.#nextFrameMs) + (bytes / bytesPerSecond) * MS_PER_SECOND;
    await this.#pause(this.#nextFrameMs - nowMs);
  }

  /** Ends early when the run does. */
  async #pause(waitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(waitMs, () => wake());
      const wake = (): void => {
        timer.cancel();
        this.#pauses.delete(wake);
        resolve();
      };
      this.#pauses.add(wake);
    });
  }
}

/** What the next frame takes, so that what it leaves is a frame as well; undefined when the offer must grow for that. */
function frameBytesOf(restBytes: number, offeredBytes: number): number | undefined {
  if (offeredBytes >= restBytes) return restBytes;
  const frameBytes = Math.min(offeredBytes, restBytes - PAYLOAD_MINIMUM_BYTES);
  return frameBytes >= PAYLOAD_MINIMUM_BYTES ? frameBytes : undefined;
}

function assertOptions({ chunkBytes, totalBytes, bytesPerSecond }: FeederOptions): void {
  if (
    !Number.isInteger(chunkBytes) ||
    chunkBytes < PAYLOAD_MINIMUM_BYTES ||
    chunkBytes > PAYLOAD_MAXIMUM_BYTES
  )
    throw new RangeError(`a frame has ${PAYLOAD_MINIMUM_BYTES} to ${PAYLOAD_MAXIMUM_BYTES} bytes`);
  if (totalBytes !== undefined && !(totalBytes >= PAYLOAD_MINIMUM_BYTES))
    throw new RangeError(`a total is at least one frame of ${PAYLOAD_MINIMUM_BYTES} bytes`);
  if (bytesPerSecond !== undefined && !(bytesPerSecond > 0)) throw new RangeError('a rate is more than 0');
}
