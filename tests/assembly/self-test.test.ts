import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SEGMENTS, SELF_TESTS, STATUS } from '../../src/mixer/abi.ts';
import type { MixerModule } from '../../src/mixer/wasm-module.ts';
import { BUILDS, freshModule } from '../mixer/built.ts';
import { HashDrbgModel } from '../mixer/hash-drbg-model.ts';
import { PoolModel, sha512 } from '../mixer/pool-model.ts';

const NONE = new Uint8Array();
const secretNames = SEGMENTS.filter(({ secrecy }) => secrecy === 'secret').map(({ name }) => name);

function upTo(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i);
}

/** A module in full service: pool started and credited, slots with history, DRBG instantiated, a seed and a hash open. */
function inService(build: (typeof BUILDS)[number]): MixerModule {
  const module = freshModule(build);
  const { exports, segments } = module;
  const put = (length: number, first: number): void =>
    segments.input.set(upTo(length).map((i) => i * 5 + first));
  put(64, 1);
  assert.is(exports.start(64), STATUS.ok);
  assert.is(exports.configureSlot(3, 8, 20, 40, 512, 100, 200, 8192), STATUS.ok);
  assert.is(exports.configureSlot(9, 64, 20, 40, 512, 100, 200, 0), STATUS.ok);
  for (let seed = 0; seed < 3; seed++) {
    put(40, seed);
    exports.ingest(3, 40, 40, 8192);
    assert.is(exports.reserveSeed(), STATUS.ok);
  }
  assert.is(exports.instantiate(0), STATUS.ok);
  put(30, 7);
  exports.ingest(3, 30, 30, 8192);
  put(30, 8);
  exports.test(9, 30);
  exports.hashStart();
  put(30, 9);
  exports.hashUpdate(30);
  return module;
}

function snapshot({ segments }: MixerModule): Record<string, string> {
  const digests = Object.entries(segments).map(([name, bytes]) => [
    name,
    Buffer.from(sha512(bytes)).toString('hex'),
  ]);
  return Object.fromEntries(digests) as Record<string, string>;
}

function assertSecretsAreZero({ segments }: MixerModule): void {
  for (const name of secretNames) {
    assert.ok(
      segments[name].every((byte) => byte === 0),
      `${name} is zero`,
    );
  }
}

for (const build of BUILDS) {
  test(`${build}: every test passes, and every test reports the fault it is shown`, () => {
    const { exports } = freshModule(build);
    assert.is(exports.selfTest(0), 0);
    for (let fault = 1; fault <= SELF_TESTS.length; fault++) {
      assert.is(exports.selfTest(fault), fault, SELF_TESTS[fault - 1]);
    }
    assert.is(exports.moduleState(), 0, 'faults asked for are no failure');
  });

  test(`${build}: a self-test in service disturbs nothing and leaves its scratch memory zero`, () => {
    const module = inService(build);
    const before = snapshot(module);
    for (let fault = 0; fault <= SELF_TESTS.length; fault++) module.exports.selfTest(fault);
    assert.equal(snapshot(module), before);
    assert.ok(module.segments.scratch.every((byte) => byte === 0));
  });

  for (const [segment, offset, failing] of [
    ['sha-512 constants', 8, 1],
    ['known answers', 112, 1],
    ['known answers', 240, 9],
    ['known answers', 272, 9],
    ['known answers', 304, 11],
    ['known answers', 336, 12],
    ['known answers', 368, 13],
  ] as const) {
    test(`${build}: one bit wrong at ${segment}+${offset} fails test ${failing}, wipes all and is final`, () => {
      const module = inService(build);
      const { exports, segments } = module;
      segments[segment][offset]! ^= 1;
      assert.is(exports.selfTest(0), failing);
      assert.is(exports.moduleState(), 3);
      assertSecretsAreZero(module);

      segments[segment][offset]! ^= 1;
      assert.is(exports.start(64), STATUS.refusedState);
      assert.is(exports.selfTest(0), STATUS.refusedState);
      assert.is(exports.extract(), STATUS.refusedState);
      assert.is(exports.wipe(), STATUS.ok);
      assert.is(exports.moduleState(), 3, 'wipe does not lead out of it');
    });
  }

  test(`${build}: a failure is final too when another test was asked to fail`, () => {
    const module = inService(build);
    module.segments['known answers'][304]! ^= 1;
    assert.is(module.exports.selfTest(12), 11);
    assert.is(module.exports.moduleState(), 3);
  });

  test(`${build}: wipe leaves every secret segment zero, and start leads on with nothing of before`, () => {
    const module = inService(build);
    const { exports, segments } = module;
    segments.output.fill(0xff);
    assert.not(secretNames.every((name) => segments[name].every((byte) => byte === 0)));
    assert.is(exports.wipe(), STATUS.ok);
    assert.is(exports.moduleState(), 2);
    assertSecretsAreZero(module);
    assert.is(exports.seedsReserved(), 0);
    assert.is(exports.drbgInstantiated(), 0);

    segments.input.set(upTo(64));
    assert.is(exports.start(64), STATUS.ok);
    const model = new PoolModel(upTo(64));
    segments.input.set(upTo(40));
    assert.is(exports.condition(3, 40, 40, 8192), 1, 'cutoffs are public and stay');
    model.absorb(3, upTo(40));
    model.addCredit(3, 40 * 8192);
    assert.equal(segments.output.slice(0, 32), model.extract()!.block);
  });
}

test('the known answers are those of independent models on node:crypto', () => {
  const answers = freshModule('scalar').segments['known answers'];
  const at = (offset: number, length: number): Uint8Array => answers.slice(offset, offset + length);
  const letters = Array.from({ length: 14 }, (_, i) => 'abcdefghijklmnopqrstu'.slice(i, i + 8)).join('');
  assert.is(Buffer.from(at(0, 112)).toString('latin1'), letters);
  assert.equal(at(112, 64), sha512('abc'));
  assert.equal(at(176, 64), sha512(letters));

  const pool = new PoolModel(upTo(64));
  for (const [source, offset] of [
    [3, 240],
    [2, 272],
  ] as const) {
    pool.absorb(source, upTo(40));
    pool.addCredit(source, 40 * 8192);
    assert.equal(at(offset, 32), pool.extract()!.block);
  }

  const drbg = new HashDrbgModel(upTo(64), upTo(16), NONE);
  const stateDigest = (output: Uint8Array): Uint8Array => sha512(output, drbg.v, drbg.c).slice(0, 32);
  assert.equal(at(304, 32), stateDigest(NONE));
  drbg.reseed(upTo(32), upTo(16));
  assert.equal(at(336, 32), stateDigest(NONE));
  assert.equal(at(368, 32), stateDigest(drbg.generate(96, upTo(16))));
});

test.run();
