import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { throwsWith } from '../rejects.ts';
import { engineFixture } from './engine-fixture.ts';

/** What goes wrong in a source, the mixer or the host, and that nothing is credited or fed for it. */

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

test.run();
