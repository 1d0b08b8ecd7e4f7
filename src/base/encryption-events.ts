import { event, type EventEntry } from './event-entry.ts';

/** The rows of the table of events that deal with the mode and policy of encryption, and with what is installed. */
export const ENCRYPTION_EVENTS = {
  'configenc.tpm.enable': event('notice', 'The configuration is from now on sealed by the TPM.'),
  'configenc.tpm.reseal': event('notice', 'The archive key was sealed to the TPM anew.'),
  'configenc.reqsb.enable': event('notice', 'The configuration opens only when Secure Boot is on.'),
  'configenc.reqsb.disable': event('notice', 'The configuration no longer needs Secure Boot to open.'),
  'configenc.reqeio.enable': event(
    'notice',
    'The configuration opens only when the installed files are those that were built.',
  ),
  'configenc.reqeio.disable': event(
    'notice',
    'The configuration no longer needs the installed files to be those that were built.',
  ),
  'encryption.mode.none': event(
    'warning',
    'The TPM cannot be used, so the new configuration is in mode NONE: obfuscation, not protection.',
    'See `entropyctl mixer explain` with the code in the detail; then `entropyctl system settings encryption set --mode=TPM`.',
  ),
  'encryption.unmarked': event(
    'error',
    'The TPM could not be given its mark of mode TPM: an archive of mode NONE would not be noticed as a downgrade.',
    'See `entropyctl mixer explain` with the code in the detail; it is tried again at each start.',
  ),
  'state.sealed-away': event(
    'alert',
    'The TPM does not give the key of the configuration; the daemon runs without it, on defaults and flags, and what is stored is kept as it is.',
    'See `entropyctl mixer explain` with the code in the detail. If the change was meant: `entropyd recover`, then seal again.',
  ),
  'installation.verified': event(
    'info',
    'The installed files are those that were built; the detail names who signed them, and the Node that runs them.',
  ),
} as const satisfies Record<string, EventEntry>;
