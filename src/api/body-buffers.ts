import { secretBytes, wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';

export interface BodyBuffersOptions {
  readonly lengthBytes: number;
  /** How many bodies may be read at once. */
  readonly maximum: number;
}

const RETRY_AFTER_SECONDS = 1;

/** Buffers that bodies with secrets are read into: a bounded number, made when they are first needed, and wiped when they come back. */
export class BodyBuffers {
  readonly #options: BodyBuffersOptions;
  readonly #free: Uint8Array[] = [];
  #made = 0;

  constructor(options: BodyBuffersOptions) {
    this.#options = options;
  }

  /** Throws `server-busy` when all are in use. */
  acquire(): Uint8Array {
    const buffer = this.#free.pop();
    if (buffer !== undefined) return buffer;
    const { lengthBytes, maximum } = this.#options;
    if (this.#made >= maximum)
      throw new EntropyError('server-busy', `${maximum} bodies are being read`, {
        members: { retryAfterSeconds: RETRY_AFTER_SECONDS },
      });
    this.#made++;
    return secretBytes(lengthBytes);
  }

  /** Nobody may look at it any more. */
  release(buffer: Uint8Array): void {
    wipe(buffer);
    this.#free.push(buffer);
  }
}
