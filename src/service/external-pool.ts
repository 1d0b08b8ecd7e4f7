import { wipe } from '../base/bytes.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import type { ExternalReport } from '../contract/external.ts';
import type { Configuration } from '../contract/parameters.ts';
import { SerialQueue } from '../durable/serial-queue.ts';
import type { AccountRecord } from '../state/accounts.ts';
import type { Enrolment } from '../state/enrolment.ts';
import type { FeederRecord } from '../state/feeder-record.ts';
import type { FeederAdmission } from './feeder-admission.ts';
import type { LinkPeer } from './link-watch.ts';
import { PoolVisit } from './pool-visit.ts';

/** Both caches as one pool, in bytes, and the patience of the host. */
export interface PoolReport {
  readonly capacityBytes: number;
  readonly availableBytes: number;
  readonly lowWatermarkBytes: number;
  readonly inactiveTimeoutSeconds: number;
}

/** What became of bytes that were added. */
export interface PoolAddition {
  readonly takenBytes: number;
  /** For want of room or rate, or because they had come before. */
  readonly droppedBytes: number;
  /** Refused by the tests at the door. */
  readonly failedBytes: number;
}

export interface ExternalPoolDependencies {
  readonly external: () => Promise<ExternalReport>;
  readonly configuration: () => Configuration;
  readonly admission: FeederAdmission;
  readonly enrolment: Pick<Enrolment, 'find' | 'named'>;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly counters: Counters;
}

/**
 * External entropy for clients that poll a pool and add to it, each request by itself. Behind it a feeder's session is the same as on the
 * feed: one for each feeder, with its door, marks, rates, grants, receipts and link. A client that is not heard for
 * `external-entropy-lost-timeout` has left.
 */
export class ExternalPool {
  readonly #dependencies: ExternalPoolDependencies;
  readonly #visits = new Map<number, { readonly visit: PoolVisit; timer: Timer }>();
  readonly #queues = new Map<number, SerialQueue>();

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
    await this.#inTurn(feeder, async () => {
      const known = this.#visits.get(feeder.id);
      if (known === undefined && this.#dependencies.admission.isConnected(feeder.id)) return;
      try {
        (await this.#visit(feeder, peer)).heard(peer);
      } catch (error) {
        if (!(error instanceof EntropyError)) throw error;
      }
    });
  }

  /**
   * Adds what there is room for, and drops the rest. The data, of any length, is wiped.
   *
   * @throws EntropyError external-disabled, feeder-disabled, feeder-suspended, feeder-unauthenticated (revoked), feeder-replaced,
   * state-unwritable, engine-stopped
   */
  async add(feeder: FeederRecord, data: Uint8Array, peer: LinkPeer): Promise<PoolAddition> {
    try {
      return await this.#inTurn(feeder, async () => {
        const { admission, counters, external } = this.#dependencies;
        if (!admission.isEnabled)
          throw new EntropyError('external-disabled', 'the source mask leaves external entropy out');
        const visit = await this.#visit(feeder, peer);
        visit.heard(peer);
        const { roomBytes } = await external();
        const addition = await visit.add(data, feeder.rateUnits > 0 ? roomBytes : Infinity);
        counters.add('pool.bytes.dropped', addition.droppedBytes);
        return addition;
      });
    } finally {
      wipe(data);
    }
  }

  /** Ends the sessions; resolves when what came in them has been dealt with. */
  async close(): Promise<void> {
    const visits = [...this.#visits.values()];
    this.#visits.clear();
    for (const { timer } of visits) timer.cancel();
    await Promise.all(visits.map(({ visit }) => visit.leave()));
  }

  async #visit(feeder: FeederRecord, peer: LinkPeer): Promise<PoolVisit> {
    const { admission, random, clock } = this.#dependencies;
    const known = this.#visits.get(feeder.id);
    if (known !== undefined) {
      this.#watch(feeder.id, known.visit);
      return known.visit;
    }
    const visit = await PoolVisit.begin(
      { feeder, peer },
      { admission, random, clock, ended: (ended) => this.#forget(feeder.id, ended) },
    );
    if (!visit.hasEnded) this.#watch(feeder.id, visit);
    return visit;
  }

  /** Puts off its end. */
  #watch(id: number, visit: PoolVisit): void {
    this.#visits.get(id)?.timer.cancel();
    const { clock, admission } = this.#dependencies;
    const timer = clock.after(admission.lostTimeoutSeconds * MS_PER_SECOND, () => {
      if (visit.isBusy) this.#watch(id, visit);
      else void visit.leave();
    });
    this.#visits.set(id, { visit, timer });
  }

  #forget(id: number, visit: PoolVisit): void {
    const known = this.#visits.get(id);
    if (known?.visit !== visit) return;
    known.timer.cancel();
    this.#visits.delete(id);
  }

  /** One request of a feeder after the other: they share its session. */
  #inTurn<T>({ id }: FeederRecord, work: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(id) ?? new SerialQueue();
    this.#queues.set(id, queue);
    return queue.run(work);
  }
}
