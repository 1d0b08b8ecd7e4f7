import { wipe } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { EntropyError, isEntropyError, messageOf } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import {
  ENTROPY_BYTES,
  type EntropyIntake,
  type EntropyOffer,
  type IntakeFeeder,
  type IntakeReport,
  type IntakeTurn,
  type RequestOrigin,
} from '../contract/entropy-intake.ts';
import { requestDigest } from '../protocol/request-digest.ts';
import type { AdmittedSession } from './admitted-session.ts';
import type { FeederAdmission } from './feeder-admission.ts';
import { RequestSession } from './request-session.ts';

export interface RequestIntakeDependencies {
  readonly admission: FeederAdmission;
  readonly random: RandomSource;
  readonly clock: Clock;
}

/** A feeder that is not heard for so many lost timeouts has left, as on a connection. */
const IDLE_TIMEOUTS = 2;
/** Room comes back as the host draws: when there is none it takes a while, and else the next request may be a smaller one at once. */
const RETRY_WITHOUT_ROOM_SECONDS = 10;
const RETRY_SECONDS = 1;

/**
 * Entropy by single requests, through the same door as the feed: one session for each feeder, which its requests share, one at a time.
 *
 *   begin ─► enabled? ─► session, admitted once ─► sequence the next? ─► length granted? ─► turn ─► take ─► receipt
 */
export class RequestIntake implements EntropyIntake {
  readonly #dependencies: RequestIntakeDependencies;
  readonly #sessions = new Map<number, RequestSession>();
  /** Feeders that are being admitted. */
  readonly #entering = new Set<number>();

  constructor(dependencies: RequestIntakeDependencies) {
    this.#dependencies = dependencies;
  }

  async standing(feeder: IntakeFeeder, origin: RequestOrigin): Promise<IntakeReport> {
    const { admitted } = await this.#enter(feeder, origin);
    admitted.heard();
    const { minimum, maximum } = ENTROPY_BYTES;
    const grantedBytes = Math.min(maximum, admitted.sendable(minimum).grantedBytes);
    return { feeder: feeder.name, nextSequence: admitted.nextSequence, grantedBytes };
  }

  async begin(feeder: IntakeFeeder, offer: EntropyOffer, origin: RequestOrigin): Promise<IntakeTurn> {
    const session = await this.#enter(feeder, origin);
    const { nextSequence } = session.admitted;
    const sequence = offer.sequence ?? nextSequence;
    assertNext(sequence, nextSequence);
    const grantedBytes = assertSendable(session.admitted, offer.lengthBytes ?? ENTROPY_BYTES.minimum);
    session.isBusy = true;
    let isOver = false;
    const letGo = (): void => {
      if (!isOver) session.isBusy = false;
      isOver = true;
    };
    const take = async (payload: Uint8Array, digestKey: Uint8Array): Promise<Uint8Array> => {
      try {
        return await this.#take(session, sequence, payload, digestKey);
      } finally {
        letGo();
      }
    };
    return { sequence, grantedBytes, take, letGo };
  }

  receipts({ id }: IntakeFeeder, fromSequence: number, limit: number): Uint8Array[] {
    return this.#dependencies.admission.receiptsFrom(id, fromSequence, limit);
  }

  async #take(
    session: RequestSession,
    sequence: number,
    payload: Uint8Array,
    digestKey: Uint8Array,
  ): Promise<Uint8Array> {
    const { admitted } = session;
    try {
      assertLength(payload.length);
      assertSendable(admitted, payload.length);
      const digest = requestDigest(digestKey, sequence, payload);
      return await endingOnFailure(session, admitted.data({ sequence, payload, digest }));
    } finally {
      wipe(payload);
    }
  }

  /** The feeder's session, begun if there is none; free for a request. */
  async #enter({ id, name }: IntakeFeeder, origin: RequestOrigin): Promise<RequestSession> {
    const { admission } = this.#dependencies;
    if (!admission.isEnabled)
      throw new EntropyError('external-disabled', 'external entropy is not in the running mask');
    const known = this.#sessions.get(id);
    if (known?.isBusy === true || this.#entering.has(id))
      throw new EntropyError('server-busy', 'another request of this feeder is under way', {
        members: { retryAfterSeconds: RETRY_SECONDS },
      });
    if (known !== undefined) {
      known.heardFrom(origin);
      return known;
    }
    this.#entering.add(id);
    try {
      return await this.#admit({ id, name }, origin);
    } finally {
      this.#entering.delete(id);
    }
  }

  async #admit(feeder: IntakeFeeder, origin: RequestOrigin): Promise<RequestSession> {
    const { admission } = this.#dependencies;
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

/** After a mark that could not be kept, or an engine that is gone, the chain of receipts must not go on: the next request begins another. */
async function endingOnFailure<T>(session: RequestSession, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const code = isEntropyError(error) ? error.code : 'internal';
    session.end(code, messageOf(error));
    throw error;
  }
}

function assertNext(sequence: number, nextSequence: number): void {
  if (sequence === nextSequence) return;
  const code = sequence < nextSequence ? 'sequence-used' : 'feed-sequence-wrong';
  throw new EntropyError(code, `the next sequence is ${nextSequence}`, { members: { nextSequence } });
}

/** Throws `request-invalid`. */
function assertLength(lengthBytes: number): void {
  const { minimum, maximum } = ENTROPY_BYTES;
  if (lengthBytes < minimum || lengthBytes > maximum)
    throw new EntropyError('request-invalid', `entropy comes in ${minimum} to ${maximum} bytes`);
}

/** Throws `feed-rate-exceeded`, `feed-grant-exceeded`; else what may be sent. */
function assertSendable(session: AdmittedSession, lengthBytes: number): number {
  const { grantedBytes, rateWaitMs } = session.sendable(lengthBytes);
  if (rateWaitMs > 0) {
    const retryAfterSeconds = Math.ceil(rateWaitMs / MS_PER_SECOND);
    throw new EntropyError('feed-rate-exceeded', 'more comes in a second than may', {
      members: { grantedBytes, retryAfterSeconds },
    });
  }
  if (lengthBytes <= grantedBytes) return grantedBytes;
  const hasRoom = grantedBytes >= ENTROPY_BYTES.minimum;
  throw new EntropyError('feed-grant-exceeded', `${grantedBytes} bytes may be sent now`, {
    members: { grantedBytes, retryAfterSeconds: hasRoom ? RETRY_SECONDS : RETRY_WITHOUT_ROOM_SECONDS },
  });
}
