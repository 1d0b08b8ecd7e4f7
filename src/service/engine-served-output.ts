import type { EngineClient } from '../engine/engine-client.ts';
import type { ServedOutput } from './served-output.ts';

/** Served output over the engine thread, which asks gate, budget and reserve. */
export class EngineServedOutput implements ServedOutput {
  readonly #engine: Pick<EngineClient, 'call'>;

  constructor(dependencies: { readonly engine: Pick<EngineClient, 'call'> }) {
    this.#engine = dependencies.engine;
  }

  serve(lengthBytes: number, options: { readonly fresh: boolean }): Promise<Uint8Array> {
    return this.#engine.call('serve', lengthBytes, options.fresh);
  }

  async absorb(bytes: Uint8Array): Promise<void> {
    // A copy of its own: its buffer is moved to the engine, and wiped there.
    const copy = new Uint8Array(bytes.length);
    copy.set(bytes);
    await this.#engine.call('absorb', copy);
  }

  availableBits(): Promise<number> {
    return this.#engine.call('servableBits');
  }
}
