/**
 * Cutoffs of the health tests of SP 800-90B section 4.4, and the conditioning formula of section 3.1.5.1.2.
 * `scripts/cutoffs.ts --check` derives the published tables anew from these functions. Plain f64 suffices: tails are
 * summed from their small end, and alpha is never taken from 1.
 */

/** False-positive probability of one test decision is 2^-exponent; the second is the square of the first. */
export const ALPHA_EXPONENT = { intermittent: 30, permanent: 60 } as const;

/** SP 800-90B 4.4.2: 1,024 samples for a binary alphabet, else 512. */
export const APT_WINDOW_SAMPLES = 512;

/**
 * `printed` counts as the standard prints it; `corrected` counts the window's first sample, which always equals itself,
 * outside the binomial. They differ by one at most.
 */
export type AptForm = 'printed' | 'corrected';

/** RCT: C = 1 + ceil(-log2(alpha) / H), in samples. RangeError unless both are above 0. */
export function rctCutoff(alphaExponent: number, bitsPerSample: number): number {
  expectPositive('alphaExponent', alphaExponent);
  expectPositive('bitsPerSample', bitsPerSample);
  // 4/5 and its like are no binary fractions: a quotient a few ulp above a whole number is that number.
  return 1 + Math.ceil((alphaExponent / bitsPerSample) * (1 - 4 * Number.EPSILON));
}

/**
 * APT: C = 1 + CRITBINOM(W, 2^-H, 1 - alpha), in samples of the window, and never above W: a cutoff that no window can
 * reach would be no test (FIPS 140-2 IG 7.19). RangeError for an exponent or H not above 0, or W not a whole number
 * of 2 to 65,536.
 */
export function aptCutoff(
  alphaExponent: number,
  bitsPerSample: number,
  windowSamples: number,
  form: AptForm = 'printed',
): number {
  return Math.min(uncappedAptCutoff(alphaExponent, bitsPerSample, windowSamples, form), windowSamples);
}

/** False when aptCutoff had to cap: then a healthy source fails more often than alpha says. */
export function isAptCutoffReachable(
  alphaExponent: number,
  bitsPerSample: number,
  windowSamples: number,
  form: AptForm = 'printed',
): boolean {
  return uncappedAptCutoff(alphaExponent, bitsPerSample, windowSamples, form) <= windowSamples;
}

function uncappedAptCutoff(
  alphaExponent: number,
  bitsPerSample: number,
  windowSamples: number,
  form: AptForm,
): number {
  expectPositive('alphaExponent', alphaExponent);
  expectPositive('bitsPerSample', bitsPerSample);
  if (!Number.isInteger(windowSamples) || windowSamples < 2 || windowSamples > 65_536) {
    throw new RangeError('windowSamples is not a whole number within 2..65536');
  }
  return form === 'printed'
    ? 1 + criticalCount(windowSamples, bitsPerSample, alphaExponent)
    : 2 + criticalCount(windowSamples - 1, bitsPerSample, alphaExponent);
}

/** Smallest k with P(X > k) <= alpha, X binomial over `trials` with p = 2^-H. */
function criticalCount(trials: number, bitsPerSample: number, alphaExponent: number): number {
  const alpha = 2 ** -alphaExponent;
  const logP = -bitsPerSample * Math.LN2;
  const logQ = Math.log(-Math.expm1(logP));
  let logMass = trials * logP;
  let tail = 0;
  for (let k = trials; k > 0; k--) {
    tail += Math.exp(logMass);
    if (tail > alpha) return k;
    logMass += Math.log(k / (trials - k + 1)) + logQ - logP;
  }
  return 0;
}

/** Both tests' cutoffs at both tiers, as a slot of the mixer takes them. */
export interface SlotCutoffs {
  readonly rctIntermittent: number;
  readonly rctPermanent: number;
  readonly aptWindowSamples: number;
  readonly aptIntermittent: number;
  readonly aptPermanent: number;
}

export interface CutoffAssumptions {
  /** Min-entropy claimed per RCT sample, in bits. */
  readonly rctBitsPerSample: number;
  /** Min-entropy claimed per APT sample (a byte), in bits. */
  readonly aptBitsPerSample: number;
  /** Defaults to 512. */
  readonly aptWindowSamples?: number;
  /** Defaults to 30 and 60. */
  readonly alphaExponent?: { readonly intermittent: number; readonly permanent: number };
  /** Defaults to `printed`. */
  readonly form?: AptForm;
}

export function slotCutoffs(assumptions: CutoffAssumptions): SlotCutoffs {
  const { rctBitsPerSample, aptBitsPerSample, form } = assumptions;
  const { intermittent, permanent } = assumptions.alphaExponent ?? ALPHA_EXPONENT;
  const aptWindowSamples = assumptions.aptWindowSamples ?? APT_WINDOW_SAMPLES;
  return {
    rctIntermittent: rctCutoff(intermittent, rctBitsPerSample),
    rctPermanent: rctCutoff(permanent, rctBitsPerSample),
    aptWindowSamples,
    aptIntermittent: aptCutoff(intermittent, aptBitsPerSample, aptWindowSamples, form),
    aptPermanent: aptCutoff(permanent, aptBitsPerSample, aptWindowSamples, form),
  };
}

/**
 * Output_Entropy(n_in, n_out, nw, h_in), bits: what a vetted conditioner gives out. Good to about 1e-12; full entropy is
 * closer to n_out than f64 can say, so it is decided by `isFullEntropy` and never by comparing this with n_out.
 * RangeError unless the sizes are whole numbers from 1 and h_in lies within 0..n_in.
 */
export function outputEntropy(
  inputBits: number,
  outputBits: number,
  narrowestBits: number,
  entropyBits: number,
): number {
  for (const [name, bits] of Object.entries({ inputBits, outputBits, narrowestBits })) {
    if (!Number.isInteger(bits) || bits < 1) throw new RangeError(`${name} is not a whole number from 1`);
  }
  if (!(entropyBits >= 0 && entropyBits <= inputBits))
    throw new RangeError('entropyBits is not within 0..inputBits');

  // Each input state but the likeliest has P_low; dividing 2^n_in out of psi and omega keeps both within f64.
  const n = Math.min(outputBits, narrowestBits, inputBits);
  const surplusBits = inputBits - n;
  const logShare =
    Math.log2(-Math.expm1(-entropyBits * Math.LN2)) - Math.log2(-Math.expm1(-inputBits * Math.LN2));
  const logPsi = logOfSum(-n + logShare, -entropyBits);
  const logOmega = -n + logShare + Math.log2(1 + Math.sqrt(2 * n * Math.LN2) * 2 ** (-surplusBits / 2));
  return -Math.min(0, Math.max(logPsi, logOmega));
}

/** SP 800-90C: a vetted function's n_out-bit output has full entropy when it took n_out + 64 bits or more. */
export function isFullEntropy(outputBits: number, entropyBits: number): boolean {
  return entropyBits >= outputBits + 64;
}

/** log2(2^a + 2^b). */
function logOfSum(a: number, b: number): number {
  const larger = Math.max(a, b);
  return larger === -Infinity ? larger : larger + Math.log2(1 + 2 ** (Math.min(a, b) - larger));
}

function expectPositive(name: string, value: number): void {
  if (!(value > 0 && value < Infinity)) throw new RangeError(`${name} is not above 0`);
}
