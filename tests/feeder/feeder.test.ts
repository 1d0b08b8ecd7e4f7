import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EntropyError } from '../../src/base/errors.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { rejectsWith } from '../rejects.ts';
import { CountingInput, drain, hasLink, withFeeder } from './feeder-bench.ts';
import { until } from './until.ts';

/** How an input is carried over: in which frames, how fast, and how a run ends in order. */

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

test.run();
