import type { Clock, Timer } from '../base/clock.ts';
import { EntropyError, isEntropyError, messageOf, type ErrorCode } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import type { RequestOrigin } from '../contract/entropy-intake.ts';
import { SESSION_ID_BYTES } from '../protocol/limits.ts';
import { REQUEST_SESSION_MAGIC, requestDigest } from '../protocol/request-digest.ts';
import type { AdmittedSession } from './admitted-session.ts';
import type { FeedConnection } from './feeder-visit.ts';

export interface RequestSessionDependencies {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** How long the feeder may be silent, as it is now. */
  readonly idleMs: () => number;
  /** It takes nothing any more. */
  readonly ended: () => void;
}

/**
 * The session of a feeder that sends requests: it lasts from one to the next, and ends when none came for a time, when the feeder comes by
 * another door, or when an operator or the door sends it away. Between two requests the feeder wants nothing: it is granted nothing, and
 * not expected to send.
 */
export class RequestSession implements FeedConnection {
  address: string;
  ipAddress: string;
  readonly #dependencies: RequestSessionDependencies;
  #session: AdmittedSession | undefined;
  #ended: EntropyError | undefined;
  #closed: Promise<void> | undefined;
  #idle: Timer | undefined;
  #isBusy = false;

  constructor(origin: RequestOrigin, dependencies: RequestSessionDependencies) {
    this.address = origin.address;
    this.ipAddress = origin.ipAddress;
    this.#dependencies = dependencies;
  }

  /** The feeder was admitted; its receipts chain from here. */
  begin(session: AdmittedSession): void {
    this.#session = session;
    if (this.#ended !== undefined) {
      this.#closed = session.close(this.#ended.code);
      return;
    }
    const id = randomBytes(this.#dependencies.random, SESSION_ID_BYTES);
    REQUEST_SESSION_MAGIC.copy(id);
    session.begin(id);
    session.pause();
    this.#heardNow();
  }

  /** A request came, from there, and has its turn until `rest`. */
  serve({ address, ipAddress }: RequestOrigin): void {
    this.address = address;
    this.ipAddress = ipAddress;
    this.#isBusy = true;
    this.admitted.resume();
    this.#heardNow();
  }

  /** The turn of the request is over. */
  rest(): void {
    this.#isBusy = false;
    if (this.#ended === undefined) this.#session?.pause();
  }

  /** Throws the reason when it has ended. */
  get admitted(): AdmittedSession {
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#session === undefined) throw new Error('broken invariant: a session is used once it began');
    return this.#session;
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  /**
   * Takes entropy as the next frame of the session, and wipes it; resolves to the record of its receipt, with the digest under this key.
   * After a mark that could not be kept, or an engine that is gone, the chain of receipts must not go on: the session ends.
   *
   * @throws EntropyError at once feed-rate-exceeded, feed-grant-exceeded, and why the session ended; later state-unwritable, engine-stopped
   */
  data(payload: Uint8Array, digestKey: Uint8Array): Promise<Buffer> {
    const { admitted } = this;
    const sequence = admitted.nextSequence;
    const digest = requestDigest(digestKey, sequence, payload);
    const receipt = admitted.data({ sequence, payload, digest });
    return receipt.catch((error: unknown) => {
      this.end(isEntropyError(error) ? error.code : 'internal', messageOf(error));
      throw error;
    });
  }

  grant(): void {
    // Asked for when a request comes.
  }

  level(): void {
    // GET /v1/external tells it.
  }

  lostTimeoutChanged(): void {
    if (this.#ended === undefined) this.#heardNow();
  }

  /** What is under way is receipted, and the chain ended by its signed record. */
  end(code: ErrorCode, detail: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = new EntropyError(code, detail);
    this.#idle?.cancel();
    this.#dependencies.ended();
    this.#closed = this.#session?.close(code);
  }

  /** Ends it, and resolves when what came in it has been dealt with. */
  async leave(): Promise<void> {
    this.end('feed-connection-lost', 'no request came for a time');
    await this.#closed;
  }

  #heardNow(): void {
    const { clock, idleMs } = this.#dependencies;
    this.#idle?.cancel();
    this.#idle = clock.after(idleMs(), () => {
      if (this.#isBusy) this.#heardNow();
      else void this.leave();
    });
  }
}
