import { FULL_ENTROPY_INPUT_BITS, MS_PER_SECOND } from '../base/units.ts';

export interface ServedBudgetOptions {
  /** `served-draw-limit`: externally credited bits a second; 0 serves nothing that costs any. */
  readonly bitsPerSecond: number;
  /** What may be spent at once after a pause; 32,768 when not given, and never less than one block, 320 bits. */
  readonly burstBits?: number;
}

const DEFAULT_BURST_BITS = 32_768;

/**
 * What served output may spend of the externally credited bits: a token bucket, full at start. Fractions of a bit count. Time is passed
 * in, in milliseconds of a clock that does not go back.
 */
export class ServedBudget {
  #options: ServedBudgetOptions;
  #bits: number;
  #atMs: number;

  constructor(options: ServedBudgetOptions, nowMs: number) {
    this.#options = expectOptions(options);
    this.#bits = this.capacityBits;
    this.#atMs = nowMs;
  }

  /** The most that can be there at once. */
  get capacityBits(): number {
    const { bitsPerSecond, burstBits = DEFAULT_BURST_BITS } = this.#options;
    return bitsPerSecond === 0 ? 0 : Math.max(FULL_ENTROPY_INPUT_BITS, burstBits);
  }

  /** What could be taken now; below 0 while a settlement above what was taken is made good. */
  availableBits(nowMs: number): number {
    const elapsedMs = Math.max(0, nowMs - this.#atMs);
    const earned = (elapsedMs * this.#options.bitsPerSecond) / MS_PER_SECOND;
    return Math.min(this.capacityBits, this.#bits + earned);
  }

  /** Takes that many bits, all of them or none. */
  take(bits: number, nowMs: number): boolean {
    expectBits(bits);
    this.#advance(nowMs);
    if (bits > 0 && bits > this.#bits) return false;
    this.#bits -= bits;
    return true;
  }

  /** What was really spent of what was taken: the rest is given back, more is charged. */
  settle(takenBits: number, spentBits: number): void {
    expectBits(takenBits);
    expectBits(spentBits);
    this.#bits = Math.min(this.capacityBits, this.#bits + takenBits - spentBits);
  }

  /** Milliseconds until that many bits can be taken; Infinity when they never can. */
  waitMs(bits: number, nowMs: number): number {
    const missingBits = bits - this.availableBits(nowMs);
    if (bits === 0 || missingBits <= 0) return 0;
    if (bits > this.capacityBits) return Infinity;
    return Math.ceil((missingBits * MS_PER_SECOND) / this.#options.bitsPerSecond);
  }

  /** Another limit from now on; what was earned stays, as far as the new one can hold it. */
  reconfigure(options: ServedBudgetOptions, nowMs: number): void {
    this.#advance(nowMs);
    this.#options = expectOptions(options);
    this.#bits = Math.min(this.capacityBits, this.#bits);
  }

  #advance(nowMs: number): void {
    this.#bits = this.availableBits(nowMs);
    this.#atMs = Math.max(this.#atMs, nowMs);
  }
}

function expectOptions(options: ServedBudgetOptions): ServedBudgetOptions {
  expectBits(options.bitsPerSecond);
  expectBits(options.burstBits ?? 0);
  return options;
}

function expectBits(bits: number): void {
  if (!(bits >= 0 && bits < Infinity)) throw new RangeError('a number of bits is finite and not below 0');
}
