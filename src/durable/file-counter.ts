import { EntropyError } from '../base/errors.ts';
import { replaceFile } from './atomic-file.ts';
import { checksum, CHECKSUM_BYTES } from './checksum.ts';
import {
  ensureDirectory,
  readWhole,
  type DurableCounter,
  type DurableFile,
  type DurableFiles,
} from './durable-files.ts';
import { SerialQueue } from './serial-queue.ts';

const DIRECTORY = 'counters';
const MAGIC = Buffer.from('emcountr', 'latin1');
const VERSION = 1;

/** Two records, written in turn, far enough apart that no torn sector (4 KiB at most) can harm both. */
const SLOT_SPACING_BYTES = 4096;
const FILE_BYTES = 2 * SLOT_SPACING_BYTES;
const RECORD_BYTES = MAGIC.length + 4 + 8 + CHECKSUM_BYTES;

/** A monotone counter in a file of its own: each value overwrites the last but one, so one sound record always stays. */
export class FileCounter implements DurableCounter {
  readonly #files: DurableFiles;
  readonly #path: string;
  readonly #queue = new SerialQueue();
  #value: number | undefined;

  constructor(options: { readonly name: string }, dependencies: { readonly files: DurableFiles }) {
    this.#path = `${DIRECTORY}/${options.name}`;
    this.#files = dependencies.files;
  }

  read(): Promise<number> {
    return this.#queue.run(() => this.#load());
  }

  advance(): Promise<number> {
    return this.#queue.run(async () => {
      const next = (await this.#load()) + 1;
      const file = await this.#files.open(this.#path);
      if (file === undefined) await this.#create(next);
      else await this.#overwriteOlder(file, next);
      this.#value = next;
      return next;
    });
  }

  /** What is read may be the unsynced work of a process that died, so it is made durable before it is believed.
   *  (The directory's own entry is: it was synced before anything was put into it.) */
  async #load(): Promise<number> {
    if (this.#value !== undefined) return this.#value;
    const file = await this.#files.open(this.#path);
    if (file === undefined) return 0;
    try {
      await this.#files.syncDirectory(DIRECTORY);
      await file.sync();
    } finally {
      await file.close();
    }
    const bytes = await readWhole(this.#files, this.#path, FILE_BYTES);
    this.#value = newestValue(this.#path, bytes ?? Buffer.alloc(0));
    return this.#value;
  }

  async #create(value: number): Promise<void> {
    const bytes = Buffer.alloc(FILE_BYTES);
    encodeRecord(value).copy(bytes, slotOffset(value));
    await ensureDirectory(this.#files, DIRECTORY);
    await replaceFile(this.#files, this.#path, bytes);
  }

  async #overwriteOlder(file: DurableFile, value: number): Promise<void> {
    try {
      await file.write(slotOffset(value), encodeRecord(value));
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

function slotOffset(value: number): number {
  return (value % 2) * SLOT_SPACING_BYTES;
}

function encodeRecord(value: number): Buffer {
  const record = Buffer.alloc(RECORD_BYTES);
  MAGIC.copy(record);
  record.writeUInt32BE(VERSION, MAGIC.length);
  record.writeBigUInt64BE(BigInt(value), MAGIC.length + 4);
  checksum(record.subarray(0, -CHECKSUM_BYTES)).copy(record, RECORD_BYTES - CHECKSUM_BYTES);
  return record;
}

function newestValue(path: string, bytes: Buffer): number {
  const values = [0, 1].map((slot) => decodeRecord(path, bytes.subarray(slot * SLOT_SPACING_BYTES), slot));
  const newest = Math.max(...values.map((value) => value ?? 0));
  if (newest === 0) throw new EntropyError('state-damaged', `${path} holds no sound record`);
  return newest;
}

function decodeRecord(path: string, bytes: Buffer, slot: number): number | undefined {
  const record = bytes.subarray(0, RECORD_BYTES);
  if (record.length < RECORD_BYTES || !record.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const version = record.readUInt32BE(MAGIC.length);
  if (version > VERSION)
    throw new EntropyError('state-version-newer', `${path} has format version ${version}`);
  if (!checksum(record.subarray(0, -CHECKSUM_BYTES)).equals(record.subarray(-CHECKSUM_BYTES)))
    return undefined;
  const value = Number(record.readBigUInt64BE(MAGIC.length + 4));
  return Number.isSafeInteger(value) && value % 2 === slot ? value : undefined;
}
