import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { base64Length, encodeBase64 } from '../base/base64.ts';
import { wipe } from '../base/bytes.ts';
import { EntropyError, errnoOf, messageOf } from '../base/errors.ts';
import { SeedFingerprint } from '../protocol/install-seed.ts';
import type { ByteInput } from './byte-input.ts';

export interface SeedLineOptions {
  /** The file that is made; refused when there is one. */
  readonly file: string;
  /** Bytes of the seed, before base64. */
  readonly bytes: number;
  /** 0 to 15. */
  readonly sources: number;
}

export interface SeedLineDependencies {
  readonly input: ByteInput;
  /** Told how many bytes there are already. */
  readonly progress: (bytes: number) => void;
  /** True once the operator wants it to end. */
  readonly isStopping: () => boolean;
}

/** A whole number of groups of three, so that only the last piece is padded. */
const PIECE_BYTES = 3 * 16_384;
const OWNER_ONLY = 0o600;
const WITHOUT_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/**
 * Writes the line of a kickstart that gives a host its install seed, `entropy --sources=N --data=BASE64`, from an input. The file, mode
 * 0600, is there whole or not at all, and the seed passes through buffers that are overwritten. Gives the seed's fingerprint.
 *
 * @throws EntropyError file-exists, file-unwritable, input-failed, and as ByteInput
 */
export async function writeSeedLine(
  { file, bytes, sources }: SeedLineOptions,
  { input, progress, isStopping }: SeedLineDependencies,
): Promise<string> {
  if (existsSync(file)) throw taken(file);
  const target = new NewFile(file);
  const [piece, encoded] = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(base64Length(PIECE_BYTES))];
  const fingerprint = new SeedFingerprint();
  try {
    target.write(Buffer.from(`entropy --sources=${sources} --data=`));
    await input.open();
    for (let done = 0; done < bytes;) {
      const part = piece.subarray(0, Math.min(PIECE_BYTES, bytes - done));
      await fill(part, input, done, isStopping);
      fingerprint.update(part);
      target.write(encoded.subarray(0, encodeBase64(part, encoded)));
      done += part.length;
      progress(done);
    }
    target.write(Buffer.from('\n'));
    target.commit();
    return fingerprint.text();
  } catch (error) {
    target.discard();
    throw error;
  } finally {
    wipe(piece);
    wipe(encoded);
    await input.close();
  }
}

async function fill(
  part: Uint8Array,
  input: ByteInput,
  doneBefore: number,
  isStopping: () => boolean,
): Promise<void> {
  for (let filled = 0; filled < part.length;) {
    const count = isStopping() ? 0 : await input.read(part.subarray(filled));
    if (isStopping()) throw new EntropyError('input-failed', 'it was told to stop; no file was made');
    if (count === 0)
      throw new EntropyError('input-failed', `${input.description} ended after ${doneBefore + filled} bytes`);
    filled += count;
  }
}

/** A file under another name until it is whole and durable. */
class NewFile {
  readonly #file: string;
  readonly #temporary: string;
  readonly #descriptor: number;
  #open = true;

  constructor(file: string) {
    this.#file = file;
    this.#temporary = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.new`);
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    this.#descriptor = this.#attempt(() =>
      openSync(this.#temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, OWNER_ONLY),
    );
  }

  write(bytes: Uint8Array): void {
    this.#attempt(() => {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#descriptor, bytes, at);
    });
  }

  /** It takes its name, durably, unless there is a file of that name by now. */
  commit(): void {
    this.#attempt(() => {
      fsyncSync(this.#descriptor);
      this.#takeName();
      const directory = openSync(path.dirname(this.#file), constants.O_RDONLY | constants.O_DIRECTORY);
      fsyncSync(directory);
      closeSync(directory);
    });
    this.discard();
  }

  /** Nothing of it stays under the other name; may be called twice. */
  discard(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#descriptor);
    try {
      unlinkSync(this.#temporary);
    } catch {
      // Somebody else took it away: it is gone, as it should be.
    }
  }

  /** FAT has no hard links: there the name is taken by an empty file, and that is replaced. */
  #takeName(): void {
    try {
      linkSync(this.#temporary, this.#file);
    } catch (error) {
      if (!WITHOUT_LINKS.has(errnoOf(error) ?? '')) throw error;
      const { O_WRONLY, O_CREAT, O_EXCL } = constants;
      closeSync(openSync(this.#file, O_WRONLY | O_CREAT | O_EXCL, OWNER_ONLY));
      renameSync(this.#temporary, this.#file);
    }
  }

  #attempt<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') throw taken(this.#file);
      const reason = errnoOf(error) ?? messageOf(error);
      throw new EntropyError('file-unwritable', `cannot write ${this.#file} (${reason})`, { cause: error });
    }
  }
}

function taken(file: string): EntropyError {
  return new EntropyError('file-exists', `there is a file ${file} already`);
}
