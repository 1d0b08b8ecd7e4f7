import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { throwsWith } from '../rejects.ts';
import { engineFixture } from './engine-fixture.ts';
import { externalFixture } from './external-fixture.ts';

const order = { mask: 4, seconds: 600, reason: 'HSM moved', by: 'uid 0' };

test('mask 8 starved, overridden by 4: RDSEED feeds the kernel without credit, and when the time is up all is as before', async () => {
  const { engine, start, clock, feeds, sources, told, stateOf } = await externalFixture({ mask: 8 });
  await start();
  await clock.advance(100);
  assert.is(engine.report().gate.reason, 'exhausted');
  assert.is(sources.rdseed.reads, 0);

  const gate = engine.overrideGate(order);
  assert.is(gate.state, 'overridden', 'known at once, not at the next feed');
  assert.ok(gate.degraded);
  assert.equal(gate.override, {
    mask: 4,
    untilMs: clock.wallMs() + 600_000,
    reason: 'HSM moved',
    by: 'uid 0',
  });
  assert.is(stateOf('external'), 'masked-out');
  await clock.advance(1);
  assert.equal(feeds.at(-1)?.creditedBits, { interrupts: 0, rdrand: 0, rdseed: 640, external: 0 });
  assert.is(feeds.at(-1)?.creditAskedBits, 0);
  assert.equal(engine.report().mask, { configured: 8, running: 8, honoured: 4 });

  await clock.advance(599_998);
  assert.is(engine.report().gate.state, 'overridden', 'one millisecond is left');
  const { reads } = sources.rdseed;
  await clock.advance(1);
  const after = engine.report().gate;
  assert.equal([after.state, after.reason, after.override], ['closed', 'exhausted', null]);
  assert.is(stateOf('rdseed'), 'masked-out');
  const fed = feeds.length;
  await clock.advance(60_000);
  assert.is(feeds.length, fed);
  assert.is(sources.rdseed.reads, reads, 'it is not read any more');
  const gateEvents = told().filter((id) => id.startsWith('gate.'));
  assert.equal(gateEvents, [
    'gate.closed',
    'gate.overridden',
    'gate.open',
    'gate.override.ended',
    'gate.closed',
  ]);
  await engine.stop();
  assert.is(clock.pendingTimers, 0);
});

test('cached external entropy is neither drawn under a mask without bit 8, nor made part of its blocks', async () => {
  const { engine, start, feed, clock, feeds, reservoir } = await externalFixture({ mask: 8 });
  await start();
  await feed(4096);
  await clock.advance(1);
  assert.is(engine.report().gate.state, 'open');
  engine.overrideGate(order);
  const cached = reservoir.bytes;
  await clock.advance(60_000);
  assert.is(reservoir.bytes, cached);
  assert.is(feeds.at(-1)?.creditedBits.external, 0);
  engine.restoreGate('uid 0');
  assert.is(engine.report().gate.state, 'open', 'the caches were full all along');
  await clock.advance(10_000);
  assert.is(feeds.at(-1)?.creditedBits.external, 640);
  assert.is(feeds.at(-1)?.creditedBits.rdseed, 0);
  await engine.stop();
});

test('what another mask was credited is void: RDRAND and RDSEED are never added in one block', async () => {
  const { engine, clock, sources, mixer } = engineFixture({ mask: 2, intervalSeconds: 3600 });
  engine.start();
  await clock.advance(1);
  sources.rdrand.ready = 2048;
  engine.overrideGate({ ...order, mask: 3 });
  assert.ok(mixer.creditUnits()[1] > 0, 'RDRAND is worth something without bit 4');
  engine.overrideGate({ ...order, mask: 6 });
  assert.is(mixer.creditUnits()[1], 0);
  const rdrand = engine.report().sources.find(({ name }) => name === 'rdrand');
  assert.is(rdrand?.creditBitsPerByte, 0, 'the rule is that of the mask in force');
  engine.restoreGate('uid 0');
  assert.is(mixer.creditUnits()[2], 0, 'and RDSEED gives nothing to a block of mask 2');
  await engine.stop();
});

test('interrupts are gathered only while a mask in force names them, and are tested anew each time', async () => {
  const { engine, clock, sources, told, stateOf } = engineFixture({ mask: 1, interruptsReady: 4096 });
  engine.start();
  await clock.advance(1);
  assert.is(stateOf('interrupts'), 'healthy');
  engine.overrideGate(order);
  assert.not.ok(sources.interrupts.opened);
  const { reads } = sources.interrupts;
  await clock.advance(30_000);
  assert.is(sources.interrupts.reads, reads);
  sources.interrupts.ready = 1023;
  engine.restoreGate('uid 0');
  assert.ok(sources.interrupts.opened);
  assert.is(stateOf('interrupts'), 'startup');
  assert.equal([engine.report().gate.state, engine.report().gate.reason], ['closed', 'warming']);
  sources.interrupts.ready = 40_000;
  await clock.advance(100);
  assert.is(stateOf('interrupts'), 'healthy');
  assert.is(engine.report().gate.state, 'open', 'as soon as it is tested, whenever the next feed is due');
  assert.is(told().filter((id) => id === 'source.startup').length, 3);
  await engine.stop();
});

