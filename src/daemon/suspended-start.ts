import { isEntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { SECURE_BOOT_PCR } from '../base/names.ts';
import type { StateArchive } from '../state/state-archive.ts';
import type { StateEncryption } from './state-encryption.ts';

/**
 * What a start does about a suspension of the seal: an archive that opened by it is sealed to the present PCRs, unless Secure Boot, which
 * they are to vouch for, is not on; one that is over is taken out of the archive. The TPM has ended it by then.
 */
export async function settleSuspension(
  archive: StateArchive,
  { encryption, events }: { readonly encryption: StateEncryption; readonly events: EventSink },
): Promise<void> {
  const { sealing } = encryption;
  const { suspension, pcrs } = sealing;
  if (archive.refused !== undefined || archive.mode !== 'TPM' || suspension === undefined) return;
  const { bootsLeft, opened } = suspension;
  if (bootsLeft < 0) {
    const because = await failure(archive.rewrap({ prepare: () => sealing.suspend(0) }));
    events.emit('configenc.seal.resume', { by: 'the TPM', ...(because !== '' && { because }) });
    return;
  }
  let sealedAnew = false;
  let because = '';
  if (opened && pcrs.includes(SECURE_BOOT_PCR) && (await encryption.secureBoot()) !== 'on')
    because = 'Secure Boot is not on';
  else if (opened) {
    because = await failure(archive.rewrap());
    sealedAnew = because === '';
  }
  events.emit('configenc.seal.suspended', { bootsLeft, pcrsChanged: opened, sealedAnew, because });
}

/** Why it failed; the start goes on without, since the archive is open. */
async function failure(work: Promise<void>): Promise<string> {
  try {
    await work;
    return '';
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    return `${error.message} (${error.code})`;
  }
}
