import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resolveMask, sourcesIn } from '../../src/policy/source-mask.ts';
import { isA } from '../rejects.ts';

const yes = true;
const no = false;

test('0 is the default: RDSEED alone where it can be used, else interrupts and RDRAND', () => {
  assert.is(resolveMask({ configured: 0, disableHwrng: no, rdseedUsable: yes }), 4);
  assert.is(resolveMask({ configured: 0, disableHwrng: no, rdseedUsable: no }), 1 | 2);
});

test('any other mask is taken as it is, usable or not: nothing is replaced in silence', () => {
  for (let configured = 1; configured <= 15; configured++) {
    assert.is(resolveMask({ configured, disableHwrng: no, rdseedUsable: no }), configured);
    assert.is(resolveMask({ configured, disableHwrng: no, rdseedUsable: yes }), configured);
  }
});

test('disableHwrng takes bits 2 and 4 out of every mask', () => {
  for (let configured = 1; configured <= 15; configured++) {
    assert.is(resolveMask({ configured, disableHwrng: yes, rdseedUsable: yes }), configured & ~6);
  }
});

test('disableHwrng makes RDSEED unusable before the default is chosen: interrupts are left, not nothing', () => {
  assert.is(resolveMask({ configured: 0, disableHwrng: yes, rdseedUsable: yes }), 1);
});

test('what is not a mask is a programmer error', () => {
  for (const configured of [-1, 16, 0.5, NaN]) {
    assert.throws(() => resolveMask({ configured, disableHwrng: no, rdseedUsable: yes }), isA(RangeError));
  }
});

test('sources are named in order of their bits', () => {
  assert.equal(sourcesIn(15), ['interrupts', 'rdrand', 'rdseed', 'external']);
  assert.equal(sourcesIn(10), ['rdrand', 'external']);
  assert.equal(sourcesIn(0), []);
});

test.run();
