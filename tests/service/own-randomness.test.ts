import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OwnRandomness } from '../../src/service/own-randomness.ts';

/** A cloned machine at its worst: a kernel that repeats itself. */
function brokenKernel(target: Uint8Array): void {
  target.fill(7);
}

function filled(random: OwnRandomness, length: number): Uint8Array {
  const target = new Uint8Array(length);
  random.fill(target);
  return target;
}

test('every length is filled whole, and no two draws are alike even over a kernel that repeats', () => {
  const random = new OwnRandomness({
    kernel: brokenKernel,
    generate: () => Promise.reject(new Error('closed')),
  });
  const seen = new Set<string>();
  for (let length = 16; length <= 130; length++) {
    const bytes = filled(random, length);
    assert.ok(
      bytes.subarray(-16).some((byte) => byte !== 0),
      `the end of ${length} bytes`,
    );
    seen.add(Buffer.from(bytes.subarray(0, 16)).toString('hex'));
  }
  assert.is(seen.size, 115);
});

test('DRBG output changes what follows; clones that got different output part ways', async () => {
  const clone = (output: number) =>
    new OwnRandomness({
      kernel: brokenKernel,
      generate: () => Promise.resolve(new Uint8Array(32).fill(output)),
    });
  const [a, b] = [clone(1), clone(2)];
  assert.equal(filled(a, 32), filled(b, 32));
  await Promise.all([a.refresh(), b.refresh()]);
  assert.not.equal(filled(a, 32), filled(b, 32));
});

test('a closed gate leaves the kernel alone to answer for it', async () => {
  let kernelBytes = 0;
  const random = new OwnRandomness({
    kernel: (target) => {
      kernelBytes += target.length;
      target.fill(kernelBytes & 255);
    },
    generate: () => Promise.reject(new Error('gate-closed')),
  });
  await random.refresh();
  filled(random, 64);
  assert.is(kernelBytes, 128, '64 fresh bytes for each 32');
});

test('what the DRBG gave is wiped after use', async () => {
  const output = new Uint8Array(32).fill(9);
  const random = new OwnRandomness({ kernel: brokenKernel, generate: () => Promise.resolve(output) });
  await random.refresh();
  assert.ok(output.every((byte) => byte === 0));
});

test.run();
