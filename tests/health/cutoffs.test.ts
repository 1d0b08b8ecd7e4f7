import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  aptCutoff,
  isAptCutoffReachable,
  isFullEntropy,
  outputEntropy,
  rctCutoff,
  slotCutoffs,
} from '../../src/health/cutoffs.ts';

const SCRIPT = fileURLToPath(new URL('../../scripts/cutoffs.ts', import.meta.url));
const PUBLISHED = fileURLToPath(new URL('published-cutoffs.json', import.meta.url));

function check(file: string): { readonly status: number | null; readonly text: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', SCRIPT, '--check', file],
    {
      encoding: 'utf8',
    },
  );
  return { status, text: stdout + stderr };
}

test('the script derives every published row, and sees one that is off by one', () => {
  assert.equal(check(PUBLISHED), { status: 0, text: '33 of 33 rows as published\n' });

  const folder = mkdtempSync(path.join(tmpdir(), 'cutoffs-'));
  try {
    const spoiled = path.join(folder, 'published.json');
    writeFileSync(spoiled, readFileSync(PUBLISHED, 'utf8').replace('325', '326'));
    const { status, text } = check(spoiled);
    assert.is(status, 1);
    assert.match(text, /32 of 33 rows/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('RCT: the smallest C whose false alarms are at most alpha', () => {
  assert.is(rctCutoff(20, 0.5), 41, "Go's C for H = 0.5");
  assert.is(rctCutoff(30, 32), 2, 'two equal 64-bit words, half of their bits claimed');
  assert.is(rctCutoff(30, 0.3), 101, '30 / 0.3 is 100, whatever f64 makes of it');
  for (const exponent of [20, 30, 40, 60]) {
    for (const bits of [0.1, 0.3, 0.6, 1, 2.5, 4, 7.9]) {
      const c = rctCutoff(exponent, bits);
      assert.ok((c - 1) * bits >= exponent - 1e-9, `C ${c} suffices`);
      assert.ok((c - 2) * bits < exponent, `C ${c} - 1 does not`);
    }
  }
});

/** P(X >= k), X binomial, in exact integers for p = 2^-h: numerator over 2^(h·n). */
function tailAtLeast(k: number, n: number, h: number): bigint {
  let sum = 0n;
  let ways = 1n;
  const others = 2n ** BigInt(h) - 1n;
  for (let hits = n; hits >= k; hits--) {
    sum += ways;
    ways = (ways * BigInt(hits) * others) / BigInt(n - hits + 1);
  }
  return sum;
}

test('APT: equals exact integer arithmetic for whole H, at both tiers and in both forms', () => {
  for (const h of [1, 2, 4, 8]) {
    for (const exponent of [20, 30, 40, 60]) {
      for (const [form, trials, offset] of [
        ['printed', 512, 1],
        ['corrected', 511, 2],
      ] as const) {
        // alpha = 2^-exponent: P(X > k) <= alpha, both sides times 2^(h·n).
        const alpha = 2n ** BigInt(h * trials - exponent);
        const critical = aptCutoff(exponent, h, 512, form) - offset;
        assert.ok(tailAtLeast(critical + 1, trials, h) <= alpha, `H ${h}, 2^-${exponent}, ${form}`);
        assert.ok(tailAtLeast(critical, trials, h) > alpha, `H ${h}, 2^-${exponent}, ${form}: the smallest`);
      }
    }
  }
});

test('APT: never above the window, and it says when that was a cap', () => {
  for (const [bits, reachable] of [
    [1 / 7, true],
    [1 / 8, true],
    [1 / 15, false],
    [0.001, false],
  ] as const) {
    assert.is(aptCutoff(60, bits, 512, 'corrected'), bits === 1 / 7 ? 510 : 512);
    assert.is(isAptCutoffReachable(60, bits, 512, 'corrected'), reachable, `H ${bits}`);
  }
  assert.ok(isAptCutoffReachable(60, 4, 512));
});

test('both tiers of a slot: 64-bit words at half their bits, bytes at 4 bits', () => {
  assert.equal(slotCutoffs({ rctBitsPerSample: 32, aptBitsPerSample: 4 }), {
    rctIntermittent: 2,
    rctPermanent: 3,
    aptWindowSamples: 512,
    aptIntermittent: 71,
    aptPermanent: 91,
  });
});

test('Output_Entropy: the check values, to 1e-9', () => {
  for (const [nIn, nOut, nw, hIn, expected] of [
    [256, 256, 256, 256, 251.689764568727],
    [512, 256, 256, 256, 255.0],
    [512, 256, 256, 272, 255.999977986389],
    [512, 256, 256, 288, 255.999999999664],
    [512, 256, 256, 320, 256],
    [4096, 256, 256, 320, 256],
    [1024, 512, 512, 512, 511],
    [1024, 512, 512, 576, 512],
    [256, 128, 128, 192, 128],
    [8192, 256, 256, 257, 255.415037499279],
    [16, 8, 16, 4, 3.917849740153],
    [4096, 256, 256, 128, 128],
  ] as const) {
    const bits = outputEntropy(nIn, nOut, nw, hIn);
    assert.ok(Math.abs(bits - expected) < 1e-9, `${nIn} ${nOut} ${nw} ${hIn}: ${bits}`);
  }
});

test('Output_Entropy: never more than went in, nor than comes out; rises with what goes in', () => {
  let before = -1;
  for (let hIn = 0; hIn <= 512; hIn += 4) {
    const bits = outputEntropy(512, 256, 512, hIn);
    assert.ok(bits <= Math.min(hIn, 256) && bits >= before, `${hIn}: ${bits}`);
    before = bits;
  }
});

test('full entropy is 64 bits more than come out, by whole numbers', () => {
  assert.not(isFullEntropy(256, 320 - 1 / 1024));
  assert.ok(isFullEntropy(256, 320));
});

test('arguments out of range', () => {
  for (const wrong of [0, -1, NaN, Infinity]) {
    assert.throws(() => rctCutoff(wrong, 1), /alphaExponent/);
    assert.throws(() => rctCutoff(30, wrong), /bitsPerSample/);
    assert.throws(() => aptCutoff(30, wrong, 512), /bitsPerSample/);
  }
  for (const window of [1, 1.5, 65_537, NaN]) assert.throws(() => aptCutoff(30, 1, window), /windowSamples/);
  for (const wrong of [-1, 257, NaN]) assert.throws(() => outputEntropy(256, 256, 256, wrong), /entropyBits/);
  assert.throws(() => outputEntropy(256, 0, 256, 1), /outputBits/);
});

test.run();
