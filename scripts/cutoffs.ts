/**
 * Prints the cutoff tables that src/health/cutoffs.ts derives.
 *
 *   node --import tsx scripts/cutoffs.ts                  the tables
 *   node --import tsx scripts/cutoffs.ts --check [FILE]   compares them with the published ones; exits 1 on a difference
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { aptCutoff, rctCutoff } from '../src/health/cutoffs.ts';

const PUBLISHED = new URL('../tests/health/published-cutoffs.json', import.meta.url);

interface Published {
  readonly alphaExponents: readonly number[];
  readonly alphabets: readonly {
    readonly windowSamples: number;
    readonly rows: readonly {
      readonly bitsPerSample: number;
      readonly rct: readonly number[];
      readonly aptPrinted: readonly number[];
      readonly aptCorrected: readonly number[];
    }[];
  }[];
  /**
   * jitterentropy's tables: H = 1/osr bits per sample for osr from 1 up, corrected form, alpha 2^-30 and 2^-60. Its RCT
   * counts from 0, so the constants it prints, 30 and 60 times osr, are one below these.
   */
  readonly oversampled: {
    readonly windowSamples: number;
    readonly rctIntermittent: readonly number[];
    readonly rctPermanent: readonly number[];
    readonly aptIntermittent: readonly number[];
    readonly aptPermanent: readonly number[];
  };
}

const { values, positionals } = parseArgs({
  options: { check: { type: 'boolean' } },
  allowPositionals: true,
});
const published = JSON.parse(readFileSync(positionals[0] ?? PUBLISHED, 'utf8')) as Published;
const derived = derive(published);
if (values.check) check();
else print();

function derive({ alphaExponents, alphabets, oversampled }: Published): Published {
  const rct = (alphaExponent: number) => (_: number, i: number) => rctCutoff(alphaExponent, 1 / (i + 1));
  const apt = (alphaExponent: number) => (_: number, i: number) =>
    aptCutoff(alphaExponent, 1 / (i + 1), oversampled.windowSamples, 'corrected');
  return {
    alphaExponents,
    alphabets: alphabets.map(({ windowSamples, rows }) => ({
      windowSamples,
      rows: rows.map(({ bitsPerSample }) => ({
        bitsPerSample,
        rct: alphaExponents.map((exponent) => rctCutoff(exponent, bitsPerSample)),
        aptPrinted: alphaExponents.map((exponent) =>
          aptCutoff(exponent, bitsPerSample, windowSamples, 'printed'),
        ),
        aptCorrected: alphaExponents.map((exponent) =>
          aptCutoff(exponent, bitsPerSample, windowSamples, 'corrected'),
        ),
      })),
    })),
    oversampled: {
      windowSamples: oversampled.windowSamples,
      rctIntermittent: oversampled.rctIntermittent.map(rct(30)),
      rctPermanent: oversampled.rctPermanent.map(rct(60)),
      aptIntermittent: oversampled.aptIntermittent.map(apt(30)),
      aptPermanent: oversampled.aptPermanent.map(apt(60)),
    },
  };
}

function check(): void {
  const expected = lines(published);
  const differing = lines(derived).filter((line, i) => line !== expected[i]);
  for (const line of differing) console.error(`derived, and published otherwise: ${line}`);
  console.log(`${expected.length - differing.length} of ${expected.length} rows as published`);
  if (differing.length > 0 || expected.length === 0) process.exitCode = 1;
}

function print(): void {
  console.log(`alpha 2^-${derived.alphaExponents.join(', 2^-')}; RCT, APT as printed, APT corrected`);
  for (const line of lines(derived)) console.log(line);
}

function lines({ alphabets, oversampled }: Published): string[] {
  return [
    ...alphabets.flatMap(({ windowSamples, rows }) =>
      rows.map(
        ({ bitsPerSample, rct, aptPrinted, aptCorrected }) =>
          `W ${windowSamples}  H ${bitsPerSample.toFixed(3)}  ${rct.join('/')}  ${aptPrinted.join('/')}  ${aptCorrected.join('/')}`,
      ),
    ),
    `H 1/osr  RCT 2^-30  ${oversampled.rctIntermittent.join(' ')}`,
    `H 1/osr  RCT 2^-60  ${oversampled.rctPermanent.join(' ')}`,
    `H 1/osr  APT 2^-30  ${oversampled.aptIntermittent.join(' ')}`,
    `H 1/osr  APT 2^-60  ${oversampled.aptPermanent.join(' ')}`,
  ];
}
