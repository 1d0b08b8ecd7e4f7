import { secretCopyOf, wipe } from '../base/bytes.ts';
import { EntropyError, isEntropyError } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import { NAME_PATTERN, type DurableFiles } from '../durable/durable-files.ts';
import { SerialQueue } from '../durable/serial-queue.ts';
import { infoToWrite, infoWrappedAnew, type ArchiveInfoDependencies } from './archive-info.ts';
import { ArchivePair } from './archive-pair.ts';
import { Bootbank, plaintextBytes, sealDocuments, type SealedArchive } from './bootbank.ts';
import { ChangeBatches, merged, wipeUnless, type DocumentChanges } from './document-changes.ts';
import type { EncryptionInfo } from './encryption-info.ts';
import { MAXIMUM_PLAINTEXT_BYTES } from './envelope.ts';
import {
  createRecoveryKey,
  hasRecovery,
  recoveryIdOf,
  recoveryKeyOf,
  type RecoveryKey,
} from './recovery-wrapping.ts';
import { isObfuscation, RootKey, type KeyWrapping } from './root-key.ts';

export interface StateArchiveOptions {
  /** The mode that a new archive gets; an existing one keeps its own. */
  readonly mode: string;
}

export interface StateArchiveDependencies {
  readonly files: DurableFiles;
  readonly random: RandomSource;
  /** All modes this program can open. */
  readonly wrappings: readonly KeyWrapping[];
}

export interface RotateOptions {
  /** The mode from now on; the present one when undefined. */
  readonly mode?: string;
  /** Changes how the mode wraps, when no other write is under way; gives what takes that back, for when the rotation fails. */
  readonly prepare?: () => Promise<() => void>;
}

/**
 * Named documents, kept together in the encrypted archive of bootbank/state.tgz. An archive that cannot be opened is
 * refused: it has no documents, takes no changes, and its file is left as it is, while the program goes on.
 */
export class StateArchive {
  readonly #random: RandomSource;
  readonly #bootbank: Bootbank;
  readonly #wrappings: readonly KeyWrapping[];
  readonly #pair: ArchivePair;
  readonly #queue = new SerialQueue();
  readonly #batches: ChangeBatches;
  #documents = new Map<string, Buffer>();
  #key: RootKey | undefined;
  #wrapping: KeyWrapping;
  #onDisk: SealedArchive | undefined;
  #refused: EntropyError | undefined;

  private constructor(options: StateArchiveOptions, dependencies: StateArchiveDependencies) {
    this.#random = dependencies.random;
    this.#wrappings = dependencies.wrappings;
    this.#wrapping = this.#wrappingOf(options.mode);
    this.#bootbank = new Bootbank(dependencies);
    this.#pair = new ArchivePair({ ...dependencies, bootbank: this.#bootbank });
    this.#batches = new ChangeBatches({ queue: this.#queue, write: (changes) => this.#write(changes) });
  }

  /** Opens the archive, or begins a new one, which is on disk from the first save on. See `refused`. */
  static async open(
    options: StateArchiveOptions,
    dependencies: StateArchiveDependencies,
  ): Promise<StateArchive> {
    const archive = new StateArchive(options, dependencies);
    try {
      await archive.#load();
    } catch (error) {
      if (!isEntropyError(error)) throw error;
      archive.#refused = error;
    }
    return archive;
  }

  /** Why the archive was refused (`state-damaged`, `state-version-newer`, `state-unreadable`); undefined when it is open. */
  get refused(): EntropyError | undefined {
    return this.#refused;
  }

  /** The mode in force, as encryption.info names it. */
  get mode(): string {
    return this.#wrapping.mode;
  }

  /** Whether opening it takes more than what lies on the disk, such as a TPM. */
  get isProtected(): boolean {
    return this.#onDisk !== undefined && !isObfuscation(this.#onDisk.info);
  }

