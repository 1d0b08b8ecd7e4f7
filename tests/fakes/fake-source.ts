import type { SourceName } from '../../src/base/names.ts';
import { NOTHING_READ, type NoiseSource, type SampleRead } from '../../src/sources/noise-source.ts';
import { SeededStream } from './seeded-stream.ts';

/** A noise source under a test's control: good samples until told otherwise. */
export class FakeSource implements NoiseSource {
  readonly name: SourceName;
  unavailable = '';
  readonly sampleBytes: 1 | 8;
  readonly instant: boolean;
  readonly expectedSampleMs = 100;
  readonly expectedBytesPerSecond = 1000;
  /** How often it was read: a masked-out source stays at 0. */
  reads = 0;
  opened = false;
  /** Bytes it has ready; Infinity like a CPU instruction. */
  ready: number;
  /** Share of its bytes that may be credited. */
  creditable = 1;
  failure = '';
  throws = false;
  /** The buffer of the last read: what it holds afterwards is what the reader left there. */
  lastTarget: Uint8Array = new Uint8Array(0);
  readonly #stream: SeededStream;

  constructor(name: SourceName, options: { readonly ready?: number } = {}) {
    this.name = name;
    this.sampleBytes = name === 'interrupts' || name === 'external' ? 1 : 8;
    this.ready = options.ready ?? Infinity;
    this.instant = this.ready === Infinity;
    this.#stream = new SeededStream(name);
  }

  open(): void {
    this.opened = true;
  }

  read(target: Uint8Array): SampleRead {
    this.reads += 1;
    this.lastTarget = target;
    if (this.throws) throw new Error('device on fire');
    if (this.failure !== '') return { ...NOTHING_READ, failure: this.failure };
    const bytes = Math.min(target.length, this.ready);
    this.ready -= bytes;
    this.#stream.fill(target.subarray(0, bytes));
    return { bytes, creditableBytes: Math.floor(bytes * this.creditable), failure: '' };
  }

  close(): void {
    this.opened = false;
  }
}
