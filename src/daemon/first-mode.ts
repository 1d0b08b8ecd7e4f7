import type { EventSink } from '../base/events.ts';
import type { StateArchive } from '../state/state-archive.ts';
import type { StateEncryption } from './state-encryption.ts';

/**
 * A state that was prepared before any start, as `entropyd install` does, has the mode of its first start still to come: a document of the
 * archive says so until then.
 */
const MODE_TO_COME = 'mode-to-come';

/** Remembers that no start has chosen the mode, in a state that has none behind it. Throws `state-unwritable`. */
export async function leaveModeToFirstStart(archive: StateArchive): Promise<void> {
  if (archive.refused === undefined && archive.documentNames().length === 0)
    await archive.save(MODE_TO_COME, Buffer.from('1\n'));
}

/**
 * At a start: gives a prepared state the mode that a new one would get. With new keys, since those in which it was prepared lay open.
 *
 * @throws EntropyError state-unwritable, and what keeps the TPM from being used, where nothing else will do
 */
export async function settleFirstMode(
  archive: StateArchive,
  { encryption, events }: { readonly encryption: StateEncryption; readonly events: EventSink },
): Promise<void> {
  if (archive.refused !== undefined || !archive.documentNames().includes(MODE_TO_COME)) return;
  if (archive.mode === 'NONE' && (await encryption.modeOfNew()) === 'TPM') {
    await archive.rotate({ mode: 'TPM' });
    events.emit('configenc.tpm.enable', { by: 'the first start', pcrs: encryption.sealing.pcrs.join(' ') });
  }
  await archive.save(MODE_TO_COME, undefined);
}
