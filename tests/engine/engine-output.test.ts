import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { throwsWith } from '../rejects.ts';
import { engineFixture } from './engine-fixture.ts';

/** Output of the DRBG through the engine: reseeding, and the gate. */

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

test.run();
