import type { Clock } from '../base/clock.ts';
import { EntropyError } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import type { IntakeFeeder, RequestOrigin } from '../contract/entropy-intake.ts';
import type { FeederAdmission } from './feeder-admission.ts';
import { RequestSession } from './request-session.ts';

export interface RequestSessionsDependencies {
  readonly admission: FeederAdmission;
  readonly random: RandomSource;
  readonly clock: Clock;
}

/** The one turn on a feeder's session. */
export interface Turn {
  readonly session: RequestSession;
  /** The next may have it; does nothing the second time. */
  readonly letGo: () => void;
}

/** A feeder that is not heard for so many lost timeouts has left, as on a connection. */
const IDLE_TIMEOUTS = 2;
const RETRY_SECONDS = 1;

/** Sessions of feeders that send requests: one for each, whatever kind of request brings its entropy; one request has it at a time. */
export class RequestSessions {
  readonly #dependencies: RequestSessionsDependencies;
  readonly #sessions = new Map<number, RequestSession>();
  /** The last turn of each feeder that somebody has or waits for. */
  readonly #turns = new Map<number, Promise<void>>();

  constructor(dependencies: RequestSessionsDependencies) {
    this.#dependencies = dependencies;
  }

  has({ id }: IntakeFeeder): boolean {
    return this.#sessions.has(id);
  }

  /**
   * The turn, on a session that is begun if there is none.
   *
   * @throws EntropyError server-busy (another request has it), external-disabled, feeder-unauthenticated (revoked), feeder-disabled,
   * feeder-suspended
   */
  async turn(feeder: IntakeFeeder, origin: RequestOrigin): Promise<Turn> {
    if (this.#turns.has(feeder.id))
      throw new EntropyError('server-busy', 'another request of this feeder is under way', {
        members: { retryAfterSeconds: RETRY_SECONDS },
      });
    return this.nextTurn(feeder, origin);
  }

  /** As `turn`, after the requests that came before. */
  async nextTurn(feeder: IntakeFeeder, origin: RequestOrigin): Promise<Turn> {
    const letGo = await this.#wait(feeder.id);
    try {
      const session = await this.#session(feeder, origin);
      session.serve(origin);
      return {
        session,
        letGo: () => {
          session.rest();
          letGo();
        },
      };
    } catch (error) {
      letGo();
      throw error;
    }
  }

  /** Ends the sessions; resolves when what came in them has been dealt with. */
  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => session.leave()));
  }

  async #wait(id: number): Promise<() => void> {
    const before = this.#turns.get(id);
    let end = (): void => undefined;
    const over = new Promise<void>((resolve) => (end = resolve));
    this.#turns.set(id, over);
    await before;
    return () => {
      if (this.#turns.get(id) === over) this.#turns.delete(id);
      end();
    };
  }

  async #session(feeder: IntakeFeeder, origin: RequestOrigin): Promise<RequestSession> {
    const { admission } = this.#dependencies;
    if (!admission.isEnabled)
      throw new EntropyError('external-disabled', 'external entropy is not in the running mask');
    const known = this.#sessions.get(feeder.id);
    if (known !== undefined) return known;
    const session: RequestSession = new RequestSession(origin, {
      ...this.#dependencies,
      idleMs: () => admission.lostTimeoutSeconds * MS_PER_SECOND * IDLE_TIMEOUTS,
      ended: () => {
        if (this.#sessions.get(feeder.id) === session) this.#sessions.delete(feeder.id);
      },
    });
    session.begin(await admission.admit({ record: feeder, nextKey: undefined }, session));
    if (!session.hasEnded) this.#sessions.set(feeder.id, session);
    return session;
  }
}
