import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { wipe } from '../base/bytes.ts';
import { EntropyError, errnoOf, messageOf } from '../base/errors.ts';
import { CREDIT_UNITS_PER_BIT } from '../base/units.ts';
import { ROUTES } from '../contract/routes.ts';
import { ENROLMENT_MAXIMUM_BYTES, parseEnrolment } from '../protocol/enrolment-file.ts';
import { parseReceipt, RECEIPT_BYTES } from '../protocol/receipt.ts';
import { ReceiptVerifier } from '../protocol/receipt-verifier.ts';
import { numberOf, optionalTextOf, succeeded, type Answer, type Surroundings } from './answer.ts';
import type { Invocation } from './command-line.ts';
import { receiptRow } from './external-rows.ts';
import type { FlatRow } from './formatters/output.ts';

/** What receipts say by their layout; nothing of it is verified. Throws `receipt-invalid`, `input-failed`. */
export async function showReceipts(invocation: Invocation, surroundings: Surroundings): Promise<Answer> {
  const limit = numberOf(invocation, 'limit');
  const rows: FlatRow[] = [];
  await readPieces(fileOf(invocation, surroundings), RECEIPT_BYTES, (record) => {
    rows.push(
      receiptRow(
        rows.length + 1,
        numbered(rows.length + 1, () => parseReceipt(record)),
      ),
    );
    return rows.length < limit;
  });
  return succeeded(invocation, ...rows);
}

/** Verifies a file of receipts. Throws `receipt-invalid` with the first record that is wrong, `input-failed`. */
export async function verifyReceipts(invocation: Invocation, surroundings: Surroundings): Promise<Answer> {
  const verifier = new ReceiptVerifier(await trustOf(invocation, surroundings));
  await readPieces(fileOf(invocation, surroundings), PIECE_BYTES, (piece) => {
    verifier.add(piece);
    return true;
  });
  const { creditUnits, lastReceipt, ...sums } = verifier.summary();
  return succeeded(invocation, {
    valid: true,
    ...sums,
    creditedBits: creditUnits / CREDIT_UNITS_PER_BIT,
    lastReceipt: lastReceipt?.toString('hex') ?? null,
  });
}

interface Trust {
  readonly receiptKey: Uint8Array;
  readonly host?: Uint8Array;
}

/** Who must have signed: a key alone, or key and host from an enrolment file or the daemon. */
async function trustOf(invocation: Invocation, surroundings: Surroundings): Promise<Trust> {
  const given = optionalTextOf(invocation, 'key');
  if (given === undefined) {
    const { host, key } = await surroundings.client.call(ROUTES.receiptKey);
    return { receiptKey: Buffer.from(key, 'hex'), host: Buffer.from(host, 'hex') };
  }
  if (/^[0-9a-fA-F]{64}$/.test(given)) return { receiptKey: Buffer.from(given, 'hex') };
  return enrolledTrust(path.resolve(surroundings.workingDirectory, given));
}

/** The feeder's own key stands in the same file: it is wiped at once. */
async function enrolledTrust(file: string): Promise<Trust> {
  const pieces: Buffer[] = [];
  // One byte more than any enrolment file has, so that a longer one is refused by its parser.
  await readPieces(file, ENROLMENT_MAXIMUM_BYTES + 1, (piece) => {
    pieces.push(Buffer.from(piece));
    return false;
  });
  const bytes = pieces[0] ?? Buffer.alloc(0);
  try {
    const { key, receiptKey, host } = parseEnrolment(bytes);
    wipe(key);
    return { receiptKey, host };
  } finally {
    wipe(bytes);
  }
}

function fileOf({ argument }: Invocation, { workingDirectory }: Surroundings): string {
  return path.resolve(workingDirectory, argument ?? '');
}

/** A whole number of records, so that few are cut. */
const PIECE_BYTES = 256 * RECEIPT_BYTES;

/**
 * Gives a file in pieces of that many bytes, the last one shorter, until `take` answers false. A piece is lent: it is overwritten by the
 * next, and wiped at the end. Throws `input-failed`.
 */
async function readPieces(file: string, pieceBytes: number, take: (piece: Buffer) => boolean): Promise<void> {
  const handle = await opened(file);
  const piece = Buffer.alloc(pieceBytes);
  try {
    for (;;) {
      const lengthBytes = await fill(handle, piece, file);
      if (lengthBytes === 0 || !take(piece.subarray(0, lengthBytes)) || lengthBytes < pieceBytes) return;
    }
  } finally {
    wipe(piece);
    await handle.close();
  }
}

async function opened(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'r');
  } catch (error) {
    throw unreadable(file, error);
  }
}

async function fill(handle: FileHandle, target: Buffer, file: string): Promise<number> {
  let lengthBytes = 0;
  try {
    while (lengthBytes < target.length) {
      const { bytesRead } = await handle.read(target, lengthBytes, target.length - lengthBytes, null);
      if (bytesRead === 0) break;
      lengthBytes += bytesRead;
    }
    return lengthBytes;
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): EntropyError {
  return new EntropyError('input-failed', `cannot read ${file} (${errnoOf(error) ?? messageOf(error)})`);
}

/** Puts the number of the record in front of what is wrong with it. */
function numbered<T>(record: number, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof EntropyError
      ? new EntropyError(error.code, `record ${record}: ${error.message}`)
      : error;
  }
}
