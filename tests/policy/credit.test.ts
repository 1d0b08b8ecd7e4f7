import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SOURCE_NAMES } from '../../src/base/names.ts';
import {
  bytesPerBlock,
  creditRateUnits,
  kernelCreditBits,
  TEST_BITS_PER_BYTE,
} from '../../src/policy/credit.ts';

const BIT = 1024;
const nothing = { interrupts: 0, rdrand: 0, rdseed: 0, external: 0 };

test('default rates: 1 bit per 64 events, 8 bits per 2,048 bytes of RDRAND, 4 bits per byte of RDSEED', () => {
  assert.is(creditRateUnits('interrupts', 1) * 64, 1 * BIT);
  assert.is(creditRateUnits('rdrand', 2) * 2048, 8 * BIT);
  assert.is(creditRateUnits('rdseed', 4), 4 * BIT);
});

test('RDRAND and RDSEED are one noise source: with bit 4 in the mask RDRAND is worth nothing', () => {
  for (let mask = 0; mask <= 15; mask++) {
    assert.is(creditRateUnits('rdrand', mask) === 0, (mask & 4) !== 0, `mask ${mask}`);
  }
});

test('no local source is credited above what its health tests assume', () => {
  for (const name of SOURCE_NAMES) {
    if (name === 'external') continue;
    assert.ok(creditRateUnits(name, 0) <= TEST_BITS_PER_BYTE[name] * BIT, name);
  }
});

test('a source gives a block at most what would fill it alone', () => {
  assert.is(bytesPerBlock(4 * BIT), 80);
  assert.is(bytesPerBlock(8 * BIT), 40);
  assert.is(bytesPerBlock(creditRateUnits('rdrand', 2)), 81_920);
  assert.is(bytesPerBlock(creditRateUnits('interrupts', 1)), 20_480);
  assert.is(bytesPerBlock(3 * BIT), 107, '320 / 3 is rounded up');
  assert.is(bytesPerBlock(0), 64, 'an uncredited source still takes part');
});

test('the kernel is asked for the external part only, less 64 bits, never more than the block has', () => {
  const asked = (bits: number) =>
    kernelCreditBits({ ...nothing, rdseed: 320 * BIT, external: bits * BIT }, false);
  assert.equal([0, 64, 65, 319, 320, 500].map(asked), [0, 0, 1, 255, 256, 256]);
});

test('a fraction of a bit is never rounded up', () => {
  assert.is(kernelCreditBits({ ...nothing, external: 65 * BIT - 1 }, false), 0);
});

test('opting in counts the sources that the kernel counts by itself', () => {
  const block = { ...nothing, rdseed: 320 * BIT };
  assert.is(kernelCreditBits(block, false), 0);
  assert.is(kernelCreditBits(block, true), 256);
});

test('whatever a block was made from, 0 to 256 bits are asked, and never more than were credited', () => {
  const units = fc.nat({ max: 10_000 * BIT });
  fc.assert(
    fc.property(
      units,
      units,
      units,
      units,
      fc.boolean(),
      (interrupts, rdrand, rdseed, external, creditCpu) => {
        const bits = kernelCreditBits({ interrupts, rdrand, rdseed, external }, creditCpu);
        const all = interrupts + rdrand + rdseed + external;
        return (
          Number.isInteger(bits) && bits >= 0 && bits <= 256 && bits * BIT <= (creditCpu ? all : external)
        );
      },
    ),
  );
});

test.run();
