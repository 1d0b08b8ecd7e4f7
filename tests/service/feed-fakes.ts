import type { FeedPort, ReceivedFrame, TakenFrame } from '../../src/service/feed-port.ts';
import type { SeenPayloadStore, SequenceMarkStore } from '../../src/service/feeder-visit.ts';

const BUFFER_BYTES = 65_536;

/** An engine that caches all it gets in memory, or answers as told; with `hold`, only when told to. */
export class FakeFeedPort implements FeedPort {
  roomBytes = 1024 * 1024;
  readonly frames: {
    readonly feeder: number;
    readonly door: number;
    readonly rateUnits: number;
    readonly text: string;
  }[] = [];
  readonly calls: string[] = [];
  readonly buffers: ArrayBuffer[] = [];
  answer: (frame: ReceivedFrame) => Partial<TakenFrame> = () => ({});
  failure: Error | undefined;
  hold = false;
  #held: (() => void)[] = [];

  acquire(): Promise<ArrayBuffer> {
    const buffer = new ArrayBuffer(BUFFER_BYTES);
    this.buffers.push(buffer);
    return Promise.resolve(buffer);
  }

  release(buffer: ArrayBuffer): void {
    new Uint8Array(buffer).fill(0);
  }

  async receive(frame: ReceivedFrame): Promise<TakenFrame> {
    const { feeder, door, rateUnits, payload } = frame;
    this.frames.push({ feeder, door, rateUnits, text: Buffer.from(payload).toString('hex') });
    if (this.hold) await new Promise<void>((resolve) => this.#held.push(resolve));
    const { length } = payload;
    payload.fill(0);
    if (this.failure !== undefined) throw this.failure;
    if (rateUnits > 0) this.roomBytes -= length;
    return {
      verdict: rateUnits > 0 ? 'accepted' : 'uncredited',
      memoryBytes: rateUnits > 0 ? length : 0,
      storedBytes: 0,
      suspend: false,
      roomBytes: this.roomBytes,
      ...this.answer(frame),
    };
  }

  /** Lets the oldest held frames go on. */
  letGo(count = Infinity): void {
    for (const go of this.#held.splice(0, Math.min(count, this.#held.length))) go();
  }

  /** Lets the newest held frame go on. */
  letGoLast(): void {
    this.#held.pop()?.();
  }

  get heldFrames(): number {
    return this.#held.length;
  }

  resetDoor(door: number): Promise<void> {
    this.calls.push(`reset door ${door}`);
    return Promise.resolve();
  }

  renewDoor(door: number): Promise<void> {
    this.calls.push(`renew door ${door}`);
    return Promise.resolve();
  }

  voidFeeder(feeder: number): Promise<void> {
    this.calls.push(`void feeder ${feeder}`);
    return Promise.resolve();
  }
}

/** Marks in memory. */
export class FakeMarks implements SequenceMarkStore {
  readonly accepted = new Map<number, number>();
  failure: Error | undefined;

  next(feeder: number): number {
    return (this.accepted.get(feeder) ?? 0) + 1;
  }

  accept(feeder: number, sequence: number): Promise<void> | undefined {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (sequence < this.next(feeder)) throw new RangeError('a sequence came again');
    this.accepted.set(feeder, sequence);
    return undefined;
  }

  forget(feeder: number): void {
    this.accepted.delete(feeder);
  }
}

/** Remembers every payload for ever. */
export class FakeSeen implements SeenPayloadStore {
  readonly #seen = new Set<string>();

  sawBefore(payload: Uint8Array): boolean {
    const text = Buffer.from(payload).toString('hex');
    const before = this.#seen.has(text);
    this.#seen.add(text);
    return before;
  }

  flushes = 0;

  flush(): Promise<void> {
    this.flushes += 1;
    return Promise.resolve();
  }
}
