import { createHmac, timingSafeEqual } from 'node:crypto';
import { EntropyError } from '../base/errors.ts';
import type { Geometry } from './storage-layout.ts';

/**
 * How both files of the storage cache begin, integers big-endian:
 *
 *    0  "emsegmnt" or "emkeypgs"    8
 *    8  version u32                 4
 *   12  cache id                   16   random; the same in both files
 *   28  segment size u32            4
 *   32  keys per page u32           4
 *   36  HMAC-SHA-256               16   of all this under the header key, cut to its left half
 *
 * It never changes, so no crash can tear it; how much each file holds is told by its size. The code tells at once
 * whether the keys are those of this cache: the header key is the same through all changes of the key-encryption key.
 */
export type StorageFileKind = 'segments' | 'keys';

const MAGIC: Readonly<Record<StorageFileKind, Buffer>> = {
  segments: Buffer.from('emsegmnt', 'latin1'),
  keys: Buffer.from('emkeypgs', 'latin1'),
};
const VERSION = 1;
const MAGIC_BYTES = 8;
export const CACHE_ID_BYTES = 16;
const GEOMETRY_OFFSET = MAGIC_BYTES + 4 + CACHE_ID_BYTES;
const CODE_OFFSET = GEOMETRY_OFFSET + 8;
const CODE_BYTES = 16;
export const HEADER_BYTES = CODE_OFFSET + CODE_BYTES;

export function encodeStorageHeader(
  kind: StorageFileKind,
  cacheId: Uint8Array,
  geometry: Geometry,
  headerKey: Uint8Array,
): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC[kind].copy(header);
  header.writeUInt32BE(VERSION, MAGIC_BYTES);
  header.set(cacheId, MAGIC_BYTES + 4);
  header.writeUInt32BE(geometry.segmentBytes, GEOMETRY_OFFSET);
  header.writeUInt32BE(geometry.keysPerPage, GEOMETRY_OFFSET + 4);
  codeOf(header, headerKey).copy(header, CODE_OFFSET);
  return header;
}

/** The cache id. Throws `state-version-newer`, and `state-damaged` for what is not of this cache's kind, geometry and key. */
export function decodeStorageHeader(
  kind: StorageFileKind,
  header: Buffer,
  geometry: Geometry,
  headerKey: Uint8Array,
): Buffer {
  if (header.length < HEADER_BYTES || !header.subarray(0, MAGIC_BYTES).equals(MAGIC[kind]))
    throw new EntropyError('state-damaged', `${kind} is no such file of a storage cache`);
  const version = header.readUInt32BE(MAGIC_BYTES);
  if (version > VERSION)
    throw new EntropyError('state-version-newer', `${kind} has format version ${version}`);
  const code = codeOf(header, headerKey);
  if (version !== VERSION || !timingSafeEqual(code, header.subarray(CODE_OFFSET, HEADER_BYTES)))
    throw new EntropyError('state-damaged', `${kind} was altered, or is under another key`);
  const sameGeometry =
    header.readUInt32BE(GEOMETRY_OFFSET) === geometry.segmentBytes &&
    header.readUInt32BE(GEOMETRY_OFFSET + 4) === geometry.keysPerPage;
  if (!sameGeometry) throw new EntropyError('state-damaged', `${kind} is cut up in another way`);
  return Buffer.from(header.subarray(MAGIC_BYTES + 4, GEOMETRY_OFFSET));
}

function codeOf(header: Buffer, headerKey: Uint8Array): Buffer {
  const hmac = createHmac('sha256', headerKey).update('entropy-mixer storage cache header\0');
  return hmac.update(header.subarray(0, CODE_OFFSET)).digest().subarray(0, CODE_BYTES);
}
