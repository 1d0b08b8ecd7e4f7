import { CREDIT_UNITS_PER_BIT } from '../base/units.ts';
import type { ExternalReport } from '../contract/external.ts';
import type { FeederReport } from '../contract/feeders.ts';
import type { InstallSeedReport } from '../contract/install-seed.ts';
import type { Receipt } from '../protocol/receipt.ts';
import type { FlatRow } from './formatters/output.ts';
import { timeText } from './times.ts';

/** From what the daemon and receipts tell of external entropy to the rows of the shapes. */

export function externalRow({ keyChangedMs, ...report }: ExternalReport): FlatRow {
  return { ...report, keyChanged: keyChangedMs === null ? null : timeText(keyChangedMs) };
}

export function installSeedRow({ installedMs, ...seed }: InstallSeedReport): FlatRow {
  return { ...seed, installed: installedMs === null ? null : timeText(installedMs) };
}

/** Said where bit 8 is off: the zeros say nothing of what is on disk. */
export const CACHES_NOT_OPEN =
  'External entropy is not in the running mask: its caches are not open, and what is stored stays as it is.';

export function feederRow({ lastHeardMs, createdMs, ...feeder }: FeederReport): FlatRow {
  return {
    ...feeder,
    lastHeard: lastHeardMs === null ? null : timeText(lastHeardMs),
    created: timeText(createdMs),
  };
}

/** `record` is its place in the file, from 1. */
export function receiptRow(record: number, receipt: Receipt): FlatRow {
  const isFrame = receipt.kind === 'frame';
  return {
    record,
    time: timeText(receipt.timeMs),
    kind: receipt.kind,
    feeder: receipt.feeder,
    feederId: receipt.feederId,
    sequence: receipt.sequence,
    verdict: isFrame ? receipt.verdict : null,
    payloadBytes: receipt.payloadBytes,
    memoryBytes: receipt.memoryBytes,
    storedBytes: receipt.storedBytes,
    creditedBits: receipt.creditUnits / CREDIT_UNITS_PER_BIT,
    session: hex(receipt.session),
    position: receipt.position,
    host: hex(receipt.host),
    frameSha256: isFrame ? hex(receipt.frameDigest) : null,
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
