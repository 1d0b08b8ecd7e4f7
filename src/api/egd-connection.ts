import type { Socket } from 'node:net';
import { wipe } from '../base/bytes.ts';
import { delay, type Clock, type Timer } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { isEntropyError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { EgdParser, encodeEgdCounted, encodeEgdLevel, type EgdCommand } from '../protocol/egd.ts';
import type { ServedOutput } from '../service/served-output.ts';

export interface EgdConnectionOptions {
  /** Process id that command 4 tells. */
  readonly pid: number;
  /** How long a connection may say nothing. */
  readonly idleTimeoutMs: number;
  /** How long a blocking read may wait, and how often it is tried again. */
  readonly blockingTimeoutMs: number;
  readonly blockingRetryMs: number;
}

export interface EgdConnectionDependencies {
  readonly socket: Socket;
  readonly output: ServedOutput;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: Log;
}

const NOTHING = new Uint8Array(0);

/** One client of the EGD socket: its commands are done one after the other, and it is not read meanwhile. */
export class EgdConnection {
  readonly #options: EgdConnectionOptions;
  readonly #dependencies: EgdConnectionDependencies;
  readonly #parser = new EgdParser();
  #idle: Timer | undefined;
  #ended = false;

  constructor(options: EgdConnectionOptions, dependencies: EgdConnectionDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  begin(): void {
    const { socket } = this.#dependencies;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#dispose());
    socket.on('end', () => socket.end());
    socket.on('data', (bytes: Buffer) => void this.#receive(bytes));
    this.#watchIdle();
  }

  end(): void {
    this.#dependencies.socket.destroy();
  }

  /** Nobody has to read the answers: what is not understood, or cannot be had, ends the connection. */
  async #receive(bytes: Buffer): Promise<void> {
    const { socket, log } = this.#dependencies;
    socket.pause();
    this.#idle?.cancel();
    try {
      for (const command of this.#parser.commands(bytes)) {
        if (this.#ended) return;
        await this.#answer(command);
        this.#dependencies.counters.add('egd.requests');
      }
      this.#watchIdle();
      socket.resume();
    } catch (error) {
      if (!isEntropyError(error)) log.error('EGD connection failed', { reason: messageOf(error) });
      socket.destroy();
    } finally {
      wipe(bytes);
    }
  }

  async #answer(command: EgdCommand): Promise<void> {
    const { output } = this.#dependencies;
    switch (command.kind) {
      case 'level':
        await this.#write(encodeEgdLevel(await output.availableBits()));
        break;
      case 'pid':
        await this.#write(encodeEgdCounted(Buffer.from(String(this.#options.pid))));
        break;
      case 'write':
        await this.#absorb(command.bytes);
        break;
      case 'read':
        await (command.isBlocking
          ? this.#readBlocking(command.lengthBytes)
          : this.#readNow(command.lengthBytes));
        break;
    }
  }

  /** Mixed in without credit, whatever the client claims. */
  async #absorb(bytes: Buffer): Promise<void> {
    try {
      if (bytes.length > 0) await this.#dependencies.output.absorb(bytes);
    } finally {
      wipe(bytes);
    }
  }

  /** All that was asked for, or nothing. */
  async #readNow(lengthBytes: number): Promise<void> {
    const bytes = (await this.#served(lengthBytes)) ?? NOTHING;
    const answer = encodeEgdCounted(bytes);
    wipe(bytes);
    await this.#write(answer);
  }

  async #readBlocking(lengthBytes: number): Promise<void> {
    const { clock, socket } = this.#dependencies;
    const { blockingTimeoutMs, blockingRetryMs } = this.#options;
    const untilMs = clock.monotonicMs() + blockingTimeoutMs;
    for (;;) {
      const bytes = await this.#served(lengthBytes);
      if (bytes !== undefined) return this.#write(bytes);
      if (this.#ended) return;
      if (clock.monotonicMs() + blockingRetryMs > untilMs) {
        socket.destroy();
        return;
      }
      await delay(clock, blockingRetryMs);
    }
  }

  /** Undefined while gate, budget, reserve or a full queue refuse: that passes. */
  async #served(lengthBytes: number): Promise<Uint8Array | undefined> {
    if (lengthBytes === 0) return NOTHING;
    try {
      return await this.#dependencies.output.serve(lengthBytes, { fresh: false });
    } catch (error) {
      if (isEntropyError(error) && error.entry.retryable && error.code !== 'engine-stopped') return undefined;
      throw error;
    }
  }

  /** Resolves when the kernel took the bytes, which are wiped then; a client that does not read waits for itself. */
  #write(bytes: Uint8Array): Promise<void> {
    const { socket, clock } = this.#dependencies;
    return new Promise((resolve) => {
      const unread = clock.after(this.#options.idleTimeoutMs, () => socket.destroy());
      const done = (): void => {
        unread.cancel();
        wipe(bytes);
        resolve();
      };
      if (socket.writable) socket.write(bytes, done);
      else done();
    });
  }

  #watchIdle(): void {
    this.#idle?.cancel();
    if (this.#ended) return;
    const { clock, socket } = this.#dependencies;
    this.#idle = clock.after(this.#options.idleTimeoutMs, () => socket.destroy());
  }

  #dispose(): void {
    this.#ended = true;
    this.#idle?.cancel();
    this.#parser.wipe();
  }
}
