/**
 * Zeros for a secret of this length, which `wipe` then overwrites for good. `new Uint8Array` and `Buffer.alloc` put 64 bytes and fewer
 * into V8's own heap, where the collector moves them and leaves a copy behind each time; an ArrayBuffer stands still.
 */
export function secretBytes(lengthBytes: number): Buffer<ArrayBuffer> {
  return Buffer.from(new ArrayBuffer(lengthBytes));
}

/** A copy of its own, as `secretBytes` gives it. */
export function secretCopyOf(bytes: Uint8Array): Buffer<ArrayBuffer> {
  const copy = secretBytes(bytes.length);
  copy.set(bytes);
  return copy;
}

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
