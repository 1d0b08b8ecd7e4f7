import { wipe } from '../base/bytes.ts';
import { EntropyError, isEntropyError } from '../base/errors.ts';
import { removeLeftover, replaceFile } from '../durable/atomic-file.ts';
import { ensureDirectory, readWhole, type DurableFiles } from '../durable/durable-files.ts';
import {
  encodeEncryptionInfo,
  MAXIMUM_INFO_BYTES,
  parseEncryptionInfo,
  type EncryptionInfo,
} from './encryption-info.ts';
import {
  ENVELOPE_OVERHEAD_BYTES,
  MAXIMUM_PLAINTEXT_BYTES,
  openEnvelope,
  sealEnvelope,
  type EnvelopeKey,
} from './envelope.ts';
import { gunzipStored, gzipStored, gzipStoredBytes } from './gzip-stored.ts';
import { decodeTar, encodeTar, tarBytes, type FileSet } from './tar-file.ts';
import type { RandomSource } from '../base/random.ts';

/** The archive as it lies on disk: how to get at its key, and the envelope under that key. */
export interface SealedArchive {
  readonly info: EncryptionInfo;
  readonly envelope: Buffer;
}

export interface SealedPair {
  readonly current: SealedArchive;
  /** Undefined when there is none, or none that can be read. */
  readonly previous: SealedArchive | undefined;
}

const DIRECTORY = 'bootbank';
export const ARCHIVE_PATH = `${DIRECTORY}/state.tgz`;
const PREVIOUS = `${DIRECTORY}/state.previous.tgz`;
const ASIDE = `${DIRECTORY}/state.damaged.tgz`;
const ENVELOPE_NAME = 'local.tgz.ve';
const INFO_NAME = 'encryption.info';
const PURPOSE = 'local.tgz';

const MAXIMUM_TAR_BYTES = tarBytes([MAXIMUM_PLAINTEXT_BYTES + ENVELOPE_OVERHEAD_BYTES, MAXIMUM_INFO_BYTES]);

/** Twice what an archive can have: one that is longer is not of this program. */
const MAXIMUM_ASIDE_BYTES = 2 * MAXIMUM_TAR_BYTES;

/** `bootbank/state.tgz`, and the one before it. */
export class Bootbank {
  readonly #files: DurableFiles;
  /** The directory's own entry is durable; it always is before anything is put into it. */
  #directoryReady = false;

  constructor(dependencies: { readonly files: DurableFiles }) {
    this.#files = dependencies.files;
  }

