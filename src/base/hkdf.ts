import { createHmac } from 'node:crypto';
import { secretBytes, wipe } from './bytes.ts';

const HASH_BYTES = 32;
const MAXIMUM_BLOCKS = 255;

/**
 * HKDF-SHA-256 (RFC 5869): so many bytes, the caller's to wipe. Node's own copies the secret into a key object, where it stays until
 * the collector comes by; here it is data of an HMAC, which forgets it.
 */
export function hkdfSha256(secret: Uint8Array, salt: Uint8Array, info: string, lengthBytes: number): Buffer {
  const blocks = Math.ceil(lengthBytes / HASH_BYTES);
  if (blocks < 1 || blocks > MAXIMUM_BLOCKS) throw new RangeError('HKDF-SHA-256 gives 1 to 8,160 bytes');
  const extracted = createHmac('sha256', salt).update(secret).digest();
  const output = secretBytes(blocks * HASH_BYTES);
  for (let block = 0; block < blocks; block++) {
    const before = output.subarray(Math.max(0, block - 1) * HASH_BYTES, block * HASH_BYTES);
    const next = createHmac('sha256', extracted)
      .update(before)
      .update(info)
      .update(Buffer.of(block + 1))
      .digest();
    next.copy(output, block * HASH_BYTES);
    wipe(next);
  }
  wipe(extracted);
  if (output.length === lengthBytes) return output;
  const result = secretBytes(lengthBytes);
  output.copy(result);
  wipe(output);
  return result;
}
