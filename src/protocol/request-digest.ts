import { createHmac } from 'node:crypto';

/**
 * What stands as frame digest in the receipt of a request over HTTP: HMAC-SHA-256 (RFC 2104) over the sequence, u64 big-endian, and the
 * entropy, under a key of 32 bytes that feeder and host alone know. A plain digest would let whoever sees receipts try out entropy
 * that has little of it.
 */
export function requestDigest(key: Uint8Array, sequence: number, payload: Uint8Array): Buffer {
  const counted = Buffer.alloc(8);
  counted.writeBigUInt64BE(BigInt(sequence));
  return createHmac('sha256', key).update(counted).update(payload).digest();
}

/** The id of a session begins with it when requests bring its entropy: 12 random bytes follow. */
export const REQUEST_SESSION_MAGIC = Buffer.from('REST', 'latin1');
