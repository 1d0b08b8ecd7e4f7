import fc from 'fast-check';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadAddon } from '../../src/hardware/addon.ts';
import { FILL_LIMIT_BYTES } from '../../src/hardware/hardware.ts';
import { count } from '../counts.ts';
import { temporaryFolder } from '../native/compile.ts';
import { hasAddon, testWhen } from '../requirements.ts';
import { addon, ADDON_PATH, untypedAddon } from './parts.ts';

const built = testWhen(hasAddon);
const cpu = hasAddon ? addon().cpu() : undefined;

test('an addon that is not there, or is no addon, is an answer and not an exception', () => {
  const missing = loadAddon('/nonexistent/addon.node');
  assert.equal(missing, { addon: undefined, absence: '/nonexistent/addon.node is not built' });

  const torn = join(temporaryFolder(), 'addon.node');
  writeFileSync(torn, 'not an ELF file');
  const broken = loadAddon(torn);
  assert.is(broken.addon, undefined);
  assert.match(broken.addon === undefined ? broken.absence : '', /cannot be loaded: .*(invalid|short)/);
});

test('an addon of other functions is refused', () => {
  const other = join(temporaryFolder(), 'other.cjs');
  for (const source of ['module.exports = { cpu() {} };', 'module.exports = null;', 'module.exports = 1;']) {
    writeFileSync(other, source);
    assert.is(loadAddon(other).addon, undefined, source);
  }
});

testWhen(cpu?.rdrand === true)('RDRAND fills every length and leaves no word unfilled', () =>
  fillsEveryLength('rdrandFill'),
);
testWhen(cpu?.rdseed === true)('RDSEED fills every length and leaves no word unfilled', () =>
  fillsEveryLength('rdseedFill'),
);

/** Words differ from each other with a probability of failure below 2^-37 for all of them together. */
function fillsEveryLength(name: 'rdrandFill' | 'rdseedFill'): void {
  for (const words of [0, 1, 2, 3, 127, 1024]) {
    const target = new Uint8Array(words * 8);
    assert.equal(addon()[name](target), { bytes: words * 8, fault: 'none' });
    assert.is(new Set(new BigUint64Array(target.buffer)).size, words);
  }
}

testWhen(cpu?.rdrand === true)('a fill stays within its view, at any alignment', () => {
  const memory = new Uint8Array(64);
  addon().rdrandFill(memory.subarray(3, 19));
  const outside = [...memory.subarray(0, 3), ...memory.subarray(19)];
  assert.ok(outside.every((byte) => byte === 0));
  assert.ok(memory.subarray(3, 19).some((byte) => byte !== 0));
});

built('fills take whole words up to the limit, and nothing else', () => {
  const { rdrandFill, rdseedFill, getrandom } = untypedAddon();
  for (const fill of [rdrandFill!, rdseedFill!]) {
    for (const bytes of [1, 7, 9, FILL_LIMIT_BYTES - 1, FILL_LIMIT_BYTES + 8]) {
      assert.throws(() => fill(new Uint8Array(bytes)), isRangeError, String(bytes));
    }
  }
  getrandom!(new Uint8Array(FILL_LIMIT_BYTES));
  assert.throws(() => getrandom!(new Uint8Array(FILL_LIMIT_BYTES + 1)), isRangeError);
});

built('getrandom fills all of its target', () => {
  // 64 zero bytes at the end of 4,096 by chance: 2^-512.
  const target = new Uint8Array(4096);
  addon().getrandom(target);
  assert.ok(target.subarray(-64).some((byte) => byte !== 0));
  addon().getrandom(new Uint8Array(0));
});

built('memory that is shared or detached is refused', () => {
  const detached = new Uint8Array(8);
  structuredClone(detached, { transfer: [detached.buffer] });
  for (const name of [
    'rdrandFill',
    'rdseedFill',
    'getrandom',
    'interruptsTake',
    'lockMemory',
    'ueventReceive',
  ]) {
    const call = untypedAddon()[name]!;
    assert.throws(() => call(detached), isTypeError, name);
    assert.throws(() => call(new Uint8Array(new SharedArrayBuffer(8192))), isTypeError, name);
  }
});

built('whatever the arguments are, a call answers or throws, and the process lives on', () => {
  const functions = untypedAddon();
  const calls = fc.tuple(fc.constantFrom(...Object.keys(functions)), fc.array(argument(), { maxLength: 4 }));
  fc.assert(
    fc.property(calls, ([name, values]) => {
      try {
        functions[name]!(...values);
      } catch (error) {
        // `thrown by a getter` is the caller's own exception, handed through.
        assert.instance(error, Error, `${name} threw ${String(error)}`);
      }
    }),
    { numRuns: count(5_000, 200_000) },
  );
  functions.interruptsStop!();
  functions.ueventClose!();
});

function argument(): fc.Arbitrary<unknown> {
  const throwing = {
    get dutyPermille(): number {
      throw new Error('thrown by a getter');
    },
  };
  const options = fc.record(
    {
      dutyPermille: fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.double(), fc.anything()),
      burstMicroseconds: fc.oneof(fc.constant(10), fc.double(), fc.anything()),
      gapCycles: fc.oneof(fc.constant(3000), fc.double()),
      symbolShift: fc.integer({ min: -1, max: 25 }),
      capacity: fc.oneof(fc.constant(64), fc.integer()),
    },
    { requiredKeys: [] },
  );
  const arrays = fc.oneof(
    fc.uint8Array({ maxLength: 4200 }),
    fc.uint8ClampedArray(),
    fc.uint16Array(),
    fc.float64Array(),
    fc.constantFrom(
      new Uint8Array(0),
      new Uint8Array(4096),
      new DataView(new ArrayBuffer(8)),
      new ArrayBuffer(8),
    ),
    fc.constant(new Proxy(new Uint8Array(8), {})),
  );
  const extremes = fc.constantFrom<unknown>(
    -1,
    0.5,
    2 ** 31,
    2 ** 53,
    -(2 ** 63),
    NaN,
    Infinity,
    -Infinity,
    -0,
    1n,
  );
  const texts = fc.oneof(
    fc.string(),
    fc.constantFrom('@\0', '/', '@', 'x'.repeat(5000), '@'.repeat(108), '\ud800'),
  );
  return fc.oneof(arrays, extremes, texts, options, fc.constant(throwing), fc.constant(addon), fc.anything());
}

function isRangeError(error: unknown): boolean {
  return error instanceof RangeError;
}

function isTypeError(error: unknown): boolean {
  return error instanceof TypeError;
}

testWhen(hasAddon && process.arch === 'x64')('CPUID gives the identity that the kernel shows', async () => {
  const { readCpuInfo } = await import('../../src/hardware/cpuinfo.ts');
  const { vendor, family, model, stepping } = readCpuInfo('/proc/cpuinfo');
  const shown = { vendor: cpu?.vendor, family: cpu?.family, model: cpu?.model, stepping: cpu?.stepping };
  assert.equal(shown, { vendor, family, model, stepping });
  assert.is(cpu?.architecture, process.arch);
});

built('a second load in the same thread shares the instance', () => {
  const second = loadAddon(ADDON_PATH);
  assert.is(second.addon, addon());
});

test.run();