  /**
   * The current archive; undefined when there is none. What it gives is durable, also when an earlier process died
   * while writing it, unless the disk cannot be written at all: then every save tells. Throws `state-damaged`, `state-version-newer`, `state-unreadable`.
   */
  async load(): Promise<SealedArchive | undefined> {
    await removeLeftover(this.#files, ARCHIVE_PATH, PREVIOUS);
    const archive = await this.#read(ARCHIVE_PATH);
    if (archive === undefined) return undefined;
    this.#directoryReady = true;
    await this.#files.syncDirectory(DIRECTORY).catch(ignoreUnwritable);
    return archive;
  }

  /** The archive before the current one, for recovery. Throws as `load` does. */
  loadPrevious(): Promise<SealedArchive | undefined> {
    return this.#read(PREVIOUS);
  }

  /** Replaces the archive and keeps the one before; durable when it resolves. Throws `state-unwritable`. */
  async save(archive: SealedArchive): Promise<void> {
    if (!this.#directoryReady) await ensureDirectory(this.#files, DIRECTORY);
    this.#directoryReady = true;
    await replaceFile(this.#files, ARCHIVE_PATH, await encode(archive), { keepPreviousAs: PREVIOUS });
  }

  /** Puts this archive back after a `save` failed that may have taken its place; the one kept before stays. */
  async restore(archive: SealedArchive): Promise<void> {
    await replaceFile(this.#files, ARCHIVE_PATH, await encode(archive));
  }

  /**
   * Replaces both archives, as a new key does: first the one before, then the current one, so that at each moment both
   * open by what their own encryption.info says. When the second fails, `before` is put back, if that can be done.
   */
  async replaceBoth(
    after: { readonly [name in keyof SealedPair]: SealedArchive },
    before: SealedPair,
  ): Promise<void> {
    await this.#replacePrevious(after.previous);
    try {
      await this.restore(after.current);
    } catch (error) {
      const { current, previous = after.previous } = before;
      const undone = this.restore(current).then(() => this.#replacePrevious(previous));
      await undone.catch(() => undefined);
      throw error;
    }
  }

  /** Keeps the current archive, whatever is in it, as `state.damaged.tgz` beside what will replace it. */
  async setAside(): Promise<void> {
    const bytes = await readWhole(this.#files, ARCHIVE_PATH, MAXIMUM_ASIDE_BYTES);
    if (bytes !== undefined) await replaceFile(this.#files, ASIDE, bytes);
  }

  /** Removes what was set aside: a rotation ends the keys of that, too. */
  async removeAside(): Promise<void> {
    if (!(await this.#files.remove(ASIDE))) return;
    await this.#files.syncDirectory(DIRECTORY);
  }

  /** Takes away what the very first `save` may have left when it failed. */
  async discard(): Promise<void> {
    await this.#files.remove(ARCHIVE_PATH);
    await this.#files.syncDirectory(DIRECTORY);
  }

  async #replacePrevious(archive: SealedArchive): Promise<void> {
    await replaceFile(this.#files, PREVIOUS, await encode(archive));
  }

  async #read(path: string): Promise<SealedArchive | undefined> {
    const bytes = await readWhole(this.#files, path, gzipStoredBytes(MAXIMUM_TAR_BYTES));
    if (bytes === undefined) return undefined;
    const entries = await decodeTar(gunzipStored(bytes, MAXIMUM_TAR_BYTES, path), path);
    const envelope = entries.get(ENVELOPE_NAME);
    const info = entries.get(INFO_NAME);
    if (envelope === undefined || info === undefined || entries.size !== 2) {
      throw new EntropyError('state-damaged', `${path} does not hold just ${ENVELOPE_NAME} and ${INFO_NAME}`);
    }
    return { info: parseEncryptionInfo(info), envelope };
  }
}

/** Documents as they are sealed: a tar of them, gzip, envelope. RangeError when they are more than one holds. */
export async function sealDocuments(
  documents: FileSet,
  key: EnvelopeKey,
  random: RandomSource,
): Promise<Buffer> {
  const tar = await encodeTar(documents);
  const plaintext = gzipStored(tar);
  try {
    return sealEnvelope(key, PURPOSE, plaintext, random);
  } finally {
    wipe(tar);
    wipe(plaintext);
  }
}

/** The documents of an envelope. Throws `state-damaged`, `state-version-newer`. */
export async function openDocuments(envelope: Buffer, key: EnvelopeKey): Promise<Map<string, Buffer>> {
  const plaintext = openEnvelope(key, PURPOSE, envelope);
  try {
    const tar = gunzipStored(plaintext, MAXIMUM_PLAINTEXT_BYTES, PURPOSE);
    try {
      return await decodeTar(tar, PURPOSE);
    } finally {
      wipe(tar);
    }
  } finally {
    wipe(plaintext);
  }
}

/** Size of the plaintext that documents of these sizes make. */
export function plaintextBytes(sizes: Iterable<number>): number {
  return gzipStoredBytes(tarBytes(sizes));
}

async function encode({ info, envelope }: SealedArchive): Promise<Buffer> {
  const entries = new Map([
    [ENVELOPE_NAME, envelope],
    [INFO_NAME, encodeEncryptionInfo(info)],
  ]);
  return gzipStored(await encodeTar(entries));
}

function ignoreUnwritable(error: unknown): void {
  if (!isEntropyError(error, 'state-unwritable')) throw error;
}
