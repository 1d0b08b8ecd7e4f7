import { wipe } from '../base/bytes.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import type { FeedPort, ReceivedFrame, TakenFrame } from './feed-port.ts';

/** Largest payload of a frame, in bytes. */
const BUFFER_BYTES = 65_536;

export interface EngineFeedPortOptions {
  /** How many frames may be on their way to the engine and back, over all feeders. */
  readonly buffers: number;
}

/** The feed into the engine thread. Plaintext travels in a fixed number of buffers, which come back wiped. */
export class EngineFeedPort implements FeedPort {
  readonly #engine: Pick<EngineClient, 'call'>;
  readonly #free: ArrayBuffer[];
  readonly #waiting: ((buffer: ArrayBuffer) => void)[] = [];

  constructor(options: EngineFeedPortOptions, dependencies: { readonly engine: Pick<EngineClient, 'call'> }) {
    this.#engine = dependencies.engine;
    this.#free = Array.from({ length: options.buffers }, () => new ArrayBuffer(BUFFER_BYTES));
  }

  acquire(): Promise<ArrayBuffer> {
    const buffer = this.#free.pop();
    if (buffer !== undefined) return Promise.resolve(buffer);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  release(buffer: ArrayBuffer): void {
    wipe(new Uint8Array(buffer));
    this.#giveBack(buffer);
  }

  async receive(frame: ReceivedFrame): Promise<TakenFrame> {
    try {
      const { taken, buffer } = await this.#engine.call('receive', frame);
      this.#giveBack(buffer);
      return taken;
    } catch (error) {
      // Where that buffer is now is not known: another takes its place. One that never left is wiped here.
      if (frame.payload.byteLength > 0) wipe(frame.payload);
      this.#giveBack(new ArrayBuffer(BUFFER_BYTES));
      throw error;
    }
  }

  async resetDoor(door: number): Promise<void> {
    await this.#engine.call('resetDoor', door);
  }

  async renewDoor(door: number): Promise<void> {
    await this.#engine.call('renewDoor', door);
  }

  async voidFeeder(feeder: number): Promise<void> {
    await this.#engine.call('voidFeeder', feeder);
  }

  #giveBack(buffer: ArrayBuffer): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(buffer);
    else next(buffer);
  }
}
