import { randomBytes, randomFillSync } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SystemClock, type Clock } from '../../src/base/clock.ts';
import { EntropyError } from '../../src/base/errors.ts';
import type { RandomSource } from '../../src/base/random.ts';
import { BackOff } from '../../src/feeder/back-off.ts';
import type { ByteInput } from '../../src/feeder/byte-input.ts';
import type { FeedClientEvent } from '../../src/feeder/feed-client-events.ts';
import { FeedClient } from '../../src/feeder/feed-client.ts';
import { Feeder, type FeederEvent, type FeederOptions } from '../../src/feeder/feeder.ts';
import { count } from '../counts.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { rejectsWith } from '../rejects.ts';
import { FeedHost, type FeedHostOptions } from './feed-host.ts';

const random: RandomSource = (target) => void randomFillSync(target);
/** Reconnects at once. */
const noJitter: RandomSource = (target) => void target.fill(0);
/** Waits as long as the back-off allows, less 2^-32 of it. */
const fullJitter: RandomSource = (target) => void target.fill(255);

/** An input in memory: so many bytes, a few at a time, never the same. */
class CountingInput implements ByteInput {
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

interface Setup {
  readonly input: ByteInput;
  readonly options?: Partial<FeederOptions>;
  readonly host?: FeedHostOptions;
  readonly clock?: Clock;
  readonly jitter?: RandomSource;
}

interface Feeding {
  readonly host: FeedHost;
  readonly feeder: Feeder;
  readonly events: (FeederEvent | FeedClientEvent)[];
}

async function withFeeder(setup: Setup, use: (feeding: Feeding) => Promise<void>): Promise<void> {
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

async function until(condition: () => boolean): Promise<void> {
  const patience = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > patience) throw new Error(`never: ${condition.toString()}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('an input is carried over whole, in order, in chunks; the session ends signed', async () => {
  const input = new CountingInput(10_000, 700);
  await withFeeder({ input }, async ({ host, feeder, events }) => {
    assert.is(await feeder.run(), 'input-ended');
    assert.equal(
      host.payloads.map(({ length }) => length),
      [4096, 4096, 1808],
    );
    assert.equal(Buffer.concat(host.payloads), Buffer.concat(input.given));
    assert.is(host.frames.at(-1), 'close');
    assert.ok(events.some((event) => event.kind === 'receipt' && event.receipt.kind === 'end'));
    assert.ok(input.isClosed);
  });
});

test('a rest of 32 bytes is a frame; 31 are told and left out', async () => {
  for (const [totalBytes, frames, leftOut] of [
    [4128, [4096, 32], []],
    [4127, [4096], [{ kind: 'left-out', bytes: 31 }]],
    [31, [], [{ kind: 'left-out', bytes: 31 }]],
    [0, [], []],
  ] as const) {
    await withFeeder({ input: new CountingInput(totalBytes) }, async ({ host, feeder, events }) => {
      assert.is(await feeder.run(), 'input-ended');
      assert.equal(
        host.payloads.map(({ length }) => length),
        [...frames],
      );
      assert.equal(
        events.filter(({ kind }) => kind === 'left-out'),
        [...leftOut],
      );
    });
  }
});

test('a total ends the run', async () => {
  const options = { totalBytes: 5000, chunkBytes: 2000 };
  await withFeeder({ input: new CountingInput(1e6), options }, async ({ host, feeder }) => {
    assert.is(await feeder.run(), 'total-reached');
    assert.equal(
      host.payloads.map(({ length }) => length),
      [2000, 2000, 1000],
    );
  });
});

test('over many lost connections no byte is ever sent twice, and every frame is receipted or told as lost', async () => {
  const frames = count(60, 600);
  const input = new CountingInput(frames * 64);
  const options = { chunkBytes: 64 };
  await withFeeder({ input, options, host: { windowFrames: 4 } }, async ({ host, feeder, events }) => {
    let dropped = 0;
    host.fateOf = (index) => {
      const isDropped = index % 7 === 3;
      if (isDropped) host.keepsReceipts = ++dropped % 2 === 0;
      return isDropped ? 'drop' : index % 7 === 5 ? 'test-failed' : 'accepted';
    };
    assert.is(await feeder.run(), 'input-ended');
    assert.ok(host.connections > frames / 14, `${host.connections} connections`);
    const sent = host.payloads.map((payload) => payload.toString('hex'));
    assert.is(new Set(sent).size, sent.length, 'all payloads differ');
    const given = new Set(input.given.map((bytes) => bytes.toString('hex')));
    assert.ok(
      sent.every((payload) => given.has(payload)),
      'and each is one that was drawn',
    );
    let settled = 0;
    for (const event of events) {
      if (event.kind === 'lost') settled += event.frames;
      if (event.kind === 'receipt' && event.receipt.kind === 'frame') settled += 1;
    }
    assert.is(settled, frames);
  });
});

test('a rate is kept from frame to frame, without bursts', async () => {
  const clock = new FakeClock();
  const options = { chunkBytes: 1000, bytesPerSecond: 2000 };
  await withFeeder({ input: new CountingInput(4000), options, clock }, async ({ host, feeder }) => {
    const running = feeder.run();
    for (let frames = 1; frames <= 4; frames++) {
      await until(() => host.payloads.length === frames);
      await until(() => clock.pendingTimers >= 2);
      await clock.advance(499);
      assert.is(host.payloads.length, frames);
      await clock.advance(1);
    }
    await drain(clock, running);
    assert.is(await running, 'input-ended');
  });
});

test('the host is tried again after waits that double up to a minute', async () => {
  const clock = new FakeClock();
  await withFeeder(
    { input: new CountingInput(64), clock, jitter: fullJitter },
    async ({ host, feeder, events }) => {
      await host.close();
      const running = feeder.run();
      const waits = (): number[] =>
        events.flatMap((event) => (event.kind === 'retry' ? [Math.round(event.waitMs)] : []));
      const expected = [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000];
      for (const [index, waitMs] of expected.entries()) {
        await until(() => waits().length === index + 1);
        await clock.advance(waitMs);
      }
      assert.equal(waits().slice(0, expected.length), expected);
      feeder.stop();
      assert.is(await running, 'stopped');
    },
  );
});

test('a host that welcomes and grants but receipts nothing is not hammered, and little is lost to it', async () => {
  const clock = new FakeClock();
  const input = new CountingInput(Infinity);
  await withFeeder({ input, clock, jitter: fullJitter }, async ({ host, feeder, events }) => {
    host.fateOf = () => 'drop';
    host.sendsReceipts = false;
    host.keepsReceipts = false;
    const running = feeder.run();
    const waits = (): number[] =>
      events.flatMap((event) => (event.kind === 'retry' ? [Math.round(event.waitMs)] : []));
    for (const [index, waitMs] of [500, 1000, 2000].entries()) {
      await until(() => waits().length === index + 1);
      assert.is(waits()[index], waitMs);
      await clock.advance(waitMs);
    }
    await until(() => waits().length === 4);
    assert.is(host.payloads.length, 4, 'one frame a connection');
    // One receipt, and the next failure is a first one again.
    host.fateOf = () => 'accepted';
    host.sendsReceipts = true;
    await clock.advance(4000);
    await until(() => events.some(({ kind }) => kind === 'receipt'));
    host.breakOff();
    await until(() => waits().length === 5);
    assert.equal(waits(), [500, 1000, 2000, 4000, 500]);
    feeder.stop();
    await drain(clock, running);
  });
});

test('a payload larger than what is offered by now goes as several frames', async () => {
  const clock = new FakeClock();
  const input = new CountingInput(4096);
  const read = input.read.bind(input);
  await withFeeder({ input, clock, host: { grant: undefined } }, async ({ host, feeder, events }) => {
    let drawn: () => void = () => undefined;
    input.read = async (target) => {
      await new Promise<void>((resolve) => (drawn = resolve));
      return read(target);
    };
    const running = feeder.run();
    await until(() => hasLink(host));
    host.link.grant({ totalBytes: 4096, totalFrames: 100, lapseMs: 10_000 });
    await until(() => events.some(({ kind }) => kind === 'room'));
    await clock.advance(10_000);
    host.link.grant({ totalBytes: 4080, totalFrames: 100, lapseMs: 60_000 });
    await until(() => events.filter(({ kind }) => kind === 'room').length === 2);
    drawn();
    input.read = read;
    for (let frames = 1; frames <= 2; frames++) {
      host.link.grant({ totalBytes: frames === 1 ? 4080 : 1e6, totalFrames: 100, lapseMs: 60_000 });
      await until(() => events.filter(({ kind }) => kind === 'room').length === 2 + frames);
      await clock.advance(1_000);
      await until(() => host.payloads.length === frames);
    }
    await drain(clock, running);
    assert.is(await running, 'input-ended');
    // 16 bytes would be no frame: 32 are left for the second.
    assert.equal(
      host.payloads.map(({ length }) => length),
      [4064, 32],
    );
    assert.equal(Buffer.concat(host.payloads), Buffer.concat(input.given));
  });
});

test('the jitter is full: from 0 to the bound, evenly', () => {
  const backOff = new BackOff({ firstMs: 1000, longestMs: 1000 }, { random });
  const waits = Array.from({ length: 1000 }, () => backOff.next());
  assert.ok(waits.every((wait) => wait >= 0 && wait < 1000));
  // 100 expected in each tenth, with a standard deviation of 9.5.
  for (let tenth = 0; tenth < 10; tenth++) {
    const within = waits.filter((wait) => Math.floor(wait / 100) === tenth).length;
    assert.ok(within > 45 && within < 155, `${within} in tenth ${tenth}`);
  }
});

test('with --once the first failure is the last', async () => {
  const options = { once: true };
  await withFeeder({ input: new CountingInput(64), options }, async ({ host, feeder, events }) => {
    await host.close();
    await rejectsWith(feeder.run(), 'feed-connection-lost');
    assert.equal(events, []);
  });
});

test('what another try cannot mend ends the run', async () => {
  for (const code of ['feeder-replaced', 'feeder-disabled', 'feeder-suspended'] as const) {
    const input = new CountingInput(1e6);
    await withFeeder({ input, host: { grant: undefined } }, async ({ host, feeder }) => {
      const running = rejectsWith(feeder.run(), code);
      await until(() => host.connections === 1);
      await until(() => hasLink(host));
      host.link.close(code);
      await running;
      assert.is(host.connections, 1);
      assert.ok(input.isClosed);
    });
  }
  await withFeeder({ input: new CountingInput(64), host: { external: 'disabled' } }, async ({ feeder }) => {
    await rejectsWith(feeder.run(), 'external-disabled');
  });
});

test('a forged receipt ends the run, and nothing is tried again', async () => {
  await withFeeder({ input: new CountingInput(1e5) }, async ({ host, feeder }) => {
    host.alter = (record) => Buffer.concat([record.subarray(0, 263), Buffer.from([record[263]! ^ 1])]);
    await rejectsWith(feeder.run(), 'receipt-invalid');
    assert.is(host.connections, 1);
  });
});

test('stop waits for the receipts under way and ends signed, though the input never ends', async () => {
  const endless = new CountingInput(64);
  endless.read = (target) =>
    endless.given.length === 2
      ? new Promise(() => undefined)
      : CountingInput.prototype.read.call(endless, target);
  const input = new CountingInput(Infinity);
  await withFeeder(
    { input, options: { chunkBytes: 64, bytesPerSecond: 1e6 } },
    async ({ host, feeder, events }) => {
      const running = feeder.run();
      await until(() => host.payloads.length >= 10);
      feeder.stop();
      assert.is(await running, 'stopped');
      assert.is(host.frames.at(-1), 'close');
      assert.not.ok(events.some(({ kind }) => kind === 'lost'));
      const ends = events.filter((event) => event.kind === 'receipt' && event.receipt.kind === 'end');
      assert.is(ends.length, 1);
      assert.ok(input.isClosed);
    },
  );
  await withFeeder({ input: endless, options: { chunkBytes: 32 } }, async ({ host, feeder }) => {
    const running = feeder.run();
    await until(() => host.payloads.length === 2);
    feeder.stop();
    assert.is(await running, 'stopped');
    assert.is(host.frames.at(-1), 'close');
  });
});

test('an input that fails ends the run with its error', async () => {
  const input = new CountingInput(1e5);
  input.read = () => Promise.reject(new EntropyError('input-failed', 'unplugged'));
  await withFeeder({ input }, async ({ feeder }) => {
    const error = await rejectsWith(feeder.run(), 'input-failed');
    assert.is(error.message, 'unplugged');
    assert.ok(input.isClosed);
  });
});

test('options that make no sense are a programmer error', async () => {
  for (const wrong of [
    { chunkBytes: 31 },
    { chunkBytes: 65_537 },
    { chunkBytes: 100.5 },
    { totalBytes: 31 },
    { bytesPerSecond: 0 },
  ]) {
    const made = await withFeeder({ input: new CountingInput(0), options: wrong }, () =>
      Promise.reject(new Error('it was taken')),
    ).catch((error: unknown) => error);
    assert.instance(made, RangeError);
  }
});

function hasLink(host: FeedHost): boolean {
  try {
    return host.link.socket.readyState === host.link.socket.OPEN;
  } catch {
    return false;
  }
}

/** Moves a fake clock on until the work is done. */
async function drain(clock: FakeClock, work: Promise<unknown>): Promise<void> {
  const done = work.then(
    () => true,
    () => true,
  );
  while (!(await Promise.race([done, clock.advance(100).then(() => false)])));
}

test.run();
