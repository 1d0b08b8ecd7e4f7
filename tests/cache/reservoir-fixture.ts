import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import type { Origin } from '../../src/cache/origin.ts';
import { Reservoir, type Drawn } from '../../src/cache/reservoir.ts';
import { FakeClock, settle } from '../fakes/fake-clock.ts';
import { FakeSegmentStore } from './segment-store-fake.ts';

/** A reservoir over a storage cache in memory, whose disk does as it is told. */

export const KIB = 1024;
export const FULL: Origin = { feeder: 1, rateUnits: 8192 };
export const DRBG: Origin = { feeder: 2, rateUnits: 32 };

/** Memory 64 KiB with the watermark at 20 %, 13,108 bytes: at most 2 opened segments; storage 256 KiB. */
export function newReservoir(store = new FakeSegmentStore(256 * KIB), lowWatermarkPercent = 20) {
  const clock = new FakeClock();
  const counters = new Counters();
  const events = new EventBus({ capacity: 1000 }, { clock, counters });
  let memory: Uint8Array = new Uint8Array(0);
  const lock = (given: Uint8Array): boolean => {
    memory = given;
    return true;
  };
  const options = { memoryBytes: 64 * KIB, lowWatermarkPercent };
  const reservoir = new Reservoir(options, { lock, storage: store, clock, events, counters });
  let sequence = 0;
  /** Ids of the events since the last call. */
  const told = (): string[] => {
    const { records } = events.since(sequence);
    sequence = records.at(-1)?.sequence ?? sequence;
    return records.map(({ id }) => id);
  };
  const draw = (bytes: number): Drawn => reservoir.take(new Uint8Array(bytes));
  /** Draws so many bytes in all, waiting for refills. */
  const drain = async (bytes: number): Promise<void> => {
    for (let left = bytes; left > 0;) {
      const taken = draw(Math.min(left, 1024)).bytes;
      left -= taken;
      if (taken === 0) await settle();
      if (taken === 0 && reservoir.nextRateUnits === 0) throw new Error(`${left} bytes short`);
    }
    await settle();
  };
  return { reservoir, store, clock, counters, events, told, draw, drain, memory: () => memory };
}

export const filled = (length: number, value = 7): Uint8Array => new Uint8Array(length).fill(value);
