import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { STATUS } from '../../src/mixer/abi.ts';
import type { MixerModule } from '../../src/mixer/wasm-module.ts';
import type { Mixer, MixerBuild } from '../../src/mixer/mixer.ts';
import { BUILDS, ROOT, freshMixer, freshModule } from '../mixer/built.ts';
import { testWithData } from '../requirements.ts';
import { HashDrbgModel } from '../mixer/hash-drbg-model.ts';
import { PoolModel } from '../mixer/pool-model.ts';

const NONE = new Uint8Array();

function bytes(length: number, first = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => first + i * 11);
}

/** The scratch DRBG of a module, driven like the model. */
class Scratch {
  readonly #module: MixerModule;

  constructor(module: MixerModule) {
    this.#module = module;
  }

  instantiate(entropy: Uint8Array, nonce: Uint8Array, personalization: Uint8Array): void {
    this.#put(entropy, nonce, personalization);
    assert.is(
      this.#module.exports.scratchInstantiate(entropy.length, nonce.length, personalization.length),
      STATUS.ok,
    );
  }

  reseed(entropy: Uint8Array, additional: Uint8Array): void {
    this.#put(entropy, additional);
    assert.is(this.#module.exports.scratchReseed(entropy.length, additional.length), STATUS.ok);
  }

  generate(length: number, additional: Uint8Array): Uint8Array {
    this.#put(additional);
    assert.is(this.#module.exports.scratchGenerate(length, additional.length), STATUS.ok);
    return this.#module.segments.output.slice(0, length);
  }

  #put(...parts: readonly Uint8Array[]): void {
    this.#module.segments.input.set(Buffer.concat(parts));
  }
}

interface Case {
  readonly entropy: string;
  readonly nonce: string;
  readonly personalization: string;
  readonly entropyReseed: string;
  readonly additionalReseed: string;
  readonly additional: readonly [string, string];
  readonly returned: string;
}

function run(scratch: Scratch, vector: Case): void {
  const decode = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
  scratch.instantiate(decode(vector.entropy), decode(vector.nonce), decode(vector.personalization));
  scratch.reseed(decode(vector.entropyReseed), decode(vector.additionalReseed));
  const length = vector.returned.length / 2;
  scratch.generate(length, decode(vector.additional[0]));
  const returned = scratch.generate(length, decode(vector.additional[1]));
  assert.is(Buffer.from(returned).toString('hex'), vector.returned);
}

/** Groups of a CAVP file by their bracketed headers; a line that is none of the known ones fails. */
function parse(text: string): { readonly hash: string; readonly cases: Case[] }[] {
  const groups: { hash: string; cases: Case[] }[] = [];
  let fields: [string, string][] = [];
  const flush = (): void => {
    if (fields.length > 0) groups.at(-1)!.cases.push(toCase(fields));
    fields = [];
  };
  for (const line of text.split(/\r?\n/)) {
    const header = /^\[(.+)\]$/.exec(line);
    const field = /^(\w+) = ?(\w*)$/.exec(line.trimEnd());
    if (header !== null) {
      flush();
      const parameter = header[1]!;
      if (!parameter.includes('=')) groups.push({ hash: parameter, cases: [] });
    } else if (field !== null) {
      if (field[1] === 'COUNT') flush();
      else fields.push([field[1]!, field[2]!]);
    } else assert.match(line, /^(#.*)?$/);
  }
  flush();
  return groups;
}

function toCase(fields: readonly [string, string][]): Case {
  const values = (name: string): string[] => fields.filter(([key]) => key === name).map(([, value]) => value);
  const one = (name: string): string => {
    assert.is(values(name).length, 1, name);
    return values(name)[0]!;
  };
  const [first, second] = values('AdditionalInput');
  assert.is(fields.length, 8);
  return {
    entropy: one('EntropyInput'),
    nonce: one('Nonce'),
    personalization: one('PersonalizationString'),
    entropyReseed: one('EntropyInputReseed'),
    additionalReseed: one('AdditionalInputReseed'),
    additional: [first!, second!],
    returned: one('ReturnedBits'),
  };
}

const SAMPLE = fileURLToPath(new URL('hash-drbg-cavp-sample.rsp', import.meta.url));
const VECTORS = path.join(ROOT, '../shared/vectors/sp800-90a/Hash_DRBG_pr_false.rsp');

/** Runs all SHA-512 cases of a file on a build, and counts what it holds. */
function runFile(file: string, build: MixerBuild): { groups: number; cases: number; skippedGroups: number } {
  const groups = parse(readFileSync(file, 'latin1'));
  const cases = groups.filter(({ hash }) => hash === 'SHA-512').flatMap((group) => group.cases);
  const scratch = new Scratch(freshModule(build));
  for (const vector of cases) run(scratch, vector);
  return {
    groups: groups.length,
    cases: cases.length,
    skippedGroups: groups.filter(({ hash }) => hash !== 'SHA-512').length,
  };
}

for (const build of BUILDS) {
  // Counted once by hand: a gap in the parser must not pass for a smaller file.
  test(`${build}: the first case of each group of NIST's Hash_DRBG_pr_false.rsp`, () => {
    assert.equal(runFile(SAMPLE, build), { groups: 16, cases: 16, skippedGroups: 0 });
  });

  testWithData(existsSync(VECTORS))(`${build}: all SHA-512 cases of NIST's Hash_DRBG_pr_false.rsp`, () => {
    assert.equal(runFile(VECTORS, build), { groups: 16, cases: 240, skippedGroups: 0 });
  });

  test(`${build}: equals the model for every kind of input and lengths around each boundary`, () => {
    const scratch = new Scratch(freshModule(build));
    for (const length of [1, 63, 64, 65, 111, 127, 128, 129, 1000, 65_536]) {
      for (const additional of [NONE, bytes(1), bytes(32), bytes(4000)]) {
        scratch.instantiate(bytes(32, 1), bytes(16, 2), bytes(length % 300, 3));
        const model = new HashDrbgModel(bytes(32, 1), bytes(16, 2), bytes(length % 300, 3));
        for (let request = 0; request < 2; request++) {
          assert.equal(scratch.generate(length, additional), model.generate(length, additional));
        }
        scratch.reseed(bytes(48, 4), additional);
        model.reseed(bytes(48, 4), additional);
        assert.equal(scratch.generate(length, additional), model.generate(length, additional));
      }
    }
  });

  test(`${build}: carries run through all of V`, () => {
    const module = freshModule(build);
    const scratch = new Scratch(module);
    scratch.instantiate(bytes(32), bytes(16), NONE);
    const model = new HashDrbgModel(bytes(32), bytes(16), NONE);
    module.segments.scratch.fill(0xff, 0, 111);
    model.v.fill(0xff);
    for (let request = 0; request < 3; request++) {
      assert.equal(scratch.generate(200, NONE), model.generate(200, NONE));
    }
  });

  test(`${build}: after 2^48 requests nothing is generated without a reseed`, () => {
    const module = freshModule(build);
    const scratch = new Scratch(module);
    scratch.instantiate(bytes(32), bytes(16), NONE);
    const counter = new DataView(module.segments.scratch.buffer, module.segments.scratch.byteOffset + 224, 8);
    counter.setBigUint64(0, 2n ** 48n, true);
    scratch.generate(32, NONE);
    assert.is(counter.getBigUint64(0, true), 2n ** 48n + 1n);
    assert.is(module.exports.scratchGenerate(32, 0), STATUS.reseedRequired);
    scratch.reseed(bytes(32), NONE);
    scratch.generate(32, NONE);
  });

  test(`${build}: the scratch DRBG generates nothing before it is instantiated`, () => {
    const { exports } = freshModule(build);
    assert.is(exports.scratchGenerate(32, 0), STATUS.notInstantiated);
    assert.is(exports.scratchReseed(32, 0), STATUS.notInstantiated);
  });

  test(`${build}: seeds come from the pool in the order newest first, and output equals the model`, () => {
    const { mixer, pool } = started(build);
    const seeds = Array.from({ length: 5 }, () => reserve(mixer, pool));
    mixer.instantiate(bytes(20));
    const model = new HashDrbgModel(Uint8Array.from([...seeds[3]!, ...seeds[4]!]), NONE, bytes(20));
    assert.is(mixer.seedsReserved(), 3);

    const additional = bytes(32, 9);
    const target = new Uint8Array(40_000);
    assert.ok(mixer.generate(target, additional));
    const expected = [
      model.generate(16_384, additional),
      ...[seeds[2]!, seeds[1]!].map((seed, i) => {
        model.reseed(seed, additional);
        return model.generate([16_384, 40_000 - 2 * 16_384][i]!, NONE);
      }),
    ];
    assert.equal(Buffer.from(target), Buffer.concat(expected));

    mixer.reseed(bytes(7));
    model.reseed(seeds[0]!, bytes(7));
    assert.ok(mixer.generate(target.subarray(0, 100), NONE));
    assert.equal(target.subarray(0, 100), model.generate(100, NONE));
    assert.is(mixer.seedsReserved(), 0);
  });

  test(`${build}: 16,384 bytes a seed, and not one more; a request that lacks one seed gets nothing`, () => {
    const { mixer, pool } = started(build);
    for (let seed = 0; seed < 2; seed++) reserve(mixer, pool);
    mixer.instantiate(NONE);
    assert.ok(mixer.generate(new Uint8Array(16_383), NONE));
    const target = new Uint8Array(65_536);
    assert.not(mixer.generate(target.subarray(0, 2), NONE));
    assert.equal(target, new Uint8Array(65_536));
    assert.ok(mixer.generate(target.subarray(0, 1), NONE), 'the refusal used nothing up');
    assert.not(mixer.generate(target.subarray(0, 1), NONE));

    for (let seed = 0; seed < 3; seed++) reserve(mixer, pool);
    assert.not(mixer.generate(target, NONE), 'four seeds are due');
    assert.is(mixer.seedsReserved(), 3, 'and none was used');
    reserve(mixer, pool);
    assert.ok(mixer.generate(target, NONE));
    assert.is(mixer.seedsReserved(), 0);
  });

  test(`${build}: instantiate and reseed want their seeds, and seeds want a ready pool and a free place`, () => {
    const { mixer, pool } = started(build);
    assert.not(mixer.reserveSeed(), 'the pool is not ready');
    reserve(mixer, pool);
    assert.throws(() => mixer.instantiate(NONE), /seedsMissing/);
    assert.throws(() => mixer.reseed(NONE), /notInstantiated/);
    assert.throws(() => mixer.generate(new Uint8Array(1), NONE), /notInstantiated/);
    reserve(mixer, pool);
    mixer.instantiate(NONE);
    assert.throws(() => mixer.reseed(NONE), /seedsMissing/);
    for (let seed = 0; seed < 8; seed++) reserve(mixer, pool);
    mixer.ingest(3, bytes(40), { creditableBytes: 40, rateUnits: 8192 });
    assert.not(mixer.reserveSeed(), 'all places are taken');
    assert.ok(mixer.readyForBlock(), 'and the block stays in the pool');
  });

  test(`${build}: uninstantiate leaves neither state nor seeds`, () => {
    const module = freshModule(build);
    const { exports, segments } = module;
    segments.input.set(bytes(64));
    exports.start(64);
    exports.configureSlot(3, 8, 100, 100, 512, 512, 512, 8192);
    for (let seed = 0; seed < 4; seed++) {
      segments.input.set(bytes(40, seed));
      exports.ingest(3, 40, 40, 8192);
      assert.is(exports.reserveSeed(), STATUS.ok);
    }
    assert.is(exports.instantiate(0), STATUS.ok);
    assert.ok(segments.drbg.some((byte) => byte !== 0));
    assert.ok(segments.seeds.some((byte) => byte !== 0));
    const isZeroFrom = (at: number): boolean => segments.seeds.subarray(at).every((byte) => byte === 0);
    assert.ok(isZeroFrom(64), 'what instantiate consumed is gone at once');
    assert.is(exports.reseed(0), STATUS.ok);
    assert.ok(isZeroFrom(32), 'and so is what reseed consumed');
    assert.not(isZeroFrom(0));
    assert.is(exports.uninstantiate(), STATUS.ok);
    for (const name of ['drbg', 'seeds', 'work'] as const) {
      assert.ok(
        segments[name].every((byte) => byte === 0),
        name,
      );
    }
    assert.is(exports.seedsReserved(), 0);
    assert.is(exports.generate(1, 0), STATUS.notInstantiated);
    assert.is(exports.moduleState(), 1, 'the pool goes on');
  });
}

function started(build: (typeof BUILDS)[number]): { mixer: Mixer; pool: PoolModel } {
  const mixer = freshMixer(build);
  mixer.start(bytes(64));
  const apt = { aptWindowSamples: 512, aptIntermittent: 512, aptPermanent: 512 };
  mixer.configureSlot(3, {
    symbolBits: 8,
    rctIntermittent: 9,
    rctPermanent: 9,
    ...apt,
    maximumRateUnits: 8192,
  });
  return { mixer, pool: new PoolModel(bytes(64)) };
}

let drawn = 0;

/** Fills the pool, draws a seed, and says which by the model. */
function reserve(mixer: Mixer, pool: PoolModel): Uint8Array {
  const fresh = bytes(40, drawn++);
  mixer.ingest(3, fresh, { creditableBytes: 40, rateUnits: 8192 });
  pool.absorb(3, fresh);
  pool.addCredit(3, 40 * 8192);
  assert.ok(mixer.reserveSeed());
  return pool.extract()!.block;
}

test.run();
