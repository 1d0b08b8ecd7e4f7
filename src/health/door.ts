import type { Verdict } from '../base/names.ts';
import { APT_WINDOW_SAMPLES, slotCutoffs } from './cutoffs.ts';
import type { SourceTests } from './source-tests.ts';

/** A false alarm once in 2^40 decisions refuses the frame; at its square, as for noise sources, the feeder is suspended. */
const ALPHA_EXPONENT = { intermittent: 40, permanent: 80 } as const;
/** Min-entropy that the tests assume: of a byte for the APT, of a 64-bit word for the RCT. */
const APT_BITS_PER_BYTE = 4;
const RCT_BITS_PER_WORD = 40;

/**
 * Tests of a feeder's frames at the door, as the mixer takes them: the same for every feeder, whatever its rate, for what comes over the
 * wire is conditioned already. They are sanity checks of the way here, not of the noise source (SP 800-90B 4.4 runs beside
 * that), and find a stuck, repeating or garbled device.
 *
 *   RCT    64-bit words, at lag 1 and 2    refused at 2 equal words, suspended at 3
 *   APT    bytes, window 512               refused at 78 equal bytes, suspended at 102
 *
 * Words are counted from the start of each frame; bytes behind the last whole word are seen by the APT alone. Runs and windows go
 * on from frame to frame. The slot mixes nothing in, so its bytes are worth nothing by themselves.
 */
export function doorTests(): SourceTests {
  const cutoffs = slotCutoffs({
    rctBitsPerSample: RCT_BITS_PER_WORD,
    aptBitsPerSample: APT_BITS_PER_BYTE,
    aptWindowSamples: APT_WINDOW_SAMPLES,
    alphaExponent: ALPHA_EXPONENT,
  });
  return { ...cutoffs, symbolBits: 64, maximumRateUnits: 0 };
}

/** So many failed frames among so many, the failed one included, suspend a feeder. */
export const SUSPENDING_FAILURES = 3;
export const SUSPENSION_WINDOW_FRAMES = 1000;

/**
 * Whether a feeder may go on after a failed frame. One verdict of the permanent tier suspends it, or the third failed frame
 * within 1,000: at α = 2^-40 three are no accident. It lasts over sessions, or a feeder would evade it by connecting anew.
 */
export class DoorHealth {
  #frames = 0;
  /** Numbers of the last failed frames, oldest first. */
  #failed: number[] = [];

  /** A frame was tested; true when the feeder is to be suspended. Then it begins anew, for when an operator enables it. */
  tested(verdict: Verdict): boolean {
    this.#frames += 1;
    if (verdict === 'healthy') return false;
    const oldestCounted = this.#frames - SUSPENSION_WINDOW_FRAMES + 1;
    this.#failed = [...this.#failed.filter((frame) => frame >= oldestCounted), this.#frames];
    if (verdict !== 'permanent' && this.#failed.length < SUSPENDING_FAILURES) return false;
    this.#failed = [];
    return true;
  }

  /** An operator vouches for the feeder anew: earlier failures are forgotten. A new session is no reason for that. */
  reset(): void {
    this.#failed = [];
  }
}
