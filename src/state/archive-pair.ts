import { wipe } from '../base/bytes.ts';
import { isEntropyError } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import { openDocuments, sealDocuments, type Bootbank, type SealedArchive } from './bootbank.ts';
import type { EncryptionInfo } from './encryption-info.ts';
import { RootKey, type KeyWrapping } from './root-key.ts';
import { hasRecovery, recoveryKeyOf } from './recovery-wrapping.ts';

export interface ArchivePairDependencies {
  readonly bootbank: Bootbank;
  readonly random: RandomSource;
  /** All modes this program can open. */
  readonly wrappings: readonly KeyWrapping[];
}

/** An archive that opened: key and documents are the caller's to wipe. */
export interface OpenedArchive {
  readonly key: RootKey;
  readonly documents: Map<string, Buffer>;
}

/** The current archive and the one before as two that share a key, and change it together. */
export class ArchivePair {
  readonly #bootbank: Bootbank;
  readonly #random: RandomSource;
  readonly #wrappings: readonly KeyWrapping[];

  constructor(dependencies: ArchivePairDependencies) {
    this.#bootbank = dependencies.bootbank;
    this.#random = dependencies.random;
    this.#wrappings = dependencies.wrappings;
  }

  /** Opens an archive by its mode. Throws `state-damaged`, `state-version-newer`, and what the mode throws. */
  async open({ info, envelope }: SealedArchive): Promise<OpenedArchive> {
    const key = await RootKey.open(info, this.#wrappings);
    try {
      // A recovery wrapping that was damaged is noticed here, while it is not yet needed.
      if (hasRecovery(info)) wipe(recoveryKeyOf(info, key).secret);
      return { key, documents: await openDocuments(envelope, key) };
    } catch (error) {
      key.wipe();
      throw error;
    }
  }

  /**
   * Makes it the current one, and the one on disk the one before. A save that failed at its last step may be in place all the same; what
   * is in force is put back, if it can be. Throws `state-unwritable`.
   */
  async replace(sealed: SealedArchive, onDisk: SealedArchive | undefined): Promise<void> {
    try {
      await this.#bootbank.save(sealed);
    } catch (error) {
      const undone = onDisk === undefined ? this.#bootbank.discard() : this.#bootbank.restore(onDisk);
      await undone.catch(() => undefined);
      throw error;
    }
  }

  /**
   * Writes both under this key, and gives the current one. The one before keeps its documents, or gets the present ones when it
   * does not open: that an archive is lost must not keep its old key alive. Throws `state-unwritable`; all is then as
   * before.
   */
  async rewrite(
    documents: Map<string, Buffer>,
    key: RootKey,
    info: EncryptionInfo,
    onDisk: SealedArchive,
  ): Promise<SealedArchive> {
    const seal = async (content: Map<string, Buffer>): Promise<SealedArchive> => ({
      info,
      envelope: await sealDocuments(content, key, this.#random),
    });
    const before = { current: onDisk, previous: await this.#previous() };
    const kept = before.previous === undefined ? undefined : await this.#opened(before.previous, key);
    try {
      const after = { current: await seal(documents), previous: await seal(kept?.documents ?? documents) };
      await this.#bootbank.replaceBoth(after, before);
      await this.#bootbank.removeAside();
      return after.current;
    } finally {
      kept?.key.wipe();
      for (const bytes of kept?.documents.values() ?? []) wipe(bytes);
    }
  }

  /** Tells the mode's wrapping, when no archive on disk is under another key than this. */
  async settle(info: EncryptionInfo, wrapping: KeyWrapping): Promise<void> {
    if (wrapping.settle === undefined) return;
    const previous = await this.#previous();
    if (previous === undefined || previous.info.keyId.equals(info.keyId)) await wrapping.settle(info);
  }

  async #previous(): Promise<SealedArchive | undefined> {
    try {
      return await this.#bootbank.loadPrevious();
    } catch (error) {
      if (!isEntropyError(error, 'state-damaged', 'state-version-newer')) throw error;
      return undefined;
    }
  }

  /** By this key when it is under it, as after a recovery, where no mode opens it; else by its mode. */
  async #opened(sealed: SealedArchive, key: RootKey): Promise<OpenedArchive | undefined> {
    try {
      if (sealed.info.keyId.equals(key.id)) {
        const own = RootKey.of(sealed.info, Buffer.from(key.secret));
        return { key: own, documents: await openDocuments(sealed.envelope, own) };
      }
      return await this.open(sealed);
    } catch (error) {
      if (!isEntropyError(error)) throw error;
      return undefined;
    }
  }
}
