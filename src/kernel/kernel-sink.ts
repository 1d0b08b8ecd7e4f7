import { constants, open } from 'node:fs/promises';
import { EntropyError, errnoOf, isEntropyError, messageOf } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { FeedPath } from '../contract/outputs.ts';
import type { KernelWriterClient } from '../hardware/kernel-writer-client.ts';

export interface SinkResult {
  readonly path: FeedPath;
  /** By how much the kernel raised its own entropy count, in bits: 0 once it is initialised, and always by write(2). */
  readonly creditEffectiveBits: number;
  /** `done`, `unavailable`, the errno of RNDRESEEDCRNG, or `kernel-writer-lost`: added, and then unknown. */
  readonly reseed: string;
}

/** Where kernel feeds go. */
export interface KernelSink {
  /**
   * Mixes at most 4,096 bytes into the kernel pool, asks creditBits (at most 8 a byte), and reseeds.
   * @throws EntropyError kernel-refused, kernel-writer-lost
   */
  feed(bytes: Uint8Array, creditBits: number): Promise<SinkResult>;
  close(): Promise<void>;
}

export interface KernelSinkDependencies {
  /** Starts the process that holds CAP_SYS_ADMIN; undefined where it is not built. */
  readonly startWriter: (() => KernelWriterClient) | undefined;
  readonly events: EventSink;
  /** For tests; the kernel's device otherwise. */
  readonly devicePath?: string;
}

/**
 * RNDADDENTROPY and RNDRESEEDCRNG through the kernel-writer where that works; otherwise write(2) on /dev/random, which mixes and
 * credits nothing. Which it is, is told once, and again only when it changes.
 */
export class LinuxKernelSink implements KernelSink {
  readonly #startWriter: (() => KernelWriterClient) | undefined;
  readonly #events: EventSink;
  readonly #devicePath: string;
  #writer: KernelWriterClient | undefined;
  #everAnswered = false;
  /** Why credit cannot be had; empty while it can. */
  #uncredited = '';

  constructor(dependencies: KernelSinkDependencies) {
    this.#startWriter = dependencies.startWriter;
    this.#events = dependencies.events;
    this.#devicePath = dependencies.devicePath ?? '/dev/random';
    if (this.#startWriter === undefined) this.#goUncredited('the kernel-writer is not built');
  }

  async feed(bytes: Uint8Array, creditBits: number): Promise<SinkResult> {
    if (this.#uncredited === '') {
      const result = await this.#feedCredited(bytes, creditBits);
      if (result !== undefined) return result;
    }
    await this.#write(bytes);
    return { path: 'write', creditEffectiveBits: 0, reseed: 'unavailable' };
  }

  async close(): Promise<void> {
    const writer = this.#writer;
    this.#writer = undefined;
    await writer?.close();
  }

  /** undefined when RNDADDENTROPY cannot be had here; the bytes were not mixed then. */
  async #feedCredited(bytes: Uint8Array, creditBits: number): Promise<SinkResult | undefined> {
    try {
      const writer = this.#openWriter();
      const added = await writer.add(bytes, creditBits);
      if (added.error === 'EPERM') {
        await this.close();
        this.#goUncredited('no CAP_SYS_ADMIN');
        return undefined;
      }
      if (added.error !== '')
        throw new EntropyError('kernel-refused', `RNDADDENTROPY answered ${added.error}`);
      this.#everAnswered = true;
      return {
        path: 'ioctl',
        creditEffectiveBits: Math.max(0, added.entropyAfterBits - added.entropyBeforeBits),
        reseed: await this.#reseed(writer),
      };
    } catch (error) {
      if (!isEntropyError(error, 'kernel-writer-lost')) throw error;
      await this.#writerLost(error);
      if (this.#everAnswered) throw error;
      // It never worked here: a host without seccomp, a foreign binary. The bytes still go in, without credit.
      this.#goUncredited(`the kernel-writer does not run: ${error.message}`);
      return undefined;
    }
  }

  /** The bytes are in: losing the writer now makes the reseed unknown, not the feed. */
  async #reseed(writer: KernelWriterClient): Promise<string> {
    try {
      const { error } = await writer.reseed();
      return error === '' ? 'done' : error;
    } catch (error) {
      if (!isEntropyError(error, 'kernel-writer-lost')) throw error;
      await this.#writerLost(error);
      return 'kernel-writer-lost';
    }
  }

  #openWriter(): KernelWriterClient {
    if (this.#startWriter === undefined) throw new Error('no kernel-writer to start');
    this.#writer ??= this.#startWriter();
    return this.#writer;
  }

  /** The next feed starts a new one: the feed interval is the back-off. */
  async #writerLost(error: Error): Promise<void> {
    this.#events.emit('kernel.writer.lost', { because: error.message });
    await this.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      const device = await open(this.#devicePath, constants.O_WRONLY);
      try {
        await device.write(bytes);
      } finally {
        await device.close();
      }
    } catch (error) {
      const detail = errnoOf(error) ?? messageOf(error);
      throw new EntropyError('kernel-refused', `write to ${this.#devicePath}: ${detail}`, { cause: error });
    }
  }

  #goUncredited(because: string): void {
    this.#uncredited = because;
    this.#events.emit('daemon.uncredited', { because });
  }
}
