import { wipe } from '../../base/bytes.ts';
import { EntropyError } from '../../base/errors.ts';

export interface BodyReaderOptions {
  /** Of one body. */
  readonly maximumBytes: number;
  /** Of all bodies that are being read or dealt with. */
  readonly totalBytes: number;
}

/** Reads bodies with entropy in them into memory of their own, so many bytes at a time over all requests. */
export class BodyReader {
  readonly #options: BodyReaderOptions;
  #heldBytes = 0;

  constructor(options: BodyReaderOptions) {
    this.#options = options;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Lends the body to `use`, and wipes it after that. Throws `payload-too-large`, `server-busy`. */
  async read<T>(parts: AsyncIterable<Buffer>, use: (body: Buffer) => Promise<T>): Promise<T> {
    const held: Buffer[] = [];
    let lengthBytes = 0;
    let body: Buffer | undefined;
    try {
      for await (const part of parts) {
        held.push(part);
        lengthBytes += part.length;
        this.#heldBytes += part.length;
        this.#assertRoom(lengthBytes);
      }
      body = Buffer.concat(held);
      held.splice(0).forEach(wipe);
      return await use(body);
    } finally {
      this.#heldBytes -= lengthBytes;
      held.forEach(wipe);
      if (body !== undefined) wipe(body);
    }
  }

  #assertRoom(lengthBytes: number): void {
    const { maximumBytes, totalBytes } = this.#options;
    if (lengthBytes > maximumBytes)
      throw new EntropyError('payload-too-large', `the body is over ${maximumBytes} bytes`);
    if (this.#heldBytes > totalBytes)
      throw new EntropyError('server-busy', 'as many bodies are being read as may be');
  }
}
