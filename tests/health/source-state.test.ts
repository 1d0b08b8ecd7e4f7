import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import { SourceState } from '../../src/health/source-state.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { isA } from '../rejects.ts';

function newState() {
  const clock = new FakeClock();
  const events = new EventBus({ capacity: 100 }, { clock, counters: new Counters() });
  const state = new SourceState(
    { name: 'rdseed', startupSamples: 1024, expectedSampleMs: 100 },
    { clock, events },
  );
  const told = () => events.since(0).records.map((record) => record.id);
  return { clock, state, told };
}

test('start-up ends with exactly the 1,024th healthy sample', () => {
  const { state } = newState();
  state.beginStartup('start');
  state.tested(1023, 'healthy');
  assert.is(state.name, 'startup');
  assert.is(state.startupSamplesLeft, 1);
  state.tested(1, 'healthy');
  assert.is(state.name, 'healthy');
  assert.is(state.startupSamplesLeft, 0);
});

test('an intermittent failure sends a healthy source through the whole start-up test again', () => {
  const { state, told } = newState();
  state.beginStartup('start');
  state.tested(1024, 'healthy');
  state.tested(64, 'intermittent');
  assert.is(state.name, 'intermittent');
  assert.not.ok(state.healthy);
  assert.ok(state.inStartup);
  state.tested(1023, 'healthy');
  assert.is(state.name, 'intermittent');
  state.tested(1, 'healthy');
  assert.is(state.name, 'healthy');
  assert.equal(state.failures, { intermittent: 1, permanent: 0 });
  assert.equal(told(), ['source.startup', 'source.healthy', 'source.intermittent', 'source.healthy']);
});

test('a permanent failure lasts until an operator restores the source', () => {
  const { state, told } = newState();
  state.beginStartup('start');
  state.tested(1024, 'healthy');
  state.tested(64, 'permanent');
  state.beginStartup('on demand');
  state.tested(1024, 'healthy');
  assert.is(state.name, 'failed');
  assert.not.ok(state.readable);
  state.restore('cable replaced');
  assert.is(state.name, 'startup');
  assert.ok(told().includes('source.restored'));
});

test('only a failed source can be restored', () => {
  assert.throws(() => newState().state.restore('for fun'), isA(RangeError));
});

test('unavailable is for life, masked-out until the mask names the source again', () => {
  const { state: without } = newState();
  without.setUnavailable('no CPU');
  without.beginStartup('on demand');
  assert.is(without.name, 'unavailable');
  assert.not.ok(without.readable);

  const { state } = newState();
  state.maskOut();
  state.beginStartup('on demand');
  assert.is(state.name, 'masked-out');
  assert.not.ok(state.readable);
  state.maskIn();
  assert.is(state.name, 'startup');
});

test('leaving the mask and coming back heals no failure', () => {
  const { state } = newState();
  state.beginStartup('start');
  state.tested(64, 'permanent');
  state.maskOut();
  assert.is(state.name, 'masked-out');
  assert.ok(state.failed);
  assert.throws(() => state.restore('masked out'), isA(RangeError));
  state.maskIn();
  state.beginStartup('on demand');
  assert.is(state.name, 'failed');
});

test('while masked out a healthy source counts for nothing', () => {
  const { state } = newState();
  state.beginStartup('start');
  state.tested(1024, 'healthy');
  state.maskOut();
  assert.equal(
    [state.healthy, state.honoured, state.inStartup, state.readable],
    [false, false, false, false],
  );
});

test('stalled begins after three times the expected time without a sample, not at it', async () => {
  const { state, clock } = newState();
  state.beginStartup('start');
  state.gaveNothing();
  await clock.advance(300);
  state.gaveNothing();
  assert.is(state.name, 'startup');
  await clock.advance(1);
  state.gaveNothing();
  assert.is(state.name, 'stalled');
  state.tested(1, 'healthy');
  assert.is(state.name, 'startup', 'the next sample lifts it');
});

test('a stalled source may be healthy, but the mask is not honoured for it', async () => {
  const { state, clock } = newState();
  state.beginStartup('start');
  state.tested(1024, 'healthy');
  assert.ok(state.honoured);
  state.gaveNothing();
  await clock.advance(301);
  state.gaveNothing();
  assert.ok(state.healthy, 'what it may still give counts');
  assert.not.ok(state.honoured);
});

test('after a failure waiting begins anew: one empty read is no stall', async () => {
  const { state, clock } = newState();
  state.beginStartup('start');
  state.gaveNothing();
  state.fail('total failure');
  await clock.advance(10_000);
  state.restore('repaired');
  state.gaveNothing();
  assert.is(state.name, 'startup');
});

test.run();
