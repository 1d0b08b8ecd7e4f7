import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FillResult } from '../../src/hardware/hardware.ts';
import { CpuSource } from '../../src/sources/cpu-source.ts';
import { SampleTap } from '../../src/sources/sample-tap.ts';
import { isA } from '../rejects.ts';

function sourceThatAnswers(result: FillResult) {
  return new CpuSource(
    { name: 'rdseed', unavailable: '', expectedBytesPerSecond: 1e6 },
    { fill: () => result },
  );
}

test('what the instruction gave is creditable', () => {
  const read = sourceThatAnswers({ bytes: 16, fault: 'none' }).read(new Uint8Array(16));
  assert.equal(read, { bytes: 16, creditableBytes: 16, failure: '' });
});

test('an instruction that ran dry gave less, which is no failure', () => {
  const read = sourceThatAnswers({ bytes: 8, fault: 'underflow' }).read(new Uint8Array(16));
  assert.equal(read, { bytes: 8, creditableBytes: 8, failure: '' });
});

test('all-zero or all-one words twice in a row are a total failure', () => {
  const read = sourceThatAnswers({ bytes: 0, fault: 'stuck-word' }).read(new Uint8Array(16));
  assert.match(read.failure, 'twice in a row');
});

test('a tap sees samples before the tests and may change them; closed it does nothing', () => {
  const tap = new SampleTap();
  const samples = new Uint8Array([1, 2]);
  tap.pass('rdseed', samples);
  tap.open((source, bytes) => bytes.fill(source === 'rdseed' ? 9 : 0));
  tap.pass('rdseed', samples);
  assert.equal([...samples], [9, 9]);
  assert.throws(() => tap.open(() => undefined), isA(RangeError));
  tap.close();
  tap.open(() => undefined);
});

test.run();
