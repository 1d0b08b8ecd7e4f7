import { wipe } from '../base/bytes.ts';
import type { Counters } from '../base/counters.ts';
import { isEntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import type { ExternalReport } from '../contract/external.ts';
import type { Configuration } from '../contract/parameters.ts';
import type { AccountRecord } from '../state/accounts.ts';
import type { Enrolment } from '../state/enrolment.ts';
import type { FeederRecord } from '../state/feeder-record.ts';
import type { FeederAdmission } from './feeder-admission.ts';
import type { LinkPeer } from './link-watch.ts';
import { addFrames, type PoolAddition } from './pool-frames.ts';
import type { RequestSession } from './request-session.ts';
import type { RequestSessions } from './request-sessions.ts';

/** Both caches as one pool, in bytes, and the patience of the host. */
export interface PoolReport {
  readonly capacityBytes: number;
  readonly availableBytes: number;
  readonly lowWatermarkBytes: number;
  readonly inactiveTimeoutSeconds: number;
}

export interface ExternalPoolDependencies {
  readonly external: () => Promise<ExternalReport>;
  readonly configuration: () => Configuration;
  readonly admission: Pick<FeederAdmission, 'isConnected'>;
  readonly sessions: RequestSessions;
  readonly enrolment: Pick<Enrolment, 'find' | 'named'>;
  readonly random: RandomSource;
  readonly counters: Counters;
}

/** Nobody has the key: receipts of the pool are for the host's own chain, and give away nothing of the entropy. */
const DIGEST_KEY_BYTES = 32;

/**
 * External entropy for clients that poll a pool and add to it, each request by itself. Behind it a feeder's session is the same as on the
 * feed, with its door, marks, rates, grants, receipts and link.
 */
export class ExternalPool {
  readonly #dependencies: ExternalPoolDependencies;

  constructor(dependencies: ExternalPoolDependencies) {
    this.#dependencies = dependencies;
  }

  /** Undefined where external entropy is not in the mask. */
  async report(): Promise<PoolReport | undefined> {
    const external = await this.#dependencies.external();
    if (!external.enabled) return undefined;
    const { memoryCacheLowWatermarkPercentage: percentage, externalEntropyLostTimeoutSeconds } =
      this.#dependencies.configuration();
    const capacityBytes = external.memorySizeBytes + external.storageSizeBytes;
    return {
      capacityBytes,
      availableBytes: Math.min(capacityBytes, external.memoryBytes + external.storedBytes),
      lowWatermarkBytes: Math.floor((capacityBytes * percentage) / 100),
      inactiveTimeoutSeconds: externalEntropyLostTimeoutSeconds,
    };
  }

  /** Whose entropy an account adds: that of the feeder it was given, or of one that is called like it. */
  feederOf({ name, feeder }: Pick<AccountRecord, 'name' | 'feeder'>): FeederRecord | undefined {
    const record = this.#dependencies.enrolment.find(feeder?.name ?? name);
    return feeder === undefined || record?.id === feeder.id ? record : undefined;
  }

  /** A feeder's client asked after the pool: it is there. One that is connected by the feed is not disturbed; who may not feed is not heard. */
  async heard(feeder: FeederRecord, peer: LinkPeer): Promise<void> {
    const { sessions, admission } = this.#dependencies;
    if (!sessions.has(feeder) && admission.isConnected(feeder.id)) return;
    try {
      const { session, letGo } = await sessions.nextTurn(feeder, peer);
      heardOn(session);
      letGo();
    } catch (error) {
      if (!isEntropyError(error)) throw error;
    }
  }

  /**
   * Adds what there is room for, and drops the rest. The data, of any length, is wiped.
   *
   * @throws EntropyError external-disabled, feeder-disabled, feeder-suspended, feeder-unauthenticated (revoked), feeder-replaced,
   * state-unwritable, engine-stopped
   */
  async add(feeder: FeederRecord, data: Uint8Array, peer: LinkPeer): Promise<PoolAddition> {
    const { sessions, random, counters } = this.#dependencies;
    const digestKey = randomBytes(random, DIGEST_KEY_BYTES);
    try {
      const { session, letGo } = await sessions.nextTurn(feeder, peer);
      try {
        heardOn(session);
        const roomBytes = feeder.rateUnits > 0 ? Math.min(data.length, await this.#roomBytes()) : data.length;
        const addition = await addFrames(session, data.subarray(0, roomBytes), digestKey);
        const droppedBytes = addition.droppedBytes + data.length - roomBytes;
        counters.add('pool.bytes.dropped', droppedBytes);
        return { ...addition, droppedBytes };
      } finally {
        letGo();
      }
    } finally {
      wipe(data);
      wipe(digestKey);
    }
  }

  async #roomBytes(): Promise<number> {
    const { roomBytes } = await this.#dependencies.external();
    return Math.max(0, roomBytes);
  }
}

/** Who asks too often is heard as often as its rate allows. */
function heardOn(session: RequestSession): void {
  try {
    session.admitted.heard();
  } catch (error) {
    if (!isEntropyError(error, 'feed-rate-exceeded')) throw error;
  }
}
