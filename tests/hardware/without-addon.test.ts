import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cpuRandomVerdict } from '../../src/hardware/cpu-deny-list.ts';
import { FILL_LIMIT_BYTES } from '../../src/hardware/hardware.ts';
import { openHardware } from '../../src/hardware/open-hardware.ts';
import { temporaryFolder } from '../native/compile.ts';
import { hasAddon, testWhen } from '../requirements.ts';
import { ADDON_PATH } from './parts.ts';

const without = openHardware({ addonPath: '/nonexistent/addon.node', notifySocket: '/nonexistent/notify' });

test('says that there is no addon, and why', () => {
  assert.is(without.addon, false);
  assert.is(without.absence, '/nonexistent/addon.node is not built');
});

test('nothing is imitated', () => {
  const target = new Uint8Array(16).fill(1);
  assert.equal(without.rdrand(target), { bytes: 0, fault: 'unavailable' });
  assert.equal(target, new Uint8Array(16));
  assert.equal(without.rdseed(target), { bytes: 0, fault: 'unavailable' });
  assert.is(without.interrupts, undefined);
  assert.is(without.uevents, undefined);
  assert.is(without.lockFile(0), undefined);
  assert.is(without.peerCredentials(0), undefined);
  assert.is(without.notify('READY=1'), false);
  assert.is(without.lockMemory(target), false);
  assert.is(without.guardMemory(), false);
});

test('its CPU may use neither instruction, whatever the flags say', () => {
  const cpuinfoPath = join(temporaryFolder(), 'cpuinfo');
  writeFileSync(
    cpuinfoPath,
    'processor : 0\nvendor_id : GenuineIntel\ncpu family : 6\nflags : rdrand rdseed\n\n',
  );
  const { cpu } = openHardware({ addonPath: '/nonexistent', cpuinfoPath });
  assert.is(cpu.vendor, 'GenuineIntel');
  assert.is(cpu.flagsRdseed, true);
  const { rdrand, rdseed } = cpuRandomVerdict(cpu);
  assert.is(rdrand.usable || rdseed.usable, false);
});

test('random bytes come from the kernel all the same', () => {
  const target = new Uint8Array(FILL_LIMIT_BYTES);
  without.random(target);
  assert.ok(target.subarray(-64).some((byte) => byte !== 0));
  without.random(new Uint8Array(0));
  assert.throws(
    () => without.random(new Uint8Array(FILL_LIMIT_BYTES + 1)),
    (error: unknown) => error instanceof RangeError,
  );
});

test('a caller is held to the same lengths as with the addon', () => {
  for (const bytes of [7, FILL_LIMIT_BYTES + 8]) {
    assert.throws(
      () => without.rdrand(new Uint8Array(bytes)),
      (error: unknown) => error instanceof RangeError,
    );
  }
});

testWhen(hasAddon)('both kinds have the same members', () => {
  const present = openHardware({ addonPath: ADDON_PATH });
  assert.equal(Object.keys(present).sort(), Object.keys(without).sort());
  assert.equal(Object.keys(present.cpu).sort(), Object.keys(without.cpu).sort());
  assert.is(present.addon, true);
  assert.is(present.absence, '');
});

test.run();
