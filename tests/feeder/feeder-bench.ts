import { randomBytes, randomFillSync } from 'node:crypto';
import { SystemClock, type Clock } from '../../src/base/clock.ts';
import type { RandomSource } from '../../src/base/random.ts';
import type { ByteInput } from '../../src/feeder/byte-input.ts';
import type { FeedClientEvent } from '../../src/feeder/feed-client-events.ts';
import { FeedClient } from '../../src/feeder/feed-client.ts';
import { Feeder, type FeederEvent, type FeederOptions } from '../../src/feeder/feeder.ts';
import type { FakeClock } from '../fakes/fake-clock.ts';
import { FeedHost, type FeedHostOptions } from './feed-host.ts';

/** A feeder with an input in memory, its client, and a host for it, which does as it is told. */

export const random: RandomSource = (target) => void randomFillSync(target);

/** Reconnects at once. */
const noJitter: RandomSource = (target) => void target.fill(0);
/** Waits as long as the back-off allows, less 2^-32 of it. */
export const fullJitter: RandomSource = (target) => void target.fill(255);

/** An input in memory: so many bytes, a few at a time, never the same. */
export class CountingInput implements ByteInput {
  readonly description = 'test input';
  readonly given: Buffer[] = [];
  isOpen = false;
  isClosed = false;
  #leftBytes: number;
  readonly #partBytes: number;

  constructor(totalBytes: number, partBytes = Infinity) {
    this.#leftBytes = totalBytes;
    this.#partBytes = partBytes;
  }

  open(): Promise<void> {
    this.isOpen = true;
    return Promise.resolve();
  }

  read(target: Uint8Array): Promise<number> {
    const length = Math.min(target.length, this.#partBytes, this.#leftBytes);
    this.#leftBytes -= length;
    const bytes = randomBytes(length);
    target.set(bytes);
    this.given.push(bytes);
    return Promise.resolve(length);
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

export interface Setup {
  readonly input: ByteInput;
  readonly options?: Partial<FeederOptions>;
  readonly host?: FeedHostOptions;
  readonly clock?: Clock;
  readonly jitter?: RandomSource;
}

export interface Feeding {
  readonly host: FeedHost;
  readonly feeder: Feeder;
  readonly events: (FeederEvent | FeedClientEvent)[];
}

export async function withFeeder(setup: Setup, use: (feeding: Feeding) => Promise<void>): Promise<void> {
  const { clock = new SystemClock(), jitter = noJitter, input } = setup;
  const host = await FeedHost.open(setup.host);
  const events: (FeederEvent | FeedClientEvent)[] = [];
  const observe = (event: FeederEvent | FeedClientEvent): void => void events.push(event);
  const client = new FeedClient(host.enrolment, { clock, random, observe });
  try {
    const feeder = new Feeder(
      { chunkBytes: 4096, once: false, ...setup.options },
      { client, input, clock, random: jitter, observe },
    );
    await use({ host, feeder, events });
  } finally {
    await host.close();
  }
}

export function hasLink(host: FeedHost): boolean {
  try {
    return host.link.socket.readyState === host.link.socket.OPEN;
  } catch {
    return false;
  }
}

/** Moves a fake clock on until the work is done. */
export async function drain(clock: FakeClock, work: Promise<unknown>): Promise<void> {
  const done = work.then(
    () => true,
    () => true,
  );
  while (!(await Promise.race([done, clock.advance(100).then(() => false)])));
}
