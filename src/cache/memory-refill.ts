import type { MemoryTier } from './memory-tier.ts';
import { SEGMENT_BYTES } from './segment-store.ts';
import type { StorageTier } from './storage-tier.ts';

export interface MemoryRefillDependencies {
  readonly memory: MemoryTier;
  readonly storage: StorageTier;
  /** Below this memory is refilled, in bytes. */
  readonly watermarkBytes: () => number;
  /** A segment has come, and the next is not yet on its way. */
  readonly onOpened: () => void;
  /** Memory is as full as it may be, or storage gave nothing more. */
  readonly onEnd: () => void;
}

/**
 * Whenever memory falls below the low watermark, lifts it just above, segment by segment.
 *
 * A segment's bytes are in memory alone once it is opened, so never more than ceil(watermark / 16 KiB) + 1 of them are: a
 * crash loses those, and nothing else that was stored.
 */
export class MemoryRefill {
  readonly #dependencies: MemoryRefillDependencies;
  #underWay: Promise<void> | undefined;
  #openingSeed = false;
  #stopped = false;

  constructor(dependencies: MemoryRefillDependencies) {
    this.#dependencies = dependencies;
  }

  /** Resolves when it has ended; undefined when there is none. */
  get underWay(): Promise<void> | undefined {
    return this.#underWay;
  }

  /** The segment on its way is the install seed's. */
  get openingSeed(): boolean {
    return this.#openingSeed;
  }

  /** Begins one if memory is low, it can be lifted, and none is under way. */
  beginIfLow(): void {
    if (this.#mayOpen()) this.#underWay ??= this.#run();
  }

  /** No further segment is opened; the one on its way still comes. */
  stop(): void {
    this.#stopped = true;
  }

  #mayOpen(): boolean {
    const { memory, storage } = this.#dependencies;
    if (this.#stopped || !storage.openable) return false;
    const watermarkBytes = this.#dependencies.watermarkBytes();
    const bound = Math.ceil(watermarkBytes / SEGMENT_BYTES) + 1;
    return memory.bytes < watermarkBytes && memory.mayOpen(bound);
  }

  async #run(): Promise<void> {
    const { memory, storage, onOpened, onEnd } = this.#dependencies;
    while (this.#mayOpen()) {
      memory.beginOpening();
      this.#openingSeed = storage.seedComesFirst;
      const portions = await storage.open();
      memory.opened(portions ?? []);
      this.#openingSeed = false;
      onOpened();
    }
    this.#underWay = undefined;
    onEnd();
  }
}
