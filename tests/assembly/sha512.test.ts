import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { count } from '../counts.ts';
import { BUILDS, freshModule } from '../mixer/built.ts';
import { sha512 } from '../mixer/pool-model.ts';
import type { MixerModule } from '../../src/mixer/wasm-module.ts';

const MESSAGE = Uint8Array.from({ length: 4096 }, (_, i) => (i * 31 + (i >> 8) * 7 + 1) & 0xff);

function digest({ exports, segments }: MixerModule, ...parts: readonly Uint8Array[]): string {
  assert.is(exports.hashStart(), 0);
  for (const part of parts) {
    segments.input.set(part);
    assert.is(exports.hashUpdate(part.length), 0);
  }
  assert.is(exports.hashFinish(), 0);
  return hex(segments.output.subarray(0, 64));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

const expected = Array.from({ length: 1025 }, (_, length) => hex(sha512(MESSAGE.subarray(0, length))));

for (const build of BUILDS) {
  test(`${build}: every length from 0 to 1,024 in one piece`, () => {
    const module = freshModule(build);
    for (let length = 0; length <= 1024; length++) {
      assert.is(digest(module, MESSAGE.subarray(0, length)), expected[length], `length ${length}`);
    }
  });

  test(`${build}: every two-part split with parts of 0 to 260 bytes`, () => {
    const module = freshModule(build);
    for (let first = 0; first <= 260; first++) {
      for (let second = 0; second <= 260; second++) {
        const parts = [MESSAGE.subarray(0, first), MESSAGE.subarray(first, first + second)];
        if (digest(module, ...parts) !== expected[first + second])
          assert.unreachable(`split ${first}+${second}`);
      }
    }
  });

  test(`${build}: random many-part splits`, () => {
    const module = freshModule(build);
    for (let round = 0; round < count(100, 5000); round++) {
      const cuts = Array.from({ length: 8 }, (_, i) => (round * (i + 3) * 97) % MESSAGE.length).sort(
        (a, b) => a - b,
      );
      const parts = [0, ...cuts].map((cut, i, all) => MESSAGE.subarray(cut, all[i + 1] ?? MESSAGE.length));
      assert.is(digest(module, ...parts), hex(sha512(MESSAGE)), `cuts ${cuts.join()}`);
    }
  });

  test(`${build}: a whole segment, and many of them`, () => {
    const module = freshModule(build);
    const segment = new Uint8Array(65_536).map((_, i) => i * 131);
    const segments = Array.from({ length: count(4, 64) }, () => segment);
    assert.is(digest(module, ...segments), hex(sha512(...segments)));
  });

  test(`${build}: finishing leaves neither context nor intermediate values`, () => {
    const module = freshModule(build);
    digest(module, MESSAGE);
    for (const name of ['hash', 'work', 'input'] as const) {
      assert.ok(
        module.segments[name].every((byte) => byte === 0),
        name,
      );
    }
    assert.is(module.exports.hashFinish(), -4, 'a digest is read once');
  });
}

test('the constants are the fractions of roots of the first primes', () => {
  const { segments } = freshModule('scalar');
  const view = segments['sha-512 constants'];
  const words = Array.from({ length: 88 }, (_, i) =>
    new DataView(view.buffer, view.byteOffset).getBigUint64(i * 8, true),
  );
  const primes = firstPrimes(80);
  const fraction = (n: bigint): bigint => n & ((1n << 64n) - 1n);
  const roots = [
    ...primes.map((prime) => fraction(integerRoot(prime << 192n, 3n))),
    ...primes.slice(0, 8).map((prime) => fraction(integerRoot(prime << 128n, 2n))),
  ];
  assert.equal(words, roots);
});

function firstPrimes(howMany: number): bigint[] {
  const primes: bigint[] = [];
  for (let n = 2n; primes.length < howMany; n++)
    if (primes.every((prime) => n % prime !== 0n)) primes.push(n);
  return primes;
}

/** Largest r with r^degree <= value, for values below 2^240. */
function integerRoot(value: bigint, degree: bigint): bigint {
  let low = 0n;
  let high = 1n << 121n;
  while (low < high) {
    const middle = (low + high + 1n) / 2n;
    if (middle ** degree <= value) low = middle;
    else high = middle - 1n;
  }
  return low;
}

test.run();
