import { extract, pack } from 'tar-stream';
import { EntropyError } from '../base/errors.ts';
import { wipe } from '../base/bytes.ts';

/** Named files in a fixed order, as one tar. */
export type FileSet = ReadonlyMap<string, Buffer>;

const ENTRY_NAME = /^[a-z0-9_-][a-z0-9._-]{0,63}$/;
export const MAXIMUM_ENTRIES = 256;
const BLOCK_BYTES = 512;

/** A tar of these files: mode 0600, time 0, in the order of the map, so equal files give equal bytes. RangeError for more than 256. */
export async function encodeTar(files: FileSet): Promise<Buffer> {
  if (files.size > MAXIMUM_ENTRIES)
    throw new RangeError(`${files.size} files are more than a tar of ${MAXIMUM_ENTRIES}`);
  const stream = pack();
  for (const [name, bytes] of files) stream.entry({ name, mode: 0o600, mtime: new Date(0) }, bytes);
  stream.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Size of the tar around files of these sizes: a block before each, padding, two blocks at the end. */
export function tarBytes(sizes: Iterable<number>): number {
  let total = 2 * BLOCK_BYTES;
  for (const size of sizes) total += BLOCK_BYTES + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
  return total;
}

/**
 * The files of a tar that was made here: plain files only, each name once, together no larger than the tar itself,
 * and the same bytes when encoded again. Throws `state-damaged`, naming the tar.
 */
export async function decodeTar(tar: Buffer, tarName: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  try {
    const stream = extract();
    stream.end(tar);
    for await (const entry of stream) {
      const { name, type, size } = entry.header;
      const allowed =
        type === 'file' && ENTRY_NAME.test(name) && !files.has(name) && files.size < MAXIMUM_ENTRIES;
      if (!allowed || size > tar.length) throw new Error('an entry that does not belong there');
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      files.set(name, Buffer.concat(chunks));
    }
    if (!(await isCanonical(tar, files))) throw new Error('not as this program writes it');
    return files;
  } catch (error) {
    for (const bytes of files.values()) wipe(bytes);
    throw new EntropyError('state-damaged', `${tarName} is not a sound archive`, { cause: error });
  }
}

async function isCanonical(tar: Buffer, files: FileSet): Promise<boolean> {
  const again = await encodeTar(files);
  const same = again.equals(tar);
  wipe(again);
  return same;
}
