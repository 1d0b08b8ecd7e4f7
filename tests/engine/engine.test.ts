import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { throwsWith } from '../rejects.ts';
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

test('no source in the mask: the gate is closed with its reason, and nothing is fed', async () => {
  const { engine, clock, feeds } = engineFixture({ mask: 0 });
  engine.start();
  await clock.advance(60_000);
  assert.is(engine.report().gate.reason, 'no-source');
  assert.is(feeds.length, 0);
  await engine.stop();
});

test('a mask whose only source this host lacks is no-source, not a silent replacement', async () => {
  const fixture = engineFixture({
    mask: 4,
    prepare: (sources) => (sources.rdseed.unavailable = 'no RDSEED'),
  });
  fixture.engine.start();
  await fixture.clock.advance(1000);
  assert.is(fixture.engine.report().gate.reason, 'no-source');
  assert.is(fixture.stateOf('rdseed'), 'unavailable');
  assert.is(fixture.sources.rdrand.reads, 0);
  await fixture.engine.stop();
});

test('a refused state holds the gate closed although the sources are good', async () => {
  const { engine, clock, feeds } = engineFixture({ mask: 4, heldBecause: 'state-damaged' });
  engine.start();
  await clock.advance(20_000);
  assert.is(engine.report().gate.state, 'closed');
  assert.is(engine.report().gate.reason, 'failed');
  assert.is(feeds.length, 0);
  await engine.stop();
});

test('a failed source closes the gate; restored by an operator it starts up and the gate opens', async () => {
  const { engine, clock, sources, stateOf, feeds, told } = engineFixture({ mask: 4 });
  engine.start();
  await clock.advance(0);
  sources.rdseed.failure = 'all-zero or all-one words twice in a row';
  await clock.advance(10_000);
  assert.is(stateOf('rdseed'), 'failed');
  assert.is(engine.report().gate.reason, 'failed');
  assert.is(feeds.length, 1);
  sources.rdseed.failure = '';
  await clock.advance(10_000);
  assert.is(stateOf('rdseed'), 'failed', 'it does not come back by itself');
  throwsWith(() => engine.testSource('rdseed'), 'source-failed');
  assert.is(engine.restoreSource('rdseed', 'replaced the CPU').state, 'healthy');
  await clock.advance(1000);
  assert.is(engine.report().gate.state, 'open');
  assert.is(feeds.length, 2);
  assert.ok(told().includes('source.restored'));
  await engine.stop();
});

test('a failure voids what the source was credited since the last block: restored, it begins at nothing', async () => {
  const { engine, clock, sources, feeds } = engineFixture({ mask: 1, interruptsReady: 1024 });
  engine.start();
  sources.interrupts.ready = 10_240;
  await clock.advance(100);
  sources.interrupts.failure = 'total failure';
  await clock.advance(100);
  sources.interrupts.failure = '';
  sources.interrupts.ready = 1024;
  engine.restoreSource('interrupts', 'clock source fixed');
  sources.interrupts.ready = 10_240;
  await clock.advance(1000);
  assert.is(feeds.length, 0, 'half a block from before the failure is gone');
  sources.interrupts.ready = 10_240;
  await clock.advance(1000);
  assert.is(feeds.length, 1);
  await engine.stop();
});

test('a start-up test on demand that fails voids the credit from before it too', async () => {
  const { engine, clock, sources, mixer, tap, stateOf } = engineFixture({ mask: 1, interruptsReady: 1024 });
  engine.start();
  sources.interrupts.ready = 20_000;
  await clock.advance(100);
  assert.is(mixer.creditUnits()[0], 320_000);
  tap.open((_, samples) => samples.fill(7));
  sources.interrupts.ready = 1024;
  engine.testSource('interrupts');
  assert.is(stateOf('interrupts'), 'failed');
  assert.is(mixer.creditUnits()[0], 0);
  await engine.stop();
});

test('a source that died beside good ones is stalled and not honoured, although no block waits for it', async () => {
  const { engine, clock, sources, stateOf } = engineFixture({ mask: 5, interruptsReady: 1024 + 256 });
  engine.start();
  await clock.advance(60_000);
  assert.is(sources.interrupts.ready, 0);
  assert.is(stateOf('interrupts'), 'stalled');
  const { mask, gate } = engine.report();
  assert.is(mask.honoured, 4);
  assert.ok(gate.state === 'open' && gate.degraded);
  await engine.stop();
});

test('a source that gives nothing at start stalls, however often blocks are drawn meanwhile', async () => {
  const { engine, clock, stateOf } = engineFixture({ mask: 5, interruptsReady: 0, intervalSeconds: 1 });
  engine.start();
  await clock.advance(5_000);
  assert.is(stateOf('interrupts'), 'stalled');
  await engine.stop();
});

test('nothing comes out of the DRBG while the gate is closed, seeds or not', async () => {
  const { engine, clock, sources } = engineFixture({ mask: 4 });
  engine.start();
  await clock.advance(0);
  engine.generate(new Uint8Array(32));
  sources.rdseed.failure = 'total failure';
  await clock.advance(10_000);
  assert.is(engine.report().gate.state, 'closed');
  throwsWith(() => engine.generate(new Uint8Array(32)), 'gate-closed');
  await engine.stop();
});

test('a host that slept reseeds before it answers', async () => {
  const { engine, clock, counters, told } = engineFixture({ mask: 4, intervalSeconds: 3600 });
  engine.start();
  await clock.advance(0);
  engine.generate(new Uint8Array(32));
  clock.suspend(3_600_000);
  engine.generate(new Uint8Array(32));
  assert.is(counters.value('drbg.reseeds'), 2);
  assert.ok(told().includes('host.resumed'));
  await engine.stop();
});

