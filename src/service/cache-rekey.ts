import type { Clock, Timer } from '../base/clock.ts';
import { isEntropyError } from '../base/errors.ts';
import type { EventBus, EventId } from '../base/events.ts';
import type { RandomSource } from '../base/random.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import type { CacheKeyReport } from '../contract/external.ts';
import { SerialQueue } from '../durable/serial-queue.ts';
import { cacheGeneration, type CacheKeyRing } from '../state/cache-key-ring.ts';
import { changeCacheKey } from '../state/change-cache-key.ts';
import type { GenerationCounter } from '../state/generation.ts';
import type { StateArchive } from '../state/state-archive.ts';

export interface CacheRekeyDependencies {
  readonly archive: StateArchive;
  /** Used in mode TPM alone: in mode NONE whoever has a copy of the disk has its keys, whatever their generation. */
  readonly counter: GenerationCounter;
  readonly random: RandomSource;
  /** As changeCacheKey has it, whoever has the caches open. */
  readonly rewrap: (ring: CacheKeyRing) => Promise<void>;
  /** Stored segments whose keys were destroyed since the key-encryption key came into force. */
  readonly spentSegments: () => Promise<number>;
  readonly clock: Clock;
  readonly bus: EventBus;
}

/** Non-volatile memory of a TPM wears: at start, then at most this often, and only when something was spent. */
const INTERVAL_MS = 3600 * MS_PER_SECOND;
const RETRY_MS = 600 * MS_PER_SECOND;

/** Whoever had the archive's old keys may have had those of the caches with them. */
const CHANGES_WITH: ReadonlySet<EventId> = new Set(['configenc.tpm.enable', 'recovery.key.rotated']);

/**
 * Changes the key-encryption key of the caches in mode TPM, so that older copies of the disk open nothing that was spent before. A change
 * that fails is told and tried again; nothing waits for it.
 */
export class CacheRekey {
  readonly #dependencies: CacheRekeyDependencies;
  readonly #queue = new SerialQueue();
  readonly #unsubscribe: () => void;
  #timer: Timer | undefined;
  /** Why the last change failed; empty when it did not. */
  #failure = '';
  #changedMs: number | null = null;
  #closed = false;

  constructor(dependencies: CacheRekeyDependencies) {
    this.#dependencies = dependencies;
    this.#unsubscribe = dependencies.bus.subscribe(({ id }) => {
      if (CHANGES_WITH.has(id)) void this.change();
    });
  }

  /** The change of a start, in the background, and then those of each hour. */
  start(): void {
    void this.change();
  }

  /** Resolves when it is done or told that it failed. */
  change(): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#closed) return;
      this.#timer?.cancel();
      await this.#change();
      this.#again();
    });
  }

  report(): CacheKeyReport {
    const { archive } = this.#dependencies;
    const generation = archive.mode === 'TPM' ? cacheGeneration({ archive }) : 0;
    return {
      keyGeneration: generation === 0 ? null : generation,
      keyChangedMs: this.#changedMs,
      keyFailure: this.#failure,
    };
  }

  /** Waits for a change under way. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    this.#timer?.cancel();
    await this.#queue.settled();
  }

  #again(): void {
    if (this.#closed) return;
    const waitMs = this.#failure !== '' ? RETRY_MS : INTERVAL_MS;
    this.#timer = this.#dependencies.clock.after(waitMs, () => void this.#changeIfSpent());
  }

  async #changeIfSpent(): Promise<void> {
    if (this.#failure !== '' || (await this.#wasSpent())) return this.change();
    this.#again();
  }

  /** When it cannot be asked something may have been. */
  async #wasSpent(): Promise<boolean> {
    try {
      return (await this.#dependencies.spentSegments()) > 0;
    } catch (error) {
      if (!isEntropyError(error)) throw error;
      return true;
    }
  }

  async #change(): Promise<void> {
    const { archive, bus, clock } = this.#dependencies;
    if (archive.mode !== 'TPM' || archive.refused !== undefined) return;
    try {
      const generation = await changeCacheKey(this.#dependencies);
      this.#failure = '';
      this.#changedMs = Math.floor(clock.wallMs());
      bus.emit('cache.key.changed', { generation });
    } catch (error) {
      if (!isEntropyError(error)) throw error;
      this.#failure = `${error.code}: ${error.message}`;
      bus.emit('cache.key.change.failed', { code: error.code, because: error.message });
    }
  }
}
