import { EntropyError } from '../base/errors.ts';
import { replaceFile } from '../durable/atomic-file.ts';
import { checksum, CHECKSUM_BYTES } from '../durable/checksum.ts';
import type { DurableFile, DurableFiles } from '../durable/durable-files.ts';
import { SEEN_RECORD_BYTES } from './seen-ring.ts';

/**
 * The file of seen payloads, integers big-endian:
 *
 *   header    "emseenpl" ‖ version u32 ‖ capacity u32 ‖ checksum of these 8
 *   records   from byte 4,096 on: capacity × (digest 12 ‖ counter u32)
 *
 * It is made whole, and never grows. A torn record is a digest that nothing has.
 */
const MAGIC = Buffer.from('emseenpl', 'latin1');
const VERSION = 1;
const HEADER_BYTES = MAGIC.length + 8 + CHECKSUM_BYTES;
export const RECORDS_OFFSET_BYTES = 4096;

export const SEEN_PATH = 'cache/seen';
export const SEEN_SET_ASIDE = `${SEEN_PATH}.damaged`;

/** The records of the file; undefined when there is none. Throws `state-damaged`, `state-version-newer`. */
export async function readSeenFile(
  files: DurableFiles,
  capacity: number,
): Promise<{ readonly file: DurableFile; readonly image: Buffer } | undefined> {
  const file = await files.open(SEEN_PATH);
  if (file === undefined) return undefined;
  try {
    assertHeader(await file.read(0, HEADER_BYTES), capacity);
    const image = await file.read(RECORDS_OFFSET_BYTES, capacity * SEEN_RECORD_BYTES);
    if (image.length < capacity * SEEN_RECORD_BYTES)
      throw new EntropyError('state-damaged', `${SEEN_PATH} ends early`);
    return { file, image };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Makes a file without records, or puts it in the place of one. */
export async function createSeenFile(
  files: DurableFiles,
  capacity: number,
): Promise<DurableFile | undefined> {
  const bytes = Buffer.alloc(RECORDS_OFFSET_BYTES + capacity * SEEN_RECORD_BYTES);
  encodeHeader(capacity).copy(bytes);
  await replaceFile(files, SEEN_PATH, bytes);
  return files.open(SEEN_PATH);
}

function encodeHeader(capacity: number): Buffer {
  const fields = Buffer.alloc(MAGIC.length + 8);
  MAGIC.copy(fields);
  fields.writeUInt32BE(VERSION, MAGIC.length);
  fields.writeUInt32BE(capacity, MAGIC.length + 4);
  return Buffer.concat([fields, checksum(fields)]);
}

function assertHeader(header: Buffer, capacity: number): void {
  if (header.length === HEADER_BYTES && header.subarray(0, MAGIC.length).equals(MAGIC)) {
    const version = header.readUInt32BE(MAGIC.length);
    if (version > VERSION)
      throw new EntropyError('state-version-newer', `${SEEN_PATH} has format version ${version}`);
    if (header.equals(encodeHeader(capacity))) return;
  }
  throw new EntropyError('state-damaged', `${SEEN_PATH} is not a sound file of seen payloads`);
}
