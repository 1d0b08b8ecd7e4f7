import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import {
  FUNCTIONS,
  SEGMENTS,
  SELF_TESTS,
  SLOT_COUNT,
  STATUS,
  type FunctionName,
} from '../../src/mixer/abi.ts';
import type { MixerModule } from '../../src/mixer/wasm-module.ts';
import { BUILDS, BUILD_DIRECTORY, ROOT, freshModule } from '../mixer/built.ts';

const ASSEMBLY = path.join(ROOT, 'assembly');
const MOST = 65_536;
const I32 = [-(2 ** 31), 2 ** 31 - 1];
const TESTS = [8, 20, 40, 512, 100, 200, 8192] as const;

function ready(build: (typeof BUILDS)[number]): MixerModule {
  const module = freshModule(build);
  assert.is(module.exports.start(64), STATUS.ok);
  assert.is(module.exports.configureSlot(3, ...TESTS), STATUS.ok);
  return module;
}

/** Calls with a full INPUT; a refused call must leave it zero, if it is one that reads it. */
function call(module: MixerModule, name: FunctionName, ...integers: number[]): number {
  const { input } = module.segments;
  input.fill(0xee);
  const status = module.exports[name](...integers);
  const isZero = input.every((byte) => byte === 0);
  if (status < 0 && INPUT_READERS.includes(name))
    assert.ok(isZero, `${name}(${integers.join(', ')}) left INPUT`);
  input.fill(0);
  return status;
}

const INPUT_READERS: readonly FunctionName[] = [
  'start',
  'test',
  'ingest',
  'condition',
  'instantiate',
  'reseed',
  'generate',
  'hashUpdate',
  'scratchInstantiate',
  'scratchReseed',
  'scratchGenerate',
];

