import { wipe } from '../base/bytes.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { isEntropyError, type EntropyError } from '../base/errors.ts';
import type { Origin, Portion } from './origin.ts';
import type { PreparedSize, SegmentStore, StorageSizes } from './segment-store.ts';

export interface StorageTierDependencies {
  readonly store: SegmentStore;
  readonly clock: Clock;
  /** Called when the tier changed by itself: an append settled, the disk healed. */
  readonly changed: () => void;
}

export interface Stored {
  readonly storedBytes: number;
  /** Why the disk refused; undefined when it was room that lacked. */
  readonly failure: EntropyError | undefined;
}

/** While the disk refuses, it is tried again this often. */
const PROBE_INTERVAL_MS = 10_000;

/** The storage cache as the reservoir uses it: what the disk refuses is a state that ends by itself, and no exception. */
export class StorageTier {
  readonly #store: SegmentStore;
  readonly #clock: Clock;
  readonly #changed: () => void;
  readonly #underWay = new Set<Promise<void>>();
  /** Why no segment can be opened; undefined while it can. */
  #spendFailure: EntropyError | undefined;
  /** It gave none although it counts bytes: they cannot be had until it changes. */
  #gaveNothing = false;
  #probe: Timer | undefined;
  #stopped = false;

  constructor(dependencies: StorageTierDependencies) {
    this.#store = dependencies.store;
    this.#clock = dependencies.clock;
    this.#changed = dependencies.changed;
    if (this.#store.failure !== undefined) this.#probeLater();
  }

  /** What is stored, whether it can be had now or not. */
  get bytes(): number {
    return this.#gaveNothing ? 0 : this.#store.bytes;
  }

  /** What can be given out: nothing while the disk refuses to spend. */
  get givableBytes(): number {
    return this.#spendFailure === undefined ? this.bytes : 0;
  }

  /** What of it is the install seed's; undefined where there is none. */
  get seedBytes(): number | undefined {
    return this.#store.seedBytes;
  }

  /** The install seed is to be used before anything that comes now, and can be. */
  get seedComesFirst(): boolean {
    return this.openable && this.#store.failure === undefined && (this.seedBytes ?? 0) > 0;
  }

  /** Credit of what can be given out, in 1/1024 bit. */
  get creditedUnits(): number {
    return this.openable ? this.#store.creditedUnits : 0;
  }

  get sizeBytes(): number {
    return this.#store.capacityBytes;
  }

  get roomBytes(): number {
    return this.#store.failure === undefined ? this.#store.roomBytes : 0;
  }

  /** What an orderly stop could store now; while the disk refuses nobody knows, and memory goes on without it. */
  get stopRoomBytes(): number {
    return this.#store.failure === undefined ? this.#store.stopRoomBytes : Infinity;
  }

  /** Why the disk refuses, for people; empty while it does not. */
  get failure(): string {
    return (this.#store.failure ?? this.#spendFailure)?.message ?? '';
  }

  /** Why stored bytes cannot be given out; empty while they can. */
  get spendFailure(): string {
    return this.#spendFailure?.message ?? '';
  }

  /** True when `open` may give a segment. */
  get openable(): boolean {
    return this.givableBytes > 0;
  }

  /** Stores as many of the bytes as there is room for, from the first on; they are durable when it resolves. */
  async append(bytes: Uint8Array, origin: Origin): Promise<Stored> {
    const fitting = bytes.subarray(0, this.roomBytes);
    if (fitting.length === 0) {
      return { storedBytes: 0, failure: bytes.length === 0 ? undefined : this.#store.failure };
    }
    const failure = await this.#tracked(this.#store.append(fitting, origin));
    if (failure === undefined) this.#gaveNothing = false;
    this.#changed();
    return { storedBytes: failure === undefined ? fitting.length : 0, failure };
  }

  /** The oldest segment; undefined when there is none or the disk refuses to spend it. */
  async open(): Promise<Portion[] | undefined> {
    try {
      const portions = await this.#store.takeSegment();
      this.#gaveNothing = portions === undefined;
      return portions;
    } catch (error) {
      this.#spendFailure = this.#operational(error);
      return undefined;
    }
  }

  /** The orderly stop: stores the portions, with the room kept for them, and wipes them; gives how many bytes are durable. */
  async keep(portions: readonly Portion[]): Promise<number> {
    try {
      if (portions.length === 0) return 0;
      if (this.#store.failure !== undefined) await this.#store.probe(); // the last chance
      return await this.#store.store(portions);
    } finally {
      for (const { bytes } of portions) wipe(bytes);
    }
  }

  voidFeeder(feeder: number): void {
    this.#store.voidFeeder(feeder);
  }

  prepareSize(sizes: StorageSizes): Promise<PreparedSize> {
    return this.#store.prepareSize(sizes);
  }

  /** Segments whose keys were destroyed since the key-encryption key came into force. */
  get spentSegments(): number {
    return this.#store.spentSegments;
  }

  /** Another key-encryption key. @throws EntropyError state-unwritable */
  async rekey(key: Uint8Array): Promise<void> {
    try {
      await this.#store.rekey(key);
    } catch (error) {
      throw this.#operational(error);
    }
  }

  /** Ends the probing and waits for appends. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#probe?.cancel();
    await Promise.allSettled([...this.#underWay]);
  }

  /** All that was stored is durable already, so a disk that refuses changes nothing. */
  async close(): Promise<void> {
    try {
      await this.#store.close();
    } catch (error) {
      if (!isEntropyError(error)) throw error;
    }
  }

  /** Waits for work on the disk; gives why the disk refused it. */
  async #tracked(work: Promise<void>): Promise<EntropyError | undefined> {
    this.#underWay.add(work);
    try {
      await work;
      return undefined;
    } catch (error) {
      return this.#operational(error);
    } finally {
      this.#underWay.delete(work);
    }
  }

  /** Passes on what only a defect can cause. */
  #operational(error: unknown): EntropyError {
    if (!isEntropyError(error)) throw error;
    this.#probeLater();
    return error;
  }

  #probeLater(): void {
    if (this.#stopped) return;
    this.#probe ??= this.#clock.after(PROBE_INTERVAL_MS, () => {
      this.#probe = undefined;
      void this.#tryAgain();
    });
  }

  async #tryAgain(): Promise<void> {
    if (await this.#store.probe()) {
      this.#spendFailure = undefined;
      this.#changed();
    } else {
      this.#probeLater();
    }
  }
}
