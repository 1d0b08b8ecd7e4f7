import { wipe } from '../base/bytes.ts';
import type { SerialQueue } from '../durable/serial-queue.ts';

/** Documents by name; undefined: removed. */
export type DocumentChanges = ReadonlyMap<string, Buffer | undefined>;

export interface ChangeBatchesDependencies {
  /** Shared with whatever else writes the documents. */
  readonly queue: SerialQueue;
  readonly write: (changes: DocumentChanges) => Promise<void>;
}

interface Batch {
  readonly changes: Map<string, Buffer | undefined>;
  readonly written: Promise<void>;
}

/** Changes that come while others are being written are written together, once it is their turn. */
export class ChangeBatches {
  readonly #dependencies: ChangeBatchesDependencies;
  #next: Batch | undefined;

  constructor(dependencies: ChangeBatchesDependencies) {
    this.#dependencies = dependencies;
  }

  /** Adds to the next batch, at once; settles as its write does. */
  stage(change: (changes: Map<string, Buffer | undefined>) => void): Promise<void> {
    this.#next ??= this.#begin();
    change(this.#next.changes);
    return this.#next.written;
  }

  #begin(): Batch {
    const { queue, write } = this.#dependencies;
    const changes = new Map<string, Buffer | undefined>();
    const written = queue.run(() => {
      this.#next = undefined;
      return write(changes);
    });
    return { changes, written };
  }
}

/** The documents after these changes: buffers of both, none copied. */
export function merged(before: Map<string, Buffer>, changes: DocumentChanges): Map<string, Buffer> {
  const after = new Map(before);
  for (const [name, bytes] of changes) {
    if (bytes === undefined) after.delete(name);
    else after.set(name, bytes);
  }
  return after;
}

/** Wipes the documents that the other set does not hold. */
export function wipeUnless(documents: Map<string, Buffer>, kept: Map<string, Buffer>): void {
  const keptBuffers = new Set(kept.values());
  for (const bytes of documents.values()) if (!keptBuffers.has(bytes)) wipe(bytes);
}