for (const build of BUILDS) {
  test(`${build}: no import, and the exports of the table and no others`, () => {
    const module = new WebAssembly.Module(
      Uint8Array.from(readFileSync(path.join(BUILD_DIRECTORY, `mixer.${build}.wasm`))),
    );
    assert.equal(WebAssembly.Module.imports(module), []);
    const exported = WebAssembly.Module.exports(module).map(({ name }) => name);
    assert.equal(exported.sort(), [...Object.keys(FUNCTIONS), 'memory'].sort());
  });

  test(`${build}: lengths are refused below 1 and above the segment`, () => {
    const module = ready(build);
    for (const length of [0, -1, MOST + 1, ...I32]) {
      assert.is(call(module, 'test', 3, length), STATUS.refusedLength);
      assert.is(call(module, 'ingest', 3, length, 0, 0), STATUS.refusedLength);
      assert.is(call(module, 'condition', 3, length, 40, 0), STATUS.refusedLength);
      assert.is(call(module, 'condition', 3, 40, length, 0), STATUS.refusedLength);
      assert.is(call(module, 'generate', length, 0), STATUS.refusedLength);
      assert.is(call(module, 'scratchInstantiate', length, 0, 0), STATUS.refusedLength);
    }
    for (const length of [-1, MOST + 1, ...I32]) {
      assert.is(call(module, 'generate', 1, length), STATUS.refusedLength);
      assert.is(call(module, 'instantiate', length), STATUS.refusedLength);
      assert.is(call(module, 'reseed', length), STATUS.refusedLength);
      assert.is(call(module, 'scratchInstantiate', 32, length, 0), STATUS.refusedLength);
      assert.is(call(module, 'scratchInstantiate', 32, 16, length), STATUS.refusedLength);
      module.exports.hashStart();
      assert.is(call(module, 'hashUpdate', length), STATUS.refusedLength);
    }
    assert.is(call(module, 'scratchInstantiate', MOST, 1, 0), STATUS.refusedLength, 'together too long');
    assert.is(call(module, 'scratchInstantiate', 32, 16, 0), STATUS.ok);
    assert.is(call(module, 'scratchReseed', MOST, 1), STATUS.refusedLength);
    assert.is(call(module, 'scratchGenerate', MOST + 1, 0), STATUS.refusedLength);
    module.exports.wipe();
    for (const length of [0, 63, 65]) assert.is(call(module, 'start', length), STATUS.refusedLength);
  });

  test(`${build}: slots, sources, rates and faults are refused out of range`, () => {
    const module = ready(build);
    for (const slot of [-1, SLOT_COUNT, ...I32]) {
      assert.is(call(module, 'configureSlot', slot, ...TESTS), STATUS.refusedArgument);
      assert.is(call(module, 'resetSlot', slot), STATUS.refusedArgument);
      assert.is(call(module, 'test', slot, 1), STATUS.refusedArgument);
    }
    for (const source of [-1, 4, ...I32]) {
      assert.is(call(module, 'ingest', source, 1, 0, 0), STATUS.refusedArgument);
      assert.is(call(module, 'condition', source, 1, 1, 0), STATUS.refusedArgument);
      assert.is(call(module, 'voidCredit', source), STATUS.refusedArgument);
    }
    assert.is(call(module, 'ingest', 3, 1, 0, -1), STATUS.refusedArgument);
    assert.is(call(module, 'ingest', 3, 1, -1, 0), STATUS.refusedArgument);
    assert.is(call(module, 'condition', 3, 1, 1, -1), STATUS.refusedArgument);
    assert.is(call(module, 'selfTest', -1), STATUS.refusedArgument);
    assert.is(call(module, 'selfTest', SELF_TESTS.length + 1), STATUS.refusedArgument);
    assert.is(module.exports.moduleState(), 1);
  });

  test(`${build}: cutoffs that could not be reached, or not in their order, are refused; the old ones stay`, () => {
    const module = ready(build);
    const limits = Buffer.from(module.segments.limits);
    for (const refused of [
      [16, 20, 40, 512, 100, 200, 8192],
      [0, 20, 40, 512, 100, 200, 8192],
      [8, 1, 40, 512, 100, 200, 8192],
      [8, 20, 19, 512, 100, 200, 8192],
      [8, 20, 2 ** 30 + 1, 512, 100, 200, 8192],
      [8, 20, 40, 512, 1, 200, 8192],
      [8, 20, 40, 512, 100, 99, 8192],
      [8, 20, 40, 512, 100, 513, 8192],
      [8, 20, 40, 512, 513, 513, 8192],
      [8, 20, 40, 65_537, 100, 200, 8192],
      [8, 20, 40, 512, 100, 200, 8193],
      [8, 20, 40, 512, 100, 200, -1],
      [8, -20, -10, 512, 100, 200, 0],
    ]) {
      assert.is(call(module, 'configureSlot', 3, ...refused), STATUS.refusedArgument, refused.join(', '));
    }
    assert.ok(limits.equals(module.segments.limits));
    assert.is(call(module, 'configureSlot', 3, 8, 2, 2 ** 30, 65_536, 2, 65_536, 8192), STATUS.ok);
  });

  test(`${build}: an unconfigured slot tests and takes nothing`, () => {
    const module = ready(build);
    assert.is(call(module, 'test', 5, 1), STATUS.slotUnconfigured);
    assert.is(call(module, 'ingest', 2, 1, 0, 0), STATUS.slotUnconfigured);
    assert.is(call(module, 'condition', 2, 1, 1, 0), STATUS.slotUnconfigured);
  });

  test(`${build}: before start nothing is mixed; after wipe nothing but start and queries is answered`, () => {
    const module = freshModule(build);
    module.exports.configureSlot(3, ...TESTS);
    const mixing: readonly (readonly [FunctionName, ...number[]])[] = [
      ['ingest', 3, 1, 0, 0],
      ['condition', 3, 1, 1, 0],
      ['voidCredit', 3],
      ['extract'],
      ['reserveSeed'],
      ['instantiate', 0],
      ['reseed', 0],
      ['generate', 1, 0],
    ];
    for (const [name, ...integers] of mixing)
      assert.is(call(module, name, ...integers), STATUS.refusedState, name);
    assert.is(call(module, 'test', 3, 1), 0, 'start-up tests need no pool');

    module.exports.wipe();
    const others: readonly (readonly [FunctionName, ...number[]])[] = [
      ['configureSlot', 3, ...TESTS],
      ['resetSlot', 3],
      ['test', 3, 1],
      ['uninstantiate'],
      ['hashStart'],
      ['hashUpdate', 1],
      ['hashFinish'],
      ['scratchInstantiate', 32, 16, 0],
      ['scratchReseed', 32, 0],
      ['scratchGenerate', 1, 0],
      ['selfTest', 0],
    ];
    for (const [name, ...integers] of [...mixing, ...others]) {
      assert.is(call(module, name, ...integers), STATUS.refusedState, name);
    }
    assert.is(module.exports.readyForBlock(), 0);
    assert.is(call(module, 'start', 64), STATUS.ok);
    assert.is(call(module, 'start', 64), STATUS.refusedState, 'once');
  });

  test(`${build}: INPUT is zero after every call that reads it, refused or not`, () => {
    const module = ready(build);
    const { exports, segments } = module;
    const reading: readonly (readonly [bytes: number, name: FunctionName, ...number[]])[] = [
      [100, 'test', 3, 100],
      [100, 'ingest', 3, 100, 100, 8192],
      [100, 'condition', 3, 100, 40, 8192],
      [100, 'reseed', 100],
      [100, 'instantiate', 100],
      [100, 'generate', 1, 100],
      [100, 'start', 64],
      [130, 'scratchInstantiate', 100, 20, 10],
      [110, 'scratchReseed', 100, 10],
      [100, 'scratchGenerate', 1, 100],
    ];
    for (const [bytes, name, ...integers] of reading) {
      for (let i = 0; i < bytes; i++) segments.input[i] = 1 + (i % 250);
      exports[name](...integers);
      assert.ok(
        segments.input.every((byte) => byte === 0),
        name,
      );
    }
    exports.hashStart();
    segments.input.fill(7, 0, 300);
    exports.hashUpdate(300);
    assert.ok(segments.input.every((byte) => byte === 0));
  });
}

test('the module is written on nothing but itself, and keeps no managed object', () => {
  for (const file of readdirSync(ASSEMBLY).filter((name) => name.endsWith('.ts'))) {
    const source = readFileSync(path.join(ASSEMBLY, file), 'utf8');
    for (const [, from] of source.matchAll(/^(?:import|export)[^;]*? from '([^']+)';/gm)) {
      assert.match(from!, /^\.\/[a-z0-9-]+$/, `${file} imports ${from!}`);
    }
    assert.not.match(source, /new [A-Z]|StaticArray|Uint8Array/, file);
  }
});

test('capacities of the host table and of the module are one', () => {
  const { exports } = freshModule('scalar');
  SEGMENTS.forEach(({ bytes }, id) => assert.is(exports.segmentCapacity(id), bytes));
  for (const id of [-1, SEGMENTS.length]) {
    assert.is(exports.segmentAddress(id), -1);
    assert.is(exports.segmentCapacity(id), -1);
    assert.is(exports.segmentSecrecy(id), -1);
  }
});

test.run();
