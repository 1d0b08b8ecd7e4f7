import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { engineFixture } from './engine-fixture.ts';

test('mask 4: the first feed comes at once, the next at the interval, each of full-entropy blocks from RDSEED', async () => {
  const { engine, clock, feeds, sink, told } = engineFixture({ mask: 4 });
  engine.start();
  await clock.advance(0);
  assert.is(feeds.length, 1);
  await clock.advance(9_999);
  assert.is(feeds.length, 1);
  await clock.advance(1);
  assert.is(feeds.length, 2);
  const feed = feeds[1]!;
  assert.is(feed.bytes, 64);
  assert.equal(feed.creditedBits, { interrupts: 0, rdrand: 0, rdseed: 640, external: 0 });
  assert.is(feed.creditAskedBits, 0, 'the kernel counts RDSEED by itself');
  assert.is(feed.reseed, 'done');
  assert.not.equal(sink.feeds[0]?.bytes, sink.feeds[1]?.bytes);
  assert.equal(told().slice(0, 6), [
    'mask.resolved',
    'source.startup',
    'source.healthy',
    'gate.open',
    'kernel.fed',
    'kernel.fed',
  ]);
  await engine.stop();
});

test('opting in asks credit for the CPU sources', async () => {
  const { engine, clock, feeds, sink } = engineFixture({ mask: 4, creditCpu: true });
  engine.start();
  await clock.advance(0);
  assert.is(feeds[0]?.creditAskedBits, 512);
  assert.is(sink.feeds[0]?.creditBits, 512);
  await engine.stop();
});

test('a good source is always in the mix, and a slow one is not waited for', async () => {
  const { engine, clock, feeds, sources } = engineFixture({ mask: 7, interruptsReady: 1024 + 64 });
  engine.start();
  await clock.advance(0);
  assert.equal(feeds[0]?.creditedBits, { interrupts: 1, rdrand: 0, rdseed: 640, external: 0 });
  await clock.advance(10_000);
  assert.equal(feeds[1]?.creditedBits, { interrupts: 0, rdrand: 0, rdseed: 640, external: 0 });
  assert.ok(sources.rdrand.reads > 0, 'uncredited beside RDSEED, yet mixed in');
  await engine.stop();
});

test('mask 2 alone: RDRAND is credited 8 bits per 2,048 bytes, so a block takes 80 KiB', async () => {
  const { engine, clock, feeds } = engineFixture({ mask: 2, bytesPerFeed: 32 });
  engine.start();
  await clock.advance(0);
  assert.equal(feeds[0]?.creditedBits, { interrupts: 0, rdrand: 320, rdseed: 0, external: 0 });
  assert.is(engine.report().sources[1]?.testedBytes, 8192 + 81_920);
  await engine.stop();
});

test('mask 1 alone: 20,480 events a block; the feed waits, says so, and goes on as soon as they are there', async () => {
  const { engine, clock, feeds, sources, told } = engineFixture({ mask: 1, interruptsReady: 1024 });
  engine.start();
  await clock.advance(100);
  assert.is(engine.report().gate.reason, 'credit-starved');
  assert.ok(engine.report().kernel.waitingSinceMs !== null);
  sources.interrupts.ready = 20_479;
  await clock.advance(200);
  assert.is(feeds.length, 0, 'one event short of 320 bits');
  sources.interrupts.ready = 1;
  await clock.advance(100);
  assert.is(feeds.length, 1);
  assert.is(feeds[0]?.bytes, 32, 'what is ready is fed; the rest is not waited for');
  assert.equal(feeds[0]?.creditedBits, { interrupts: 320, rdrand: 0, rdseed: 0, external: 0 });
  assert.ok(told().includes('kernel.feed.waiting'));
  assert.is(engine.report().gate.state, 'open');
  await engine.stop();
});

test('events beyond what /proc/interrupts accounts for are mixed and worth nothing', async () => {
  const { engine, clock, feeds, sources } = engineFixture({ mask: 1, interruptsReady: 1024 });
  engine.start();
  sources.interrupts.creditable = 0;
  sources.interrupts.ready = 60_000;
  await clock.advance(1000);
  assert.is(feeds.length, 0);
  assert.is(engine.report().sources[0]?.creditedBits, 0);
  await engine.stop();
});

