import { wipe } from '../base/bytes.ts';
import { EntropyError, isEntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { EncryptionControl, Peer } from '../contract/control-service.ts';
import type { EncryptionChange, EncryptionReport, KeysReport, SealCheck } from '../contract/encryption.ts';
import type { SecureBoot } from '../hardware/secure-boot.ts';
import type { Installation } from '../state/installation.ts';
import { INSTALLATION_PCR } from '../state/seal-fields.ts';
import type { NoneWrapping } from '../state/none-wrapping.ts';
import { passphraseOf } from '../state/passphrase.ts';
import { encryptionReport, plannedEncryption } from '../state/seal-plan.ts';
import type { StateArchive } from '../state/state-archive.ts';
import type { TpmWrapping } from '../state/tpm-wrapping.ts';

export interface EncryptionDeskDependencies {
  readonly archive: StateArchive;
  readonly sealing: TpmWrapping;
  readonly none: NoneWrapping;
  readonly installation: Installation;
  readonly secureBoot: () => Promise<SecureBoot>;
  readonly keys: () => Promise<KeysReport>;
  readonly events: EventSink;
}

/** The mode and policy of encryption: told, changed as a whole or not at all, and tried. */
export class EncryptionDesk implements EncryptionControl {
  readonly #archive: StateArchive;
  readonly #sealing: TpmWrapping;
  readonly #none: NoneWrapping;
  readonly #installation: Installation;
  readonly #secureBoot: () => Promise<SecureBoot>;
  readonly #keys: () => Promise<KeysReport>;
  readonly #events: EventSink;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(dependencies: EncryptionDeskDependencies) {
    this.#archive = dependencies.archive;
    this.#sealing = dependencies.sealing;
    this.#none = dependencies.none;
    this.#installation = dependencies.installation;
    this.#secureBoot = dependencies.secureBoot;
    this.#keys = dependencies.keys;
    this.#events = dependencies.events;
  }

  report(): EncryptionReport {
    const isSealed = this.#archive.mode === 'TPM';
    return isSealed
      ? encryptionReport('TPM', this.#sealing.pcrs, { suspendedBoots: this.#suspendedBoots() })
      : encryptionReport('NONE', [], { passphrase: this.#archive.isProtected });
  }

  /** @throws EntropyError encryption-irreversible, encryption-unsatisfied, installation-altered, tpm-…, state-unwritable */
  change(change: EncryptionChange, peer: Peer): Promise<EncryptionReport> {
    return this.#inTurn(() => this.#change(change, peer));
  }

  /** @throws EntropyError passphrase-refused, encryption-unsatisfied, state-unwritable, and what made the archive be refused */
  setPassphrase(content: Uint8Array, peer: Peer): Promise<EncryptionReport> {
    return this.#inTurn(async () => {
      this.#requireNone();
      const passphrase = passphraseOf(Buffer.from(content.buffer, content.byteOffset, content.length));
      try {
        await this.#join(passphrase);
      } finally {
        wipe(passphrase);
      }
      this.#events.emit('configenc.passphrase.set', { by: peer.name });
      return this.report();
    });
  }

  /** @throws EntropyError encryption-unsatisfied, state-unwritable, and what made the archive be refused */
  removePassphrase(peer: Peer): Promise<EncryptionReport> {
    return this.#inTurn(async () => {
      this.#requireNone();
      if (!this.report().passphrase)
        throw new EntropyError('encryption-unsatisfied', 'a passphrase to remove: none is joined');
      await this.#join(undefined);
      this.#events.emit('configenc.passphrase.remove', { by: peer.name });
      return this.report();
    });
  }

  /** @throws EntropyError encryption-unsatisfied, tpm-…, state-unwritable, and what made the archive be refused */
  suspend(boots: number, peer: Peer): Promise<EncryptionReport> {
    return this.#inTurn(async () => {
      if (this.#archive.refused !== undefined) throw this.#archive.refused;
      const { mode, pcrs, suspendedBoots } = this.report();
      if (mode !== 'TPM' || pcrs.every((pcr) => pcr === INSTALLATION_PCR))
        throw new EntropyError(
          'encryption-unsatisfied',
          'a seal to PCRs that firmware changes: there is none',
        );
      if (boots === 0 && suspendedBoots === null) return this.report();
      await this.#archive.rewrap({ prepare: () => this.#sealing.suspend(boots) });
      const detail = { by: peer.name, boots, pcrs: pcrs.join(' ') };
      this.#events.emit(boots === 0 ? 'configenc.seal.resume' : 'configenc.seal.suspend', detail);
      return this.report();
    });
  }

  /** Unseals what is on disk once more, and tells what came of it. */
  async check(): Promise<SealCheck> {
    const { mode, pcrs, suspendedBoots } = this.report();
    const installed = await this.#installation.verify().catch(() => undefined);
    const host = {
      mode,
      pcrs,
      suspendedBoots,
      secureBoot: await this.#secureBoot(),
      ...(await this.#keys()),
      signer: installed?.signer ?? '',
    };
    try {
      await this.#archive.tryToOpen();
      return { ...host, opens: true, code: '', because: '' };
    } catch (error) {
      if (!isEntropyError(error)) throw error;
      return { ...host, opens: false, code: error.code, because: `${error.message} (${error.code})` };
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(work);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  #suspendedBoots(): number | null {
    const bootsLeft = this.#sealing.suspension?.bootsLeft ?? -1;
    return bootsLeft < 0 ? null : bootsLeft;
  }

  #requireNone(): void {
    if (this.#archive.refused !== undefined) throw this.#archive.refused;
    if (this.#archive.mode === 'TPM')
      throw new EntropyError('encryption-unsatisfied', 'mode NONE: a passphrase is joined into no other');
  }

  /** With new keys: those from before were kept in another way, and older copies of the disk still hold them. */
  #join(passphrase: Uint8Array | undefined): Promise<void> {
    return this.#archive.rotate({ prepare: () => this.#none.join(passphrase) });
  }

  async #change(change: EncryptionChange, peer: Peer): Promise<EncryptionReport> {
    const before = this.report();
    const plan = plannedEncryption(before, change, { secureBoot: await this.#secureBoot() });
    if (plan.mode === 'NONE') return before;
    if (this.#archive.refused !== undefined) throw this.#archive.refused;
    await this.#sealing.assess(plan.pcrs);
    const pcrs = this.#sealing.pcrs;
    this.#sealing.pcrs = plan.pcrs;
    try {
      // What mode NONE kept was as good as open: a sealed archive gets keys that were never on this disk.
      await (before.mode === 'NONE' ? this.#archive.rotate({ mode: 'TPM' }) : this.#archive.rewrap());
    } catch (error) {
      this.#sealing.pcrs = pcrs;
      throw error;
    }
    this.#tell(before, plan, peer);
    return this.report();
  }

  #tell(before: EncryptionReport, after: EncryptionReport, peer: Peer): void {
    const detail = { by: peer.name, pcrs: after.pcrs.join(' ') };
    this.#events.emit(before.mode === 'NONE' ? 'configenc.tpm.enable' : 'configenc.tpm.reseal', detail);
    if (before.requireSecureBoot !== after.requireSecureBoot)
      this.#events.emit(
        after.requireSecureBoot ? 'configenc.reqsb.enable' : 'configenc.reqsb.disable',
        detail,
      );
    if (before.requireExecInstalledOnly !== after.requireExecInstalledOnly)
      this.#events.emit(
        after.requireExecInstalledOnly ? 'configenc.reqeio.enable' : 'configenc.reqeio.disable',
        detail,
      );
  }
}
