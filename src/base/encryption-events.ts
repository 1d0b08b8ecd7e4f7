import { event, routine, type EventEntry } from './event-entry.ts';

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
  'configenc.seal.suspend': event(
    'alert',
    'The seal is suspended for the boots in the detail: whoever starts this host in another way opens the configuration meanwhile.',
    'Update the firmware and restart; it ends by itself, or with `entropyctl mixer seal suspend --boots 0`.',
  ),
  'configenc.seal.suspended': event(
    'warning',
    'This start opened the configuration while the seal was suspended; the detail tells whether the PCRs changed and whether it was sealed to them anew.',
    'If no firmware was updated, find out what changed. Where it was not sealed anew: `entropyctl system settings encryption set --mode=TPM`.',
  ),
  'configenc.seal.resume': event('notice', 'The suspension of the seal is over.'),
  'configenc.keys.changed': event(
    'warning',
    'db or dbx of Secure Boot is another than at boot: PCR 7 will differ at the next, and the configuration not open by it.',
    'Before the restart: `entropyctl mixer seal suspend --boots 1`; and have the recovery key at hand.',
  ),
  'configenc.passphrase.set': event(
    'notice',
    'A passphrase is joined into the configuration archive: from now on it does not open without it. Key and recovery key are new.',
    'Start the daemon with it from now on: --passphrase-file FILE, or the credential entropy-mixer.passphrase. List and keep the recovery key.',
  ),
  'configenc.passphrase.remove': event(
    'alert',
    'The passphrase was removed: the configuration archive is in mode NONE again, obfuscation and not protection.',
    'Whoever gets the disk reads all of it. If that was not meant: `entropyctl system settings encryption passphrase set`.',
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
    'TPM or passphrase do not give the key of the configuration; the daemon runs without it, on defaults and flags, and what is stored is kept as it is.',
    'See `entropyctl mixer explain` with the code in the detail. If the change was meant: `entropyd recover`, then seal again.',
  ),
  'state.older': event(
    'alert',
    'The configuration is an older copy of itself: the TPM has counted on since it was written. Its caches are set aside, feeders are disabled, accounts and tokens gone: they may have been revoked since.',
    'Find out who put it back. If that was meant: `entropyctl mixer feeder enable NAME` for each feeder that is still to be trusted, make accounts and tokens anew, then `entropyctl system settings encryption recovery rotate`.',
  ),
  'cache.generation.unknown': event(
    'error',
    'The TPM does not tell the generation of the key of the caches, so that an older copy of them could not be told: they are not used in this run, and kept as they are.',
    'See `entropyctl mixer explain` with the code in the detail, then restart.',
  ),
  'cache.key.changed': routine(
    'info',
    'The caches have a new key-encryption key; the TPM has counted its generation, and older copies of the disk open nothing any more.',
  ),
  'cache.key.change.failed': event(
    'error',
    'The key-encryption key of the caches could not be changed: a copy of the disk from since the last change would open used segments. The caches go on.',
    'See `entropyctl mixer explain` with the code in the detail; it is tried again by itself.',
  ),
  'installation.verified': event(
    'info',
    'The installed files are those that were built; the detail names who signed them, and the Node that runs them.',
  ),
} as const satisfies Record<string, EventEntry>;
