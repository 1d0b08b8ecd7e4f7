import type { Clock, Timer } from '../base/clock.ts';
import { EntropyError, type ErrorCode } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import type { RequestOrigin } from '../contract/entropy-intake.ts';
import { SESSION_ID_BYTES } from '../protocol/limits.ts';
import { REQUEST_SESSION_MAGIC } from '../protocol/request-digest.ts';
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
 * another door, or when an operator or the door sends it away. Grants are kept by whoever gives them and asked for at each request.
 */
export class RequestSession implements FeedConnection {
  address: string;
  ipAddress: string;
  /** A request is under way. */
  isBusy = false;
  readonly #dependencies: RequestSessionDependencies;
  #session: AdmittedSession | undefined;
  #ended: EntropyError | undefined;
  #idle: Timer | undefined;

  constructor(origin: RequestOrigin, dependencies: RequestSessionDependencies) {
    this.address = origin.address;
    this.ipAddress = origin.ipAddress;
    this.#dependencies = dependencies;
  }

  /** The feeder was admitted; its receipts chain from here. */
  begin(session: AdmittedSession): void {
    this.#session = session;
    if (this.#ended !== undefined) {
      void session.close(this.#ended.code);
      return;
    }
    const id = randomBytes(this.#dependencies.random, SESSION_ID_BYTES);
    REQUEST_SESSION_MAGIC.copy(id);
    session.begin(id);
    this.heardFrom(this);
  }

  /** A request came, from there. */
  heardFrom({ address, ipAddress }: RequestOrigin): void {
    this.address = address;
    this.ipAddress = ipAddress;
    const { clock, idleMs } = this.#dependencies;
    this.#idle?.cancel();
    this.#idle = clock.after(idleMs(), () => this.#endUnlessBusy());
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

  grant(): void {
    // Asked for when a request comes.
  }

  level(): void {
    // GET /v1/external tells it.
  }

  lostTimeoutChanged(): void {
    if (this.#ended === undefined) this.heardFrom(this);
  }

  /** What is under way is receipted, and the chain ended by its signed record. */
  end(code: ErrorCode, detail: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = new EntropyError(code, detail);
    this.#idle?.cancel();
    this.#dependencies.ended();
    void this.#session?.close(code);
  }

  #endUnlessBusy(): void {
    if (this.isBusy) this.heardFrom(this);
    else this.end('feed-connection-lost', 'no request came for a time');
  }
}
