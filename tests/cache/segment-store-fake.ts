import { EntropyError } from '../../src/base/errors.ts';
import type { Origin, Portion } from '../../src/cache/origin.ts';
import type { PreparedSize, SegmentStore, StorageSizes } from '../../src/cache/segment-store.ts';

/** A storage cache in memory: a list of segments, and a disk that refuses when told to, or waits until it is let go. */
export class FakeSegmentStore implements SegmentStore {
  segments: Portion[][] = [];
  capacityBytes: number;
  failure: EntropyError | undefined;
  /** What the disk refuses: everything, or just to spend. */
  refusing: 'nothing' | 'writes' | 'spending' = 'nothing';
  /** Set to make takes wait; call it to let them go on. */
  letGo: (() => void) | undefined;
  /** Segments that were opened. */
  taken = 0;
  readonly voided: number[] = [];
  probes = 0;
  spentSegments = 0;
  readonly rekeyed: Uint8Array[] = [];
  closed = 0;
  stopRoom = Infinity;
  readonly #segmentBytes: number;
  #waitingBytes = 0;
  #held: Promise<void> = Promise.resolve();

  constructor(capacityBytes: number, segmentBytes = 16_384) {
    this.capacityBytes = capacityBytes;
    this.#segmentBytes = segmentBytes;
  }

  get bytes(): number {
    return this.#sum(({ bytes }) => bytes.length);
  }

  get creditedUnits(): number {
    return this.#sum(({ bytes, origin }) => bytes.length * origin.rateUnits);
  }

  get roomBytes(): number {
    return this.failure === undefined ? this.capacityBytes - this.bytes - this.#waitingBytes : 0;
  }

  get stopRoomBytes(): number {
    return this.failure === undefined ? this.stopRoom : 0;
  }

  /** Takes wait from now on. */
  hold(): void {
    this.#held = new Promise((resolve) => (this.letGo = resolve));
  }

  /** What an earlier process stored. */
  fill(bytes: number, origin: Origin): this {
    this.#add(new Uint8Array(bytes).fill(0xd1), origin);
    return this;
  }

  async append(bytes: Uint8Array, origin: Origin): Promise<void> {
    if (bytes.length > this.roomBytes) throw new RangeError('no room');
    const copy = bytes.slice();
    this.#waitingBytes += copy.length;
    await Promise.resolve();
    this.#waitingBytes -= copy.length;
    if (this.refusing === 'writes') throw this.#fail();
    this.#add(copy, origin);
  }

  async takeSegment(): Promise<Portion[] | undefined> {
    if (this.segments.length === 0) return undefined;
    if (this.refusing !== 'nothing') throw this.#fail();
    const segment = this.segments.shift();
    this.taken += 1;
    await this.#held;
    return segment;
  }

  async store(portions: readonly Portion[]): Promise<number> {
    await Promise.resolve();
    if (this.refusing === 'writes') this.#fail();
    if (this.failure !== undefined) return 0;
    for (const { bytes, origin } of portions) this.#add(bytes.slice(), origin);
    return portions.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  voidFeeder(feeder: number): void {
    this.voided.push(feeder);
    this.segments = this.segments.map((segment) => segment.filter(({ origin }) => origin.feeder !== feeder));
  }

  prepareSize(sizes: StorageSizes): Promise<PreparedSize> {
    if (this.refusing === 'writes') return Promise.reject(this.#fail());
    return Promise.resolve({
      commit: () => void (this.capacityBytes = sizes.capacityBytes),
      abort: () => undefined,
    });
  }

  rekey(key: Uint8Array): Promise<void> {
    if (this.refusing !== 'nothing') return Promise.reject(this.#fail());
    this.rekeyed.push(key.slice());
    return Promise.resolve();
  }

  probe(): Promise<boolean> {
    this.probes++;
    if (this.refusing === 'nothing') this.failure = undefined;
    return Promise.resolve(this.refusing === 'nothing');
  }

  close(): Promise<void> {
    this.closed++;
    return Promise.resolve();
  }

  #add(bytes: Uint8Array, origin: Origin): void {
    for (let at = 0; at < bytes.length; at += this.#segmentBytes)
      this.segments.push([{ origin, bytes: bytes.slice(at, at + this.#segmentBytes) }]);
  }

  #fail(): EntropyError {
    return (this.failure ??= new EntropyError('state-unwritable', 'ENOSPC'));
  }

  #sum(figure: (portion: Portion) => number): number {
    return this.segments.flat().reduce((sum, portion) => sum + figure(portion), 0);
  }
}
