import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cpuRandomVerdict, DENIED_CPUS } from '../../src/hardware/cpu-deny-list.ts';
import type { CpuReport } from '../../src/hardware/hardware.ts';

const SOUND: CpuReport = {
  architecture: 'x64',
  vendor: 'AuthenticAMD',
  family: 0x19,
  model: 0x01,
  stepping: 1,
  microcode: 0x0a0011d5,
  rdrand: true,
  rdseed: true,
  flagsRdrand: true,
  flagsRdseed: true,
};

/** `rdrand rdseed`, with those missing that must not be used. */
function usable(change: Partial<CpuReport>): string {
  const { rdrand, rdseed } = cpuRandomVerdict({ ...SOUND, ...change });
  assert.is(rdrand.usable, rdrand.reason === '');
  assert.is(rdseed.usable, rdseed.reason === '');
  return [rdrand.usable ? 'rdrand' : '', rdseed.usable ? 'rdseed' : ''].filter(Boolean).join(' ');
}

test('a sound CPU may use both', () => assert.is(usable({}), 'rdrand rdseed'));

test('CPUID and the flags of the kernel must both say yes', () => {
  assert.is(usable({ rdrand: false }), 'rdseed');
  assert.is(usable({ rdseed: false }), 'rdrand');
  assert.is(usable({ flagsRdrand: false }), 'rdseed');
  assert.is(usable({ flagsRdseed: false }), 'rdrand');
  assert.is(usable({ rdrand: false, rdseed: false, flagsRdrand: false, flagsRdseed: false }), '');
  assert.match(cpuRandomVerdict({ ...SOUND, flagsRdseed: false }).rdseed.reason, /kernel/);
});

/** AMD-SB-7055: model, stepping and the first sound microcode, as the kernel has them. */
const ZEN_5 = [
  [0x02, 1, 0x0b00215a],
  [0x08, 1, 0x0b008121],
  [0x11, 0, 0x0b101054],
  [0x24, 0, 0x0b204037],
  [0x44, 0, 0x0b404035],
  [0x44, 1, 0x0b404108],
  [0x60, 0, 0x0b600037],
  [0x68, 0, 0x0b608038],
  [0x70, 0, 0x0b700037],
] as const;

test('Zen 5 may use RDSEED from its fixed microcode on, and RDRAND always', () => {
  for (const [model, stepping, fixed] of ZEN_5) {
    const part = { family: 0x1a, model, stepping };
    assert.is(usable({ ...part, microcode: fixed - 1 }), 'rdrand');
    assert.is(usable({ ...part, microcode: fixed }), 'rdrand rdseed');
    assert.is(usable({ ...part, microcode: 0 }), 'rdrand', 'unknown microcode is not trusted');
    assert.is(usable({ ...part, vendor: 'GenuineIntel', microcode: 0 }), 'rdrand rdseed');
  }
  assert.is(ZEN_5.length, DENIED_CPUS.filter((entry) => entry.family === 0x1a).length);
});

test('family 17h model 47h stepping 0 never uses RDSEED; its neighbours do', () => {
  assert.is(usable({ family: 0x17, model: 0x47, stepping: 0, microcode: 0xffffffff }), 'rdrand');
  assert.is(usable({ family: 0x17, model: 0x47, stepping: 1 }), 'rdrand rdseed');
  assert.is(usable({ family: 0x17, model: 0x46, stepping: 0 }), 'rdrand rdseed');
});

test('families 15h and 16h, constant after a resume, use neither', () => {
  for (const family of [0x15, 0x16]) assert.is(usable({ family, model: 0x30, stepping: 1 }), '');
});

test.run();
