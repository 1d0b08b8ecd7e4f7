import { createHash } from 'node:crypto';

export const CHECKSUM_BYTES = 8;

/**
 * The first 8 bytes of SHA-256 over the parts. It tells damage and torn writes from sound bytes (a chance of 2^-64),
 * and nothing about who wrote them: what an attacker might alter stands in an envelope.
 */
export function checksum(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return Buffer.from(hash.digest().subarray(0, CHECKSUM_BYTES));
}