  /** Id of the recovery key of what is on disk; empty when there is none. */
  get recoveryId(): string {
    return this.#onDisk === undefined ? '' : recoveryIdOf(this.#onDisk.info);
  }

  /** A document as last saved: a copy, the caller's to wipe; undefined when there is none. */
  document(name: string): Buffer | undefined {
    const bytes = this.#documents.get(name);
    return bytes === undefined ? undefined : secretCopyOf(bytes);
  }

  documentNames(): string[] {
    return [...this.#documents.keys()];
  }

  /**
   * Saves a document, or removes it (undefined): durable when it resolves. Saves that come while one is being written
   * are written together. When it fails, everything saved with it stays as it was. Throws `state-unwritable`, or the
   * error in `refused`; RangeError for a name that is none and for more than an envelope holds.
   */
  save(name: string, bytes: Uint8Array | undefined): Promise<void> {
    if (!NAME_PATTERN.test(name))
      throw new RangeError('a document name has 1 to 64 characters a-z 0-9 . _ -');
    return this.#stage((changes) => changes.set(name, bytes === undefined ? undefined : secretCopyOf(bytes)));
  }

  /** Saves these documents in the place of all there are, and wipes them; durable when it resolves. Throws as `save` does. */
  async replaceAll(documents: ReadonlyMap<string, Buffer>): Promise<void> {
    try {
      await this.#stage((changes) => {
        for (const name of this.#documents.keys()) changes.set(name, undefined);
        for (const [name, bytes] of documents) changes.set(name, secretCopyOf(bytes));
      });
    } finally {
      for (const bytes of documents.values()) wipe(bytes);
    }
  }

  /** Writes the archive as it is, with fresh keys; durable when it resolves. Throws as `save` does. */
  backup(): Promise<void> {
    return this.#stage(() => undefined);
  }

