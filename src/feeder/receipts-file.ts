import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { EntropyError, messageOf } from '../base/errors.ts';
import { RECEIPT_BYTES } from '../protocol/receipt.ts';
import { ReceiptVerifier, type ReceiptSummary } from '../protocol/receipt-verifier.ts';

/** Records read at a time when a file is verified. */
const RECORDS_AT_A_TIME = 1024;

/** Receipts one after the other, as `verify` and `mixer receipt verify` read them. Several runs may append to one file. */
export class ReceiptsFile {
  readonly #path: string;
  readonly #descriptor: number;

  /** @throws EntropyError receipts-unwritable: also for a file that holds something else */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#descriptor = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o644);
    } catch (error) {
      throw unwritable(path, error);
    }
    const stats = fstatSync(this.#descriptor);
    if (stats.isFile() && stats.size % RECEIPT_BYTES === 0) return;
    closeSync(this.#descriptor);
    throw new EntropyError('receipts-unwritable', `${path} holds something else than whole receipts`);
  }

  /** Appends one record. @throws EntropyError receipts-unwritable */
  append(record: Uint8Array): void {
    try {
      const count = writeSync(this.#descriptor, record);
      if (count !== record.length) throw new Error(`only ${count} of ${record.length} bytes were written`);
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
