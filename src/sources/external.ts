import type { Clock } from '../base/clock.ts';
import { FULL_ENTROPY_INPUT_UNITS } from '../base/units.ts';
import { NOTHING_READ, type NoiseSource, type SampleRead } from './noise-source.ts';

/** What the source draws from: the caches of external entropy. */
export interface ByteSupply {
  /** Credit of the next bytes, in 1/1024 bit a byte; 0 when none is in memory. */
  readonly nextRateUnits: number;
  /** When the next bytes arrived, on the monotonic clock; undefined when none is in memory or they came from storage. */
  readonly nextReceivedMs: number | undefined;
  /** All that is cached, and its credit in 1/1024 bit. */
  readonly bytes: number;
  readonly creditedUnits: number;
  /** Room for more, in bytes. */
  readonly roomBytes: number;
  /** True while memory is being refilled from storage. */
  readonly refilling: boolean;
  /** Moves bytes of one rate to the front of the target. */
  take(target: Uint8Array): { readonly bytes: number };
  /** A draw wanted more than there was. */
  missed(): void;
}

/** Once it had nothing left it gives again when this many blocks can be made, so that the gate does not flutter. */
const REOPENING_BLOCKS = 8;

/** Where eight blocks are more than the caches can hold: full to this part of what they hold and have room for. */
const REOPENING_FILL = 0.9;

/** A refill that takes longer is no excuse any more: the gate is told. */
const REFILL_PATIENCE_MS = 5_000;

export const NOTHING_CACHED = 'no external entropy is cached';

/**
 * The external source (bit 8): entropy that feeders delivered, drawn from the caches. It was tested at the door, frame by frame,
 * and each byte is worth what its feeder's enrolment says.
 */
export class ExternalSource implements NoiseSource {
  readonly name = 'external';
  readonly unavailable: string;
  readonly sampleBytes = 1;
  readonly instant = false;
  readonly expectedSampleMs = Infinity;
  readonly expectedBytesPerSecond = 0;
  readonly testedBefore = true;
  readonly #supply: ByteSupply | undefined;
  readonly #clock: Clock;
  /** It ran out, and has not filled up enough since. */
  #dry = false;
  #waitingSinceMs: number | undefined;

  /** @param dependencies.supply undefined, with the reason in `unavailable`, where nothing can be received */
  constructor(
    options: { readonly unavailable: string },
    dependencies: { readonly supply: ByteSupply | undefined; readonly clock: Clock },
  ) {
    this.unavailable = options.unavailable;
    this.#supply = dependencies.supply;
    this.#clock = dependencies.clock;
  }

  get nextRateUnits(): number {
    return this.givesNothing ? 0 : (this.#supply?.nextRateUnits ?? 0);
  }

  get pending(): boolean {
    if (this.#supply?.refilling !== true || this.#dry) return false;
    return this.#clock.monotonicMs() - (this.#waitingSinceMs ?? Infinity) < REFILL_PATIENCE_MS;
  }

  /** True from running out until eight blocks can be made, or the caches are as good as full. */
  get givesNothing(): boolean {
    if (!this.#dry || this.#supply === undefined) return this.#dry;
    const { bytes, roomBytes, creditedUnits } = this.#supply;
    const isEnough = creditedUnits >= REOPENING_BLOCKS * FULL_ENTROPY_INPUT_UNITS;
    const isFull = creditedUnits > 0 && bytes >= REOPENING_FILL * (bytes + roomBytes);
    this.#dry = !isEnough && !isFull;
    return this.#dry;
  }

  isFresh(sinceMs: number): boolean {
    const receivedMs = this.givesNothing ? undefined : this.#supply?.nextReceivedMs;
    return receivedMs !== undefined && receivedMs >= sinceMs;
  }

  open(): void {
    // What was delivered is there; there is nothing to gather.
  }

  read(target: Uint8Array): SampleRead {
    if (this.#supply === undefined || this.givesNothing) return { ...NOTHING_READ, empty: NOTHING_CACHED };
    const { bytes } = this.#supply.take(target);
    if (bytes > 0) {
      this.#waitingSinceMs = undefined;
      return { bytes, creditableBytes: bytes, failure: '' };
    }
    this.#supply.missed();
    if (this.#supply.refilling) {
      this.#waitingSinceMs ??= this.#clock.monotonicMs();
      return NOTHING_READ;
    }
    this.#dry = true;
    return { ...NOTHING_READ, empty: NOTHING_CACHED };
  }

  close(): void {
    // Whoever made the caches puts them away.
  }
}
