import { EntropyError, isEntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import { removeLeftover, replaceFile } from './atomic-file.ts';
import { directoryOf, readWhole, type DurableFile, type DurableFiles } from './durable-files.ts';
import {
  assertRecord,
  decodeJournal,
  encodeJournal,
  encodeRecords,
  IDENTITY_BYTES,
  MAXIMUM_BATCH_BYTES,
  RECORD_OVERHEAD_BYTES,
} from './journal-format.ts';
import { SerialQueue } from './serial-queue.ts';

export interface JournalOptions {
  readonly path: string;
  /** What the records are; a journal of another kind is refused. */
  readonly kind: string;
  /** Size that the file never exceeds; whoever appends rotates before. */
  readonly maximumBytes: number;
  /** What a new journal begins with; none when not given. */
  readonly initial?: readonly Uint8Array[];
}

export interface JournalDependencies {
  readonly files: DurableFiles;
  readonly random: RandomSource;
}

export interface OpenedJournal {
  readonly journal: Journal;
  readonly records: readonly Buffer[];
  /** Size of the torn tail that was cut off; 0 after an orderly end. */
  readonly cutBytes: number;
}

interface Waiting {
  readonly payload: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** An append-only file of records (journal-format.ts), kept within its bound by rotation. */
export class Journal {
  readonly #options: JournalOptions;
  readonly #dependencies: JournalDependencies;
  readonly #queue = new SerialQueue();
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #file: DurableFile | undefined;
  #endBytes = 0;
  #chain: Buffer = Buffer.alloc(0);
  #failure: Error | undefined;

  private constructor(options: JournalOptions, dependencies: JournalDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /**
   * Opens a journal, or makes one with the initial records. Whatever it gives as records is durable when it resolves. When the disk
   * can be read but not written, it opens all the same and fails on append. Throws `state-damaged`,
   * `state-version-newer`, `state-unreadable`.
   */
  static async open(options: JournalOptions, dependencies: JournalDependencies): Promise<OpenedJournal> {
    const journal = new Journal(options, dependencies);
    await removeLeftover(dependencies.files, options.path);
    const bytes = await readWhole(dependencies.files, options.path, options.maximumBytes);
    if (bytes === undefined) {
      const initial = options.initial ?? [];
      await journal.#whileWritable(() => journal.rotate(initial));
      return { journal, records: initial.map((record) => Buffer.from(record)), cutBytes: 0 };
    }
    const { records, endBytes, chain } = decodeJournal(options.path, options.kind, bytes);
    await journal.#whileWritable(() => journal.#resume(endBytes, chain, bytes.length > endBytes));
    return { journal, records, cutBytes: bytes.length - endBytes };
  }

  /** Size of the file with everything that waits to be written. */
  get sizeBytes(): number {
    return this.#endBytes + this.#waitingBytes;
  }

  /** True once an append failed: the end of the file is in doubt, and only `rotate` heals it. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /**
   * Appends a record of 1 to MAXIMUM_RECORD_BYTES bytes, which must stay unchanged until it resolves; it is durable
   * then. RangeError when the file would outgrow its maximum. `state-unwritable` for this and every later append
   * until `rotate` succeeds; whether the record is in the file is then open.
   */
  append(payload: Uint8Array): Promise<void> {
    assertRecord(payload);
    const bytes = payload.length + RECORD_OVERHEAD_BYTES;
    if (this.sizeBytes + bytes > this.#options.maximumBytes)
      throw new RangeError('the journal is full: rotate it');
    this.#waitingBytes += bytes;
    const written = new Promise<void>((resolve, reject) => this.#waiting.push({ payload, resolve, reject }));
    void this.#queue.run(() => this.#writeBatch());
    return written;
  }

  /**
   * Puts a new file with these records, and a new identity, in the place of the old one: durable when it resolves,
   * and until then a crash leaves one of the two, whole. `state-unwritable` when it fails.
   */
  rotate(records: readonly Uint8Array[]): Promise<void> {
    return this.#queue.run(async () => {
      const identity = randomBytes(this.#dependencies.random, IDENTITY_BYTES);
      const { bytes, chain } = encodeJournal(this.#options.kind, identity, records);
      if (bytes.length > this.#options.maximumBytes)
        throw new RangeError('the records do not fit into the journal');
      this.#failure ??= new EntropyError('state-unwritable', `${this.#options.path} could not be rotated`);
      await replaceFile(this.#dependencies.files, this.#options.path, bytes);
      await this.#attach();
      this.#endBytes = bytes.length;
      this.#chain = chain;
      this.#failure = undefined;
    });
  }

  /** Waits for what is under way and lets go of the file. */
  close(): Promise<void> {
    return this.#queue.run(async () => {
      this.#failure ??= new EntropyError('state-unwritable', `${this.#options.path} is closed`);
      await this.#file?.close();
      this.#file = undefined;
    });
  }

  async #whileWritable(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isEntropyError(error, 'state-unwritable')) throw error;
      this.#failure = error;
    }
  }

  /** What was read may be the unsynced work of a process that died: tail, content and name are made durable. */
  async #resume(endBytes: number, chain: Buffer, torn: boolean): Promise<void> {
    this.#endBytes = endBytes;
    this.#chain = chain;
    await this.#attach();
    if (torn) await this.#file?.truncate(endBytes);
    await this.#file?.sync();
    await this.#dependencies.files.syncDirectory(directoryOf(this.#options.path));
  }

  async #attach(): Promise<void> {
    const before = this.#file;
    this.#file = await this.#dependencies.files.open(this.#options.path);
    await before?.close();
  }

  /** Writes what waits, up to a batch; the calls queued behind it find the rest, or nothing. */
  async #writeBatch(): Promise<void> {
    const batch = this.#takeBatch();
    if (batch.length === 0) return;
    try {
      if (this.#failure !== undefined) throw this.#failure;
      const { bytes, chain } = encodeRecords(
        batch.map(({ payload }) => payload),
        this.#chain,
      );
      await this.#file?.write(this.#endBytes, bytes);
      await this.#file?.sync();
      this.#endBytes += bytes.length;
      this.#chain = chain;
      for (const { resolve } of batch) resolve();
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
      for (const { reject } of batch) reject(error);
    } finally {
      for (const { payload } of batch) this.#waitingBytes -= payload.length + RECORD_OVERHEAD_BYTES;
    }
  }

  #takeBatch(): Waiting[] {
    let bytes = 0;
    const end = this.#waiting.findIndex(({ payload }) => {
      bytes += payload.length + RECORD_OVERHEAD_BYTES;
      return bytes > MAXIMUM_BATCH_BYTES;
    });
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end);
  }
}
