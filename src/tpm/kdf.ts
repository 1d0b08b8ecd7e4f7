import { createHash, createHmac } from 'node:crypto';
import { secretBytes } from '../base/bytes.ts';
import { DIGEST_BYTES } from './codes.ts';

/** KDFa of part 1, 11.4.10.2: SP 800-108 in counter mode with HMAC-SHA-256. The result is the caller's to wipe. */
export function kdfa(
  key: Uint8Array,
  label: string,
  contextU: Uint8Array,
  contextV: Uint8Array,
  bytes: number,
): Buffer {
  return blocks(bytes, (counter) =>
    createHmac('sha256', key)
      .update(u32(counter))
      .update(`${label}\0`)
      .update(contextU)
      .update(contextV)
      .update(u32(8 * bytes))
      .digest(),
  );
}

/** KDFe of part 1, 11.4.10.3: the concatenation KDF of SP 800-56A with SHA-256. The result is the caller's to wipe. */
export function kdfe(
  z: Uint8Array,
  use: string,
  partyU: Uint8Array,
  partyV: Uint8Array,
  bytes: number,
): Buffer {
  return blocks(bytes, (counter) =>
    createHash('sha256')
      .update(u32(counter))
      .update(z)
      .update(`${use}\0`)
      .update(partyU)
      .update(partyV)
      .digest(),
  );
}

function blocks(bytes: number, block: (counter: number) => Buffer): Buffer {
  const out = secretBytes(bytes);
  for (let done = 0, counter = 1; done < bytes; done += DIGEST_BYTES, counter++) {
    const part = block(counter);
    part.copy(out, done);
    part.fill(0);
  }
  return out;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
