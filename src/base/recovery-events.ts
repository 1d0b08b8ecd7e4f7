import { event, type EventEntry } from './event-entry.ts';

/** The rows of the table of events that deal with the archive's keys and its copies. */
export const RECOVERY_EVENTS = {
  'recovery.key.shown': event('notice', 'The recovery key was shown to the peer in the detail.'),
  'recovery.key.rotated': event(
    'notice',
    'The archive has a new key and a new recovery key; the old ones open nothing any more.',
  ),
  'recovery.key.escrowed': event(
    'notice',
    'The recovery key was encrypted to the recipient and written to the file in the detail.',
  ),
  'recovery.key.acknowledged': event(
    'notice',
    'The peer in the detail says that the recovery key is backed up.',
  ),
  'recovery.key.not-backed-up': event(
    'warning',
    'The recovery key is not known to be backed up: without it a changed TPM loses the configuration.',
    '`entropyctl system settings encryption recovery list`, keep the key apart from this host, then `… recovery acknowledge`.',
  ),
  'recovery.escrow.failed': event(
    'error',
    'The escrow file could not be written: it still holds an earlier recovery key.',
    'See the detail; then `entropyctl system settings encryption recovery escrow` again.',
  ),
  'state.recovered': event(
    'alert',
    'The archive was opened by its recovery key, the previous one was put in place, or it was an older copy, as the detail tells.',
    'Restart the host, so that no trace of the key stays in memory, then `entropyctl system settings encryption recovery rotate`.',
  ),
  'state.backup.failed': event(
    'error',
    'A backup of the archive failed; what was saved before is on disk.',
    'See the detail; free space, or make the file system writable.',
  ),
} as const satisfies Record<string, EventEntry>;
