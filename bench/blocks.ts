import { createSHA512 } from 'hash-wasm';
import { hash, randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { Mixer, type MixerBuild } from '../src/mixer/mixer.ts';
import { measure, ratioOf, type BenchRatio } from './harness.ts';
import { BUILD_DIRECTORY } from './module.ts';

/** 40 bytes at 8 bits each are the 320 bits of a block; as many as fit one call. */
const PIECE_BYTES = 40;
const PIECES = 1638;
const BLOCK_BYTES = 32;
const SOURCE = 3;
const MAXIMUM_RATE_UNITS = 8192;

type Digest = (message: Uint8Array) => Uint8Array;

/**
 * Conditioned 32-byte blocks from 40-byte inputs, against the same construct on node:crypto and on hash-wasm: the same
 * bytes hashed, chained in the same way, checked to be equal first. The mixer also runs its health tests over them.
 */
export async function benchBlocks(): Promise<BenchRatio[]> {
  const input = randomBytes(PIECES * PIECE_BYTES);
  const seed = randomBytes(64);
  const startValue = hash(
    'sha512',
    Buffer.concat([Buffer.from('entropy-mixer/pool/start/1'), seed]),
    'buffer',
  ).subarray(32);
  const [simd, scalar] = [started('simd', seed), started('scalar', seed)];
  const hasher = await createSHA512();

  const onNode: Digest = (message) => hash('sha512', message, 'buffer');
  const onHashWasm: Digest = (message) => hasher.init().update(message).digest('binary');
  const expected = chained(onNode, startValue, input);
  for (const produced of [
    chained(onHashWasm, startValue, input),
    conditioned(simd, input),
    conditioned(scalar, input),
  ]) {
    if (!isDeepStrictEqual(produced, expected)) throw new Error('the constructs differ: nothing to compare');
  }

  const target = new Uint8Array(PIECES * BLOCK_BYTES);
  const unitsPerRun = PIECES;
  const results = measure('Conditioned 32-byte blocks from 40-byte inputs', 'block', [
    {
      name: 'mixer, simd',
      unitsPerRun,
      run: () => simd.condition(SOURCE, input, PIECE_BYTES, MAXIMUM_RATE_UNITS, target),
    },
    {
      name: 'mixer, scalar',
      unitsPerRun,
      run: () => scalar.condition(SOURCE, input, PIECE_BYTES, MAXIMUM_RATE_UNITS, target),
    },
    { name: 'node:crypto (crypto.hash)', unitsPerRun, run: () => chained(onNode, startValue, input) },
    { name: 'hash-wasm', unitsPerRun, run: () => chained(onHashWasm, startValue, input) },
  ]);

  const bulk = randomBytes(65_536);
  measure('SHA-512, 64 KiB', 'B', [
    { name: 'mixer, simd', unitsPerRun: bulk.length, run: () => simd.hash(bulk) },
    { name: 'mixer, scalar', unitsPerRun: bulk.length, run: () => scalar.hash(bulk) },
    { name: 'node:crypto (crypto.hash)', unitsPerRun: bulk.length, run: () => onNode(bulk) },
    { name: 'hash-wasm', unitsPerRun: bulk.length, run: () => onHashWasm(bulk) },
  ]);

  return [
    {
      label: 'blocks: mixer / node:crypto',
      ratio: ratioOf(results, 'mixer, simd', 'node:crypto (crypto.hash)'),
      target: 3,
    },
    { label: 'blocks: mixer / hash-wasm', ratio: ratioOf(results, 'mixer, simd', 'hash-wasm'), target: 3 },
    {
      label: 'blocks: mixer without SIMD / node:crypto',
      ratio: ratioOf(results, 'mixer, scalar', 'node:crypto (crypto.hash)'),
    },
    {
      label: 'blocks: mixer without SIMD / hash-wasm',
      ratio: ratioOf(results, 'mixer, scalar', 'hash-wasm'),
    },
  ];
}

function started(build: MixerBuild, seed: Uint8Array): Mixer {
  const mixer = Mixer.load({ directory: BUILD_DIRECTORY, build });
  mixer.start(seed);
  mixer.configureSlot(SOURCE, {
    symbolBits: 8,
    rctIntermittent: 9,
    rctPermanent: 16,
    aptWindowSamples: 512,
    aptIntermittent: 71,
    aptPermanent: 91,
    maximumRateUnits: MAXIMUM_RATE_UNITS,
  });
  return mixer;
}

function conditioned(mixer: Mixer, input: Uint8Array): Uint8Array {
  const target = new Uint8Array(PIECES * BLOCK_BYTES);
  mixer.condition(SOURCE, input, PIECE_BYTES, MAXIMUM_RATE_UNITS, target);
  return target;
}

/** The pool's construct: chain ‖ bit ‖ length ‖ bytes; the left half goes out, the right half is the next chain. */
function chained(digestOf: Digest, startValue: Uint8Array, input: Uint8Array): Uint8Array {
  const message = new Uint8Array(32 + 5 + PIECE_BYTES);
  message.set(startValue);
  message[32] = 1 << SOURCE;
  message[36] = PIECE_BYTES;
  const target = new Uint8Array(PIECES * BLOCK_BYTES);
  for (let piece = 0; piece < PIECES; piece++) {
    message.set(input.subarray(piece * PIECE_BYTES, (piece + 1) * PIECE_BYTES), 37);
    const digest = digestOf(message);
    target.set(digest.subarray(0, BLOCK_BYTES), piece * BLOCK_BYTES);
    message.set(digest.subarray(BLOCK_BYTES));
  }
  return target;
}
