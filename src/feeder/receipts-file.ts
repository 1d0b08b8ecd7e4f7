import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { EntropyError, messageOf } from '../base/errors.ts';
import { RECEIPT_BYTES, RECEIPT_MAGIC } from '../protocol/receipt.ts';
import { ReceiptVerifier, type ReceiptSummary } from '../protocol/receipt-verifier.ts';

/** Records read at a time when a file is verified. */
const RECORDS_AT_A_TIME = 1024;

/**
 * Receipts one after the other, as `verify` and `mixer receipt verify` read them. Runs may append to one file, one after the other. A record
 * that was cut off, by a full disk or a crash, is taken away again: those behind it would be refused for its sake.
 */
export class ReceiptsFile {
  /** Bytes of a torn record that an earlier run left, taken away; 0 when there were none. */
  readonly tornBytes: number;
  readonly #path: string;
  readonly #descriptor: number;

  /** @throws EntropyError receipts-unwritable: also for a file that holds something else */
  constructor(path: string) {
    this.#path = path;
    this.#descriptor = opened(path);
    try {
      if (!holdsReceipts(this.#descriptor)) throw new Error('it holds something else than receipts');
      this.tornBytes = cutTail(this.#descriptor);
    } catch (error) {
      closeSync(this.#descriptor);
      throw unwritable(path, error);
    }
  }

  /** Appends one record, whole or not at all. @throws EntropyError receipts-unwritable */
  append(record: Uint8Array): void {
    try {
      const count = writeSync(this.#descriptor, record);
      if (count === record.length) return;
      cutTail(this.#descriptor);
      throw new Error(`only ${count} of ${record.length} bytes could be written`);
    } catch (error) {
      throw unwritable(this.#path, error);
    }
  }

  /** Makes what was appended durable. */
  close(): void {
    try {
      fsyncSync(this.#descriptor);
    } catch (error) {
      throw unwritable(this.#path, error);
    } finally {
      closeSync(this.#descriptor);
    }
  }
}

/**
 * Verifies a file of receipts, without a daemon. `host` binds them to one host; without it they must all be of the same.
 *
 * @throws EntropyError receipt-invalid, naming the first wrong record; input-failed when the file cannot be read
 */
export function verifyReceipts(
  path: string,
  expected: { readonly receiptKey: Uint8Array; readonly host?: Uint8Array },
): ReceiptSummary {
  const verifier = new ReceiptVerifier(expected);
  const descriptor = readable(path);
  const piece = Buffer.alloc(RECORDS_AT_A_TIME * RECEIPT_BYTES);
  try {
    for (let count = read(path, descriptor, piece); count > 0; count = read(path, descriptor, piece))
      verifier.add(piece.subarray(0, count));
  } finally {
    closeSync(descriptor);
  }
  return verifier.summary();
}

function opened(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o644);
  } catch (error) {
    throw unwritable(path, error);
  }
}

/** By the magic of the first record, the last, and one that was cut off behind it: nothing else is ever cut or appended to. */
function holdsReceipts(descriptor: number): boolean {
  const stats = fstatSync(descriptor);
  if (!stats.isFile()) return false;
  const whole = wholeBytes(stats.size);
  return [0, Math.max(0, whole - RECEIPT_BYTES), whole].every((offset) => {
    const begin = Buffer.alloc(Math.min(RECEIPT_MAGIC.length, stats.size - offset));
    readSync(descriptor, begin, 0, begin.length, offset);
    return RECEIPT_MAGIC.subarray(0, begin.length).equals(begin);
  });
}

/** Leaves whole records; how many bytes went. */
function cutTail(descriptor: number): number {
  const { size } = fstatSync(descriptor);
  const torn = size - wholeBytes(size);
  if (torn > 0) ftruncateSync(descriptor, size - torn);
  return torn;
}

function wholeBytes(sizeBytes: number): number {
  return sizeBytes - (sizeBytes % RECEIPT_BYTES);
}

function readable(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw unreadable(path, error);
  }
}

function read(path: string, descriptor: number, target: Uint8Array): number {
  try {
    return readSync(descriptor, target);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): EntropyError {
  return new EntropyError('input-failed', `${path}: ${messageOf(error)}`, { cause: error });
}

function unwritable(path: string, error: unknown): EntropyError {
  return new EntropyError('receipts-unwritable', `${path}: ${messageOf(error)}`, { cause: error });
}
