import type { SlotTests } from '../../src/mixer/mixer.ts';

/**
 * RCT and APT of SP 800-90B 4.4.1 and 4.4.2, and the RCT at lag 2, one sample at a time, with counting that goes on
 * through failures.
 */
export class HealthModel {
  readonly #tests: SlotTests;
  #lastSample: bigint | undefined;
  #sampleBefore: bigint | undefined;
  #run = 0;
  #alternation = 0;
  #windowSample = 0;
  #windowCount = 0;
  #windowSeen = 0;

  constructor(tests: SlotTests) {
    this.#tests = tests;
  }

  /** Highest tier reached by a sample of this call: 0 healthy, 1 intermittent, 2 permanent. */
  test(bytes: Uint8Array): number {
    const { rctIntermittent, rctPermanent, aptIntermittent, aptPermanent } = this.#tests;
    let highest = 0;
    for (const symbol of this.#symbols(bytes)) {
      this.#run = symbol === this.#lastSample ? this.#run + 1 : 1;
      this.#alternation = symbol === this.#sampleBefore ? this.#alternation + 1 : 1;
      this.#sampleBefore = this.#lastSample;
      this.#lastSample = symbol;
      highest = Math.max(highest, tier(this.#run, rctIntermittent, rctPermanent));
      highest = Math.max(highest, tier(this.#alternation, rctIntermittent, rctPermanent));
    }
    for (const byte of bytes) {
      if (this.#countsInWindow(byte)) {
        highest = Math.max(highest, tier(this.#windowCount, aptIntermittent, aptPermanent));
      }
    }
    return highest;
  }

  *#symbols(bytes: Uint8Array): Generator<bigint> {
    const symbolBytes = this.#tests.symbolBits / 8;
    for (let at = 0; at + symbolBytes <= bytes.length; at += symbolBytes) {
      let symbol = 0n;
      for (let i = symbolBytes - 1; i >= 0; i--) symbol = (symbol << 8n) | BigInt(bytes[at + i]!);
      yield symbol;
    }
  }

  /** True when the byte equals the one that opened its window, that one itself excepted. */
  #countsInWindow(byte: number): boolean {
    const opens = this.#windowSeen === 0;
    if (opens) {
      this.#windowSample = byte;
      this.#windowCount = 1;
    } else if (byte === this.#windowSample) this.#windowCount++;
    this.#windowSeen = (this.#windowSeen + 1) % this.#tests.aptWindowSamples;
    return !opens && byte === this.#windowSample;
  }
}

function tier(count: number, intermittent: number, permanent: number): number {
  return count >= permanent ? 2 : count >= intermittent ? 1 : 0;
}
