import fc from 'fast-check';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseCpuInfo, readCpuInfo } from '../../src/hardware/cpuinfo.ts';
import { interruptCount, readInterruptCount } from '../../src/hardware/interrupt-count.ts';
import { count } from '../counts.ts';
import { temporaryFolder } from '../native/compile.ts';

const INTERRUPTS = `           CPU0       CPU1
  0:         10          2   IO-APIC   2-edge      timer
 26:          0         13   IO-APIC   4-edge      ttyS0
 47:          3          4   12345 a controller whose name is a number
LOC:       1000       2000   Local timer interrupts
ERR:          5
MIS:          0
`;

test('counts every per-CPU column and nothing after them', () => {
  assert.is(interruptCount(INTERRUPTS), 10 + 2 + 13 + 3 + 4 + 1000 + 2000 + 5);
});

test('CPUs that are offline have no column', () => {
  assert.is(interruptCount('      CPU0   CPU3\n 1:  7  8  IO-APIC 1-edge i8042\n'), 15);
});

test('a text without its heading is refused', () => {
  for (const text of ['', 'LOC: 1 2', '\n\n'])
    assert.throws(
      () => interruptCount(text),
      (error: unknown) => error instanceof RangeError,
    );
});

test('property: the sum of what was written, whatever stands around it', () => {
  const row = (cpus: number) =>
    fc.tuple(
      fc.stringMatching(/^[A-Z0-9]{1,6}$/),
      fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: cpus, maxLength: cpus }),
      fc.stringMatching(/^[a-z][a-z0-9 .:-]{0,30}$/),
    );
  const file = fc
    .integer({ min: 1, max: 64 })
    .chain((cpus) => fc.tuple(fc.constant(cpus), fc.array(row(cpus))));
  fc.assert(
    fc.property(file, ([cpus, rows]) => {
      const heading = Array.from({ length: cpus }, (_, i) => `CPU${i}`).join('   ');
      const text = [
        heading,
        ...rows.map(([name, counts, rest]) => `${name}: ${counts.join('  ')}  ${rest}`),
      ].join('\n');
      const expected = rows.flatMap(([, counts]) => counts).reduce((sum, value) => sum + value, 0);
      assert.is(interruptCount(text), expected);
    }),
    { numRuns: count(200, 10_000) },
  );
});

test('property: no text makes it hang or answer less than 0', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 500 }), (text) => {
      const counted = interruptCount(`CPU0 CPU1\n${text}`);
      assert.ok(Number.isSafeInteger(counted) && counted >= 0);
    }),
    { numRuns: count(500, 50_000) },
  );
});

test('the real file only rises; a missing one is undefined', () => {
  const before = readInterruptCount();
  const after = readInterruptCount();
  assert.ok(before !== undefined && after !== undefined && before > 0 && after >= before);
  assert.is(readInterruptCount('/nonexistent'), undefined);
});

test('a file that never ends is undefined, not memory without end', () => {
  assert.is(readInterruptCount('/dev/zero'), undefined);
});

function cpu(number: number, fields: Record<string, string>): string {
  const lines = Object.entries({ processor: String(number), ...fields }).map(
    ([key, value]) => `${key}\t: ${value}`,
  );
  return `${lines.join('\n')}\n\n`;
}

const IDENTITY = {
  vendor_id: 'AuthenticAMD',
  'cpu family': '25',
  model: '1',
  'model name': 'AMD EPYC',
  stepping: '2',
};

test('reads identity, microcode and flags', () => {
  const info = parseCpuInfo(cpu(0, { ...IDENTITY, microcode: '0xa0011d5', flags: 'fpu rdrand rdseed' }));
  assert.equal(
    { ...info, flags: [...info.flags] },
    {
      vendor: 'AuthenticAMD',
      family: 25,
      model: 1,
      stepping: 2,
      microcode: 0xa0011d5,
      flags: ['fpu', 'rdrand', 'rdseed'],
    },
  );
});

test('a flag counts when every CPU has it, and the oldest microcode counts', () => {
  const info = parseCpuInfo(
    cpu(0, { ...IDENTITY, microcode: '0x30', flags: 'fpu rdrand rdseed' }) +
      cpu(1, { ...IDENTITY, microcode: '0x20', flags: 'fpu rdrand' }),
  );
  assert.is(info.microcode, 0x20);
  assert.is(info.flags.has('rdrand'), true);
  assert.is(info.flags.has('rdseed'), false);
});

test('a file of another architecture, a torn or a missing one gives nothing', () => {
  const nothing = { vendor: '', family: 0, model: 0, stepping: 0, microcode: 0, flags: new Set<string>() };
  const arm = 'processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd rng\nCPU implementer\t: 0x41\n\n';
  assert.equal(parseCpuInfo(arm), nothing);
  assert.equal(parseCpuInfo('processor : 0\nmicrocode : zz\nmodel : -3\nflags'), nothing);
  assert.equal(readCpuInfo('/nonexistent'), nothing);
  const file = join(temporaryFolder(), 'cpuinfo');
  writeFileSync(file, '');
  assert.equal(readCpuInfo(file), nothing);
});

test.run();
