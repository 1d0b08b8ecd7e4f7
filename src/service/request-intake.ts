import { wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
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
import type { AdmittedSession } from './admitted-session.ts';
import type { FeederAdmission } from './feeder-admission.ts';
import type { RequestSessions } from './request-sessions.ts';

export interface RequestIntakeDependencies {
  readonly admission: FeederAdmission;
  readonly sessions: RequestSessions;
}

/** Room comes back as the host draws: when there is none it takes a while, and else the next request may be a smaller one at once. */
const RETRY_WITHOUT_ROOM_SECONDS = 10;
const RETRY_SECONDS = 1;

/**
 * Entropy by single requests, through the same door as the feed:
 *
 *   begin ─► the feeder's turn ─► sequence the next? ─► length granted? ─► take ─► receipt
 */
export class RequestIntake implements EntropyIntake {
  readonly #dependencies: RequestIntakeDependencies;

  constructor(dependencies: RequestIntakeDependencies) {
    this.#dependencies = dependencies;
  }

  async standing(feeder: IntakeFeeder, origin: RequestOrigin): Promise<IntakeReport> {
    const { session, letGo } = await this.#dependencies.sessions.turn(feeder, origin);
    try {
      const { admitted } = session;
      admitted.heard();
      const { minimum, maximum } = ENTROPY_BYTES;
      const grantedBytes = Math.min(maximum, admitted.sendable(minimum).grantedBytes);
      return { feeder: feeder.name, nextSequence: admitted.nextSequence, grantedBytes };
    } finally {
      letGo();
    }
  }

  async begin(feeder: IntakeFeeder, offer: EntropyOffer, origin: RequestOrigin): Promise<IntakeTurn> {
    const { session, letGo } = await this.#dependencies.sessions.turn(feeder, origin);
    try {
      const { nextSequence } = session.admitted;
      const sequence = offer.sequence ?? nextSequence;
      assertNext(sequence, nextSequence);
      const grantedBytes = assertSendable(session.admitted, offer.lengthBytes ?? ENTROPY_BYTES.minimum);
      const take = async (payload: Uint8Array, digestKey: Uint8Array): Promise<Uint8Array> => {
        try {
          assertLength(payload.length);
          assertSendable(session.admitted, payload.length);
          return await session.data(payload, digestKey);
        } finally {
          wipe(payload);
          letGo();
        }
      };
      return { sequence, grantedBytes, take, letGo };
    } catch (error) {
      letGo();
      throw error;
    }
  }

  receipts({ id }: IntakeFeeder, fromSequence: number, limit: number): Uint8Array[] {
    return this.#dependencies.admission.receiptsFrom(id, fromSequence, limit);
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