test('a long answer counts each reseed on its way', async () => {
  const { engine, clock, counters } = engineFixture({ mask: 4 });
  engine.start();
  await clock.advance(0);
  engine.generate(new Uint8Array(16_384));
  engine.generate(new Uint8Array(65_536));
  assert.is(counters.value('drbg.reseeds'), 1 + 4);
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

test('words whose halves are equal do not pass the start-up test', async () => {
  const { engine, clock, tap, feeds, stateOf } = engineFixture({ mask: 4 });
  tap.open((_, samples) => {
    for (let at = 0; at < samples.length; at += 8) samples.copyWithin(at + 4, at, at + 4);
  });
  engine.start();
  await clock.advance(1000);
  assert.is(stateOf('rdseed'), 'failed');
  assert.is(feeds.length, 0);
  await engine.stop();
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

test('a source that throws has failed; nothing else has', async () => {
  const { engine, clock, sources, stateOf } = engineFixture({ mask: 6 });
  engine.start();
  await clock.advance(0);
  sources.rdrand.throws = true;
  await clock.advance(10_000);
  assert.is(stateOf('rdrand'), 'failed');
  assert.is(stateOf('rdseed'), 'healthy');
  assert.ok(engine.report().gate.degraded, 'open, but the mask is not honoured whole');
  assert.equal(engine.report().mask, { configured: 6, running: 6, honoured: 4 });
  await engine.stop();
});

test('a source that gives nothing is stalled after three times the expected time, and lifts with the next sample', async () => {
  const { engine, clock, sources, stateOf, told } = engineFixture({ mask: 4 });
  engine.start();
  await clock.advance(0);
  sources.rdseed.ready = 0;
  await clock.advance(10_000);
  assert.is(stateOf('rdseed'), 'healthy');
  await clock.advance(300);
  assert.is(stateOf('rdseed'), 'healthy', 'exactly three times: not yet');
  await clock.advance(100);
  assert.is(stateOf('rdseed'), 'stalled');
  sources.rdseed.ready = Infinity;
  await clock.advance(1000);
  assert.is(stateOf('rdseed'), 'healthy');
  assert.is(told().filter((id) => id === 'source.stalled').length, 1);
  await engine.stop();
});

test('after the host slept the sources are tested anew before they are used', async () => {
  const { engine, clock, told } = engineFixture({ mask: 4 });
  engine.start();
  await clock.advance(0);
  clock.suspend(3_600_000);
  await clock.advance(10_000);
  assert.equal(told().slice(-4), ['host.resumed', 'source.startup', 'source.healthy', 'kernel.fed']);
  await engine.stop();
});

test('a feed that fails is told and counted, and the next interval tries again', async () => {
  const { engine, clock, sink, feeds, told } = engineFixture({ mask: 4 });
  engine.start();
  sink.fails = true;
  await clock.advance(0);
  assert.is(feeds.length, 0);
  assert.match(engine.report().kernel.lastFailure, 'EIO');
  sink.fails = false;
  await clock.advance(10_000);
  assert.is(feeds.length, 1);
  assert.is(engine.report().kernel.lastFailure, '');
  assert.ok(told().includes('kernel.feed.failed'));
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

test('the self-test may run at any time and disturbs nothing', async () => {
  const { engine, clock, feeds } = engineFixture({ mask: 4 });
  engine.start();
  await clock.advance(0);
  assert.ok(engine.selfTest().passed);
  await clock.advance(10_000);
  assert.is(feeds.length, 2);
  await engine.stop();
});

test('a mixer that fails its self-test feeds nothing more, and nothing throws in the background', async () => {
  const { engine, clock, feeds, mixer, told } = engineFixture({ mask: 5, interruptsReady: 100 });
  engine.start();
  await clock.advance(0);
  mixer.selfTest = () => 1;
  mixer.wipe();
  assert.not.ok(engine.selfTest().passed);
  await clock.advance(60_000);
  assert.is(feeds.length, 1);
  assert.is(engine.report().gate.reason, 'failed');
  assert.ok(told().includes('selftest.failed'));
  throwsWith(() => engine.testSource('rdseed'), 'self-test-failed');
  throwsWith(() => engine.generate(new Uint8Array(32)), 'gate-closed');
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

test('output of the DRBG differs, and a closed gate gives none', async () => {
  const { engine, clock, sources } = engineFixture({ mask: 4 });
  engine.start();
  await clock.advance(0);
  const first = new Uint8Array(65_536);
  const second = new Uint8Array(65_536);
  engine.generate(first);
  engine.generate(second);
  assert.not.equal(first, second);
  sources.rdseed.failure = 'total failure';
  const third = new Uint8Array(65_536);
  throwsWith(() => engine.generate(third), 'gate-closed');
  assert.ok(third.every((byte) => byte === 0));
  await engine.stop();
});

test('the DRBG is reseeded after ten minutes', async () => {
  const { engine, clock, counters } = engineFixture({ mask: 4, intervalSeconds: 3600 });
  engine.start();
  await clock.advance(0);
  engine.generate(new Uint8Array(32));
  await clock.advance(599_999);
  engine.generate(new Uint8Array(32));
  assert.is(counters.value('drbg.reseeds'), 1);
  await clock.advance(1);
  engine.generate(new Uint8Array(32));
  assert.is(counters.value('drbg.reseeds'), 2);
  await engine.stop();
});

test('a slow source shows credit per second and the time to a block, never a bare 0', () => {
  const { engine } = engineFixture({ mask: 1 });
  engine.start();
  const interrupts = engine.report().sources[0];
  assert.ok((interrupts?.creditBitsPerSecond ?? 0) > 0);
  assert.ok((interrupts?.secondsToBlock ?? 0) > 1);
});

test.run();