  /**
   * A new archive key and a new recovery key, in this mode or another: both archives are written anew, and when it resolves
   * the old keys open nothing on disk. What is on disk opens at every moment. Throws as `save` does, and as the mode's
   * wrapping; all is as before then.
   */
  rotate(options: RotateOptions = {}): Promise<void> {
    return this.#queue.run(async () => {
      const wrapping = this.#wrappingOf(options.mode ?? this.mode);
      this.#openKey();
      const takeBack = await options.prepare?.();
      const key = RootKey.create(this.#random);
      const recovery = createRecoveryKey(this.#random);
      let info: EncryptionInfo;
      try {
        info = await key.wrapped(wrapping, recovery, this.#random);
        await this.#writeUnder(key, info);
      } catch (error) {
        key.wipe();
        takeBack?.();
        throw error;
      } finally {
        wipe(recovery.secret);
      }
      this.#key?.wipe();
      this.#key = key;
      this.#wrapping = wrapping;
      await this.#pair.settle(info, wrapping);
    });
  }

  /** Has the mode wrap the same key again, in both archives; the recovery key stays. Throws as `rotate` does. */
  rewrap({ prepare }: Pick<RotateOptions, 'prepare'> = {}): Promise<void> {
    return this.#queue.run(async () => {
      const key = this.#openKey();
      const takeBack = await prepare?.();
      try {
        await this.#rewrap(key);
      } catch (error) {
        takeBack?.();
        throw error;
      }
    });
  }

  async #rewrap(key: RootKey): Promise<void> {
    const info = await infoWrappedAnew(key, this.#onDisk?.info, this.#sealing);
    await this.#writeUnder(key, info);
    await this.#pair.settle(info, this.#wrapping);
  }

  /** Opens what is on disk once more, as the next start will, and lets go of it. Throws what would make that start refuse it. */
  tryToOpen(): Promise<void> {
    return this.#queue.run(async () => {
      const sealed = await this.#bootbank.load();
      if (sealed === undefined) return;
      const { key, documents } = await this.#pair.open(sealed);
      key.wipe();
      for (const bytes of documents.values()) wipe(bytes);
    });
  }

  /** The recovery key of what is on disk: a copy, the caller's to wipe. Writes the archive when there is none yet. Throws as `save` does. */
  async recoveryKey(): Promise<RecoveryKey> {
    if (this.#onDisk === undefined || !hasRecovery(this.#onDisk.info)) await this.backup();
    return this.#queue.run(() => {
      const key = this.#openKey();
      if (this.#onDisk === undefined) throw new Error('broken invariant: a backup is on disk');
      return Promise.resolve(recoveryKeyOf(this.#onDisk.info, key));
    });
  }

  /** Waits for what is being written, then wipes key and documents; nothing can be saved any more. */
  close(): Promise<void> {
    return this.refuse(new EntropyError('state-unwritable', 'the state archive is closed'));
  }

  /** As `close`: what it holds turned out to be nothing that may be used. */
  async refuse(because: EntropyError): Promise<void> {
    await this.#queue.settled();
    this.#refused ??= because;
    for (const bytes of this.#documents.values()) wipe(bytes);
    this.#documents.clear();
    this.#key?.wipe();
    this.#key = undefined;
  }

  async #load(): Promise<void> {
    const sealed = await this.#bootbank.load();
    if (sealed === undefined) {
      this.#key = RootKey.create(this.#random);
      return;
    }
    const { key, documents } = await this.#pair.open(sealed);
    this.#key = key;
    this.#documents = documents;
    this.#onDisk = sealed;
    this.#wrapping = this.#wrappingOf(sealed.info.mode);
    await this.#pair.settle(sealed.info, this.#wrapping);
  }

  #stage(change: (changes: Map<string, Buffer | undefined>) => void): Promise<void> {
    if (this.#refused !== undefined) return Promise.reject(this.#refused);
    return this.#batches.stage(change);
  }

  async #write(changes: DocumentChanges): Promise<void> {
    const before = this.#documents;
    const after = merged(before, changes);
    const isFirst = this.#onDisk === undefined;
    try {
      const sealed = await this.#seal(after);
      await this.#pair.replace(sealed, this.#onDisk);
      this.#onDisk = sealed;
      this.#documents = after;
      wipeUnless(before, after);
      if (isFirst) await this.#pair.settle(sealed.info, this.#wrapping);
    } catch (error) {
      wipeUnless(after, before);
      throw error;
    }
  }

  async #seal(documents: Map<string, Buffer>): Promise<SealedArchive> {
    const key = this.#openKey();
    if (plaintextBytes([...documents.values()].map(({ length }) => length)) > MAXIMUM_PLAINTEXT_BYTES) {
      throw new RangeError('the documents are more than the archive holds');
    }
    const info = await infoToWrite(key, this.#onDisk?.info, this.#sealing);
    return { info, envelope: await sealDocuments(documents, key, this.#random) };
  }

  async #writeUnder(key: RootKey, info: EncryptionInfo): Promise<void> {
    const onDisk = this.#onDisk;
    if (onDisk === undefined) {
      const first = { info, envelope: await sealDocuments(this.#documents, key, this.#random) };
      await this.#pair.replace(first, onDisk);
      this.#onDisk = first;
    } else {
      this.#onDisk = await this.#pair.rewrite(this.#documents, key, info, onDisk);
    }
  }

  get #sealing(): ArchiveInfoDependencies {
    return { wrapping: this.#wrapping, random: this.#random };
  }

  #openKey(): RootKey {
    if (this.#refused !== undefined) throw this.#refused;
    if (this.#key === undefined) throw new Error('broken invariant: an open archive has a key');
    return this.#key;
  }

  #wrappingOf(mode: string): KeyWrapping {
    const wrapping = this.#wrappings.find((one) => one.mode === mode);
    if (wrapping === undefined) throw new RangeError(`no wrapping for mode ${mode}`);
    return wrapping;
  }
}
