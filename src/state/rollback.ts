import { wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import { decodeRegister, encodeRegister } from './feeder-register.ts';
import { MAXIMUM_FEEDER_ID } from './feeder-record.ts';
import { RECOVERY_NOTES } from './recovery-notes.ts';

/**
 * What becomes of each document when an older archive takes the place of the current one. Whoever was disabled, revoked or
 * given another key since would be trusted again, so nobody who could act on this host is, until an operator says so:
 * feeders are disabled (`mixer feeder enable NAME` confirms one), accounts and tokens are gone (make them anew).
 *
 * A document without a row is refused: what it lets in is not known.
 */
const AFTER_ROLLBACK: Readonly<Record<string, (document: Buffer) => Buffer | undefined>> = {
  'config.json': kept,
  'cache-key': kept,
  'seen-key': kept,
  host: kept,
  'receipt-key': kept,
  'feeders.keys': kept,
  [RECOVERY_NOTES]: kept,
  'install.json': kept,
  'feeders.json': withFeedersDisabled,
  'tokens.json': dropped,
  'accounts.json': dropped,
};

/** Ids that the lost archive may have given to feeders which the older one does not know. */
const FEEDER_IDS_SKIPPED = 4096;

/** The documents after a rollback; those that are not kept are wiped. Throws `state-version-newer`, `state-damaged`. */
export function afterRollback(documents: ReadonlyMap<string, Buffer>): Map<string, Buffer> {
  const after = new Map<string, Buffer>();
  for (const [name, document] of documents) {
    const rule = AFTER_ROLLBACK[name];
    if (rule === undefined)
      throw new EntropyError('state-version-newer', `the archive holds ${name}, unknown to this version`);
    const kept = rule(document);
    if (kept !== document) wipe(document);
    if (kept !== undefined) after.set(name, kept);
  }
  return after;
}

function kept(document: Buffer): Buffer {
  return document;
}

function dropped(): undefined {
  return undefined;
}

function withFeedersDisabled(document: Buffer): Buffer {
  const { nextId, feeders } = decodeRegister(document);
  return encodeRegister({
    nextId: Math.min(nextId + FEEDER_IDS_SKIPPED, MAXIMUM_FEEDER_ID + 1),
    feeders: feeders.map((feeder) => ({ ...feeder, state: 'disabled' })),
  });
}