test('a failed source stays failed through an override, and can be restored after it', async () => {
  const { engine, clock, sources, stateOf } = engineFixture({ mask: 4 });
  engine.start();
  await clock.advance(1);
  sources.rdseed.failure = 'stuck';
  await clock.advance(10_000);
  assert.is(stateOf('rdseed'), 'failed');
  throwsWith(() => engine.overrideGate({ ...order, mask: 4 }), 'source-unavailable');
  engine.overrideGate({ ...order, mask: 2 });
  assert.is(engine.report().gate.state, 'overridden');
  engine.restoreGate('uid 0');
  assert.is(stateOf('rdseed'), 'failed');
  assert.is(engine.report().gate.reason, 'failed');
  sources.rdseed.failure = '';
  engine.restoreSource('rdseed', 'replaced');
  assert.is(stateOf('rdseed'), 'healthy');
  assert.ok(sources.rdseed.opened, 'it was closed when it left the mask');
  await engine.stop();
});

test('a second override replaces the first, with its own time', async () => {
  const { engine, clock, events } = engineFixture({ mask: 1 });
  engine.start();
  engine.overrideGate({ ...order, seconds: 10 });
  await clock.advance(5_000);
  engine.overrideGate({ ...order, mask: 2, seconds: 20, by: 'uid 7' });
  await clock.advance(19_999);
  assert.is(engine.report().gate.override?.mask, 2);
  await clock.advance(1);
  assert.is(engine.report().gate.override, null);
  const ends = events.since(0).records.filter(({ id }) => id === 'gate.override.ended');
  assert.equal(
    ends.map(({ detail }) => detail),
    [
      { mask: 4, why: 'replaced', by: 'uid 7' },
      { mask: 2, why: 'time' },
    ],
  );
  await engine.stop();
});

test('time that the host slept counts: not one block is drawn after it', async () => {
  const { engine, clock, feeds } = engineFixture({ mask: 1, intervalSeconds: 1 });
  engine.start();
  engine.overrideGate({ ...order, seconds: 60 });
  await clock.advance(500);
  const fed = feeds.length;
  assert.ok(fed > 0);
  clock.suspend(61_000);
  throwsWith(() => engine.generate(new Uint8Array(32)), 'gate-closed');
  assert.is(engine.report().gate.override, null);
  await clock.advance(5_000);
  assert.is(feeds.length, fed);
  await engine.stop();
});

test('what cannot be used is refused, and changes nothing', async () => {
  const { engine, clock, sources, told } = engineFixture({
    mask: 1,
    prepare: ({ rdseed }) => (rdseed.unavailable = 'no such instruction'),
  });
  engine.start();
  await clock.advance(1);
  throwsWith(() => engine.overrideGate(order), 'source-unavailable');
  throwsWith(() => engine.overrideGate({ ...order, mask: 6 }), 'source-unavailable');
  throwsWith(() => engine.overrideGate({ ...order, mask: 10 }), 'source-unavailable');
  assert.is(sources.rdrand.reads, 0);
  assert.not.ok(told().includes('gate.overridden'));
  const { override } = engine.overrideGate({ ...order, mask: 5 });
  assert.is(override?.mask, 5, 'as far as possible: interrupts can be used');
  await engine.stop();
});

test('disableHwrng holds under an override', async () => {
  const { engine, sources } = engineFixture({ mask: 1, disableHwrng: true, interruptsReady: 1024 });
  engine.start();
  throwsWith(() => engine.overrideGate({ ...order, mask: 6 }), 'override-refused');
  assert.is(engine.overrideGate({ ...order, mask: 7 }).override?.mask, 1);
  assert.equal([sources.rdrand.reads, sources.rdseed.reads], [0, 0]);
  await engine.stop();
});

test('a held gate cannot be overridden, and a failed self-test ends an override', async () => {
  const held = engineFixture({ mask: 8, heldBecause: 'state-damaged' });
  held.engine.start();
  throwsWith(() => held.engine.overrideGate(order), 'override-refused');
  await held.engine.stop();

  const { engine, clock, mixer, events, feeds } = engineFixture({ mask: 1 });
  engine.start();
  engine.overrideGate(order);
  await clock.advance(1);
  const fed = feeds.length;
  mixer.selfTest = () => 1;
  mixer.wipe();
  engine.selfTest();
  const { gate } = engine.report();
  assert.equal([gate.state, gate.reason, gate.override], ['closed', 'failed', null]);
  assert.is(events.since(0).records.find(({ id }) => id === 'gate.override.ended')?.detail.why, 'self-test');
  throwsWith(() => engine.overrideGate(order), 'override-refused');
  await clock.advance(700_000);
  assert.is(feeds.length, fed);
  await engine.stop();
});

test('to end an override that is not there changes nothing', async () => {
  const { engine, told } = engineFixture({ mask: 4 });
  engine.start();
  assert.is(engine.restoreGate('uid 0').override, null);
  assert.not.ok(told().includes('gate.override.ended'));
  await engine.stop();
});

test.run();
