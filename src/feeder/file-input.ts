import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { EntropyError, messageOf } from '../base/errors.ts';
import type { ByteInput } from './byte-input.ts';
import { deviceNumberOf, refuseRandomDevice } from './random-device.ts';

export interface FileInputOptions {
  readonly path: string;
}

/** A regular file of recorded entropy, read once from its start to its end. */
export class FileInput implements ByteInput {
  readonly description: string;
  readonly #path: string;
  #file: FileHandle | undefined;

  constructor(options: FileInputOptions) {
    this.#path = options.path;
    this.description = `file ${options.path}`;
  }

  async open(): Promise<void> {
    try {
      // Without O_NONBLOCK a FIFO would keep the open waiting for a writer before it can be refused.
      this.#file = await open(this.#path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
      await this.#refuseOthers(this.#file);
    } catch (error) {
      await this.close();
      throw inputError(error, this.description);
    }
  }

  async read(target: Uint8Array): Promise<number> {
    if (this.#file === undefined) return 0;
    try {
      return (await this.#file.read(target, 0, target.length, null)).bytesRead;
    } catch (error) {
      throw inputError(error, this.description);
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #refuseOthers(file: FileHandle): Promise<void> {
    const stats = await file.stat({ bigint: true });
    refuseRandomDevice(deviceNumberOf(stats), this.description);
    if (stats.isCharacterDevice())
      throw new EntropyError('input-failed', `${this.#path} is a character device; feed it as: device PATH`);
    if (!stats.isFile())
      throw new EntropyError(
        'input-failed',
        `${this.#path} is no regular file; a pipe is fed as: stdin < PATH`,
      );
  }
}

/** An error of the operating system under its code here; one that has a code already stays as it is. */
export function inputError(error: unknown, description: string): EntropyError {
  if (error instanceof EntropyError) return error;
  return new EntropyError('input-failed', `${description}: ${messageOf(error)}`, { cause: error });
}