test('an interval changed while a feed is under way starts no second feed, and stop waits for the first', async () => {
  const { engine, clock, sink } = engineFixture({ mask: 4, intervalSeconds: 3600 });
  const order: string[] = [];
  let finish = (): void => undefined;
  sink.feed = () =>
    new Promise((resolve) => {
      order.push('feed begins');
      finish = () => {
        order.push('feed ends');
        resolve({ path: 'ioctl', creditEffectiveBits: 0, reseed: 'done' });
      };
    });
  engine.start();
  await clock.advance(0);
  engine.configureFeed({ intervalSeconds: 1, bytesPerFeed: 64, creditCpu: false });
  await clock.advance(30_000);
  const stopped = engine.stop().then(() => order.push('stopped'));
  await clock.advance(0);
  finish();
  await stopped;
  assert.equal(order, ['feed begins', 'feed ends', 'stopped']);
});

test('secrets are gone at once when it stops, even if the kernel never answers', async () => {
  const { engine, clock, sink, mixer } = engineFixture({ mask: 4 });
  sink.feed = () => new Promise(() => undefined);
  engine.start();
  await clock.advance(0);
  void engine.stop();
  await clock.advance(0);
  assert.ok(mixer.secretSegmentsAreZero());
});

test('raw samples and blocks are wiped where they were held, as soon as they were used', async () => {
  const { engine, clock, sources, sink } = engineFixture({ mask: 6 });
  engine.start();
  await clock.advance(0);
  for (const held of [sources.rdseed.lastTarget, sources.rdrand.lastTarget, sink.lastGiven]) {
    assert.ok(held.length > 0);
    assert.ok(held.every((byte) => byte === 0));
  }
  await engine.stop();
});

test('write(2) cannot ask for credit, so none is told as asked', async () => {
  const { engine, clock, sink, feeds } = engineFixture({ mask: 4, creditCpu: true });
  sink.path = 'write';
  engine.start();
  await clock.advance(0);
  assert.is(feeds[0]?.creditAskedBits, 0);
  await engine.stop();
});

test('a shorter interval counts from the last feed', async () => {
  const { engine, clock, feeds } = engineFixture({ mask: 4, intervalSeconds: 3600 });
  engine.start();
  await clock.advance(5_000);
  engine.configureFeed({ intervalSeconds: 6, bytesPerFeed: 32, creditCpu: false });
  await clock.advance(999);
  assert.is(feeds.length, 1);
  await clock.advance(1);
  assert.is(feeds.length, 2);
  assert.is(feeds[1]?.bytes, 32);
  await engine.stop();
});

test('4,096 bytes a feed: 128 blocks in one go, all different', async () => {
  const { engine, clock, feeds, sink } = engineFixture({ mask: 4, bytesPerFeed: 4096 });
  engine.start();
  await clock.advance(0);
  assert.is(feeds[0]?.creditedBits.rdseed, 128 * 320);
  const bytes = Buffer.from(sink.feeds[0]?.bytes ?? []);
  const blocks = Array.from({ length: 128 }, (_, n) => bytes.subarray(32 * n, 32 * n + 32).toString('hex'));
  assert.is(new Set(blocks).size, 128);
  await engine.stop();
});

test('an orderly stop ends gathering, closes the kernel and wipes every secret', async () => {
  const { engine, clock, sources, sink, mixer } = engineFixture({ mask: 5, interruptsReady: 2000 });
  engine.start();
  await clock.advance(0);
  engine.generate(new Uint8Array(100));
  assert.not.ok(mixer.secretSegmentsAreZero());
  await engine.stop();
  assert.ok(mixer.secretSegmentsAreZero());
  assert.ok(sink.closed);
  assert.not.ok(sources.interrupts.opened);
  assert.is(clock.pendingTimers, 0);
});

test('a slow source shows credit per second and the time to a block, never a bare 0', () => {
  const { engine } = engineFixture({ mask: 1 });
  engine.start();
  const interrupts = engine.report().sources[0];
  assert.ok((interrupts?.creditBitsPerSecond ?? 0) > 0);
  assert.ok((interrupts?.secondsToBlock ?? 0) > 1);
});

test.run();
