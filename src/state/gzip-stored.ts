import { crc32 } from 'node:zlib';
import { wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';

/**
 * gzip (RFC 1952) in one canonical form without compression: what goes into it is ciphertext, or must not show its
 * content by its size. Any gunzip reads it; we read nothing else, so not one bit of a file can change unnoticed.
 */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
const TRAILER_BYTES = 8;
const BLOCK_HEADER_BYTES = 5;
const BLOCK_BYTES = 65_535;

export function gzipStored(content: Uint8Array): Buffer {
  const trailer = Buffer.alloc(TRAILER_BYTES);
  trailer.writeUInt32LE(crc32(content), 0);
  trailer.writeUInt32LE(content.length, 4);
  return Buffer.concat([HEADER, ...storedBlocks(content), trailer]);
}

/**
 * The content, of at most maximumBytes; the caller's to wipe. Nothing is inflated, so nothing is allocated beyond the
 * size of the file, and no copy stays in a decompressor. Throws `state-damaged`, naming the file.
 */
export function gunzipStored(bytes: Buffer, maximumBytes: number, name: string): Buffer {
  const contentBytes = bytes.length < 4 ? 0 : bytes.readUInt32LE(bytes.length - 4);
  if (contentBytes > maximumBytes || gzipStoredBytes(contentBytes) !== bytes.length) {
    throw damaged(name, 'is not a gzip file as this program writes it, or is too large');
  }
  const content = contentOf(bytes, contentBytes);
  const canonical = gzipStored(content);
  const same = canonical.equals(bytes);
  wipe(canonical);
  if (same) return content;
  wipe(content);
  throw damaged(name, 'is damaged');
}

/** Size of the gzip file around so much content. */
export function gzipStoredBytes(contentBytes: number): number {
  const blocks = Math.max(1, Math.ceil(contentBytes / BLOCK_BYTES));
  return HEADER.length + blocks * BLOCK_HEADER_BYTES + contentBytes + TRAILER_BYTES;
}

function contentOf(bytes: Buffer, contentBytes: number): Buffer {
  const content = Buffer.alloc(contentBytes);
  let from = HEADER.length;
  for (let offset = 0; offset < contentBytes; offset += BLOCK_BYTES) {
    from += BLOCK_HEADER_BYTES;
    from += bytes.copy(content, offset, from, from + Math.min(BLOCK_BYTES, contentBytes - offset));
  }
  return content;
}

/** Stored blocks of RFC 1951 section 3.2.4: final flag, length, its complement, bytes. */
function* storedBlocks(content: Uint8Array): Generator<Uint8Array> {
  let offset = 0;
  do {
    const block = content.subarray(offset, offset + BLOCK_BYTES);
    offset += block.length;
    const header = Buffer.alloc(BLOCK_HEADER_BYTES);
    header.writeUInt8(offset === content.length ? 1 : 0, 0);
    header.writeUInt16LE(block.length, 1);
    header.writeUInt16LE(0xffff - block.length, 3);
    yield header;
    yield block;
  } while (offset < content.length);
}

function damaged(name: string, what: string): EntropyError {
  return new EntropyError('state-damaged', `${name} ${what}`);
}
