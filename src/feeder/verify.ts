import { existsSync, readFileSync, statSync } from 'node:fs';
import { EntropyError } from '../base/errors.ts';
import { wipe } from '../base/bytes.ts';
import { CREDIT_UNITS_PER_BIT } from '../base/units.ts';
import { KEY_BYTES } from '../protocol/limits.ts';
import type { ReceiptSummary } from '../protocol/receipt-verifier.ts';
import { readEnrolment } from './enrolment.ts';
import type { VerifyOptions } from './options.ts';
import { verifyReceipts } from './receipts-file.ts';

/**
 * Verifies a file of receipts and gives what to print.
 *
 * @throws EntropyError receipt-invalid, input-failed, usage, enrolment-invalid, key-file-exposed
 */
export function verify(options: VerifyOptions): string {
  return summaryText(options.receiptsFile, verifyReceipts(options.receiptsFile, expectedOf(options.key)));
}

/** The receipt key, and with an enrolment also the host that it belongs to. */
function expectedOf(key: string): { readonly receiptKey: Uint8Array; readonly host?: Uint8Array } {
  const digits =
    hexKeyIn(key) ?? (isShortFile(key) ? hexKeyIn(readFileSync(key, 'latin1').trim()) : undefined);
  if (digits !== undefined) return { receiptKey: digits };
  if (!existsSync(key))
    throw new EntropyError('usage', `--key takes ${2 * KEY_BYTES} hexadecimal digits or a file`);
  const { receiptKey, host, key: secret } = readEnrolment(key);
  wipe(secret);
  return { receiptKey, host };
}

function hexKeyIn(text: string): Uint8Array | undefined {
  return /^[0-9a-fA-F]{64}$/.test(text) ? Buffer.from(text, 'hex') : undefined;
}

/** As long as a key in digits is, and shorter than any enrolment. */
function isShortFile(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats?.isFile() === true && stats.size <= 2 * KEY_BYTES + 2;
}

function summaryText(path: string, summary: ReceiptSummary): string {
  const { sessions, openSessions, payloadBytes, memoryBytes, storedBytes, creditUnits } = summary;
  const credit = Math.floor(creditUnits / CREDIT_UNITS_PER_BIT);
  const lines = [
    `${path}: ${summary.records} receipts, all genuine: ${summary.frames} frames in ${sessions} sessions`,
    `  payload ${payloadBytes} bytes, of them to memory ${memoryBytes}, stored ${storedBytes}; credited ${credit} bits`,
  ];
  if (openSessions > 0)
    lines.push(`  ${openSessions} sessions have no signed end: receipts of their last frames may be missing`);
  if (summary.lastReceipt !== undefined) lines.push(`  last receipt ${summary.lastReceipt.toString('hex')}`);
  return `${lines.join('\n')}\n`;
}
