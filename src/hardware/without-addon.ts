import { closeSync, openSync, readSync } from 'node:fs';
import { arch } from 'node:process';
import type { CpuInfo } from './cpuinfo.ts';
import { FILL_LIMIT_BYTES, type FillResult, type Hardware } from './hardware.ts';

/**
 * The host without the native addon: no CPU instruction, no interrupt collector, no system call that Node lacks. Each
 * part answers that it is missing, so that what depends on it fails closed.
 */
export function hardwareWithoutAddon(absence: string, cpuInfo: CpuInfo): Hardware {
  return {
    addon: false,
    absence,
    cpu: {
      architecture: arch,
      vendor: cpuInfo.vendor,
      family: cpuInfo.family,
      model: cpuInfo.model,
      stepping: cpuInfo.stepping,
      microcode: cpuInfo.microcode,
      rdrand: false,
      rdseed: false,
      flagsRdrand: cpuInfo.flags.has('rdrand'),
      flagsRdseed: cpuInfo.flags.has('rdseed'),
    },
    rdrand: fillNothing,
    rdseed: fillNothing,
    interrupts: undefined,
    random: readKernelPool,
    lockFile: () => undefined,
    peerCredentials: () => undefined,
    notify: () => false,
    lockMemory: () => false,
    guardMemory: () => false,
    uevents: undefined,
  };
}

function fillNothing(target: Uint8Array): FillResult {
  if (target.length > FILL_LIMIT_BYTES || target.length % 8 !== 0) {
    throw new RangeError(`length must be a multiple of 8 and at most ${FILL_LIMIT_BYTES}`);
  }
  target.fill(0);
  return { bytes: 0, fault: 'unavailable' };
}

/** /dev/random is the pool of getrandom(2) and waits for its initialisation just as well. */
function readKernelPool(target: Uint8Array): void {
  if (target.length > FILL_LIMIT_BYTES) throw new RangeError(`length must be at most ${FILL_LIMIT_BYTES}`);
  const fd = openSync('/dev/random', 'r');
  try {
    for (let at = 0; at < target.length;) {
      const got = readSync(fd, target, at, target.length - at, null);
      if (got === 0) throw new Error('/dev/random ended');
      at += got;
    }
  } finally {
    closeSync(fd);
  }
}
