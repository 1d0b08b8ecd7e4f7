import type { SourceName } from '../base/names.ts';

export interface SampleRead {
  /** Bytes written to the front of the target: whole raw samples. */
  readonly bytes: number;
  /** How many of them may be credited; the rest is mixed for nothing. At most `bytes`. */
  readonly creditableBytes: number;
  /**
   * Empty, or why the source must be taken for totally failed (SP 800-90B 4.3): the bytes are then discarded and the source is
   * read no more. A source that merely has nothing ready gives 0 bytes and no failure.
   */
  readonly failure: string;
  /** Set with 0 bytes when there is nothing, and nothing on its way: why, for people. */
  readonly empty?: string;
}

/**
 * A noise source, as the collector sees it.
 *
 * What an implementation must not do: block for more than 10 ms in one call; throw for anything the hardware does; give the same
 * bytes twice; keep a copy of bytes it gave; test or credit (that is the mixer's and the collector's); read while it is masked
 * out or not asked. Whatever it cannot do, it says in `unavailable` or `failure`, and gives no bytes.
 */
export interface NoiseSource {
  readonly name: SourceName;
  /** Why it cannot be used on this host; empty when it can. Decided at construction, cheap to ask. */
  readonly unavailable: string;
  /** Bytes of one raw sample: a 64-bit word, or a symbol of 8 bits. */
  readonly sampleBytes: 1 | 8;
  /** Longest time between two samples in good order, in milliseconds: three times this is a stall. */
  readonly expectedSampleMs: number;
  /** True when samples are made as they are read; false when they are gathered over time and read later. */
  readonly instant: boolean;
  /** Pace to expect before any was measured, in bytes per second. */
  readonly expectedBytesPerSecond: number;
  /** Credit of the bytes the next read gives, in 1/1024 bit a byte, 0 when there are none; absent where policy alone sets it. */
  readonly nextRateUnits?: number;
  /** True when its bytes were tested before they were let in, as external ones are: they are not tested again. */
  readonly testedBefore?: boolean;
  /** True while more is on its way to it without anyone's doing, so that having nothing now is no starvation; absent: never. */
  readonly pending?: boolean;
  /** Whether the bytes the next read gives came into being after a moment (monotonic ms); absent: `instant` tells. */
  isFresh?(sinceMs: number): boolean;
  /** Begins gathering, for what takes time: fills a small ready buffer, then costs nothing until that is read. */
  open(): void;
  /** Moves up to target.length (a multiple of sampleBytes) ready bytes into the target. */
  read(target: Uint8Array): SampleRead;
  /** Stops gathering and forgets what was gathered; it may be opened again. */
  close(): void;
}

export const NOTHING_READ: SampleRead = { bytes: 0, creditableBytes: 0, failure: '' };
