/** Overwrites a buffer that held a secret. A JIT may keep copies in registers; SECURITY.md says so. */
export function wipe(bytes: Uint8Array): void {
  bytes.fill(0);
}

/** True when every byte is zero; reads all of them, so the time says nothing of where a first non-zero byte is. */
export function isAllZero(bytes: Uint8Array): boolean {
  let seen = 0;
  for (const byte of bytes) seen |= byte;
  return seen === 0;
}
