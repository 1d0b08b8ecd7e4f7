import type { EntropyError } from '../base/errors.ts';
import { INSTALL_SEED_FEEDER, type Origin, type Portion } from './origin.ts';
import type { PreparedSize, SegmentStore, StorageSizes } from './segment-store.ts';

/**
 * The storage cache with the install seed in front: the seed's segments are opened first, and what comes back of it goes back to it. Its
 * bytes count among those stored, but neither room nor capacity knows of them.
 */
export class SeedFirstStore implements SegmentStore {
  readonly #seed: SegmentStore;
  readonly #feeders: SegmentStore;

  constructor(dependencies: { readonly seed: SegmentStore; readonly feeders: SegmentStore }) {
    this.#seed = dependencies.seed;
    this.#feeders = dependencies.feeders;
  }

  get bytes(): number {
    return this.#seed.bytes + this.#feeders.bytes;
  }

  get creditedUnits(): number {
    return this.#seed.creditedUnits + this.#feeders.creditedUnits;
  }

  get seedBytes(): number {
    return this.#seed.bytes;
  }

  get roomBytes(): number {
    return this.#feeders.roomBytes;
  }

  get stopRoomBytes(): number {
    return this.#feeders.stopRoomBytes;
  }

  get capacityBytes(): number {
    return this.#feeders.capacityBytes;
  }

  get failure(): EntropyError | undefined {
    return this.#feeders.failure;
  }

  get spentSegments(): number {
    return this.#seed.spentSegments + this.#feeders.spentSegments;
  }

  /** Bytes of the seed come here when memory got smaller. */
  append(bytes: Uint8Array, origin: Origin): Promise<void> {
    const goesBack = origin.feeder === INSTALL_SEED_FEEDER && bytes.length <= this.#seed.roomBytes;
    return (goesBack ? this.#seed : this.#feeders).append(bytes, origin);
  }

  async takeSegment(): Promise<Portion[] | undefined> {
    const ofSeed = this.#seed.bytes > 0 ? await this.#seed.takeSegment() : undefined;
    return ofSeed ?? this.#feeders.takeSegment();
  }

  async store(portions: readonly Portion[]): Promise<number> {
    const isOfSeed = ({ origin }: Portion): boolean => origin.feeder === INSTALL_SEED_FEEDER;
    const seedBytes = await this.#seed.store(portions.filter(isOfSeed));
    return seedBytes + (await this.#feeders.store(portions.filter((portion) => !isOfSeed(portion))));
  }

  voidFeeder(feeder: number): void {
    this.#feeders.voidFeeder(feeder);
  }

  prepareSize(sizes: StorageSizes): Promise<PreparedSize> {
    return this.#feeders.prepareSize(sizes);
  }

  async rekey(key: Uint8Array): Promise<void> {
    await this.#seed.rekey(key);
    await this.#feeders.rekey(key);
  }

  /** A disk that let neither be spent must take writes to both. */
  async probe(): Promise<boolean> {
    const [seed, feeders] = await Promise.all([this.#seed.probe(), this.#feeders.probe()]);
    return seed && feeders;
  }

  async close(): Promise<void> {
    await Promise.all([this.#seed.close(), this.#feeders.close()]);
  }
}
