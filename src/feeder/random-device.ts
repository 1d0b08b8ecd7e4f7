import type { BigIntStats } from 'node:fs';
import { EntropyError } from '../base/errors.ts';

/** A character device's numbers, as `ls -l` shows them. */
export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/** The numbers of the device that a descriptor is open on; a symlink or another name does not change them. */
export function deviceNumberOf(stats: BigIntStats): DeviceNumber | undefined {
  if (!stats.isCharacterDevice()) return undefined;
  // The layout of dev_t in Linux: 12 bits of major at bit 8; the minor is the low 8 bits and those above the major.
  const major = (stats.rdev >> 8n) & 0xfffn;
  const minor = (stats.rdev & 0xffn) | ((stats.rdev >> 12n) & 0xfff00n);
  return { major: Number(major), minor: Number(minor) };
}

/** /dev/random and /dev/urandom: what the host gives out must not come back as if it were new. */
export function refuseRandomDevice(device: DeviceNumber | undefined, description: string): void {
  if (device?.major !== 1 || (device.minor !== 8 && device.minor !== 9)) return;
  const name = device.minor === 8 ? '/dev/random' : '/dev/urandom';
  throw new EntropyError('input-refused', `${description} is ${name} of this host`);
}

/** /dev/hwrng: the kernel reads the same generator by itself once one is selected. */
export function isHardwareGenerator(device: DeviceNumber): boolean {
  return device.major === 10 && device.minor === 183;
}
