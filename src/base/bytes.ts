import { timingSafeEqual } from 'node:crypto';

/** Overwrites a buffer that held a secret. A JIT may keep copies in registers; SECURITY.md says so. */
export function wipe(bytes: Uint8Array): void {
  bytes.fill(0);
}

/** Compares two byte strings in time that depends on their lengths only. */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** True when every byte is zero; reads all of them, so the time says nothing of where a first non-zero byte is. */
export function isAllZero(bytes: Uint8Array): boolean {
  let seen = 0;
  for (const byte of bytes) seen |= byte;
  return seen === 0;
}
