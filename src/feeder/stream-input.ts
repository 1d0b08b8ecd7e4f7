import { fstatSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { wipe } from '../base/bytes.ts';
import type { ByteInput } from './byte-input.ts';
import { inputError } from './file-input.ts';
import { deviceNumberOf, refuseRandomDevice } from './random-device.ts';

export interface StreamInputOptions {
  readonly description: string;
  /** The descriptor behind the stream, to refuse the random device of this host by its number. */
  readonly descriptor?: number;
}

export interface StreamInputDependencies {
  /** Taken when the input is opened, so that a stream nobody asks for is not touched. */
  readonly stream: () => Readable;
}

/** Standard input, or any other stream of bytes. What it hands over is wiped once it was copied. */
export class StreamInput implements ByteInput {
  readonly description: string;
  readonly #descriptor: number | undefined;
  readonly #makeStream: () => Readable;
  #stream: Readable | undefined;
  #chunks: AsyncIterator<unknown> | undefined;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(options: StreamInputOptions, dependencies: StreamInputDependencies) {
    this.description = options.description;
    this.#descriptor = options.descriptor;
    this.#makeStream = dependencies.stream;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is to arrive as a rejection
  async open(): Promise<void> {
    try {
      if (this.#descriptor !== undefined) {
        const device = deviceNumberOf(fstatSync(this.#descriptor, { bigint: true }));
        refuseRandomDevice(device, this.description);
      }
      this.#stream = this.#makeStream();
      this.#chunks = this.#stream[Symbol.asyncIterator]();
    } catch (error) {
      throw inputError(error, this.description);
    }
  }

  async read(target: Uint8Array): Promise<number> {
    while (this.#rest.length === 0) {
      const chunk = await this.#next();
      if (chunk === undefined) return 0;
      this.#rest = chunk;
    }
    const taken = this.#rest.subarray(0, target.length);
    target.set(taken);
    this.#rest = this.#rest.subarray(taken.length);
    const count = taken.length;
    wipe(taken);
    return count;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- an interface of promises
  async close(): Promise<void> {
    this.#chunks = undefined;
    wipe(this.#rest);
    this.#rest = new Uint8Array(0);
    this.#stream?.destroy();
    this.#stream = undefined;
  }

  async #next(): Promise<Uint8Array | undefined> {
    try {
      const next = await this.#chunks?.next();
      return next?.done === false && next.value instanceof Uint8Array ? next.value : undefined;
    } catch (error) {
      // Closing ends a read under way.
      if (this.#stream === undefined) return undefined;
      throw inputError(error, this.description);
    }
  }
}
