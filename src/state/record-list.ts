import { EntropyError, isEntropyError } from '../base/errors.ts';
import { SerialQueue } from '../durable/serial-queue.ts';
import { decodeJsonDocument, encodeJsonDocument } from './json-document.ts';
import type { StateArchive } from './state-archive.ts';

export interface RecordListOptions<T> {
  /** Name of the document in the archive. */
  readonly document: string;
  /** Of this format. */
  readonly version: number;
  readonly maximum: number;
  /** A record as it stands in JSON. */
  readonly encode: (record: T) => object;
  /** The record of a JSON value; undefined when it does not fit its schema. */
  readonly decode: (value: unknown) => T | undefined;
}

/**
 * Records with names of their own, kept as one document of the state archive: changed one after the other, each change durable when it
 * resolves and else as before.
 */
export class RecordList<T extends { readonly name: string }> {
  readonly #options: RecordListOptions<T>;
  readonly #archive: StateArchive;
  readonly #queue = new SerialQueue();
  #records: readonly T[] = [];
  #refused: EntropyError | undefined;

  /** Reads what is stored. When that cannot be had there are no records and nothing can be changed; see `refused`. */
  constructor(options: RecordListOptions<T>, dependencies: { readonly archive: StateArchive }) {
    this.#options = options;
    this.#archive = dependencies.archive;
    try {
      this.#records = this.#load();
    } catch (error) {
      if (!isEntropyError(error)) throw error;
      this.#refused = error;
    }
  }

  /** Why everything is refused; undefined when it is not. */
  get refused(): EntropyError | undefined {
    return this.#archive.refused ?? this.#refused;
  }

  /** In the order of their making. */
  get records(): readonly T[] {
    return this.#records;
  }

  find(name: string): T | undefined {
    return this.#records.find((record) => record.name === name);
  }

  /**
   * Changes the list: `work` gets the records and gives those that take their place, and what is answered. What it throws is thrown, and
   * nothing is changed. Throws `state-unwritable`, or the error in `refused`.
   */
  change<R>(work: (records: readonly T[]) => readonly [records: readonly T[], answer: R]): Promise<R> {
    return this.#queue.run(async () => {
      if (this.refused !== undefined) throw this.refused;
      const [records, answer] = work(this.#records);
      const { document, version, encode } = this.#options;
      await this.#archive.save(document, encodeJsonDocument(version, { records: records.map(encode) }));
      this.#records = records;
      return answer;
    });
  }

  /** Waits for what is being changed; everything is refused from then on. */
  async close(): Promise<void> {
    await this.#queue.settled();
    this.#refused ??= new EntropyError('state-unwritable', `${this.#options.document} is closed`);
    this.#records = [];
  }

  #load(): T[] {
    const { document, version, maximum, decode } = this.#options;
    const bytes = this.#archive.document(document);
    if (bytes === undefined) return [];
    const { records: stored } = decodeJsonDocument(document, version, bytes);
    const records = Array.isArray(stored) ? stored.map(decode).filter((record) => record !== undefined) : [];
    const names = new Set(records.map(({ name }) => name));
    if (!Array.isArray(stored) || records.length !== stored.length || names.size !== records.length)
      throw new EntropyError('state-damaged', `${document} holds a record that does not fit its schema`);
    if (records.length > maximum)
      throw new EntropyError('state-damaged', `${document} holds too many records`);
    return records;
  }
}
